// A feed of device readings: millions of items in time order, read by time range, forgotten after a week.
//
//     node feed.js [redis://127.0.0.1:6379] [--readings 5000000] [--devices 100]
import assert from 'node:assert/strict';
import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { createClient } from 'redis';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { readings: { type: 'string', default: '5000000' }, devices: { type: 'string', default: '100' } },
});
const url = positionals[0] ?? process.env.ITEMORY_URL ?? 'redis://127.0.0.1:6379';
const deviceCount = Number(values.devices);
const each = Math.floor(Number(values.readings) / deviceCount);
assert(each >= 1000, 'a device needs at least 1000 readings');

const db = await createClient({ url, RESP: 3 }).connect();
const run = (...words) => db.sendCommand(words.map(String));

const WEEK_S = 7 * 24 * 60 * 60;

// A device's readings lie together in the order of their time: one reading a second, the newest of them now.
if ((await run('TABLE.LIST')).tables.includes('feed')) await run('TABLE.DROP', 'feed');
await run('TABLE.CREATE', 'feed', 'PK', 'device', 'S', 'SK', 'at', 'N', 'TTL', 'until', 'ATTR', 'watts', 'N');
const now = Math.floor(Date.now() / 1000);
const start = now - each;
const device = (number) => `meter-${String(number).padStart(5, '0')}`;
/** What a device measured; a rule, so that the sums below can be checked. */
const watts = (number, at) => (at + number) % 1000;

// Write, a hundred readings of a device with one round trip: the client sends together what is asked for together. Each
// lives for a week from now.
let begin = performance.now();
for (let first = 0; first < each; first += 100) {
  for (let number = 0; number < deviceCount; number++) {
    const batch = [];
    for (let at = start + first; at < start + Math.min(first + 100, each); at++) {
      batch.push(run('ITEM.PUT', 'feed', device(number), at, 'SET', 1, 'watts', watts(number, at), 'EX', WEEK_S));
    }
    for (const reply of await Promise.all(batch)) assert.equal(reply, 'OK');
  }
}
const seconds = (performance.now() - begin) / 1000;
const count = each * deviceCount;
const memory = Number(/used_memory:(\d+)/.exec(await db.info('memory'))[1]);
console.log(`${count} readings of ${deviceCount} devices written in ${seconds.toFixed(1)} s, ${Math.round(count / seconds)} a second`);
console.log(`the server uses ${Math.round(memory / 1e6)} MB of memory, with everything else in it`);

const query = (number, ...clauses) => run('ITEM.QUERY', 'feed', device(number), ...clauses);
const range = (from, to) => Array.from({ length: to - from }, (_, n) => from + n);

// Read a minute from the middle of a device's feed: in order, or as one figure that the server works out.
const middle = start + Math.floor(each / 2);
const minute = ['SK', 'BETWEEN', middle, middle + 59];
const readings = (await query(7, ...minute)).items;
const expected = range(middle, middle + 60).map((at) => watts(7, at));
assert.deepEqual(readings.map(({ at }) => at), range(middle, middle + 60));
assert.deepEqual(readings.map((reading) => reading.watts), expected);
assert.equal(await query(7, ...minute, 'COUNT'), 60);
assert.equal(await query(7, ...minute, 'MAX', 'watts'), Math.max(...expected));
// An average that no double says exactly, such as a third, comes as text with 38 digits.
assert(Math.abs(Number(await query(7, ...minute, 'AVG', 'watts')) - expected.reduce((a, b) => a + b) / 60) < 1e-9);
console.log('a minute of', device(7), 'has', readings.length, 'readings, at most', Math.max(...expected), 'watts');

// The latest reading, and the last ones above a threshold.
const [latest] = (await query(7, 'DESC', 'LIMIT', 1)).items;
assert.equal(latest.at, start + each - 1);
const high = (await query(7, 'SK', '>=', now - 600, 'WHERE', 'watts > 990', 'DESC', 'FIELDS', 1, 'at')).items;
assert.deepEqual(high.map(({ at }) => at), range(now - 600, now).reverse().filter((at) => watts(7, at) > 990));
console.log('its latest:', { ...latest });

// A long range page by page: send the cursor of the last page to go on behind it.
const seen = [];
let cursor = [];
do {
  const page = await query(7, 'SK', '>=', now - 1000, 'LIMIT', 300, ...cursor);
  seen.push(...page.items.map(({ at }) => at));
  cursor = page.cursor && ['CURSOR', page.cursor];
} while (cursor);
assert.deepEqual(seen, range(now - 1000, now));
console.log('the last', seen.length, 'readings came in pages of 300');

// How long does a query of a minute take, whichever device and time?
const times = [];
for (let n = 0; n < 1000; n++) {
  const at = start + Math.floor(Math.random() * (each - 60));
  const number = Math.floor(Math.random() * deviceCount);
  begin = performance.now();
  const found = await query(number, 'SK', 'BETWEEN', at, at + 59);
  times.push((performance.now() - begin) * 1000);
  assert.equal(found.count, 60);
}
times.sort((a, b) => a - b);
console.log(`a minute out of ${count} readings takes ${Math.round(times[500])} us (median), ${Math.round(times[990])} us (p99)`);

// Readings are forgotten by themselves: this one after three seconds.
await run('ITEM.PUT', 'feed', device(7), now + 1, 'SET', 1, 'watts', 1, 'EX', 3);
assert.equal(await query(7, 'SK', '>', now, 'COUNT'), 1);
const deadline = Date.now() + 10_000;
while (await query(7, 'SK', '>', now, 'COUNT')) {
  assert(Date.now() < deadline, 'the reading outlived its lifetime');
  await pause(50);
}
assert.equal(await query(7, 'COUNT'), each);
console.log('a reading that lived for three seconds is gone');

await db.close();

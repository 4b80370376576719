// node-redis's client-side caching: CLIENT TRACKING in RESP3.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { createClient } from 'redis';
import { Server } from './server.js';

let server;
let caching;
let plain;

const connected = async (options) => {
  const one = createClient({ RESP: 3, socket: { host: '127.0.0.1', port: server.port }, ...options });
  one.on('error', () => {});
  await one.connect();
  return one;
};

// Waits until a client sees what the server has. An invalidation comes behind the writer's own reply.
const untilEqual = async (read) => {
  const end = Date.now() + 30_000;
  for (;;) {
    const [cached, real] = [await read(caching), await read(plain)];
    if (JSON.stringify(cached) === JSON.stringify(real)) return;
    assert.ok(Date.now() < end, `${JSON.stringify(cached)} is not ${JSON.stringify(real)}`);
  }
};

before(async () => {
  server = await Server.start();
  caching = await connected({ clientSideCache: { ttl: 0, maxEntries: 0, evictPolicy: 'LRU' } });
  plain = await connected({});
});

after(async () => {
  caching.destroy();
  plain.destroy();
  await server.close();
});

test('a value is read once, and again after it has changed', async () => {
  await plain.set('a', '1');
  for (let n = 0; n < 10; n++) assert.equal(await caching.get('a'), '1');
  assert.equal(caching.clientSideCache.stats().hitCount, 9);
  await plain.set('a', '2');
  await untilEqual((client) => client.get('a'));
  await plain.flushAll();
  await untilEqual((client) => client.get('a'));
});

test('no cache keeps what others have changed', async () => {
  const keys = ['a', 'b', 'c', 'd'];
  let over = false;
  const writer = (async () => {
    for (let n = 0; !over; n++) await plain.set(keys[n % keys.length], `${n}`);
  })();
  for (let n = 0; n < 2000; n++) await caching.get(keys[n % keys.length]);
  over = true;
  await writer;
  await untilEqual((client) => Promise.all(keys.map((key) => client.get(key))));
});

// Sessions: they expire by themselves, live on while they are used, and can be listed and ended per user.
//
//     node sessions.js [redis://127.0.0.1:6379]
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { createClient } from 'redis';

const url = process.argv[2] ?? process.env.ITEMORY_URL ?? 'redis://127.0.0.1:6379';
const db = await createClient({ url, RESP: 3 }).connect();
const run = (...words) => db.sendCommand(words.map(String));

const LIFETIME_S = 30 * 60;

// A user's sessions share a partition key, so that they can be listed. A cookie holds both keys: user and id.
if ((await run('TABLE.LIST')).tables.includes('sessions')) await run('TABLE.DROP', 'sessions');
await run('TABLE.CREATE', 'sessions', 'PK', 'user', 'S', 'SK', 'id', 'S', 'TTL', 'expires', 'ATTR', 'requests', 'N');

/** Begins a session that ends by itself when its lifetime is over. */
async function logIn(user, device) {
  const session = randomBytes(16).toString('base64url');
  const made = await run('ITEM.PUT', 'sessions', user, session, 'SET', 2, 'device', device, 'requests', 0,
    'IF', 'attribute_not_exists(id)', 'EX', LIFETIME_S);
  assert.equal(made, 'OK');
  return session;
}

/** Counts a request and sets the lifetime anew, in one step. Null if there is no such session any more. */
function touch(user, session) {
  return run('ITEM.UPDATE', 'sessions', user, session, 'INCR', 1, 'requests', 1,
    'IF', 'attribute_exists(id)', 'EX', LIFETIME_S, 'RETURN', 'NEW');
}

/** All sessions of a user; those that have expired are not among them. */
async function devices(user) {
  return (await run('ITEM.QUERY', 'sessions', user)).items.map(({ device }) => device).sort();
}

/** Ends all sessions of a user but one, all at once. */
async function logOutElsewhere(user, keep) {
  const { items } = await run('ITEM.QUERY', 'sessions', user, 'FIELDS', 1, 'id');
  const step = db.multi();
  for (const { id } of items) if (id !== keep) step.addCommand(['ITEM.DEL', 'sessions', user, id]);
  return (await step.exec()).reduce((sum, ended) => sum + ended, 0);
}

const phone = await logIn('ann', 'phone');
const laptop = await logIn('ann', 'laptop');
await logIn('bob', 'tablet');
assert.deepEqual(await devices('ann'), ['laptop', 'phone']);
assert.deepEqual(await devices('bob'), ['tablet']);
console.log('ann is logged in on', await devices('ann'));

// Each request finds the session and prolongs it.
await touch('ann', phone);
const before = Math.floor(Date.now() / 1000);
const session = await touch('ann', phone);
assert.equal(session.requests, 2);
assert.equal(session.device, 'phone');
const used = session.expires - LIFETIME_S;
assert(before <= used && used <= Date.now() / 1000 + 1, `${before} ${used}`);
console.log("her phone's session:", { ...session });

// A session that was made up, or belongs to somebody else, is none.
assert.equal(await touch('ann', 'made-up'), null);
assert.equal(await touch('bob', phone), null);

// A session that nobody uses is over at its second, for every reader; touching it does not bring it back. This one is
// given a second more.
const kiosk = await logIn('ann', 'kiosk');
assert((await devices('ann')).includes('kiosk'));
await run('ITEM.UPDATE', 'sessions', 'ann', kiosk, 'EX', 1);
const deadline = Date.now() + 10_000;
while (await run('ITEM.GET', 'sessions', 'ann', kiosk)) {
  assert(Date.now() < deadline, 'the session outlived its lifetime');
  await pause(50);
}
assert.equal(await touch('ann', kiosk), null);
assert.deepEqual(await devices('ann'), ['laptop', 'phone']);
console.log("the kiosk's session has expired; left are", await devices('ann'));

// Ann changes her password on the phone and is logged out everywhere else.
assert.equal(await logOutElsewhere('ann', phone), 1);
assert.deepEqual(await devices('ann'), ['phone']);
assert.equal(await touch('ann', laptop), null);
assert.deepEqual(await devices('bob'), ['tablet']);
console.log('after logging out elsewhere:', await devices('ann'));

await db.close();

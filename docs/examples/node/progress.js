// Progress of learners: streaks, points, counters and badges, each changed by one update expression.
//
//     node progress.js [redis://127.0.0.1:6379]
import assert from 'node:assert/strict';
import { createClient } from 'redis';

const url = process.argv[2] ?? process.env.ITEMORY_URL ?? 'redis://127.0.0.1:6379';
const db = await createClient({ url, RESP: 3 }).connect();
const run = (...words) => db.sendCommand(words.map(String));

// One item per learner.
if ((await run('TABLE.LIST')).tables.includes('progress')) await run('TABLE.DROP', 'progress');
await run('TABLE.CREATE', 'progress', 'PK', 'user', 'S', 'ATTR', 'points', 'N');

/** Makes the learner's item; one that is there stays as it is. */
async function enrol(user) {
  const fresh = JSON.stringify({ streak: 0, best: 0, points: 0, last: 0, lessons: {} });
  return await run('ITEM.PUT', 'progress', user, 'JSON', fresh, 'IF', 'attribute_not_exists(user)') === 'OK';
}

/**
 * Counts a lesson finished on a day (days since 1970), and gives the learner's item as it is then.
 *
 * On the day after the last one the streak grows, on the same day it stays, and later it begins again. The three conditions
 * exclude each other, so exactly one of these updates happens, and each is one atomic step.
 */
async function finishLesson(user, lesson, day, points) {
  const cases = [[`last = ${day - 1}`, 'streak + 1'], [`last = ${day}`, 'streak'], [`last < ${day - 1}`, '1']];
  let item = null;
  for (const [condition, streak] of cases) {
    item ??= await run(
      'ITEM.UPDATE', 'progress', user, 'INCR', 1, 'points', points,
      'EXPR', `SET streak = ${streak}, last = ${day}, started = if_not_exists(started, :day), ` +
        'lessons.#name = if_not_exists(lessons.#name, :none) + :one',
      'IF', condition, 'NAMES', JSON.stringify({ '#name': lesson }),
      'VALUES', JSON.stringify({ ':day': day, ':none': 0, ':one': 1 }), 'RETURN', 'NEW');
  }
  // The best streak only ever grows, whoever writes it and in whatever order.
  await run('ITEM.UPDATE', 'progress', user, 'EXPR', 'SET best = streak', 'IF', 'best < streak');
  if (item.streak === 7) await award(user, 'week');
  if (item.points >= 100) await award(user, 'century');
  return item;
}

/** Badges are a set: one that the learner has is not added again. */
function award(user, badge) {
  return run('ITEM.UPDATE', 'progress', user, 'ADD', 1, 'badges:ss', JSON.stringify([badge]));
}

const show = async (user) => run('ITEM.GET', 'progress', user, 'FORMAT', 'JSON');

assert(await enrol('ann') && await enrol('bob'));
assert(!await enrol('ann'));

// Ann learns on seven days in a row, twice on the last of them.
const FIRST = 20_000;
for (let n = 0; n < 7; n++) {
  assert.equal((await finishLesson('ann', 'algebra', FIRST + n, 10)).streak, n + 1);
}
const twice = await finishLesson('ann', 'logic', FIRST + 6, 15);
assert.deepEqual([twice.streak, twice.points], [7, 85]);
console.log('after a week:', await show('ann'));

// She misses a day: the streak begins again, the best one stays.
await finishLesson('ann', 'logic', FIRST + 8, 15);
const ann = await run('ITEM.GET', 'progress', 'ann');
assert.deepEqual([ann.streak, ann.best, ann.points, ann.started], [1, 7, 100, FIRST]);
assert.deepEqual({ ...ann.lessons }, { algebra: 7, logic: 2 });
assert.deepEqual([...ann.badges].sort(), ['century', 'week']);
console.log('after a missed day:', await show('ann'));

// Only what is asked for travels: one counter out of the map.
assert.equal(await run('ITEM.GET', 'progress', 'ann', 'FIELDS', 1, 'lessons.logic', 'FORMAT', 'JSON'), '{"lessons":{"logic":2}}');

// Who has a badge? A condition on one learner, a filter over all.
await finishLesson('bob', 'logic', FIRST, 5);
assert.equal(await run('ITEM.CHECK', 'progress', 'ann', 'IF', 'contains(badges, "week")'), 1);
assert.equal(await run('ITEM.CHECK', 'progress', 'bob', 'IF', 'contains(badges, "week")'), null);
const holders = (await run('ITEM.SCAN', 'progress', 'WHERE', 'contains(badges, "week")', 'FIELDS', 1, 'user')).items;
assert.deepEqual(holders.map(({ user }) => user), ['ann']);
console.log('has the badge `week`:', holders[0].user);

// Spending points needs enough of them. A badge can be taken back, too.
assert.equal(await run('ITEM.UPDATE', 'progress', 'bob', 'INCR', 1, 'points', -50, 'IF', 'points >= 50'), null);
assert.equal(
  await run('ITEM.UPDATE', 'progress', 'ann', 'INCR', 1, 'points', -50, 'IF', 'points >= 50',
    'EXPR', 'DELETE badges :gone', 'VALUES', '{":gone":{"SS":["century"]}}', 'RETURN', 'UPDATED', 'FORMAT', 'JSON'),
  '{"badges":["week"],"points":50}');
console.log('bob cannot spend 50 points, ann can');

await db.close();

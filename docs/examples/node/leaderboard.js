// A leaderboard: the best scores from an index in descending order, ranks by counting, scores changed atomically.
//
//     node leaderboard.js [redis://127.0.0.1:6379]
import assert from 'node:assert/strict';
import { createClient } from 'redis';

const url = process.argv[2] ?? process.env.ITEMORY_URL ?? 'redis://127.0.0.1:6379';
const db = await createClient({ url, RESP: 3 }).connect();
const run = (...words) => db.sendCommand(words.map(String));

// One item per game and player, found by the player's name; the index keeps the items of a game in the order of their scores.
if ((await run('TABLE.LIST')).tables.includes('scores')) await run('TABLE.DROP', 'scores');
await run('DEL', 'chess:played');
await run('TABLE.CREATE', 'scores', 'PK', 'game', 'S', 'SK', 'player', 'S', 'ATTR', 'score', 'N', 'won', 'N');
await run('TABLE.INDEX', 'ADD', 'scores', 'by_score', 'PK', 'game', 'S', 'SK', 'score', 'N');

/** Adds points to a score and counts the game in a Redis key: both or neither, and the index with them. */
async function play(game, player, points) {
  const replies = await db.multi()
    .addCommand(['ITEM.ATOMIC'])
    .addCommand(['ITEM.UPDATE', 'scores', game, player, 'INCR', '2', 'score', `${points}`, 'won', points > 0 ? '1' : '0',
      'RETURN', 'NEW'])
    .incr(`${game}:played`)
    .exec();
  return replies[1].score;
}

const ranking = (game, ...clauses) => run('ITEM.QUERY', 'scores', game, 'INDEX', 'by_score', ...clauses);

/** The players with the highest scores. */
async function best(game, count) {
  const { items } = await ranking(game, 'DESC', 'LIMIT', count, 'FIELDS', 2, 'player', 'score');
  return items.map(({ player, score }) => [player, score]);
}

/** 1 for the highest score: one more than there are players with a higher one. */
async function rank(game, player) {
  const { score } = await run('ITEM.GET', 'scores', game, player, 'FIELDS', 1, 'score');
  return 1 + await ranking(game, 'SK', '>', score, 'COUNT');
}

// A thousand players, each with a score of its own: player-0000 has 0, player-0999 has 9990.
const name = (n) => `player-${String(n).padStart(4, '0')}`;
const made = await Promise.all(Array.from({ length: 1000 }, (_, n) =>
  run('ITEM.PUT', 'scores', 'chess', name(n), 'SET', 1, 'score', n * 10)));
assert(made.every((reply) => reply === 'OK'));
assert.deepEqual(await best('chess', 3), [[name(999), 9990], [name(998), 9980], [name(997), 9970]]);
assert.equal(await rank('chess', name(999)), 1);
assert.equal(await rank('chess', name(0)), 1000);
console.log('the best:', await best('chess', 3));

// Ann comes from nowhere. Each read of the index shows her as she is at that moment: it is never behind the items.
assert.equal(await play('chess', 'ann', 9975), 9975);
assert.equal(await rank('chess', 'ann'), 3);
assert.equal(await play('chess', 'ann', 20), 9995);
assert.equal(await rank('chess', 'ann'), 1);
assert.deepEqual(await best('chess', 1), [['ann', 9995]]);
assert.equal(await run('GET', 'chess:played'), '2');
console.log('ann is number', await rank('chess', 'ann'), 'after', await run('GET', 'chess:played'), 'games');

// A game that may not count changes nothing: nobody falls below zero, and no game is counted.
const lost = db.multi()
  .addCommand(['ITEM.ATOMIC'])
  .incr('chess:played')
  .addCommand(['ITEM.UPDATE', 'scores', 'chess', name(0), 'INCR', '1', 'score', '-5', 'IF', 'score >= 5'])
  .exec();
await assert.rejects(lost, { message: 'TXCANCELLED 2:ConditionalCheckFailed' });
assert.equal(await run('GET', 'chess:played'), '2');
assert.equal(await rank('chess', name(0)), 1001);
console.log(name(0), 'cannot lose 5 points');

// The neighbours of a player: some above, nearest first, and some below.
const above = (await ranking('chess', 'SK', '>', 5000, 'LIMIT', 2)).items.map(({ player }) => player);
const below = (await ranking('chess', 'SK', '<', 5000, 'DESC', 'LIMIT', 2)).items.map(({ player }) => player);
assert.deepEqual(above, [name(501), name(502)]);
assert.deepEqual(below, [name(499), name(498)]);
console.log('around', name(500), [...above].reverse(), below);

await db.close();

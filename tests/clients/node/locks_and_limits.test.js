// Locks of several servers (redlock) and limits of rates (rate-limiter-flexible), which are scripts in Lua.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Redis } from 'ioredis';
import { RateLimiterQueue, RateLimiterRedis } from 'rate-limiter-flexible';
import Redlock from 'redlock';
import { Server } from './server.js';

const connected = (server) => {
  const client = new Redis({ port: server.port, host: '127.0.0.1', retryStrategy: () => 20, maxRetriesPerRequest: null });
  client.on('error', () => {});
  return client;
};

describe('redlock over three servers', () => {
  const [servers, clients] = [[], []];
  let locks;
  before(async () => {
    for (let n = 0; n < 3; n += 1) {
      servers.push(await Server.start());
      clients.push(connected(servers[n]));
    }
    locks = new Redlock(clients, { retryCount: 400, retryDelay: 5, retryJitter: 5 });
    locks.on('clientError', () => {});
  });
  after(async () => {
    clients.forEach((client) => client.disconnect());
    await Promise.all(servers.map((server) => server.close()));
  });

  test('one at a time has a lock', async () => {
    let [inside, most, total] = [0, 0, 0];
    await Promise.all(Array.from({ length: 8 }, async () => {
      for (let n = 0; n < 5; n += 1) {
        const lock = await locks.lock('resource', 10_000);
        inside += 1;
        most = Math.max(most, inside);
        await new Promise(setImmediate);
        total += 1;
        inside -= 1;
        await lock.unlock();
      }
    }));
    assert.deepEqual([most, total], [1, 40]);
  });

  test('a lock is kept by servers that were killed', async () => {
    const lock = await locks.lock('kept', 60_000);
    await Promise.all(servers.map((server) => server.crash()));
    const impatient = new Redlock(clients, { retryCount: 0 });
    await assert.rejects(impatient.lock('kept', 1000));
    const longer = await lock.extend(60_000);
    await longer.unlock();
    await (await impatient.lock('kept', 1000)).unlock();
  });
});

describe('rate-limiter-flexible', () => {
  let server;
  let client;
  before(async () => {
    server = await Server.start();
    client = connected(server);
  });
  after(async () => {
    client.disconnect();
    await server.close();
  });

  test('so many points are given in a window, also over a crash', async () => {
    const limiter = new RateLimiterRedis({ storeClient: client, points: 10, duration: 600, keyPrefix: 'limit' });
    const given = await Promise.allSettled(Array.from({ length: 7 }, () => limiter.consume('user')));
    assert.equal(given.filter(({ status }) => status === 'fulfilled').length, 7);
    await server.crash();
    const more = await Promise.allSettled(Array.from({ length: 7 }, () => limiter.consume('user')));
    assert.equal(more.filter(({ status }) => status === 'fulfilled').length, 3);
    const { remainingPoints, consumedPoints, msBeforeNext } = await limiter.get('user');
    assert.deepEqual([remainingPoints, consumedPoints], [0, 14]);
    assert.ok(msBeforeNext > 500_000 && msBeforeNext <= 600_000, `${msBeforeNext}`);
    assert.equal(await limiter.delete('user'), true);
    assert.equal((await limiter.consume('user')).remainingPoints, 9);
  });

  test('who has taken too much is blocked, and a queue waits', async () => {
    const blocking = new RateLimiterRedis({ storeClient: client, points: 1, duration: 600, blockDuration: 900, keyPrefix: 'block' });
    await blocking.consume('user');
    const refused = await blocking.consume('user').catch((reason) => reason);
    assert.ok(refused.msBeforeNext > 600_000, `${refused.msBeforeNext}`);
    const queue = new RateLimiterQueue(new RateLimiterRedis({ storeClient: client, points: 2, duration: 1, keyPrefix: 'queue' }));
    const left = await Promise.all([1, 2, 3].map(() => queue.removeTokens(1, 'user')));
    assert.equal(left.length, 3);
  });
});

describe('a leaderboard', () => {
  const PLAYERS = Number(process.env.ITEMORY_TEST_PLAYERS ?? 20_000);
  let server;
  let client;
  before(async () => {
    server = await Server.start('--appendfsync', 'everysec');
    client = connected(server);
  });
  after(async () => {
    client.disconnect();
    await server.close();
  });

  test('ranks and neighbours are right, before and after the server is killed', async () => {
    // Scores are a permutation, so each player's rank is known.
    const score = (n) => (n * 7919) % PLAYERS;
    for (let first = 0; first < PLAYERS; first += 1000) {
      const pairs = [];
      for (let n = first; n < Math.min(first + 1000, PLAYERS); n += 1) pairs.push(score(n), `player:${n}`);
      await client.zadd('board', ...pairs);
    }
    const checked = async () => {
      assert.equal(await client.zcard('board'), PLAYERS);
      for (const n of [0, 1, 4711 % PLAYERS, PLAYERS - 1]) {
        assert.equal(await client.zrank('board', `player:${n}`), score(n));
        assert.deepEqual(await client.zrevrank('board', `player:${n}`, 'WITHSCORE'), [PLAYERS - 1 - score(n), `${score(n)}`]);
      }
      const top = await client.zrange('board', 0, 9, 'REV', 'WITHSCORES');
      assert.deepEqual(top.filter((_, at) => at % 2), Array.from({ length: 10 }, (_, at) => `${PLAYERS - 1 - at}`));
    };
    await checked();
    await server.crash();
    await checked();
    assert.equal(await client.zincrby('board', PLAYERS, 'player:3'), `${score(3) + PLAYERS}`);
    assert.equal(await client.zrevrank('board', 'player:3'), 0);
    assert.equal(await client.zunionstore('both', 2, 'board', 'board', 'WEIGHTS', 1, 2), PLAYERS);
    assert.equal(await client.zscore('both', 'player:3'), `${3 * (score(3) + PLAYERS)}`);
    assert.equal(await client.zremrangebyrank('board', 0, -11), PLAYERS - 10);
  });
});

// node-redis, in RESP2 and RESP3.
import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import { createClient, ErrorReply, WatchError } from 'redis';
import { Server } from './server.js';

for (const RESP of [2, 3]) {
  describe(`node-redis, RESP${RESP}`, () => {
    let server;
    let client;

    before(async () => {
      server = await Server.start();
      client = createClient({
        RESP,
        name: 'suite',
        socket: { host: '127.0.0.1', port: server.port, reconnectStrategy: 20 },
      });
      client.on('error', () => {});
      await client.connect();
    });
    beforeEach(() => client.flushAll());
    after(async () => {
      client.destroy();
      await server.close();
    });

    test('handshake', async () => {
      assert.equal(await client.ping(), 'PONG');
      const me = await client.clientInfo();
      assert.equal(me.name, 'suite');
      assert.equal(Number(me.resp ?? RESP), RESP);
    });

    test('strings', async () => {
      assert.equal(await client.set('k', 'v', { expiration: { type: 'EX', value: 100 } }), 'OK');
      assert.equal(await client.get('k'), 'v');
      assert.equal(await client.get('missing'), null);
      assert.ok(await client.ttl('k') > 90);
      assert.equal(await client.set('k', 'w', { condition: 'NX' }), null);
      assert.equal(await client.set('k', 'w', { GET: true, expiration: 'KEEPTTL' }), 'v');
      assert.equal(await client.incrBy('n', 5), 5);
      assert.equal(await client.decr('n'), 4);
      assert.equal(Number(await client.incrByFloat('f', 1.5)), 1.5);
      assert.equal(await client.append('k', 'x'), 2);
      assert.equal(await client.getEx('k', { type: 'PERSIST' }), 'wx');
      assert.equal(await client.ttl('k'), -1);
      assert.deepEqual(await client.mSet({ a: '1', b: '2' }), 'OK');
      assert.deepEqual(await client.mGet(['a', 'nope', 'b']), ['1', null, '2']);
      assert.equal(await client.getDel('a'), '1');
      assert.equal(await client.setBit('bits', 3, 1), 0);
      assert.equal(await client.bitCount('bits'), 1);
    });

    test('sets and estimates', async () => {
      assert.equal(await client.sAdd('s', ['a', 'b', 'c']), 3);
      assert.deepEqual([...(await client.sMembers('s'))].sort(), ['a', 'b', 'c']);
      assert.equal(Number(await client.sIsMember('s', 'a')), 1);
      assert.equal(await client.sAdd('t', ['b', 'd']), 2);
      assert.deepEqual([...(await client.sInter(['s', 't']))], ['b']);
      assert.equal(await client.sInterCard(['s', 't']), 1);
      assert.equal(await client.sRem('s', 'c'), 1);
      assert.equal(await client.sCard('s'), 2);
      assert.equal(Number(await client.pfAdd('h', ['a', 'b'])), 1);
      assert.equal(await client.pfCount('h'), 2);
    });

    test('sorted sets', async () => {
      assert.equal(await client.zAdd('z', [{ score: 1.5, value: 'a' }, { score: 2, value: 'b' }]), 2);
      assert.equal(await client.zScore('z', 'a'), 1.5);
      assert.deepEqual(
        (await client.zRangeWithScores('z', 0, -1)).map(({ value, score }) => [value, score]),
        [['a', 1.5], ['b', 2]],
      );
      assert.equal(await client.zIncrBy('z', 1, 'a'), 2.5);
      assert.deepEqual({ ...(await client.zPopMax('z')) }, { value: 'a', score: 2.5 });
    });

    test('hashes', async () => {
      assert.equal(await client.hSet('h', { a: 1, b: 'two' }), 2);
      assert.deepEqual({ ...(await client.hGetAll('h')) }, { a: '1', b: 'two' });
      assert.equal(await client.hGet('h', 'a'), '1');
      assert.deepEqual(await client.hmGet('h', ['a', 'nope']), ['1', null]);
      assert.equal(await client.hIncrBy('h', 'a', 4), 5);
      assert.equal(Number(await client.hExists('h', 'a')), 1);
      assert.equal(await client.hLen('h'), 2);
      const fields = [];
      for await (const page of client.hScanIterator('h')) fields.push(...[page].flat().map((e) => e.field));
      assert.deepEqual(fields.sort(), ['a', 'b']);
      await assert.rejects(client.get('h'), /WRONGTYPE/);
    });

    test('keys', async () => {
      await Promise.all(Array.from({ length: 300 }, (_, i) => client.set(`k${i}`, i)));
      const found = new Set();
      for await (const keys of client.scanIterator({ MATCH: 'k*', COUNT: 20 })) {
        for (const key of [keys].flat()) found.add(key);
      }
      assert.equal(found.size, 300);
      assert.equal(await client.exists(['k1', 'k2', 'nope']), 2);
      assert.equal(Number(await client.expire('k1', 50)), 1);
      assert.equal(Number(await client.persist('k1')), 1);
      assert.equal(await client.type('k1'), 'string');
      assert.equal(await client.rename('k1', 'r'), 'OK');
      assert.equal(await client.del(['r', 'k2']), 2);
      assert.equal(await client.dbSize(), 298);
    });

    test('a transaction', async () => {
      assert.deepEqual(await client.multi().incr('n').incr('n').get('n').exec(), [1, 2, '2']);
      const other = await client.duplicate().connect();
      await other.watch('n');
      await client.incr('n');
      await assert.rejects(other.multi().incr('n').exec(), WatchError);
      other.destroy();
    });

    test('errors are errors', async () => {
      await assert.rejects(client.sendCommand(['NOSUCH']), ErrorReply);
      await assert.rejects(client.sendCommand(['CLIENT', 'NOSUCH']), /unknown subcommand/);
      assert.equal(await client.ping(), 'PONG');
    });

    test('many at once', async () => {
      await Promise.all(Array.from({ length: 5000 }, () => client.incr('n')));
      assert.equal(await client.get('n'), '5000');
    });

    test('kill -9', async () => {
      await client.set('k', 'v', { expiration: { type: 'EX', value: 1000 } });
      await server.crash();
      assert.equal(await client.get('k'), 'v');
      const ttl = await client.ttl('k');
      assert.ok(ttl > 990 && ttl <= 1000, `${ttl}`);
    });
  });
}

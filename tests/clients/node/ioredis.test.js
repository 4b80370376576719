// ioredis.
import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import { Redis } from 'ioredis';
import { Server } from './server.js';

describe('ioredis', () => {
  let server;
  let client;

  before(async () => {
    server = await Server.start();
    client = new Redis({ host: '127.0.0.1', port: server.port, connectionName: 'suite', retryStrategy: () => 20 });
    client.on('error', () => {});
  });
  beforeEach(() => client.flushall());
  after(async () => {
    client.disconnect();
    await server.close();
  });

  test('handshake', async () => {
    assert.equal(await client.ping(), 'PONG');
    assert.equal(await client.client('GETNAME'), 'suite');
    assert.match(await client.info(), /redis_version:/);
  });

  test('strings', async () => {
    assert.equal(await client.set('k', 'v', 'EX', 100), 'OK');
    assert.equal(await client.get('k'), 'v');
    assert.equal(await client.get('missing'), null);
    assert.ok(await client.ttl('k') > 90);
    assert.equal(await client.set('k', 'w', 'NX'), null);
    assert.equal(await client.incr('n'), 1);
    assert.deepEqual(await client.mget('k', 'nope', 'n'), ['v', null, '1']);
    const bytes = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
    await client.set(bytes, bytes);
    assert.deepEqual(await client.getBuffer(bytes), bytes);
  });

  test('hashes', async () => {
    assert.equal(await client.hset('h', { a: 1, b: 2 }), 2);
    assert.deepEqual(await client.hgetall('h'), { a: '1', b: '2' });
    assert.deepEqual(await client.hgetall('nope'), {});
    assert.equal(await client.hincrby('h', 'a', 4), 5);
    await assert.rejects(client.get('h'), /WRONGTYPE/);
  });

  test('sets and estimates', async () => {
    assert.equal(await client.sadd('s', 'a', 'b', 'c'), 3);
    assert.deepEqual((await client.smembers('s')).sort(), ['a', 'b', 'c']);
    assert.deepEqual(await client.smismember('s', 'a', 'x'), [1, 0]);
    assert.equal(await client.sadd('t', 'b', 'd'), 2);
    assert.deepEqual(await client.sinter('s', 't'), ['b']);
    assert.equal(await client.sunionstore('u', 's', 't'), 4);
    assert.equal((await client.spop('u', 9)).length, 4);
    assert.equal(await client.exists('u'), 0);
    assert.equal(await client.pfadd('h', 'a', 'b'), 1);
    assert.equal(await client.pfcount('h'), 2);
  });

  test('sorted sets', async () => {
    assert.equal(await client.zadd('z', 1.5, 'a', 2, 'b'), 2);
    assert.deepEqual(await client.zrange('z', 0, -1, 'WITHSCORES'), ['a', '1.5', 'b', '2']);
    assert.equal(await client.zscore('z', 'a'), '1.5');
    assert.equal(await client.zrank('z', 'b'), 1);
    assert.deepEqual(await client.zpopmin('z'), ['a', '1.5']);
  });

  test('scans', async () => {
    await client.mset(Object.fromEntries(Array.from({ length: 300 }, (_, i) => [`k${i}`, i])));
    const found = new Set();
    for await (const keys of client.scanStream({ match: 'k*', count: 20 })) keys.forEach((k) => found.add(k));
    assert.equal(found.size, 300);
  });

  test('pipelines and transactions', async () => {
    const pipeline = client.pipeline();
    for (let i = 0; i < 1000; i += 1) pipeline.set(`k${i}`, i);
    assert.ok((await pipeline.exec()).every(([error, reply]) => error === null && reply === 'OK'));
    assert.deepEqual(await client.multi().incr('n').get('n').exec(), [[null, 1], [null, '1']]);
    const other = client.duplicate();
    await other.watch('n');
    await client.incr('n');
    assert.equal(await other.multi().incr('n').exec(), null);
    other.disconnect();
  });

  test('an error in a transaction', async () => {
    const replies = await client.multi().set('s', 'text').incr('s').exec();
    assert.equal(replies[0][1], 'OK');
    assert.match(replies[1][0].message, /not an integer/);
  });

  test('streams', async () => {
    const reader = client.duplicate();
    assert.equal(await client.xadd('s', '1-1', 'a', '1'), '1-1');
    const waiting = reader.xread('BLOCK', 5000, 'STREAMS', 's', '$');
    while (!/blocked_clients:1/.test(await client.info('clients')));
    await client.xadd('s', '2-1', 'a', '2');
    assert.deepEqual(await waiting, [['s', [['2-1', ['a', '2']]]]]);
    assert.equal(await reader.xread('BLOCK', 10, 'STREAMS', 's', '$'), null);
    await client.xgroup('CREATE', 's', 'g', '0');
    const read = await reader.xreadgroup('GROUP', 'g', 'c', 'COUNT', 1, 'STREAMS', 's', '>');
    assert.deepEqual(read, [['s', [['1-1', ['a', '1']]]]]);
    assert.deepEqual(await client.xpending('s', 'g'), [1, '1-1', '1-1', [['c', '1']]]);
    assert.equal(await client.xack('s', 'g', '1-1'), 1);
    reader.disconnect();
  });

  test('lists', async () => {
    assert.equal(await client.rpush('l', 'a', 'b'), 2);
    assert.deepEqual(await client.lrange('l', 0, -1), ['a', 'b']);
    assert.equal(await client.lmove('l', 'm', 'LEFT', 'RIGHT'), 'a');
    const waiter = client.duplicate();
    const waiting = waiter.blpop('none', 'late', 5);
    while (!/blocked_clients:1/.test(await client.info('clients')));
    assert.equal(await client.rpush('late', 'x', 'y'), 2);
    assert.deepEqual(await waiting, ['late', 'x']);
    assert.equal(await waiter.blpop('none', 0.01), null);
    waiter.disconnect();
  });

  test('kill -9', async () => {
    await client.set('k', 'v', 'EX', 1000);
    await server.crash();
    assert.equal(await client.get('k'), 'v');
    const ttl = await client.ttl('k');
    assert.ok(ttl > 990 && ttl <= 1000, `${ttl}`);
  });
});

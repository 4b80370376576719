// node-redis's publish and subscribe, in RESP2 and RESP3.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { createClient } from 'redis';
import { Server } from './server.js';

for (const RESP of [2, 3]) {
  describe(`node-redis subscribes, RESP${RESP}`, () => {
    let server;
    let client;
    let subscriber;

    const connected = async () => {
      const one = createClient({ RESP, socket: { host: '127.0.0.1', port: server.port, reconnectStrategy: 20 } });
      one.on('error', () => {});
      await one.connect();
      return one;
    };
    before(async () => {
      server = await Server.start();
      [client, subscriber] = [await connected(), await connected()];
    });
    after(async () => {
      client.destroy();
      subscriber.destroy();
      await server.close();
    });

    test('channels, patterns and shard channels', async () => {
      const got = [];
      let all;
      const done = new Promise((resolve) => { all = resolve; });
      const note = (message, channel) => {
        got.push(`${channel} ${message}`);
        if (got.length === 4) all();
      };
      await subscriber.subscribe('news', note);
      await subscriber.pSubscribe('n*', note);
      await subscriber.sSubscribe('orders', note);
      assert.equal(await client.publish('news', 'hello'), 2);
      assert.equal(await client.publish('none', 'hi'), 1);
      assert.equal(await client.sPublish('orders', 'one'), 1);
      await done;
      assert.deepEqual(got, ['news hello', 'news hello', 'none hi', 'orders one']);
      assert.deepEqual(await client.pubSubChannels(), ['news']);
      assert.equal(Number(await client.pubSubNumPat()), 1);
      await subscriber.unsubscribe();
      await subscriber.pUnsubscribe();
      await subscriber.sUnsubscribe();
      assert.equal(await client.publish('news', 'nobody'), 0);
      assert.equal(String(await subscriber.ping()), 'PONG');
    });

    test('what a transaction publishes comes once it has run', async () => {
      const told = new Promise((resolve) => { subscriber.subscribe('told', resolve); });
      while ((await client.pubSubNumSub(['told'])).told !== 1) { /* the confirmation is on its way */ }
      await client.multi().set('k', 'v').publish('told', 'k').exec();
      assert.equal(await client.get(await told), 'v');
      await subscriber.unsubscribe('told');
    });
  });
}

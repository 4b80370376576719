// socket.io's adapter for Redis: rooms over several servers, through publish and subscribe.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { after, before, describe, test } from 'node:test';
import { createAdapter, createShardedAdapter } from '@socket.io/redis-adapter';
import { createClient } from 'redis';
import { Server as Io } from 'socket.io';
import { io as connect } from 'socket.io-client';
import { Server } from './server.js';

for (const [kind, adapter] of [['channels', createAdapter], ['shard channels', createShardedAdapter]]) {
  describe(`socket.io over ${kind}`, () => {
    let server;
    const [nodes, clients, sockets, https] = [[], [], [], []];

    const connected = async () => {
      const client = createClient({ socket: { host: '127.0.0.1', port: server.port, reconnectStrategy: 20 } });
      client.on('error', () => {});
      await client.connect();
      clients.push(client);
      return client;
    };
    before(async () => {
      server = await Server.start();
      for (let n = 0; n < 2; n += 1) {
        const http = createServer().listen(0, '127.0.0.1');
        await once(http, 'listening');
        const node = new Io(http, { adapter: adapter(await connected(), await connected()) });
        node.on('connection', (socket) => {
          socket.on('join', (room, done) => { socket.join(room); done(); });
        });
        const socket = connect(`http://127.0.0.1:${http.address().port}`, { transports: ['websocket'] });
        await once(socket, 'connect');
        nodes.push(node);
        https.push(http);
        sockets.push(socket);
      }
    });
    after(async () => {
      sockets.forEach((socket) => socket.close());
      await Promise.all(nodes.map((node) => node.close()));
      // The adapters may still wait for answers.
      await Promise.all(clients.map((client) => client.close()));
      await server.close();
    });

    /** Emits until every socket has heard it: a subscription of a node may still be on its way. */
    const heardByAll = async (emit, event) => {
      const heard = sockets.map((socket) => once(socket, event));
      const again = setInterval(emit, 20);
      emit();
      const values = await Promise.all(heard);
      clearInterval(again);
      return values;
    };

    test('all servers hear each other', async () => {
      const values = await heardByAll(() => nodes[0].emit('news', 'hello', { n: 1 }), 'news');
      assert.deepEqual(values, [['hello', { n: 1 }], ['hello', { n: 1 }]]);
      assert.equal((await nodes[0].fetchSockets()).length, 2);
    });

    test('a room is on all servers', async () => {
      await Promise.all(sockets.map((socket) => socket.emitWithAck('join', 'room')));
      const values = await heardByAll(() => nodes[1].to('room').emit('talk', Buffer.from([0, 255])), 'talk');
      assert.deepEqual(values.map(([bytes]) => [...bytes]), [[0, 255], [0, 255]]);
      assert.equal((await nodes[1].in('room').fetchSockets()).length, 2);
    });

    test('the servers hear each other again after the store was killed', async () => {
      await server.crash();
      const values = await heardByAll(() => nodes[1].emit('again', 1), 'again');
      assert.deepEqual(values, [[1], [1]]);
    });
  });
}

// express-session with connect-redis: a user who is logged in stays logged in across kill -9.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, before, test } from 'node:test';
import { RedisStore } from 'connect-redis';
import express from 'express';
import session from 'express-session';
import { createClient } from 'redis';
import { Server } from './server.js';

const LIFETIME_S = 3600;
let server;
let client;
let web;
let url;

before(async () => {
  server = await Server.start();
  client = createClient({ socket: { host: '127.0.0.1', port: server.port, reconnectStrategy: 20 } });
  client.on('error', () => {});
  await client.connect();
  const app = express();
  app.use(session({
    store: new RedisStore({ client, prefix: 'sess:', disableTouch: true }),
    secret: 'only for this test',
    resave: false,
    saveUninitialized: false,
    cookie: { maxAge: LIFETIME_S * 1000 },
  }));
  app.post('/login/:user', (request, response) => {
    request.session.user = request.params.user;
    response.send('in');
  });
  app.get('/', (request, response) => response.json({ user: request.session.user ?? null }));
  app.post('/logout', (request, response) => request.session.destroy(() => response.send('out')));
  web = app.listen(0, '127.0.0.1');
  await once(web, 'listening');
  url = `http://127.0.0.1:${web.address().port}`;
});

after(async () => {
  client.destroy();
  web.close();
  web.closeAllConnections();
  await server.close();
});

test('still logged in after kill -9', async () => {
  const login = await fetch(`${url}/login/ann`, { method: 'POST' });
  const headers = { cookie: login.headers.get('set-cookie').split(';')[0] };
  const user = async () => (await (await fetch(url, { headers })).json()).user;
  assert.equal(await user(), 'ann');
  assert.equal((await (await fetch(url)).json()).user, null);
  const [key] = await client.keys('sess:*');
  const ttl = await client.ttl(key);
  assert.ok(ttl > LIFETIME_S - 10 && ttl <= LIFETIME_S, `${ttl}`);

  await server.crash();

  assert.equal(await user(), 'ann');
  const left = await client.ttl(key);
  assert.ok(left > ttl - 10 && left <= ttl, `${ttl} before, ${left} after`);
  await fetch(`${url}/logout`, { method: 'POST', headers });
  await server.crash();
  assert.equal(await user(), null);
});

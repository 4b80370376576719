// Runs the Node examples of docs/examples: each succeeds, and its data is there after kill -9. scripts/test copies them
// into the folder `examples` beside this file, where they find the client library.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { createClient } from 'redis';
import { Server } from './server.js';

const EXAMPLES = join(import.meta.dirname, 'examples');
const OPTIONS = { 'feed.js': ['--readings', '20000', '--devices', '10'] };
const PATIENCE_MS = 300_000;

/** All items of all tables with their types, and all keys with their values. */
async function everything(url) {
  const client = await createClient({ url, RESP: 3 }).connect();
  const result = {};
  for (const table of (await client.sendCommand(['TABLE.LIST'])).tables) {
    const page = await client.sendCommand(['ITEM.SCAN', table, 'FORMAT', 'DDB']);
    assert.equal(page.cursor, null);
    result[table] = page.items.sort();
  }
  for (const key of await client.keys('*')) result[key] = await client.get(key);
  await client.close();
  return result;
}

/** The server's address is given by an argument, and by the variable; an exit code other than 0 rejects. */
async function play(name, url) {
  const script = join(EXAMPLES, name);
  for (const [words, variables] of [[[url], {}], [[], { ITEMORY_URL: url }]]) {
    const { stdout } = await promisify(execFile)(process.execPath, [script, ...words, ...OPTIONS[name] ?? []], {
      env: { ...process.env, ...variables }, timeout: PATIENCE_MS,
    });
    assert(stdout, 'an example says what it does');
  }
}

const names = readdirSync(EXAMPLES).filter((name) => name.endsWith('.js'));
assert(names.length > 0);
for (const name of names) {
  test(`the example ${name}`, async () => {
    const server = await Server.start();
    const url = `redis://127.0.0.1:${server.port}`;
    try {
      await play(name, url);
      const before = await everything(url);
      assert.notDeepEqual(before, {});
      await server.crash();
      assert.deepEqual(await everything(url), before);
      await play(name, url);
    } finally {
      await server.close();
    }
  });
}

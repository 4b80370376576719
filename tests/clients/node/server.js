// A server process of its own for a test, on a loopback port and in a folder that is removed afterwards.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';

const BINARY = process.env.ITEMORY_BIN ?? 'redis-server';
const PATIENCE_MS = 30_000;

/**
 * A free port that the system gives to no other process for a minute. A connection that this side closed first lingers
 * on the port. That keeps the system from choosing the port, but not a server from listening on it.
 */
async function freePort() {
  const listener = createServer((socket) => socket.end()).listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const { port } = listener.address();
  const client = connect(port, '127.0.0.1').resume();
  await once(client, 'close');
  listener.close();
  await once(listener, 'close');
  return port;
}

/** Whether a PING is answered. */
function answers(port) {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.on('error', () => resolve(false));
    socket.on('connect', () => socket.write('PING\r\n'));
    socket.on('data', (data) => {
      resolve(data.toString().startsWith('+PONG'));
      socket.destroy();
    });
    socket.setTimeout(2000, () => socket.destroy());
    socket.on('close', () => resolve(false));
  });
}

/** A server that keeps its port and its data folder when it is killed and started again. */
export class Server {
  static async start(...flags) {
    const server = new Server();
    server.folder = mkdtempSync(join(tmpdir(), 'itemory-test-'));
    server.port = await freePort();
    server.flags = flags;
    await server.up();
    return server;
  }

  async up() {
    const log = openSync(join(this.folder, 'log'), 'a');
    this.process = spawn(BINARY, [
      '--port', `${this.port}`, '--bind', '127.0.0.1', '--dir', this.folder,
      '--appendonly', 'yes', '--appendfsync', 'always', '--save', '', ...this.flags,
    ], { stdio: ['ignore', log, log] });
    closeSync(log);
    const deadline = Date.now() + PATIENCE_MS;
    while (!(await answers(this.port))) {
      if (this.process.exitCode !== null || Date.now() > deadline) {
        throw new Error(`the server does not answer:\n${readFileSync(join(this.folder, 'log'))}`);
      }
      await pause(5);
    }
  }

  async kill9() {
    const gone = once(this.process, 'exit');
    this.process.kill('SIGKILL');
    await gone;
  }

  /** Kills the process with SIGKILL and starts it again on the same port and folder. */
  async crash() {
    await this.kill9();
    await this.up();
  }

  async close() {
    await this.kill9();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

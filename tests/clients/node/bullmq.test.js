// BullMQ's queues, whose scripts build the names of most of their keys themselves.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { FlowProducer, Queue, QueueEvents, Worker } from 'bullmq';
import { Server } from './server.js';

const PATIENCE_MS = 30_000;

/** Waits until a condition holds. */
async function until(what, holds) {
  const deadline = Date.now() + PATIENCE_MS;
  while (!(await holds())) {
    assert.ok(Date.now() < deadline, what);
    await pause(5);
  }
}

describe('BullMQ', () => {
  let server;
  const open = [];
  const connection = () => ({ host: '127.0.0.1', port: server.port, maxRetriesPerRequest: null, retryStrategy: () => 20 });
  // A job whose start was carried out, but not answered before the server was killed, is given out again soon.
  const soon = { lockDuration: 600, stalledInterval: 300, maxStalledCount: 5 };
  /** Opens a queue, worker or producer, which is closed at the end. */
  const opened = (Kind, ...args) => {
    const one = new Kind(...args, { connection: connection(), ...(Kind === Worker ? soon : {}) });
    one.on('error', () => {});
    open.push(one);
    return one;
  };

  before(async () => { server = await Server.start(); });
  after(async () => {
    await Promise.all(open.map((one) => one.close(true)));
    await server.close();
  });

  test('jobs are done in the order of their priorities, later or again', async () => {
    const queue = opened(Queue, 'orders');
    const events = opened(QueueEvents, 'orders');
    await events.waitUntilReady();
    const heard = [];
    events.on('completed', ({ jobId }) => heard.push(jobId));
    for (const priority of [3, 1, 2]) {
      await queue.add('priority', { priority }, { priority });
    }
    await queue.add('delayed', {}, { delay: 200 });
    await queue.add('failing', {}, { attempts: 3, backoff: { type: 'fixed', delay: 10 } });
    await queue.add('hopeless', {}, { attempts: 2, backoff: { type: 'exponential', delay: 5 } });
    assert.equal((await queue.getDelayed()).length, 1);
    assert.equal(await queue.getPrioritizedCount(), 3);
    const done = [];
    opened(Worker, 'orders', async (job) => {
      if (job.name === 'hopeless' || (job.name === 'failing' && job.attemptsMade < 2)) {
        throw new Error(`attempt ${job.attemptsMade}`);
      }
      done.push(job.name === 'priority' ? job.data.priority : job.name);
      return job.name;
    });
    await until('all jobs are done', async () => {
      const counts = await queue.getJobCounts('completed', 'failed');
      return counts.completed === 5 && counts.failed === 1;
    });
    assert.deepEqual(done.filter((name) => typeof name === 'number'), [1, 2, 3]);
    assert.deepEqual(done.filter((name) => typeof name === 'string').sort(), ['delayed', 'failing']);
    const [hopeless] = await queue.getFailed();
    assert.equal(hopeless.attemptsMade, 2);
    assert.equal(hopeless.failedReason, 'attempt 1');
    await hopeless.retry();
    await until('it fails again', async () => (await queue.getFailedCount()) === 1);
    await until('the events of five jobs come', () => heard.length === 5);
  });

  test('a schedule repeats a job', async () => {
    const queue = opened(Queue, 'ticks');
    let ticks = 0;
    opened(Worker, 'ticks', async () => { ticks += 1; });
    await queue.upsertJobScheduler('clock', { every: 50 }, { name: 'tick' });
    await until('it ticks', () => ticks >= 3);
    assert.equal((await queue.getJobSchedulers()).length, 1);
    await queue.removeJobScheduler('clock');
    assert.equal((await queue.getJobSchedulers()).length, 0);
  });

  test('a flow ends with its parent', async () => {
    const flows = opened(FlowProducer);
    const children = ['a', 'b', 'c'].map((name) => ({ name, queueName: 'parts', data: { name } }));
    const flow = await flows.add({ name: 'whole', queueName: 'wholes', children });
    opened(Worker, 'parts', async (job) => job.data.name.toUpperCase());
    let values;
    opened(Worker, 'wholes', async (job) => {
      values = Object.values(await job.getChildrenValues()).sort();
      return values.join('');
    });
    const queue = opened(Queue, 'wholes');
    await until('the parent is done', async () => (await (await queue.getJob(flow.job.id)).getState()) === 'completed');
    assert.deepEqual(values, ['A', 'B', 'C']);
  });

  test('no job is lost when the server is killed', async () => {
    const queue = opened(Queue, 'many');
    const jobs = Array.from({ length: 100 }, (_, n) => ({ name: 'job', data: { n }, opts: { delay: n % 10 === 0 ? 300 : 0 } }));
    await queue.addBulk(jobs);
    const done = new Map();
    const worker = opened(Worker, 'many', async (job) => {
      await pause(5);
      done.set(job.data.n, (done.get(job.data.n) ?? 0) + 1);
      return job.data.n * 2;
    });
    worker.concurrency = 4;
    await until('a few are done', () => done.size >= 20);
    await server.crash();
    await until('all are done', async () => (await queue.getCompletedCount()) === 100);
    const completed = await queue.getCompleted(0, 200);
    assert.deepEqual(completed.map((job) => job.returnvalue).sort((a, b) => a - b), jobs.map(({ data }) => data.n * 2));
    assert.equal(await queue.getFailedCount(), 0);
    assert.equal(done.size, 100);
  });
});

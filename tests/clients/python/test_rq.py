"""RQ: queues of jobs that workers take with BLMOVE, results in streams, retries, and schedules in sorted sets."""

import os
import subprocess
import sys
import time
from datetime import timedelta

import pytest
import redis
import work
from redis.backoff import ConstantBackoff
from redis.retry import Retry
from rq import Queue, SimpleWorker
from rq import Retry as Again
from rq.job import JobStatus
from rq.registry import FinishedJobRegistry, ScheduledJobRegistry
from rq.scheduler import RQScheduler


@pytest.fixture
def connection(server):
    client = redis.Redis(port=server.port, retry=Retry(ConstantBackoff(0.02), 100))
    yield client
    client.close()


def test_jobs_are_done_in_order_and_depend_on_each_other(connection):
    queue, low = Queue("high", connection=connection), Queue("low", connection=connection)
    later = low.enqueue(work.double, 10)
    jobs = [queue.enqueue(work.double, n) for n in range(5)]
    dependent = queue.enqueue(work.double, 50, depends_on=jobs)
    failing = queue.enqueue(work.fail, retry=Again(max=2))
    SimpleWorker([queue, low], connection=connection).work(burst=True)
    assert [job.return_value() for job in jobs] == [0, 2, 4, 6, 8]
    assert (dependent.return_value(), later.return_value()) == (100, 20)
    assert failing.get_status() == JobStatus.FAILED
    failing.refresh()
    assert failing.retries_left == 0
    assert queue.failed_job_registry.get_job_ids() == [failing.id]
    queue.failed_job_registry.requeue(failing.id)
    assert queue.job_ids == [failing.id]


def test_a_scheduled_job_waits_for_its_time(connection):
    queue = Queue("soon", connection=connection)
    job = queue.enqueue_in(timedelta(milliseconds=50), work.double, 4)
    assert ScheduledJobRegistry(queue=queue).get_job_ids() == [job.id]
    scheduler = RQScheduler([queue], connection=connection)
    assert scheduler.acquire_locks() == {"soon"}
    deadline = time.monotonic() + 30
    while not queue.job_ids:
        assert time.monotonic() < deadline
        scheduler.enqueue_scheduled_jobs()
    scheduler.release_locks()
    SimpleWorker([queue], connection=connection).work(burst=True)
    assert job.return_value() == 8


def test_no_job_is_lost_when_the_server_is_killed(server, connection):
    queue = Queue("many", connection=connection)
    jobs = [queue.enqueue(work.double, n, job_timeout=60) for n in range(60)]
    program = "import work; work.take('many', %d)" % server.port
    workers = [subprocess.Popen([sys.executable, "-c", program], cwd=os.path.dirname(__file__)) for _ in range(2)]
    finished = FinishedJobRegistry(queue=queue)
    deadline = time.monotonic() + 60
    while len(finished) < 10:
        assert time.monotonic() < deadline
    server.crash()
    try:
        # A job whose worker lost its answer is still in the queue of what the worker has begun.
        while len(finished) < 60:
            assert time.monotonic() < deadline, (len(finished), queue.count)
            lost = set(queue.intermediate_queue.get_job_ids()) if not queue.count else set()
            for job_id in lost:
                queue.intermediate_queue.remove(job_id)
                queue.push_job_id(job_id)
            time.sleep(0.02)
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()
    assert [job.return_value(refresh=True) for job in jobs] == [2 * n for n in range(60)]

"""Celery with the server as its broker and as its result backend."""

import gc
import os
import subprocess
import sys

import pytest
from celery import Celery, chain, chord, group

PATIENCE_S = 60


@pytest.fixture
def app(server):
    yield made(server.port)
    # Results that are forgotten tell the server, so they go before it.
    gc.collect()


def made(port):
    """The application, in the test and in its worker."""
    url = f"redis://127.0.0.1:{port}"
    app = Celery("later", broker=f"{url}/0", backend=f"{url}/1")
    app.conf.update(
        broker_connection_retry_on_startup=True, broker_connection_max_retries=None, task_acks_late=True,
        worker_prefetch_multiplier=1, worker_hijack_root_logger=False)

    @app.task(name="double")
    def double(n):
        return 2 * n

    @app.task(name="total")
    def total(numbers):
        return sum(numbers)

    @app.task(name="stubborn", bind=True, max_retries=3)
    def stubborn(self):
        if self.request.retries < 2:
            raise self.retry(countdown=0)
        return self.request.retries

    return app


class Worker:
    """A worker, as a process of its own."""

    def __init__(self, server):
        program = f"import test_celery; test_celery.made({server.port}).worker_main(['worker', '--pool=threads', " \
                  "'--concurrency=2', '--loglevel=CRITICAL', '--without-gossip', '--without-mingle'])"
        self.process = subprocess.Popen([sys.executable, "-c", program], cwd=os.path.dirname(__file__))

    def kill(self):
        self.process.kill()
        self.process.wait()


@pytest.fixture
def workers(server):
    started = []

    def start():
        started.append(Worker(server))
        return started[-1]

    yield start
    for worker in started:
        worker.kill()


def test_tasks_are_done_and_their_results_kept_over_crashes(server, app, workers):
    double, total, stubborn = app.tasks["double"], app.tasks["total"], app.tasks["stubborn"]
    worker = workers()
    assert double.delay(21).get(timeout=PATIENCE_S) == 42
    assert stubborn.delay().get(timeout=PATIENCE_S) == 2
    assert double.apply_async([3], countdown=0.2).get(timeout=PATIENCE_S) == 6
    assert chain(double.s(1), double.s(), double.s())().get(timeout=PATIENCE_S) == 8
    done = group(double.s(n) for n in range(10))()
    assert done.get(timeout=PATIENCE_S) == [2 * n for n in range(10)]
    assert chord((double.s(n) for n in range(5)), total.s())().get(timeout=PATIENCE_S) == 20
    # Results and tasks that nobody has begun are kept by a server that is killed. No worker runs meanwhile: Celery loses
    # what it has just taken from a queue, and a worker that cannot connect at once may end itself, on Redis too.
    worker.kill()
    results = [double.delay(n) for n in range(40)]
    server.crash()
    fresh = made(server.port)
    assert [fresh.AsyncResult(result.id).result for result in done] == [2 * n for n in range(10)]
    workers()
    assert [fresh.AsyncResult(result.id).get(timeout=PATIENCE_S) for result in results] == [2 * n for n in range(40)]

"""What the workers of test_rq.py and test_celery.py do, and a worker of RQ as a process of its own."""

import redis
from redis.backoff import ConstantBackoff
from redis.retry import Retry
from rq import Queue, SimpleWorker


def double(n):
    return 2 * n


def fail():
    raise ValueError("this job fails")


def take(queue, port):
    connection = redis.Redis(port=port, retry=Retry(ConstantBackoff(0.02), 100))
    SimpleWorker([Queue(queue, connection=connection)], connection=connection).work(logging_level="ERROR")

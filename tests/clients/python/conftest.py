import pytest
import redis
from redis.backoff import ConstantBackoff
from redis.retry import Retry
from server import Server


@pytest.fixture
def server():
    s = Server()
    yield s
    s.close()


@pytest.fixture(params=[2, 3], ids=["RESP2", "RESP3"])
def protocol(request):
    return request.param


@pytest.fixture
def r(server, protocol):
    """A client that connects again by itself after the server was killed and started again."""
    client = redis.Redis(port=server.port, protocol=protocol, decode_responses=True,
                         retry=Retry(ConstantBackoff(0.02), 20))
    yield client
    client.close()

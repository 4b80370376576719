import pytest
from server import Server


@pytest.fixture
def server():
    s = Server()
    yield s
    s.close()


@pytest.fixture(params=[2, 3], ids=["RESP2", "RESP3"])
def protocol(request):
    return request.param

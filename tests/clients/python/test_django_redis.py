"""Django with django-redis as cache and as session store."""

import django
import pytest
import redis
import requests
from django.conf import settings
from django.http import HttpResponse, JsonResponse
from django.urls import path
from server import Server
from web import Web

LIFETIME_S = 7200


def login(request):
    request.session["user"] = request.GET["user"]
    return HttpResponse("in")


def home(request):
    return JsonResponse({"user": request.session.get("user")})


def logout(request):
    request.session.flush()
    return HttpResponse("out")


urlpatterns = [path("login", login), path("logout", logout), path("", home)]


@pytest.fixture(scope="module")
def server():
    """One server for the module, because Django is configured only once in a process."""
    s = Server()
    settings.configure(
        DEBUG=False, SECRET_KEY="only for this test", ROOT_URLCONF=__name__, ALLOWED_HOSTS=["127.0.0.1"],
        INSTALLED_APPS=["django.contrib.sessions"],
        MIDDLEWARE=["django.contrib.sessions.middleware.SessionMiddleware"],
        SESSION_ENGINE="django.contrib.sessions.backends.cache", SESSION_COOKIE_AGE=LIFETIME_S,
        CACHES={"default": {"BACKEND": "django_redis.cache.RedisCache",
                            "LOCATION": f"redis://127.0.0.1:{s.port}/1",
                            "OPTIONS": {"CLIENT_CLASS": "django_redis.client.DefaultClient"}}})
    django.setup()
    yield s
    s.close()


@pytest.fixture
def web(server):
    from django.core.wsgi import get_wsgi_application
    w = Web(get_wsgi_application())
    yield w
    w.close()


def test_still_logged_in_after_kill_9(server, web):
    browser = requests.Session()
    assert browser.get(web.url + "/login", params={"user": "bea"}).text == "in"
    assert browser.get(web.url).json() == {"user": "bea"}
    store = redis.Redis(port=server.port, db=1)
    [key] = store.keys("*session*")
    before = store.ttl(key)
    assert LIFETIME_S - 10 < before <= LIFETIME_S
    store.close()

    server.crash()

    after = redis.Redis(port=server.port, db=1).ttl(key)
    assert before - 10 <= after <= before
    assert browser.get(web.url).json() == {"user": "bea"}
    browser.get(web.url + "/logout")
    assert browser.get(web.url).json() == {"user": None}


def test_cache(server):
    from django.core.cache import cache
    cache.clear()
    cache.set("k", {"a": [1, 2, 3]}, timeout=100)
    assert cache.get("k") == {"a": [1, 2, 3]}
    assert 90 < cache.ttl("k") <= 100
    assert cache.add("k", 1) is False
    assert cache.add("other", 1) is True
    assert cache.incr("other") == 2
    cache.set_many({f"m{i}": i for i in range(50)}, timeout=60)
    assert cache.get_many([f"m{i}" for i in range(50)]) == {f"m{i}": i for i in range(50)}
    assert sorted(cache.keys("m*"))[:2] == ["m0", "m1"]
    assert cache.touch("k", 500) and 490 < cache.ttl("k") <= 500
    assert cache.persist("k") and cache.ttl("k") is None
    assert cache.expire("k", timeout=50) and 40 < cache.ttl("k") <= 50
    assert cache.delete_pattern("m*") == 50
    server.crash()
    assert cache.get("k") == {"a": [1, 2, 3]}
    assert 30 < cache.ttl("k") <= 50
    cache.clear()
    assert cache.get("k") is None

"""Flask with Flask-Session: a user who is logged in stays logged in across kill -9."""

from datetime import timedelta

import flask
import pytest
import redis
import requests
from flask_session import Session
from web import Web

LIFETIME_S = 3600


@pytest.fixture
def web(server, protocol):
    app = flask.Flask(__name__)
    app.config.update(SESSION_TYPE="redis", SESSION_REDIS=redis.Redis(port=server.port, protocol=protocol),
                      PERMANENT_SESSION_LIFETIME=timedelta(seconds=LIFETIME_S), SESSION_PERMANENT=True)
    Session(app)

    @app.post("/login")
    def login():
        flask.session["user"] = flask.request.form["user"]
        return "in"

    @app.get("/")
    def home():
        flask.session["visits"] = flask.session.get("visits", 0) + 1
        return flask.jsonify(user=flask.session.get("user"), visits=flask.session["visits"])

    @app.post("/logout")
    def logout():
        flask.session.clear()
        return "out"

    w = Web(app)
    yield w
    w.close()


def test_still_logged_in_after_kill_9(server, web):
    browser = requests.Session()
    assert browser.post(web.url + "/login", data={"user": "ann"}).text == "in"
    assert browser.get(web.url).json() == {"user": "ann", "visits": 1}
    stranger = requests.get(web.url).json()
    assert stranger["user"] is None

    store = redis.Redis(port=server.port)
    keys = store.keys("session:*")
    before = {k: store.ttl(k) for k in keys}
    assert all(LIFETIME_S - 10 < t <= LIFETIME_S for t in before.values()), before
    store.close()

    server.crash()

    store = redis.Redis(port=server.port)
    after = {k: store.ttl(k) for k in keys}
    assert all(before[k] - 10 <= after[k] <= before[k] for k in keys), (before, after)
    assert browser.get(web.url).json() == {"user": "ann", "visits": 2}
    browser.post(web.url + "/logout")
    server.crash()
    assert browser.get(web.url).json()["user"] is None

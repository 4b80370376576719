"""Runs the Python examples of docs/examples: each succeeds, and its data is there after kill -9."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import redis
from server import Server

EXAMPLES = Path(__file__).resolve().parents[3] / "docs" / "examples" / "python"
PATIENCE_S = 300
OPTIONS = {"feed": ["--readings", "20000", "--devices", "10"]}


def everything(server):
    """All items of all tables with their types, and all keys with their values."""
    db = redis.Redis(port=server.port, decode_responses=True, protocol=3)
    result = {}
    for table in db.execute_command("TABLE.LIST")["tables"]:
        page = db.execute_command("ITEM.SCAN", table, "FORMAT", "DDB")
        assert page["cursor"] is None
        result[table] = sorted(page["items"])
    result.update({key: db.get(key) for key in db.keys("*")})
    db.close()
    return result


def play(name, server):
    """The server's address is given by an argument, and by the variable."""
    url = f"redis://127.0.0.1:{server.port}"
    for arguments, variables in [([url], {}), ([], {"ITEMORY_URL": url})]:
        done = subprocess.run(
            [sys.executable, EXAMPLES / f"{name}.py", *arguments, *OPTIONS.get(name, [])],
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", **variables}, capture_output=True, text=True, timeout=PATIENCE_S)
        assert done.returncode == 0, done.stderr
        assert done.stdout, "an example says what it does"


@pytest.mark.parametrize("name", sorted(path.stem for path in EXAMPLES.glob("*.py")))
def test_example(name, server):
    play(name, server)
    before = everything(server)
    assert before
    server.crash()
    assert everything(server) == before
    play(name, server)


def test_an_example_without_a_server_fails():
    server = Server()
    server.kill9()
    done = subprocess.run([sys.executable, EXAMPLES / "cart.py", f"redis://127.0.0.1:{server.port}"],
                          capture_output=True, text=True, timeout=PATIENCE_S)
    server.close()
    assert done.returncode != 0

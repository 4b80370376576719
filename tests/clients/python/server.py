"""A server process of its own for a test, on a loopback port and in a folder that is removed afterwards."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time

BINARY = os.environ.get("ITEMORY_BIN", "redis-server")
PATIENCE_S = 30


def free_port():
    """A free port that the system gives to no other process for a minute. A connection that this side closed first
    lingers on the port. That keeps the system from choosing the port, but not a server from listening on it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        with socket.create_connection(listener.getsockname()) as client:
            listener.accept()[0].close()
            assert client.recv(1) == b""
        return listener.getsockname()[1]


class Server:
    """A server that keeps its port and its data folder when it is killed and started again."""

    def __init__(self, *flags):
        self.folder = tempfile.mkdtemp(prefix="itemory-test-")
        self.flags = flags
        self.port = free_port()
        self.process = None
        self.up()

    def up(self):
        command = [BINARY, "--port", str(self.port), "--bind", "127.0.0.1", "--dir", self.folder,
                   "--appendonly", "yes", "--appendfsync", "always", "--save", "", *self.flags]
        self.log = open(os.path.join(self.folder, "log"), "ab")
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        deadline = time.monotonic() + PATIENCE_S
        while True:
            assert self.process.poll() is None, self.read_log()
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=5) as s:
                    s.sendall(b"PING\r\n")
                    if s.recv(100).startswith((b"+PONG", b"-NOAUTH")):
                        return
            except OSError:
                pass
            assert time.monotonic() < deadline, self.read_log()
            time.sleep(0.005)

    def read_log(self):
        with open(os.path.join(self.folder, "log"), errors="replace") as f:
            return f.read()

    def kill9(self):
        if self.process:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
            self.process = None
            self.log.close()

    def crash(self):
        """Kills the process with SIGKILL and starts it again on the same port and folder."""
        self.kill9()
        self.up()

    def close(self):
        self.kill9()
        shutil.rmtree(self.folder, ignore_errors=True)

"""Starts and stops the servers that are measured; all understand redis-server's options."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time

from .build import target_folder

START_SECONDS = 180


class Program:
    """A server's executable and its name."""

    def __init__(self, path):
        self.path = shutil.which(path) or path
        if not os.path.exists(self.path):
            raise RuntimeError(f"{path} does not exist")
        self.name = os.path.basename(self.path)
        self.is_itemory = self.name.startswith("itemory")

    def version(self):
        """The first line of --version."""
        done = subprocess.run([self.path, "--version"], capture_output=True, text=True, timeout=10)
        lines = (done.stdout or done.stderr).strip().splitlines()
        return lines[0] if lines else "unknown version"


class Server:
    """One running server with a data folder of its own; use it in a `with` statement."""

    def __init__(self, program, log="none", cores="0", workers=1, options=()):
        self.program = program
        self.name = program.name
        self.log = log
        self.cores = cores
        self.workers = workers
        self.options = list(options)
        os.makedirs(target_folder(), exist_ok=True)
        self.folder = tempfile.mkdtemp(prefix="bench-", dir=target_folder())
        self.process = None
        self.socket = None

    def __enter__(self):
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.stop(signal.SIGKILL)
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def pid(self):
        return self.process.pid

    def start(self):
        """Starts the process and waits until it answers; returns the duration in seconds."""
        self.port = free_port()
        command = [
            *(["taskset", "-c", self.cores] if self.cores else []), self.program.path,
            "--port", str(self.port), "--bind", "127.0.0.1", "--dir", self.folder, "--save", "",
            "--appendonly", "no" if self.log == "none" else "yes",
            "--appendfsync", "everysec" if self.log == "none" else self.log,
            "--auto-aof-rewrite-percentage", "0", "--io-threads", str(self.workers), *self.options,
        ]
        begin = time.monotonic()
        with open(os.path.join(self.folder, "output"), "ab") as output:
            self.process = subprocess.Popen(command, stdout=output, stderr=output, stdin=subprocess.DEVNULL)
        while not self.answers():
            if self.process.poll() is not None:
                raise RuntimeError(f"{self.name} ended at its start: {self.output()}")
            if time.monotonic() - begin > START_SECONDS:
                raise RuntimeError(f"{self.name} does not answer: {self.output()}")
            time.sleep(0.002)
        return time.monotonic() - begin

    def stop(self, how=signal.SIGTERM):
        """Ends the process and waits for its end."""
        if self.socket:
            self.socket.close()
            self.socket = None
        if self.process and self.process.poll() is None:
            self.process.send_signal(how)
            try:
                self.process.wait(timeout=120)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.process = None

    def answers(self):
        """Whether it answers PING with PONG."""
        try:
            return self.ask("PING") == "PONG"
        except (OSError, RuntimeError):
            self.socket = None
            return False

    def connect(self):
        """A new connection."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=120)

    def ask(self, *words):
        """Sends one command; returns a line's or a bulk string's text, or an integer. An error reply is raised."""
        if not self.socket:
            self.socket = self.connect()
            self.stream = self.socket.makefile("rb")
        parts = [f"*{len(words)}\r\n".encode()]
        parts += [b"$%d\r\n%s\r\n" % (len(word), word) for word in (str(word).encode() for word in words)]
        self.socket.sendall(b"".join(parts))
        line = self.stream.readline().decode().rstrip()
        if line.startswith("$"):
            length = int(line[1:])
            return None if length < 0 else self.stream.read(length + 2)[:-2].decode(errors="replace")
        if line.startswith(":"):
            return int(line[1:])
        if line.startswith("+"):
            return line[1:]
        raise RuntimeError(f"{self.name} answered {words[0]} with {line or 'nothing'}")

    def info(self, section):
        """INFO's fields of a section."""
        lines = self.ask("INFO", section).splitlines()
        return dict(line.split(":", 1) for line in lines if ":" in line)

    def resident_bytes(self):
        """Resident memory of the process."""
        with open(f"/proc/{self.pid}/status", encoding="ascii") as status:
            for line in status:
                if line.startswith("VmRSS:"):
                    return int(line.split()[1]) * 1024
        raise RuntimeError("no VmRSS")

    def save_in_background(self):
        """Makes it write a checkpoint and waits for the end; returns the duration in seconds."""
        begin = time.monotonic()
        self.ask("BGSAVE")
        while True:
            info = self.info("persistence")
            if info["rdb_bgsave_in_progress"] == "0":
                if info["rdb_last_bgsave_status"] != "ok":
                    raise RuntimeError(f"{self.name}: the save failed: {self.output()}")
                return time.monotonic() - begin
            time.sleep(0.02)

    def output(self):
        """The end of its output."""
        with open(os.path.join(self.folder, "output"), encoding="utf-8", errors="replace") as output:
            return output.read()[-1500:]


def free_port():
    """A port on which no process listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]

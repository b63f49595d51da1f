"""A server that runs beside: started on a free port, stopped by its pid, gone with us whatever happens."""
import ctypes
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time

START_TIMEOUT = 20  # seconds
STOP_TIMEOUT = 30
PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None)


def end_with_parent():
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


class DidNotStart(Exception):
    """Says why."""


class Server:
    """`peer` says with which command, and what has to be prepared. Used in a `with`."""

    def __init__(self, peer, directory):
        self.port = free_port()
        self.folder = tempfile.mkdtemp(prefix=peer.name + ".", dir=directory)
        self.peer = peer
        self.process = None

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    @property
    def pid(self):
        return self.process.pid

    def __enter__(self):
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_):
        self.stop()

    def start(self):
        command = self.peer.command(self.folder, self.port)
        with open(os.path.join(self.folder, "server.log"), "wb") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder,
                                            env=self.peer.environment, preexec_fn=end_with_parent, start_new_session=True)
        self.await_listening()
        self.peer.prepare(self.port)

    def await_listening(self):
        begin = time.monotonic()
        while time.monotonic() - begin < START_TIMEOUT and self.process.poll() is None:
            with socket.socket() as attempt:
                if attempt.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.02)
        raise DidNotStart(f"{self.peer.name} does not listen: {self.last_words()}")

    def last_words(self):
        with open(os.path.join(self.folder, "server.log"), encoding="utf-8", errors="replace") as log:
            return " / ".join(log.read().splitlines()[-3:])

    def stop(self):
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(STOP_TIMEOUT)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

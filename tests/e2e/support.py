"""Runs the real programs on 127.0.0.1, in a directory of their own, and ends what it started by its pid.

  CPROTO_BIN        where cprotod and cproto-send are (default: build/release/bin)
  CPROTO_E2E_LONG   1: the counts and sizes of the long run
  CPROTO_E2E_TLS    keys, certificates: how clients belong, and all is encrypted; else plain text
  CPROTO_E2E_SEED   the seed of everything random; a failing test says the one it used
"""
import ctypes
import os
import pathlib
import random
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import zlib

import credentials
import jetstream

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(1, str(ROOT / "tests"))  # the attacks in tests/torture
BIN = pathlib.Path(os.environ.get("CPROTO_BIN", ROOT / "build" / "release" / "bin"))
LONG = os.environ.get("CPROTO_E2E_LONG") == "1"
SEED = int(os.environ.get("CPROTO_E2E_SEED") or random.SystemRandom().randrange(1 << 32))

# Whoever starts us in the background of a script has us ignore it, and so would all that we start.
signal.signal(signal.SIGINT, signal.default_int_handler)

# What a sanitizer takes of memory and of time tells nothing of the programs.
SANITIZED = b"__sanitizer" in (BIN / "cprotod").read_bytes() if (BIN / "cprotod").exists() else False

PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None)


def die_with_us():
    """Nothing survives a test that is itself killed. It is the starting thread that counts: start only from the main one."""
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def wait_for(condition, what, timeout=60, interval=0.01):
    """Polls until `condition` is true, and returns what it returned."""
    deadline = time.monotonic() + timeout
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError("not within %s s: %s" % (timeout, what() if callable(what) else what))
        time.sleep(interval)


def size_of(path):
    try:
        return os.stat(path).st_size
    except FileNotFoundError:
        return 0


def has_state(path):
    """Whether a cproto-send has written there what it goes on from."""
    try:
        return b"CPROTTS1" in path.read_bytes()
    except OSError:
        return False


def descriptors(pid):
    """How many it has, beside those of the journal: of segments there are as many as delivery ever lagged behind."""
    return sum(not name.endswith(".seg") for name in map(link_of, pathlib.Path("/proc/%d/fd" % pid).iterdir()))


def descriptors_at_rest(daemon):
    """As descriptors(), with no connection and nothing that it opens for a moment."""
    wait_for(lambda: not any(connected_to(daemon.port)), "connections to be closed")
    counts = []
    for _ in range(5):
        counts.append(descriptors(daemon.pid))
        time.sleep(0.02)
    return min(counts)


def connected_to(port):
    """The inodes of the sockets that a program has open at this end of a connection, from /proc/net/tcp."""
    for line in pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, local, _, state, *_, inode = line.split()[:10]
        if int(local.split(":")[1], 16) == port and state != "0A" and inode != "0":  # neither listening nor given up
            yield inode


def link_of(path):
    """Where it leads to, or nothing if it is gone by now."""
    try:
        return os.readlink(path)
    except FileNotFoundError:
        return ""


def unused_port():
    """Below those that outgoing connections have: one that the kernel hands out may be somebody else's a moment later, and twice ours."""
    for _ in range(1000):
        port = random.SystemRandom().randrange(10000, 32768)
        try:
            with socket.create_server(("127.0.0.1", port)):
                return port
        except OSError:
            continue
    raise AssertionError("no port is free")


class Daemon:
    """A cprotod with a store in `directory`. Its port stays the same over restarts. `prefix`: of its command line.
    `in_clear`: without TLS whatever CPROTO_E2E_TLS says."""

    def __init__(self, directory, config="", arguments=(), host="127.0.0.1", prefix=(), in_clear=False):
        self.directory = pathlib.Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.store = self.directory / "store"
        self.log = self.directory / "cprotod.log"
        self.config = self.directory / "cproto.toml"
        self.in_clear = in_clear
        self.nats = self.reader = None
        if jetstream.ENGINE == "jetstream":
            self.nats = jetstream.Server(self.directory / "nats", unused_port())
        self.configure(config)
        self.arguments = list(arguments)
        self.host = host
        self.prefix = list(prefix)
        self.port = 0
        self.process = None

    def configure(self, config):
        if self.nats:
            config = jetstream.with_engine(config) + jetstream.section(self.nats)
        self.config.write_text(config if self.in_clear else credentials.with_section(config))

    @property
    def pid(self):
        return self.process.pid

    @property
    def server(self):
        return "%s:%d" % (self.host, self.port)

    def command(self):
        return self.prefix + [str(BIN / "cprotod"), "--config", str(self.config), "--directory", str(self.store), "--host",
                              self.host, "--port", str(self.port)] + self.arguments

    def start(self, timeout=180):
        """Starts it and waits until it listens, and keeps what it hears."""
        if self.nats and not self.nats.is_up():
            self.nats.start()
            self.reader = self.reader or jetstream.Reader([self.nats.port], jetstream.Inbox(self.store / "inbox").take)
        # One that is managed delivers to the end as long as its disk moves, when it is told to stop; nobody hears it here.
        environment = {"NOTIFY_SOCKET": str(self.directory / "nobody"), **os.environ}
        deadline = time.monotonic() + timeout
        while True:
            begin = size_of(self.log)
            with open(self.log, "ab") as log:
                self.process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                                preexec_fn=die_with_us, env=environment)
            if self.listens(begin, deadline):
                credentials.on_started(self)
                return self
            # Somebody's outgoing connection may have our port for a moment.
            if self.process.returncode != 71 or time.monotonic() > deadline:
                raise AssertionError("cprotod ended with %s:\n%s" % (self.process.returncode, self.log.read_text()))
            time.sleep(0.1)

    def listens(self, begin, deadline):
        mark = b"listening on %s:" % self.host.encode()
        while True:
            has_ended = self.process.poll() is not None
            said = self.log.read_bytes()[begin:]
            if mark in said and said.endswith(b"\n"):
                self.port = int(said.split(mark)[1].split(b",")[0].split(b";")[0].split(b"\n")[0])
                if not self.nats or b" is open: " in said:
                    return True
            if has_ended:
                return False
            if time.monotonic() > deadline:
                raise AssertionError("cprotod does not listen:\n" + said.decode(errors="replace"))
            time.sleep(0.005)

    def kill(self):
        """SIGKILL: as a crash."""
        self.process.kill()
        self.process.wait()

    def terminate(self, timeout=60):
        self.process.terminate()
        return self.process.wait(timeout=timeout)

    def end(self):
        """Whatever state it is in, and what it keeps messages in with it."""
        if self.process and self.process.poll() is None:
            os.kill(self.process.pid, signal.SIGCONT)
            self.kill()
        if self.reader:
            self.reader.stop()
        if self.nats:
            self.nats.kill()

    def inbox(self, client, channel="messages", ending="log"):
        """Of a stream: as far as it goes now."""
        if self.reader:
            self.reader.catch_up()
        return self.store / "inbox" / client / ("%s.%s" % (channel, ending))

    def file(self, client, name):
        return self.store / "inbox" / client / "files" / name

    def log_lines(self, containing=""):
        return [line for line in self.log.read_text(errors="replace").splitlines() if containing in line]


class Sender:
    """A cproto-send. `prefix`: of its command line."""

    def __init__(self, daemon_or_port, *arguments, client="client", stdin=subprocess.DEVNULL, env=None, directory=None,
                 prefix=()):
        port = getattr(daemon_or_port, "port", daemon_or_port)
        where = ["-s", getattr(daemon_or_port, "server", "127.0.0.1:%s" % port)] if port is not None else []
        who = ["-i", client] if client else []
        # Behind a port is somebody who reads what passes.
        if isinstance(daemon_or_port, Daemon) and not daemon_or_port.in_clear:
            who += credentials.options_of(client, arguments, BIN)
        environment = {k: v for k, v in os.environ.items() if not k.startswith("CPROTO_")}
        environment.update(env or {})
        self.files = [tempfile.TemporaryFile(), tempfile.TemporaryFile()]
        self.process = subprocess.Popen([*prefix, str(BIN / "cproto-send"), *where, *who, *map(str, arguments)],
                                        stdin=stdin, stdout=self.files[0], stderr=self.files[1], env=environment,
                                        cwd=directory, preexec_fn=die_with_us)

    @property
    def stdin(self):
        return self.process.stdin

    def read(self, index):
        # pread leaves the offset alone, which the program shares.
        descriptor = self.files[index].fileno()
        return os.pread(descriptor, os.fstat(descriptor).st_size, 0).decode(errors="replace")

    @property
    def output(self):
        return self.read(0)

    @property
    def errors(self):
        return self.read(1)

    def wait(self, timeout=120):
        try:
            return self.process.wait(timeout=timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError("cproto-send does not end; it said:\n" + self.errors) from None

    def stop(self):
        if self.process.stdin:
            try:
                self.process.stdin.close()
            except OSError:
                pass
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for file in self.files:
            file.close()


class Feeder(threading.Thread):
    """Writes `data` into a pipe, no further than it is allowed to."""

    def __init__(self, pipe, data, allowed=None):
        super().__init__(daemon=True)
        self.pipe, self.data = pipe, data
        self.allowed = len(data) if allowed is None else allowed
        self.written = 0
        self.changed = threading.Condition()
        self.start()

    def allow(self, size):
        with self.changed:
            self.allowed = size
            self.changed.notify()

    def run(self):
        view = memoryview(self.data)
        try:
            while self.written < len(view):
                with self.changed:
                    self.changed.wait_for(lambda: self.allowed > self.written)
                    end = min(self.allowed, self.written + (1 << 16))
                self.written += os.write(self.pipe.fileno(), view[self.written:end])
            self.pipe.close()
        except (OSError, ValueError):
            pass  # the reader ended; the test says what it thinks of that


class Tail:
    """tail -F of a log, from its first line on."""

    def __init__(self, path, output):
        self.output = pathlib.Path(output)
        self.file = open(self.output, "wb")
        self.process = subprocess.Popen(["tail", "-n", "+1", "-F", str(path)], stdout=self.file,
                                        stderr=subprocess.DEVNULL, preexec_fn=die_with_us)

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
        self.process.wait()
        self.file.close()


class TestCase(unittest.TestCase):
    """A directory of its own, and everything started in it is ended with it."""

    maxDiff = 2000

    def setUp(self):
        self.random = random.Random("%d %s" % (SEED, self.id()))
        if jetstream.ENGINE == "jetstream" and not jetstream.PROGRAM:
            self.skip_or_fail("there is no nats-server (scripts/tools nats-server)")
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="cproto-e2e-"))
        self.addCleanup(shutil.rmtree, self.directory, ignore_errors=True)
        self.daemons = []

    def say_what_happened(self):
        """Behind a failure, while the directory is still there."""
        print("CPROTO_E2E_SEED=%d" % SEED, file=sys.stderr)
        for daemon in self.daemons:
            if not daemon.log.exists():
                continue
            lines = daemon.log_lines()
            print("\n".join(["-- the end of %s's log" % daemon.directory.name] + lines[-40:]), file=sys.stderr)

    def skip_or_fail(self, reason):
        """What this machine cannot do is skipped, but not where CPROTO_NO_SKIP=1 says that it must be done."""
        if os.environ.get("CPROTO_NO_SKIP") == "1":
            self.fail(reason)
        self.skipTest(reason)

    def daemon(self, config="", name="daemon", arguments=(), start=True, in_clear=False):
        daemon = Daemon(self.directory / name, config, arguments, in_clear=in_clear)
        self.daemons.append(daemon)
        self.addCleanup(daemon.end)
        return daemon.start() if start else daemon

    def sender(self, *arguments, env=None, **options):
        # What is remembered of transfers stays in the test's own directory.
        sender = Sender(*arguments, env={"XDG_STATE_HOME": str(self.directory / "state"), **(env or {})}, **options)
        self.addCleanup(sender.stop)
        return sender

    def send(self, *arguments, status=0, timeout=120, **options):
        """Runs a cproto-send to its end, which must be with `status`."""
        sender = self.sender(*arguments, **options)
        self.assertEqual(sender.wait(timeout), status, sender.errors)
        return sender

    def send_bytes(self, daemon, data, *arguments, **options):
        """The same with `data` on standard input."""
        path = self.directory / ("input-%d" % self.random.randrange(1 << 60))
        path.write_bytes(data)
        with open(path, "rb") as file:
            return self.send(daemon, *arguments, stdin=file, **options)

    def tail(self, path):
        tail = Tail(path, self.directory / ("tail-of-%s" % pathlib.Path(path).name))
        self.addCleanup(tail.stop)
        return tail

    def assert_same_bytes(self, actual, expected):
        """Says where they begin to differ, not all of them."""
        if actual == expected:
            return
        at = next((i for i, (a, b) in enumerate(zip(actual, expected)) if a != b), min(len(actual), len(expected)))
        self.fail("%d bytes, %d expected; they differ at %d (line %d): %r, %r expected" % (
            len(actual), len(expected), at, expected.count(b"\n", 0, at) + 1, actual[max(at - 40, 0):at + 80],
            expected[max(at - 40, 0):at + 80]))

    def assert_arrives(self, path, expected, timeout=60):
        """Delivery follows the acknowledgement by some milliseconds: waits until as much is there, then compares."""
        deadline = time.monotonic() + timeout
        while not (path.exists() and size_of(path) >= len(expected)) and time.monotonic() < deadline:
            time.sleep(0.005)
        self.assertTrue(path.exists(), "%s is not there" % path)
        self.assert_same_bytes(path.read_bytes(), expected)

    def assert_stops(self, daemon):
        """In order: everything received is delivered, and nothing comes behind it."""
        self.assertEqual(daemon.terminate(), 0)
        self.assertTrue(daemon.log_lines()[-1].endswith("stopped; everything received is durable and delivered"),
                        daemon.log_lines()[-1])

    def assert_served(self, daemon, client="bystander"):
        """Others are served on."""
        text = b"still served %d\n" % self.random.randrange(1 << 60)
        before = size_of(daemon.inbox(client))
        self.send(daemon, "-m", text[:-1].decode(), client=client)
        wait_for(lambda: size_of(daemon.inbox(client)) >= before + len(text), "the bystander's message")
        self.assert_same_bytes(daemon.inbox(client).read_bytes()[before:], text)


class ShellCase(TestCase):
    """Command lines as somebody types them. One daemon for all of a class; each test has a client of its own in it."""

    CONFIG = ""

    @classmethod
    def setUpClass(cls):
        cls.place = pathlib.Path(tempfile.mkdtemp(prefix="cproto-e2e-"))
        cls.addClassCleanup(shutil.rmtree, cls.place, ignore_errors=True)
        cls.served = cls.serve("daemon", cls.CONFIG)

    @classmethod
    def serve(cls, name, config):
        daemon = Daemon(cls.place / name, config)
        cls.addClassCleanup(daemon.end)
        return daemon.start()

    def setUp(self):
        super().setUp()
        self.daemons = [self.served]

    def assert_shell(self, script, status=0, says="", prints="", lands=None, client="client", timeout=60, **variables):
        """Runs it in the test's directory, with the programs on the PATH. `says` is all of standard error and `prints` of
        standard output, as regular expressions and without "cproto-send: "; `lands` all that the client then has in $INBOX."""
        inbox = self.served.store / "inbox" / client
        environment = {"PATH": "%s:%s" % (BIN, os.environ["PATH"]), "HOME": self.directory, "LC_ALL": "C.UTF-8",
                       "CPROTO_CLIENT_ID": client, "INBOX": inbox, **variables}
        # timeout(1) ends all that bash began.
        done = subprocess.run(["timeout", "-k", "1", str(timeout), "bash", "-c", script], cwd=self.directory,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="surrogateescape",
                              env={name: str(value) for name, value in environment.items()}, preexec_fn=die_with_us)
        said = (done.stderr.rstrip("\n") + "\n--\n" + done.stdout.strip("\r\n")).replace("cproto-send: ", "")
        self.assertEqual(done.returncode, status, said)
        self.assertRegex(said, r"\A(?:%s)\n--\n(?:%s)\Z" % (says, prints))

        def landed():
            return {str(path.relative_to(inbox)): path.read_text(errors="surrogateescape")
                    for path in inbox.rglob("*") if path.is_file()}
        wait_for(lambda: landed() == (lands or {}), lambda: "%s, but %s" % (lands, landed()))


# What SYN-ACK says of it (PROTOCOL §3.3).
DURABILITY = 1 if jetstream.ENGINE == "journal" else 2


def journal_only(reason):
    """A test that another engine has no part in."""
    return unittest.skipIf(jetstream.ENGINE != "journal", reason)


def stored(*messages):
    """What a .bin holds: u32 length, u32 CRC-32 and the bytes of each."""
    return b"".join(struct.pack(">II", len(message), zlib.crc32(message)) + message for message in messages)


def numbered_lines(count, prefix="line"):
    """Distinct lines of different lengths, each with its LF."""
    words = ["", " a", " bc", " some more text", " with bytes", " and then a longer one, as logs have them"]
    return "".join("%s %07d%s\n" % (prefix, i, words[i * 7 % 6]) for i in range(1, count + 1)).encode()


class Result(unittest.TextTestResult):
    """Says how long each test took."""

    def startTest(self, test):
        self.began = time.monotonic()
        super().startTest(test)

    def getDescription(self, test):
        return test._testMethodName.removeprefix("test_").replace("_", " ")

    def addFailure(self, test, err):
        super().addFailure(test, err)
        test.say_what_happened()

    def addError(self, test, err):
        super().addError(test, err)
        if isinstance(test, TestCase):  # and not one of unittest's own, for a class that cannot be set up
            test.say_what_happened()

    def addSuccess(self, test):
        self.stream.write("%.1f s, " % (time.monotonic() - self.began))
        super().addSuccess(test)


def main():
    unittest.main(testRunner=unittest.TextTestRunner(verbosity=2, resultclass=Result))

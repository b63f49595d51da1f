"""Clients that send messages, lines and files to one daemon, and remember what was acknowledged to them.

Each kind runs the real cproto-send again and again, as scripts would, but `Raw`, which speaks the protocol itself and so knows of each
number when it became durable. All of them are looked after by `Load.run`, in the main thread: it is the one that may start programs.
"""
import collections
import pathlib
import socket
import threading
import time

import support
import wire
from torture.ledger import SentFile, Tally, Unit, judge_files, judge_log

TICK = 0.005  # seconds
WORDS = ("", " a", " some more text", " and then a line that is longer than the others, as logs have them " + 3 * "now and then ")


class Client:
    """One that runs a cproto-send after the other. Subclasses say which, and what its end means."""

    def __init__(self, load, name):
        self.load, self.name, self.random = load, name, load.random
        self.directory = load.directory / name
        self.directory.mkdir(parents=True, exist_ok=True)
        self.state = self.directory / "state"
        self.sender = None
        self.count = 0
        self.ended_by_us = False

    @property
    def is_running(self):
        return self.sender is not None

    def start(self, *arguments):
        self.ended_by_us = False
        self.sender = support.Sender(self.load.daemon, *arguments, client=self.name, env={"XDG_STATE_HOME": str(self.state)},
                                     prefix=self.load.sender_prefix)

    def tend(self, may_begin):
        """Notes how a run has ended, and begins the next."""
        if self.sender is None:
            if may_begin or self.has_unfinished():
                self.begin()
            return
        status = self.sender.process.poll()
        if status is None:
            return
        said = self.sender.errors
        self.load.said.append(said)
        self.sender.stop()
        self.sender = None
        is_expected = self.ended_by_us or status == 0 or (self.load.tolerated and self.load.tolerated in said)
        if not is_expected:
            self.load.problem("%s: cproto-send ended with %d: %s" % (self.name, status, said.strip()[-600:]))
        self.on_end(status == 0)

    def kill(self):
        self.ended_by_us = True
        self.sender.process.kill()

    def stop(self):
        if self.sender is not None:
            self.sender.stop()
            self.sender = None

    def has_unfinished(self):
        return False

    def is_known(self):
        """Whether cproto-send itself knows of a transfer that it would continue."""
        return any((self.state / "cproto").glob("*")) if self.state.is_dir() else False

    def line(self):
        self.count += 1
        return ("%s %08d%s" % (self.name, self.count, self.random.choice(WORDS))).encode()

    def lines(self, count):
        return [self.line() for _ in range(count)]

    @property
    def log(self):
        return self.load.inbox / self.name / "messages.log"


class Messages(Client):
    """cproto-send -m, one to three at a time. One that is killed may have arrived or not, but not twice."""

    def __init__(self, load, name):
        super().__init__(load, name)
        self.units = []

    def begin(self):
        self.units.append(Unit(self.lines(self.random.choice((1, 1, 3)))))
        self.start(*(word for line in self.units[-1].lines for word in ("-m", line.decode())))

    def on_end(self, is_good):
        if is_good:
            self.units[-1].acknowledge(len(self.units[-1].lines), self.load.clock())

    def judge(self, inbox, mark):
        return judge_log(inbox / self.name / "messages.log", self.units, mark)


class Lines(Client):
    """cproto-send --lines FILE, continued after a kill until all of it is acknowledged."""

    SIZES = (20, 500, 500, 5000)

    def __init__(self, load, name):
        super().__init__(load, name)
        self.units = []
        self.path = self.directory / "lines"
        self.is_unfinished = False

    def has_unfinished(self):
        return self.is_unfinished

    def begin(self):
        if not self.is_unfinished:
            self.units.append(Unit(self.lines(self.random.choice(self.SIZES))))
            self.path = self.directory / ("lines-%d" % len(self.units))
            self.path.write_bytes(b"".join(line + b"\n" for line in self.units[-1].lines))
            self.is_unfinished = True
        # A window that is not too large, so that a kill meets it in the middle.
        self.start("--window-size", 200, "--lines", self.path)

    def on_end(self, is_good):
        if is_good:
            self.units[-1].acknowledge(len(self.units[-1].lines), self.load.clock())
        # One that was killed before it knew anything, or when it had just forgotten all: the same command would begin anew.
        if is_good or not self.is_known():
            self.is_unfinished = False
            self.path.unlink()

    def judge(self, inbox, mark):
        return judge_log(inbox / self.name / "messages.log", self.units, mark)


class Follow(Client):
    """cproto-send --follow FILE, while the file grows and is rotated."""

    def __init__(self, load, name):
        super().__init__(load, name)
        self.unit = Unit([])
        self.path = self.directory / "app.log"
        self.path.touch()
        self.written = 0  # bytes
        self.next_write = 0.0

    def begin(self):
        self.start("--follow", self.path)

    def tend(self, may_begin):
        if may_begin and time.monotonic() >= self.next_write:
            self.write()
        super().tend(True)

    def write(self):
        lines = self.lines(self.random.randrange(1, 60))
        data = b"".join(line + b"\n" for line in lines)
        with open(self.path, "ab") as file:
            file.write(data)
        self.unit.lines += lines
        self.written += len(data)
        self.next_write = time.monotonic() + self.random.random() * 0.1
        # What was rotated before anybody followed it is none of its business.
        if self.random.random() < 0.03 and self.arrived() > 0:
            self.rotate()

    def rotate(self):
        old = sorted(self.directory.glob("app.log.*"), key=lambda path: int(path.name.rsplit(".")[-1]), reverse=True)
        for path in old:
            path.rename(path.with_name("app.log.%d" % (int(path.name.rsplit(".")[-1]) + 1)))
        self.path.rename(self.path.with_name("app.log.1"))
        self.path.touch()

    def arrived(self):
        """Bytes."""
        try:
            return support.size_of(self.log)
        except OSError:
            return 0  # its disk is without power

    def has_unfinished(self):
        return self.arrived() < self.written

    def on_end(self, is_good):
        pass  # it goes on where it was

    def judge(self, inbox, mark):
        # Only the log itself tells what it sent: at the end all of it must be there, before that any beginning of it.
        unit = Unit(self.unit.lines, len(self.unit.lines) if mark is None else 0)
        return judge_log(inbox / self.name / "messages.log", [unit], None)


class Files(Client):
    """cproto-send FILE, continued after a kill until it is acknowledged."""

    SIZES = (0, 3_000, 100_000, 100_000, 700_000, 9_000_000)

    def __init__(self, load, name):
        super().__init__(load, name)
        self.files = []
        self.path = None

    def has_unfinished(self):
        return self.path is not None

    def begin(self):
        if self.path is None:
            data = self.random.randbytes(self.random.choice(self.SIZES))
            self.path = self.directory / ("file-%d" % (len(self.files) + 1))
            self.path.write_bytes(data)
            self.files.append(SentFile(self.path.name, SentFile.digest_of(data)))
        self.start(self.path)

    def on_end(self, is_good):
        if is_good:
            self.files[-1].acknowledged_mark = self.load.clock()
        if is_good or not self.is_known():
            self.path.unlink()
            self.path = None

    def judge(self, inbox, mark):
        return judge_files(inbox / self.name / "files", self.files, mark)


class SmallFiles(Files):
    SIZES = (0, 3_000, 40_000, 40_000, 300_000)


class Raw(threading.Thread):
    """A session by hand, in a thread of its own: numbers from 1 on, each a message, acknowledged one by one."""

    WINDOW = 16
    PAUSE = 0.05   # seconds, before it comes again
    BETWEEN = 0.01  # windows: there are others, and all lines are remembered

    def __init__(self, load, name):
        super().__init__(daemon=True)
        self.load, self.name = load, name
        self.unit = Unit([])
        self.terms = None   # of the session
        self.attempt = 0
        self.may_send = True
        self.must_end = False
        self.is_cut = False
        self.is_running = False  # connected
        self.peer = None
        self.start()

    def tend(self, may_begin):
        self.may_send = may_begin

    def has_unfinished(self):
        return self.unit.acknowledged < len(self.unit.lines)

    def kill(self):
        self.is_cut = True
        peer = self.peer
        if peer is not None:
            try:
                peer.socket.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # it ended by itself

    def stop(self):
        self.must_end = True
        self.kill()
        self.join(timeout=20)

    def run(self):
        while not self.must_end:
            time.sleep(self.PAUSE)
            if not self.may_send and not self.has_unfinished():
                continue
            self.is_cut = False
            try:
                with wire.Peer(self.load.daemon.port, timeout=10) as self.peer:
                    self.shake_hands()
                    self.is_running = True
                    self.converse()
            except (OSError, ValueError, wire.Closed):
                pass  # the server is away; that is the point
            self.is_running = False

    def shake_hands(self):
        self.attempt += 1
        resume = b""
        if self.terms is not None:
            resume = wire.resume(self.terms.session, self.terms.store, self.unit.acknowledged)
        self.peer.send(wire.frame(wire.SYN, wire.syn(client_id=self.name.encode(), window_size=self.WINDOW,
                                                     attempt=self.attempt, extra=resume)))
        got = self.peer.receive()
        if got.type == wire.ERROR:
            self.on_error(wire.decode_error(got.payload))
            raise wire.Closed
        terms = wire.decode_syn_ack(got.payload)
        if terms.durable_through < self.unit.acknowledged:
            self.load.problem("%s: %d were acknowledged, but SYN-ACK says %d" % (
                self.name, self.unit.acknowledged, terms.durable_through))
        self.terms = terms
        self.sent = terms.durable_through
        self.on_durable(terms.durable_through)
        self.peer.send(wire.frame(wire.ACK, terms.session))

    def on_error(self, error):
        self.load.heard.add(error.code)
        if error.code in (wire.DISK_FULL, wire.DISK_FAILED) and error.retry_after_ms == 0:
            self.load.problem("%s: an ERROR about the disk does not say when to come again" % self.name)
        if error.code == wire.STALE_ATTEMPT:
            self.attempt = error.number
        elif error.code in (wire.OTHER_STORE, wire.STORE_BEHIND):
            self.load.problem("%s: %d were acknowledged: %s" % (self.name, self.unit.acknowledged, error.sentence))
        elif error.code == wire.UNKNOWN_SESSION:
            if self.unit.acknowledged > 0:
                self.load.problem("%s: %d were acknowledged: %s" % (self.name, self.unit.acknowledged, error.sentence))
            self.terms, self.attempt = None, 0

    def on_durable(self, count):
        self.unit.acknowledge(count, self.load.clock())

    def converse(self):
        while not self.must_end and not self.is_cut:
            frames = b""
            while self.sent < self.unit.acknowledged + self.WINDOW:
                if self.sent == len(self.unit.lines):
                    if not self.may_send:
                        break
                    self.unit.lines.append(b"%s %08d" % (self.name.encode(), self.sent + 1))
                frames += wire.frame(wire.DATA, self.unit.lines[self.sent], self.sent + 1)
                self.sent += 1
            if frames:
                self.peer.send(frames)
            elif not self.has_unfinished():
                return
            got = self.peer.receive()
            if got.type == wire.ACK:
                self.on_durable(wire.decode_ack(got.payload).durable_through)
                time.sleep(self.BETWEEN)
            elif got.type == wire.KEEP_ALIVE and got.payload[0] == 0:
                self.peer.send(wire.frame(wire.KEEP_ALIVE, b"\1"))
            elif got.type == wire.ERROR:
                return self.on_error(wire.decode_error(got.payload))
            elif got.type == wire.DISCONNECT:
                return

    def judge(self, inbox, mark):
        return judge_log(inbox / self.name / "messages.log", [self.unit], mark)


KINDS = {"messages": Messages, "lines": Lines, "follow": Follow, "files": Files, "small_files": SmallFiles, "raw": Raw}


class Load:
    """All clients of one daemon. `clock` gives the mark under which an acknowledgement is noted."""

    def __init__(self, arena, daemon, counts, clock=lambda: 0, sender_prefix=(), name="clients",
                 tolerated=None):
        self.daemon, self.random, self.clock = daemon, arena.random, clock
        self.sender_prefix = tuple(sender_prefix)
        self.directory = pathlib.Path(arena.directory) / name
        self.tolerated = tolerated  # words of a cproto-send that may give up
        self.problems = []
        self.said = collections.deque(maxlen=200)  # by cproto-sends that have ended
        self.heard = set()  # codes of errors
        self.clients = []
        arena.cleanup(self.stop)
        for kind, count in counts.items():
            for i in range(count):
                self.clients.append(KINDS[kind](self, "%s-%02d" % (kind, i + 1)))

    @property
    def inbox(self):
        return self.daemon.store / "inbox"

    def problem(self, sentence):
        if len(self.problems) < 20:
            self.problems.append(sentence)

    def run(self, seconds):
        """They send for so long."""
        end = time.monotonic() + seconds
        while True:
            for client in self.clients:
                client.tend(True)
            left = end - time.monotonic()
            if left <= 0:
                return
            time.sleep(min(TICK, left))

    def run_until(self, condition, what, seconds=60):
        """They send until it is true; not in time is a problem, and False."""
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                self.problem("not within %d s: %s" % (seconds, what))
                return False
            self.run(0.05)
        return True

    def has_said(self, words):
        """A cproto-send, that runs or has ended."""
        running = [client.sender.errors for client in self.clients if getattr(client, "sender", None)]
        return any(words in said for said in [*running, *self.said])

    def acknowledged(self):
        """By all that know it of each message."""
        return sum(client.unit.acknowledged for client in self.clients if isinstance(client, Raw))

    def kill_one(self):
        """Any of those that run; the next time it is looked after, it goes on. False if none does."""
        running = [client for client in self.clients if client.is_running]
        if not running:
            return False
        self.random.choice(running).kill()
        return True

    def finish(self, seconds=120):
        """What was begun is completed, nothing new begins. What is not complete in time is a problem."""
        end = time.monotonic() + seconds
        while True:
            for client in self.clients:
                client.tend(False)
            busy = [client for client in self.clients if client.has_unfinished() or
                    (client.is_running and isinstance(client, (Messages, Lines, Files)))]
            if not busy:
                break
            if time.monotonic() > end:
                for client in busy:
                    self.problem("%s: not done in %d s: %s" % (
                        client.name, seconds, client.sender.errors[-400:] if getattr(client, "sender", None) else "not running"))
                break
            time.sleep(TICK)
        self.stop()

    def stop(self):
        """Ends all of them at once."""
        for client in self.clients:
            client.stop()

    def judge(self, inbox=None, mark=None):
        tally = Tally(problems=list(self.problems))
        for client in self.clients:
            tally.add(client.judge(inbox or self.inbox, mark))
        return tally

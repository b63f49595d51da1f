"""Those who mean harm, and too many of those who do not: whatever they try, the daemon's memory and descriptors stay within what
the configuration says, its log within reason, good clients are served meanwhile, and afterwards everything is as before."""
import os
import re
import resource
import selectors
import socket
import subprocess
import time
import unittest

import wire
from support import (BIN, LONG, SANITIZED, TestCase, descriptors, descriptors_at_rest, die_with_us, main,
                     numbered_lines, size_of, wait_for)
from wire import Peer, frame

MIB = 1 << 20
# What one connection may cost beside [limits] memory (cproto.toml(5)).
PER_CONNECTION = 16 << 10
# A handshake may take as long as a test.
SLOW = "[session]\nhandshake_timeout = \"5min\"\n"
CHECKPOINT = 2  # seconds; behind some work it is made within


def status_of(daemon, key):
    """VmRSS, VmHWM: bytes."""
    with open("/proc/%d/status" % daemon.pid) as status:
        return int(re.search(r"%s:\s+(\d+) kB" % key, status.read()).group(1)) << 10


def resident(daemon):
    return status_of(daemon, "VmRSS")


def processor_time(daemon):
    with open("/proc/%d/stat" % daemon.pid) as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def metrics(daemon):
    ended = subprocess.run([str(BIN / "cprotoctl"), "--directory", str(daemon.store), "metrics"], stdin=subprocess.DEVNULL,
                           capture_output=True, text=True, timeout=60, check=True, preexec_fn=die_with_us)
    return dict(line.rsplit(" ", 1) for line in ended.stdout.splitlines() if not line.startswith("#"))


def refused(daemon, code="too_many_connections"):
    return int(metrics(daemon)['cproto_refusals_total{code="%s"}' % code])


def connect(daemon, number, addresses=8):
    """A socket from one of several addresses, so that no one of them has too many; not blocking."""
    peer = socket.socket()
    peer.bind(("127.0.0.%d" % (2 + number % addresses), 0))
    peer.connect(("127.0.0.1", daemon.port))
    peer.setblocking(False)
    return peer


def close_all(peers):
    for peer in peers:
        peer.close()


class Attack(TestCase):
    def attacked(self, config="", **options):
        """A daemon that has served somebody; what it has of everything then."""
        daemon = self.daemon(config, **options)
        self.assert_served(daemon)
        self.before = descriptors_at_rest(daemon)
        return daemon

    def assert_served_within(self, daemon, seconds):
        began = time.monotonic()
        self.assert_served(daemon)
        self.assertLess(time.monotonic() - began, seconds)

    def assert_memory(self, used, most):
        if not SANITIZED:  # what a sanitizer needs is not the daemon's
            self.assertLess(used, most)

    def assert_as_before(self, daemon):
        wait_for(lambda: descriptors(daemon.pid) == self.before,
                 lambda: "%d descriptors, there are %d" % (self.before, descriptors(daemon.pid)))
        self.assertIsNone(daemon.process.poll())
        self.assert_served_within(daemon, 5)


class SlowHandshakes(Attack):
    def test_many_that_send_a_byte_a_second_keep_nobody_out(self):
        count, pending, seconds = (2000, 1000, 30) if LONG else (300, 100, 3)
        # Who had to wait for one of them to be given up, or was sent away, would wait for more than five seconds.
        daemon = self.attacked(SLOW + "[limits]\nhandshakes_pending = %d\n" % pending)
        memory = resident(daemon)
        whole = frame(wire.SYN, wire.syn())
        peers = [connect(daemon, number) for number in range(count)]
        self.addCleanup(close_all, peers)
        for second in range(seconds):
            for peer in peers:
                try:
                    peer.send(whole[second:second + 1])
                except OSError:
                    pass  # it had to make room
            self.assertLessEqual(int(metrics(daemon)["cproto_handshakes_pending"]), pending)
            self.assert_served_within(daemon, 5)
            time.sleep(0.5)
        self.assertGreaterEqual(refused(daemon), count - pending)
        self.assert_memory(resident(daemon) - memory, count * PER_CONNECTION + 4 * MIB)
        minutes = 1 + float(metrics(daemon)["cproto_uptime_seconds"]) // 60
        self.assertLessEqual(len(daemon.log_lines("limits.handshakes_pending = ")), minutes)
        close_all(peers)
        self.assert_as_before(daemon)

    def test_who_makes_room_is_told_and_the_oldest_goes_first(self):
        daemon = self.attacked(SLOW + "[limits]\nhandshakes_pending = 2\n")
        peers = [Peer(daemon.port) for _ in range(3)]
        for peer in peers:
            self.addCleanup(peer.close)
        error = peers[0].expect_error()
        self.assertEqual((error.code, error.error_class), (wire.TOO_MANY_CONNECTIONS, 1))
        self.assertGreater(error.retry_after_ms, 0)
        peers[0].expect_end()
        for peer in peers[1:]:
            peer.shake_hands()
        self.assertEqual(refused(daemon), 1)

    def test_an_address_pays_with_its_own(self):
        daemon = self.attacked(SLOW + "[limits]\nhandshakes_pending = 5\n")
        stranger = connect(daemon, 1)
        self.addCleanup(stranger.close)
        wait_for(lambda: metrics(daemon)["cproto_handshakes_pending"] == "1", "it to be seen")
        peers = [connect(daemon, 0) for _ in range(50)]
        self.addCleanup(close_all, peers)
        wait_for(lambda: refused(daemon) == 46, lambda: "46 to make room, not %d" % refused(daemon))
        with self.assertRaises(BlockingIOError):
            stranger.recv(1)  # the oldest of all, and still there

    def test_those_who_are_through_are_not_touched_by_those_who_are_not(self):
        daemon = self.attacked(SLOW + "[limits]\nconnections = 20\n")
        with Peer(daemon.port) as client:
            client.shake_hands(client_id=b"through")
            peers = [connect(daemon, number) for number in range(200)]
            self.addCleanup(close_all, peers)
            client.send(frame(wire.DATA, b"in the middle of it", 1))
            client.wait_durable(1)
            self.assert_served_within(daemon, 5)


class Descriptors(Attack):
    def with_descriptors(self, count):
        """A daemon that may have so many open at once."""
        daemon = self.daemon(start=False)
        command = daemon.command
        daemon.command = lambda: ["prlimit", "--nofile=%d:%d" % (count, count)] + command()
        daemon.start()
        self.assert_served(daemon)
        self.before = descriptors_at_rest(daemon)
        return daemon

    def test_more_clients_than_descriptors_and_the_store_still_has_its_own(self):
        count, clients = (1024, 1500) if LONG else (256, 300)
        daemon = self.with_descriptors(count)
        peers = []
        self.addCleanup(lambda: close_all(peers))
        told = 0
        for number in range(clients):
            peer = Peer(daemon.port)
            peers.append(peer)
            try:
                peer.shake_hands(client_id=b"client-%d" % (number % 50))
            except (wire.Closed, AssertionError):
                told += 1
                peer.close()
        self.assertGreater(told, 0)
        self.assertLess(descriptors(daemon.pid), count)
        self.assertEqual(refused(daemon), told)
        self.assertEqual(len(wait_for(lambda: daemon.log_lines("there are descriptors for "), "the line")), 1)
        # All of them together have fifty logs in the inbox, to be opened now.
        there = peers[:clients - told]
        for peer in there:
            peer.send(frame(wire.DATA, b"x", 1))
        for peer in there:
            peer.wait_durable(1)
        wait_for(lambda: sum(map(size_of, daemon.store.glob("inbox/client-*/messages.log"))) == 2 * len(there), "all of it")
        self.assertEqual(daemon.log_lines("Too many open files"), [])
        close_all(peers)
        wait_for(lambda: descriptors(daemon.pid) < self.before + 60, "the descriptors of connections")
        self.assert_served_within(daemon, 5)

    @unittest.skipIf(SANITIZED, "the sanitizer itself needs descriptors: without, it takes any object for a broken one")
    def test_descriptors_used_up_and_back_again(self):
        daemon = self.attacked()
        with Peer(daemon.port) as client:
            client.shake_hands(client_id=b"established")
            client.send(frame(wire.DATA, b"before", 1))
            client.wait_durable(1)
            # The making of its log needs others for a moment, and so does the checkpoint that syncs the new name.
            wait_for(lambda: size_of(daemon.inbox("established")) > 0, "the message")
            time.sleep(CHECKPOINT)
            wait_for(lambda: descriptors(daemon.pid) == self.before + 2, "a descriptor for the client and one for its log")
            limits = resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE)
            resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, (self.first_free(daemon), limits[1]))
            waiting = self.sender(daemon, "-m", "patient", client="bystander")
            wait_for(lambda: daemon.log_lines("connections have to wait: Too many open files"), "a line about it")
            with socket.socket(socket.AF_UNIX) as asker:
                asker.connect(str(daemon.store / "control"))
                wait_for(lambda: daemon.log_lines("cprotoctl has to wait: Too many open files"), "a line about that, too")
            used = processor_time(daemon)
            # Not for a minute: the log of somebody else would be closed, and leave its descriptor.
            seconds = 50 if LONG else 2
            for number in range(2, 2 + seconds):
                client.send(frame(wire.DATA, b"meanwhile", number))
                client.wait_durable(number)
                time.sleep(1)
            self.assertLess(processor_time(daemon) - used, 0.3 * seconds)
            self.assertLessEqual(len(daemon.log_lines("connections have to wait")), 1 + seconds // 60)
            self.assertIsNone(waiting.process.poll())
            resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, limits)
            self.assertEqual(waiting.wait(), 0, waiting.errors)
            wait_for(lambda: daemon.inbox("bystander").read_bytes().endswith(b"\npatient\n"), "its message")
            self.assertGreater(int(metrics(daemon)["cproto_connections_delayed_total"]), 0)
        self.before += 1  # the log
        self.assert_as_before(daemon)

    @staticmethod
    def first_free(daemon):
        """The number that the next descriptor would have; one below it is the largest that may be had."""
        used = {int(name) for name in os.listdir("/proc/%d/fd" % daemon.pid)}
        return next(number for number in range(1 << 20) if number not in used)


class Replays(Attack):
    def test_a_conversation_played_again_changes_nothing_of_what_it_was(self):
        daemon = self.attacked()
        said = []
        with Peer(daemon.port) as client:
            client.send(frame(wire.SYN, wire.syn(client_id=b"victim")))
            terms = wire.decode_syn_ack(client.expect(wire.SYN_ACK).payload)
            said = [frame(wire.ACK, terms.session), frame(wire.DATA, b"once", 1)]
            client.send(b"".join(said))
            client.wait_durable(1)
        for again in range(1000 if LONG else 100):
            # From the beginning: a session of its own, whose confirmation the old one is not.
            with Peer(daemon.port) as thief:
                thief.send(frame(wire.SYN, wire.syn(client_id=b"victim")))
                thief.expect(wire.SYN_ACK)
                thief.send(b"".join(said))
                self.assertEqual(thief.expect_error().code, wire.WRONG_SESSION)
            # The resumption as it went over the wire: the attempt was used.
            with Peer(daemon.port) as thief:
                thief.send(frame(wire.SYN, wire.syn(client_id=b"victim", attempt=1,
                                                    extra=wire.resume(terms.session, terms.store, 1, 4, 1))))
                self.assertEqual(thief.expect_error().code, wire.STALE_ATTEMPT)
        self.assertEqual(refused(daemon, "stale_attempt"), 1000 if LONG else 100)
        with Peer(daemon.port) as client:
            client.shake_hands(client_id=b"victim", attempt=2, extra=wire.resume(terms.session, terms.store, 1, 4, 1))
            client.send(frame(wire.DATA, b"and then", 2))
            client.wait_durable(2)
            client.finish(terms.session, 2)
        self.assert_arrives(daemon.inbox("victim"), b"once\nand then\n")
        self.assert_as_before_with(daemon, 1)

    def assert_as_before_with(self, daemon, logs):
        self.before += logs
        self.assert_as_before(daemon)

    def test_sessions_that_are_guessed_are_unknown_each_and_said_a_hundred_times_a_minute(self):
        daemon = self.attacked()
        with Peer(daemon.port) as client:
            terms = client.shake_hands(client_id=b"victim")
            client.send(frame(wire.DATA, b"mine", 1))
            client.wait_durable(1)
        count = 20000 if LONG else 500
        for number in range(count):
            guess = self.random.randbytes(16) if number % 2 else bytes([number % 256]) + terms.session[1:]
            if guess == terms.session:
                continue
            with Peer(daemon.port) as thief:
                thief.send(frame(wire.SYN, wire.syn(client_id=b"victim", attempt=99,
                                                    extra=wire.resume(guess, terms.store, 1, 4, 1))))
                self.assertEqual(thief.expect_error().code, wire.UNKNOWN_SESSION)
        self.assertGreaterEqual(refused(daemon, "unknown_session"), count * 99 // 100)
        minutes = 1 + int(float(metrics(daemon)["cproto_uptime_seconds"]) // 60)
        self.assertLessEqual(len(daemon.log_lines("is refused: unknown_session")), 100 * minutes)
        self.assert_as_before_with(daemon, 1)


class Silence(Attack):
    def test_a_client_that_never_reads_its_acks_costs_no_memory(self):
        daemon = self.attacked()
        rounds = 100_000 if LONG else 2000
        with Peer.__new__(Peer) as deaf:
            deaf.timeout, deaf.buffer, deaf.socket = 20, bytearray(), socket.socket()
            deaf.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            deaf.socket.connect(("127.0.0.1", daemon.port))
            deaf.shake_hands(client_id=b"deaf", window_size=32767)
            log = daemon.inbox("deaf")
            memory = 0
            for number in range(1, rounds + 1):
                deaf.send(frame(wire.DATA, b"x", number))
                wait_for(lambda: size_of(log) >= 2 * number, "message %d" % number, interval=0.0002)
                if number == rounds // 10:
                    memory = resident(daemon)
            asks = frame(wire.KEEP_ALIVE, b"\0") * 10_000
            for _ in range(20):
                deaf.send(asks)
            self.assert_served(daemon)
            self.assert_memory(resident(daemon) - memory, 2 * MIB)
            # Whatever it missed, the newest ACK says everything; a question that was asked while the answer to another
            # waited has no answer of its own.
            deaf.send(frame(wire.DATA, b"x", rounds + 1))
            answers, newest = 0, 0
            while newest < rounds + 1:
                got = deaf.receive()
                answers += got.type == wire.KEEP_ALIVE
                newest = wire.decode_ack(got.payload).durable_through if got.type == wire.ACK else newest
            self.assertLess(answers, 200_000 // 10)
        self.before += 1  # its log
        self.assert_as_before(daemon)


class Flood:
    """Clients that send as much as they may, and take what is answered. One thread drives them all."""

    FRAMES = 1000  # of each client

    def __init__(self, daemon, count, size=1000):
        self.selector = selectors.DefaultSelector()
        self.size = size
        self.block = b"".join(frame(wire.DATA, b"%07d " % number + b"x" * (size - 8), number) for number in range(1, self.FRAMES + 1))
        self.one = len(self.block) // self.FRAMES
        self.clients = []
        for number in range(count):
            peer = Peer(daemon.port)
            terms = peer.shake_hands(client_id=b"flood-%d" % (number % 20), max_packet_size=65536, window_size=32767)
            client = {"peer": peer, "session": terms.session, "sent": 0, "durable": 0, "limit": terms.limit_bytes}
            peer.socket.setblocking(False)
            self.selector.register(peer.socket, selectors.EVENT_READ | selectors.EVENT_WRITE, client)
            self.clients.append(client)

    def run(self, seconds, until=lambda: False):
        end = time.monotonic() + seconds
        while time.monotonic() < end and not until():
            for key, events in self.selector.select(0.05):
                if events & selectors.EVENT_READ:
                    self.read(key.data)
                if events & selectors.EVENT_WRITE:
                    self.write(key.data)

    def write(self, client):
        # Whole frames within the window; the rest of one that was begun first.
        allowed = min(client["limit"] // self.size, self.FRAMES) * self.one
        if client["sent"] >= allowed:
            self.selector.modify(client["peer"].socket, selectors.EVENT_READ, client)
            return
        try:
            some = memoryview(self.block)[client["sent"]:min(allowed, client["sent"] + 65536)]
            client["sent"] += client["peer"].socket.send(some)
        except BlockingIOError:
            pass

    def read(self, client):
        peer = client["peer"]
        try:
            data = peer.socket.recv(65536)
        except BlockingIOError:
            return
        if not data:
            raise AssertionError("a client was closed upon")
        peer.buffer += data
        while got := wire.take_frame(peer.buffer):
            if got.type == wire.ERROR:
                raise AssertionError(wire.decode_error(got.payload))
            if got.type == wire.ACK:
                ack = wire.decode_ack(got.payload)
                client["durable"], client["limit"] = ack.durable_through, ack.limit_bytes
                self.selector.modify(peer.socket, selectors.EVENT_READ | selectors.EVENT_WRITE, client)
            if got.type == wire.KEEP_ALIVE and got.payload == b"\0":
                peer.socket.send(frame(wire.KEEP_ALIVE, b"\1"))

    def is_durable(self):
        return all(client["durable"] * self.one == client["sent"] for client in self.clients)

    def close(self):
        self.selector.close()
        for client in self.clients:
            client["peer"].close()


class StalledDisk(Attack):
    """A store on a file system of its own, which can be frozen."""

    def setUp(self):
        super().setUp()
        self.image, self.place = self.directory / "disk.img", self.directory / "disk"
        self.place.mkdir()
        with open(self.image, "wb") as image:
            image.truncate((8 << 30) if LONG else (1 << 30))
        for command in (["mkfs.ext4", "-q", "-F", str(self.image)], ["mount", "-o", "loop", str(self.image), str(self.place)]):
            done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
            if done.returncode != 0:
                self.skip_or_fail("no file system to be frozen: " + done.stderr.strip())
        self.addCleanup(subprocess.run, ["umount", "-l", str(self.place)], check=True)

    def freeze(self, is_frozen):
        subprocess.run(["fsfreeze", "-f" if is_frozen else "-u", str(self.place)], check=True)

    def throughput(self, daemon, client):
        """Lines a second, durable."""
        lines = numbered_lines(200_000 if LONG else 50_000)
        began = time.monotonic()
        self.send_bytes(daemon, lines, "--lines", client=client)
        return lines.count(b"\n") / (time.monotonic() - began)

    def test_fast_clients_on_a_disk_that_stalls_stay_within_the_memory_that_was_said(self):
        count, seconds, memory = (1000, 60, 256) if LONG else (60, 4, 16)
        daemon = self.daemon("[limits]\nmemory = \"%dMiB\"\n[session]\nkeep_alive = \"60s\"\n" % memory, name="disk/daemon")
        self.throughput(daemon, "warm")
        before = self.throughput(daemon, "before")
        base, self.before = resident(daemon), descriptors(daemon.pid)
        flood = Flood(daemon, count)
        self.addCleanup(flood.close)
        self.freeze(True)
        thaw = [True]
        self.addCleanup(lambda: thaw and self.freeze(False))
        try:
            highest = 0
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                flood.run(0.5)
                highest = max(highest, resident(daemon))
            # Nobody is told that anything is durable which is not.
            stalled = sum(client["durable"] for client in flood.clients)
            flood.run(0.5)
            self.assertEqual(sum(client["durable"] for client in flood.clients), stalled)
        finally:
            thaw.clear()
            self.freeze(False)
        flood.run(120, until=flood.is_durable)
        self.assertTrue(flood.is_durable())
        highest = max(highest, status_of(daemon, "VmHWM"))
        self.assert_memory(highest - base, memory * MIB + count * PER_CONNECTION)
        sent = sum(client["durable"] for client in flood.clients)
        flood.close()
        logs = [daemon.inbox("flood-%d" % number) for number in range(min(count, 20))]
        wait_for(lambda: sum(map(size_of, logs)) >= sent * 1001, "what was acknowledged")
        self.assertEqual(sum(map(size_of, logs)), sent * 1001)
        # What came in is on its way to the disk for a while.
        wait_for(lambda: self.throughput(daemon, "after") > before / 3, "others to be served as before")
        wait_for(lambda: descriptors(daemon.pid) <= self.before + 25, "the descriptors of connections")
        self.assert_stops(daemon)


if __name__ == "__main__":
    main()

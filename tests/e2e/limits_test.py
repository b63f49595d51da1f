"""Limits: senders wait and are told why, the daemon stays up, and all goes on by itself."""
import os
import shutil
import subprocess
import threading
import time

from support import BIN, TestCase, main, size_of, wait_for

MIB = 1 << 20
RETRIES = 120  # seconds; a sender that was told to wait comes back sooner


class LimitsTest(TestCase):
    def small_disk(self, size, name="disk"):
        """A file system of `size` bytes."""
        place = self.directory / name
        place.mkdir()
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=%d" % size, "cproto-limits", str(place)],
                                 stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if mounted.returncode != 0:
            self.skip_or_fail("no file system can be mounted: %s" % mounted.stdout.decode().strip())
        self.addCleanup(subprocess.run, ["umount", "-l", str(place)])
        return place

    def daemon_on(self, disk, config):
        return self.daemon(config, name=str(disk))

    def free_of(self, place):
        status = os.statvfs(place)
        return status.f_bavail * status.f_frsize

    def ballast(self, disk, leave):
        """Fills the disk but for `leave` bytes."""
        path = disk / "ballast"
        with open(path, "wb") as file:
            file.write(bytes(self.free_of(disk) - leave))
        return path

    def ask(self, daemon, *words):
        return subprocess.run([str(BIN / "cprotoctl"), "--directory", str(daemon.store), *words], check=True,
                              stdout=subprocess.PIPE, timeout=30).stdout.decode()

    def serves(self, daemon):
        self.assertIsNone(daemon.process.poll(), "cprotod is gone")


class Floor(LimitsTest):
    CONFIG = "[store]\nsegment_size = \"1MiB\"\n[limits]\nfree_space = \"4MiB\"\n"

    def test_below_the_floor_senders_wait_and_are_told_and_go_on_by_themselves(self):
        disk = self.small_disk(128 * MIB)
        daemon = self.daemon_on(disk, self.CONFIG)
        follower = self.sender(daemon, "--lines", client="db-1", stdin=subprocess.PIPE)
        follower.stdin.write(b"before\n")
        follower.stdin.flush()
        self.assert_arrives(daemon.inbox("db-1"), b"before\n")
        ballast = self.ballast(disk, 2 * MIB)
        wait_for(lambda: daemon.log_lines("below its floor"), "the line of the floor")
        newcomer = self.sender(daemon, "-m", "hello", client="web-1")
        follower.stdin.write(b"after\n")
        follower.stdin.flush()
        for sender in (newcomer, follower):
            wait_for(lambda: "says: disk below its floor (" in sender.errors, "what a sender is told")
            self.assertRegex(sender.errors, r"of 4 MiB free\) since \d\d:\d\d; \d (line|message)s? (is|are) durable")
        self.assertIn("senders wait. Largest: db-1 7 B", daemon.log_lines("below its floor")[0])
        wait_for(lambda: "below its floor" in self.ask(daemon, "status"), "the status to say so")
        self.serves(daemon)
        ballast.unlink()
        self.assertEqual(newcomer.wait(RETRIES), 0)
        self.assert_arrives(daemon.inbox("db-1"), b"before\nafter\n", timeout=RETRIES)
        follower.stdin.close()
        self.assertEqual(follower.wait(RETRIES), 0)
        self.assert_arrives(daemon.inbox("web-1"), b"hello\n")
        self.assertEqual(len(daemon.log_lines("above its floor again")), 1)
        self.assertIn("cproto_disk_floor_bytes{of=\"store\"} %d" % (4 * MIB), self.ask(daemon, "metrics"))

    def test_a_file_that_would_go_below_the_floor_is_refused_before_its_first_byte(self):
        disk = self.small_disk(128 * MIB)
        daemon = self.daemon_on(disk, self.CONFIG)
        path = self.directory / "large.img"
        with open(path, "wb") as file:
            file.truncate(self.free_of(disk) - 3 * MIB)
        free = self.free_of(disk)
        result = self.send(daemon, path, status=65)
        self.assertIn("does not fit", result.errors)
        self.assertGreater(self.free_of(disk), free - MIB)
        self.assert_served(daemon)

    def test_a_disk_that_fills_up_under_load_stops_at_the_floor_and_goes_on(self):
        disk = self.small_disk(48 * MIB)
        daemon = self.daemon_on(disk, self.CONFIG)
        path = self.directory / "stream"
        line = b"x" * 999 + b"\n"
        path.write_bytes(line * 60_000)
        sender = self.sender(daemon, "--lines", path)
        wait_for(lambda: "below its floor" in sender.errors, "the sender to be told")
        self.serves(daemon)
        self.assertGreater(self.free_of(disk), 0)
        log = daemon.inbox("client")
        taken = log.with_suffix(".taken")
        moved = self.directory / "moved"
        moved.mkdir()
        deadline = time.monotonic() + 180
        while sender.process.poll() is None and time.monotonic() < deadline:
            # Its owner takes away what is there, while the daemon runs: a while after the renaming, for what was being written.
            if taken.exists():
                shutil.move(taken, moved / ("%d.log" % len(os.listdir(moved))))
            if self.free_of(disk) < 8 * MIB and log.exists():
                log.rename(taken)
            time.sleep(0.5)
        self.assertEqual(sender.wait(10), 0)
        parts = [moved / ("%d.log" % i) for i in range(len(os.listdir(moved)))] + [taken, log]
        wait_for(lambda: sum(map(size_of, parts)) == len(line) * 60_000, "all lines, once")
        self.serves(daemon)


class Inbox(LimitsTest):
    def test_at_its_limit_a_client_waits_and_others_go_on(self):
        daemon = self.daemon("[limits]\ninbox_per_client = \"1MiB\"\n")
        line = b"x" * 99 + b"\n"
        sender = self.sender(daemon, "--lines", "-", client="web-1", stdin=subprocess.PIPE)

        def feed():
            # What comes before the limit is met is taken, however much that is: the rest follows behind it.
            sender.stdin.write(line * 12_000)
            sender.stdin.flush()
            wait_for(lambda: daemon.log_lines("web-1: its inbox is at its limit"), "the inbox to be at its limit")
            sender.stdin.write(line * 3_000)
            sender.stdin.close()

        # The writer of a pipe is held together with its sender.
        feeder = threading.Thread(target=feed, daemon=True)
        feeder.start()
        wait_for(lambda: "the inbox of web-1 is at its limit" in sender.errors, "the sender to be told")
        wait_for(lambda: daemon.log_lines("web-1: its inbox is at its limit"), "the line about it")
        self.assertEqual(len(daemon.log_lines("web-1: its inbox is at its limit")), 1)
        self.assert_served(daemon)
        log = daemon.inbox("web-1")
        moved = self.directory / "moved"
        moved.mkdir()
        deadline = time.monotonic() + 180
        while sender.process.poll() is None and time.monotonic() < deadline:
            if size_of(log) > MIB // 2:
                shutil.move(log, moved / str(len(os.listdir(moved))))
            time.sleep(0.2)
        feeder.join(10)
        self.assertEqual(sender.wait(10), 0)
        parts = [moved / str(i) for i in range(len(os.listdir(moved)))] + [log]
        wait_for(lambda: sum(map(size_of, parts)) == 1_500_000, "all lines, once")

    def test_a_log_that_cannot_be_written_holds_its_client_alone(self):
        daemon = self.daemon("[store]\nsegment_size = \"1MiB\"\n[limits]\nmemory = \"4MiB\"\n")
        (daemon.inbox("web-1")).mkdir(parents=True)  # a folder in the log's place
        path = self.directory / "lines"
        path.write_bytes((b"x" * 99 + b"\n") * 60_000)
        blocked = self.sender(daemon, "--lines", path, client="web-1")
        wait_for(lambda: "the inbox is blocked" in blocked.errors, "the blocked sender to be told")
        free = self.sender(daemon, "--lines", path, client="web-2")
        self.assertEqual(free.wait(), 0, free.errors)  # more than the journal would keep for one that lags
        self.assert_arrives(daemon.inbox("web-2"), path.read_bytes())
        daemon.kill()
        daemon.start()
        daemon.inbox("web-1").rmdir()
        self.assertEqual(blocked.wait(), 0, blocked.errors)
        self.assert_arrives(daemon.inbox("web-1"), path.read_bytes())
        wait_for(lambda: os.listdir(daemon.store / "partial") == [], "what was set aside to be gone")


class Counts(LimitsTest):
    def test_clients_are_counted_by_their_folders(self):
        daemon = self.daemon("[limits]\nclients = 2\n")
        for client in ("web-1", "web-2"):
            self.send(daemon, "-m", "hello", client=client)
        self.assert_stops(daemon)  # so that the end of both sessions is on disk
        daemon.start()
        third = self.sender(daemon, "-m", "hello", client="web-3")
        wait_for(lambda: "as many clients as it may" in third.errors, "the third to be told")
        self.send(daemon, "-m", "again", client="web-1")
        shutil.rmtree(daemon.store / "inbox" / "web-2")
        others = (self.sender(daemon, "-m", "hello", "--timeout", "1s", client="web-4").wait() for _ in range(30))
        self.assertIn(0, others)  # the inbox is looked at again every few seconds


if __name__ == "__main__":
    main()

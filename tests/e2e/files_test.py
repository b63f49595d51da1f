"""Whole files: they arrive at once or not at all, and go on where they were interrupted."""
import hashlib
import json
import os
import re
import signal
import stat
import struct
import subprocess
import threading
import time
import unittest

import wire
from proxy import Proxy
from support import LONG, SANITIZED, TestCase, main, size_of, wait_for
from wire import Peer, frame

MIB = 1 << 20
WINDOW = 16 * MIB  # what a cproto-send keeps in flight


def digest(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").digest() if hasattr(hashlib, "file_digest") else \
            hashlib.sha256(file.read()).digest()


class FilesTest(TestCase):
    def make(self, name, size, mode=0o640, mtime=None):
        path = self.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "wb") as file:
            for _ in range(size // MIB):
                file.write(self.random.randbytes(MIB))
            file.write(self.random.randbytes(size % MIB))
        os.chmod(path, mode)
        if mtime is not None:
            os.utime(path, ns=(mtime, mtime))
        return path

    def assert_same_file(self, arrived, sent):
        self.assertTrue(arrived.exists(), "%s is not there" % arrived)
        there, here = arrived.stat(), sent.stat()
        self.assertEqual(there.st_size, here.st_size, sent)
        self.assertEqual(digest(arrived), digest(sent), sent)
        self.assertEqual(stat.S_IMODE(there.st_mode), stat.S_IMODE(here.st_mode) & 0o777, sent)
        self.assertEqual(there.st_mtime_ns, here.st_mtime_ns, sent)

    def proxy(self, daemon, **options):
        proxy = Proxy(daemon.port, **options)
        self.addCleanup(proxy.close)
        return proxy


class Arriving(FilesTest):
    def test_files_arrive_with_their_names_bytes_modes_and_times(self):
        daemon = self.daemon()
        sent = [self.make("a b.txt", 5), self.make("large", 9 * MIB + 3, 0o755, 1_000_000_000_123_456_789),
                self.make("old", 70_000, 0o600, 5), self.make("empty", 0), self.make("réd é", 1)]
        self.send(daemon, *sent)
        for path in sent:
            self.assert_same_file(daemon.file("client", path.name), path)
        self.assertEqual(os.listdir(daemon.store / "partial"), [])

    def test_status_0_says_that_the_file_is_there(self):
        daemon = self.daemon()
        for i in range(20):
            path = self.make("file-%d" % i, i * 1000)
            self.send(daemon, path)
            self.assertTrue(daemon.file("client", path.name).exists())

    def test_a_name_can_be_given_and_standard_input_can_be_a_file(self):
        daemon = self.daemon()
        path = self.make("there", 300_000)
        self.send(daemon, path, "--as", "renamed")
        self.assert_same_file(daemon.file("client", "renamed"), path)
        with open(path, "rb") as file:
            self.send(daemon, "-", "--as", "from stdin", stdin=file)
        self.assertEqual(digest(daemon.file("client", "from stdin")), digest(path))

    def test_a_link_sends_what_it_leads_to_a_pipe_what_comes_and_a_hole_zeros(self):
        daemon = self.daemon()
        target = self.make("target", 1000)
        link = self.directory / "link"
        link.symlink_to(target)
        pipe = self.directory / "pipe"
        os.mkfifo(pipe)
        sparse = self.directory / "sparse"
        with open(sparse, "wb") as file:
            file.truncate(3 * MIB)
        feeder = threading.Thread(target=lambda: pipe.write_bytes(b"through a pipe"), daemon=True)
        feeder.start()
        self.send(daemon, link, pipe, sparse)
        feeder.join()
        self.assertEqual(daemon.file("client", "link").read_bytes(), target.read_bytes())
        self.assertFalse(daemon.file("client", "link").is_symlink())
        self.assertEqual(daemon.file("client", "pipe").read_bytes(), b"through a pipe")
        self.assertEqual(daemon.file("client", "sparse").read_bytes(), bytes(3 * MIB))

    def test_special_bits_of_the_mode_stay_behind(self):
        daemon = self.daemon()
        self.send(daemon, self.make("tool", 10, 0o6755))
        self.assertEqual(stat.S_IMODE(daemon.file("client", "tool").stat().st_mode), 0o755)

    def test_a_file_of_the_same_name_is_replaced_or_both_are_kept(self):
        for policy, names in (("replace", ["report"]), ("keep", ["report", "report~1"])):
            daemon = self.daemon("[inbox]\nexisting_file = \"%s\"\n" % policy, name=policy)
            path = self.make("report", 10)
            self.send(daemon, path)
            path.write_bytes(b"another")
            self.send(daemon, path)
            self.assertEqual(sorted(os.listdir(daemon.file("client", "report").parent)), names)
            self.assertEqual(daemon.file("client", names[-1]).read_bytes(), b"another")

    def test_step_by_step_brings_the_same(self):
        daemon = self.daemon()
        path = self.make("steps", 100_000)
        self.send(daemon, path, "--operation-mode", "step-by-step", "--max-packet-size", 4096)
        self.assert_same_file(daemon.file("client", "steps"), path)

    def test_the_bytes_are_written_once(self):
        daemon = self.daemon("[store]\nsegment_size = \"1MiB\"\n")
        self.send(daemon, *(word for i in range(3) for word in ("-m", "segments are made by this %d" % i)))
        time.sleep(1.5)  # and sealed
        size = (1024 if LONG else 100) * MIB
        path = self.make("large", size)
        before = self.bytes_written(daemon)
        self.send(daemon, path, timeout=300)
        self.assert_same_file(daemon.file("client", "large"), path)
        written = self.bytes_written(daemon) - before
        print("%d MiB sent, %.3f of it written" % (size // MIB, written / size), end=" ... ")
        self.assertLess(written, size * 1.05)

    @staticmethod
    def bytes_written(daemon):
        with open("/proc/%d/io" % daemon.pid) as file:
            return int(next(line.split()[1] for line in file if line.startswith("write_bytes")))

    @unittest.skipIf(SANITIZED, "what a sanitizer needs is not theirs")
    def test_neither_end_needs_memory_for_a_large_file(self):
        daemon = self.daemon()
        path = self.directory / "sparse"
        with open(path, "wb") as file:
            file.truncate((10 << 30) if LONG else (1 << 30))
        sender = self.sender(daemon, path)
        peak = 0
        while sender.process.poll() is None:
            peak = max(peak, self.peak(sender.process.pid))
            time.sleep(0.02)
        self.assertEqual(sender.wait(), 0, sender.errors)
        print("client %d MiB, daemon %d MiB" % (peak // 1024, self.peak(daemon.pid) // 1024), end=" ... ")
        self.assertLess(peak, 64 * 1024)
        self.assertLess(self.peak(daemon.pid), 64 * 1024)

    @staticmethod
    def peak(pid):
        """KiB that were ever resident."""
        try:
            with open("/proc/%d/status" % pid) as file:
                return int(next((line.split()[1] for line in file if line.startswith("VmHWM")), 0))
        except (FileNotFoundError, ProcessLookupError):
            return 0

    def test_json_tells_what_became_of_them(self):
        daemon = self.daemon()
        sender = self.send(daemon, self.make("a", 10), "/etc", "--json", status=66)
        said = json.loads(sender.output)
        self.assertEqual((said["status"], said["messages"], said["durable"]), (66, 2, 1))
        self.assertIn("is a folder", said["problems"][0])


class Resuming(FilesTest):
    def halfway(self, daemon, *arguments):
        """A sender that is in the middle of its file of 60 MiB, until its proxy is told to let the rest go on."""
        proxy = self.proxy(daemon, hold_at=20 * MIB)
        sender = self.sender(proxy, *arguments)
        wait_for(proxy.holds.is_set, "some of it")
        wait_for(lambda: sum(map(size_of, (daemon.store / "partial").iterdir())) > 10 * MIB, "some of it on the disk")
        return proxy, sender

    def killed_halfway(self, daemon, path):
        proxy, sender = self.halfway(daemon, path)
        sender.process.kill()
        sender.wait()
        proxy.release()
        return proxy

    def test_an_interrupted_file_goes_on_when_the_same_command_is_run_again(self):
        for number in (signal.SIGKILL, signal.SIGINT, signal.SIGTERM):
            daemon = self.daemon(name="daemon-%d" % number)
            path = self.make("large", 60 * MIB)
            proxy, sender = self.halfway(daemon, path)
            sender.process.send_signal(number)
            proxy.release()
            self.assertEqual(sender.wait(), -number)
            again = self.send(proxy, path, "-v")
            self.assertIn("continuing " + str(path) + " after ", again.errors)
            self.assert_same_file(daemon.file("client", "large"), path)
            self.assertLess(proxy.payload_bytes, 60 * MIB + WINDOW + MIB)

    def test_restart_begins_anew(self):
        daemon = self.daemon()
        path = self.make("large", 60 * MIB)
        proxy = self.killed_halfway(daemon, path)
        again = self.send(proxy, path, "--restart", "-v")
        self.assertNotIn("continuing", again.errors)
        self.assert_same_file(daemon.file("client", "large"), path)

    def test_a_source_that_changed_in_between_is_sent_anew_and_that_is_said(self):
        daemon = self.daemon()
        path = self.make("large", 60 * MIB)
        proxy = self.killed_halfway(daemon, path)
        with open(path, "r+b") as file:
            file.write(b"changed")
        again = self.send(proxy, path)
        self.assertIn("changed since it was interrupted; sent from its beginning", again.errors)
        self.assert_same_file(daemon.file("client", "large"), path)
        wait_for(lambda: os.listdir(daemon.store / "partial") == [], "the part to go")

    def test_a_source_that_changes_while_it_is_sent_is_given_up(self):
        daemon = self.daemon()
        path, good = self.make("growing", 60 * MIB), self.make("good", 10)
        proxy, sender = self.halfway(daemon, path, good)
        with open(path, "ab") as file:
            file.write(b"more")
        proxy.release()
        self.assertEqual(sender.wait(), 65, sender.errors)
        self.assertIn("changed while it was sent", sender.errors)
        self.assertFalse(daemon.file("client", "growing").exists())
        self.assertTrue(daemon.file("client", "good").exists())
        wait_for(lambda: os.listdir(daemon.store / "partial") == [], "the part to go")

    def test_a_source_that_shrinks_while_it_is_sent_is_given_up_and_the_others_arrive(self):
        daemon = self.daemon()
        path, good = self.make("shrinking", 60 * MIB), self.make("good", 10)
        proxy, sender = self.halfway(daemon, path, good)
        os.truncate(path, MIB)
        proxy.release()
        self.assertEqual(sender.wait(), 65, sender.errors)
        self.assertRegex(sender.errors, "shrinking: (became shorter|changed) while it was sent; not sent")
        self.assertFalse(daemon.file("client", "shrinking").exists())
        self.assert_same_file(daemon.file("client", "good"), good)
        wait_for(lambda: os.listdir(daemon.store / "partial") == [], "the part to go")

    def test_a_second_run_of_the_same_transfer_is_told_so(self):
        daemon = self.daemon()
        path = self.make("large", 60 * MIB)
        proxy, first = self.halfway(daemon, path)
        second = self.send(proxy, path, status=75)
        self.assertIn("the same transfer is running already (pid %d)" % first.process.pid, second.errors)
        proxy.release()
        self.assertEqual(first.wait(), 0, first.errors)

    def test_where_nothing_can_be_remembered_a_file_is_sent_all_the_same(self):
        daemon = self.daemon()
        sender = self.send(daemon, self.make("a", 10), "--state", "/proc/none")
        self.assertIn("if this is interrupted it will begin anew", sender.errors)
        self.assertTrue(daemon.file("client", "a").exists())

    def test_what_is_finished_leaves_nothing_behind_and_is_sent_again(self):
        daemon = self.daemon()
        path = self.make("a", 10)
        self.send(daemon, path, "--state", self.directory / "state")
        self.assertEqual(os.listdir(self.directory / "state"), [])
        path.write_bytes(b"another")
        self.send(daemon, path, "--state", self.directory / "state")
        self.assertEqual(daemon.file("client", "a").read_bytes(), b"another")


class Killed(FilesTest):
    def test_many_files_arrive_whole_while_both_sides_are_killed(self):
        count, kills = (200, 60) if LONG else (60, 24)
        daemon = self.daemon()
        proxy = self.proxy(daemon)
        sent = [self.make("src/file-%03d" % i, self.size(i, count), self.random.choice((0o600, 0o644, 0o755)),
                          self.random.randrange(2 * 10 ** 18)) for i in range(count)]
        total = sum(path.stat().st_size for path in sent)
        watcher = Watcher(daemon, {path.name: path.stat().st_size for path in sent})
        self.addCleanup(watcher.stop)
        sender = self.sender(proxy, *sent)
        killed = 0
        while killed < kills and sender.process.poll() is None:
            point = proxy.payload_bytes + self.random.randrange(max(2, 2 * total // kills))
            wait_for(lambda: proxy.payload_bytes >= point or sender.process.poll() is not None, "progress", interval=0.0005)
            if sender.process.poll() is not None:
                break
            killed += 1
            if self.random.random() < 0.5:
                sender.process.kill()
                sender.wait()
                sender = self.sender(proxy, *sent)
            else:
                daemon.kill()
                daemon.start()
        for _ in range(10):
            if sender.wait(300) == 0:
                break
            sender = self.sender(proxy, *sent)
        self.assertEqual(sender.wait(), 0, sender.errors)
        for path in sent:
            self.assert_same_file(daemon.file("client", path.name), path)
        watcher.stop()
        self.assertEqual(watcher.problems, [])
        self.assertEqual(proxy.problems, [])
        again = proxy.payload_bytes - total
        print("%d files, %d MiB, %d kills, %d MiB sent again" % (count, total // MIB, killed, again // MIB), end=" ... ")
        self.assertLess(again, (killed + 1) * WINDOW)
        wait_for(lambda: os.listdir(daemon.store / "partial") == [], "parts that were given up to go")

    def size(self, index, count):
        """From nothing to 64 MiB, most of them small."""
        if index < 3:
            return index
        largest = 64 * MIB if LONG or index == 5 else 16 * MIB
        return int(largest ** self.random.random())


class Watcher(threading.Thread):
    """Looks at the inbox all the time: a file that is there is whole."""

    def __init__(self, daemon, sizes):
        super().__init__(daemon=True)
        self.folder = daemon.file("client", "x").parent
        self.sizes = sizes
        self.problems = []
        self.stopped = threading.Event()
        self.start()

    def run(self):
        while not self.stopped.wait(0.002):
            if not self.folder.exists():
                continue
            for name in os.listdir(self.folder):
                size = size_of(self.folder / name)
                if size != self.sizes.get(name):
                    self.problems.append("%s had %d bytes" % (name, size))

    def stop(self):
        self.stopped.set()
        self.join()


class BadInput(FilesTest):
    def test_one_that_is_no_file_does_not_keep_the_others(self):
        daemon = self.daemon()
        good = [self.make("one", 10), self.make("two", 10)]
        sender = self.send(daemon, good[0], "/etc", "/dev/null", self.directory / "none", good[1], status=66)
        for sentence in ("/etc: is a folder", "/dev/null: is a device", "none: No such file or directory"):
            self.assertIn(sentence, sender.errors)
        for path in good:
            self.assert_same_file(daemon.file("client", path.name), path)

    def test_names_that_are_none_are_refused_and_nothing_outside_is_touched(self):
        daemon = self.daemon()
        with Peer(daemon.port) as peer:
            terms = peer.shake_hands(client_id=b"raw")
            number = 1
            for name in (b"..", b"/etc/cproto-was-here", b"../../up", b"a\0b", b"n" * 300, b"", b"new\nline"):
                peer.send(frame(wire.HEADER, wire.file_header(name), number) + frame(wire.DATA, b"x", number + 1))
                error = peer.expect_error()
                self.assertEqual((error.code, error.number), (wire.BAD_FILE_NAME, number))
                number += 2
            strange = b"\xff\xfe not UTF-8"
            peer.send(frame(wire.HEADER, wire.file_header(strange, 4), number) +
                      frame(wire.HEADER, wire.file_header(digest=wire.file_digest(b"text")), number + 1) +
                      frame(wire.DATA, b"text", number + 2))
            peer.wait_durable(number + 2)
            peer.finish(terms.session, number + 2)
        folder = os.fsencode(daemon.file("raw", "x").parent)
        self.assertEqual(os.listdir(folder), [strange])
        self.assertFalse(os.path.exists("/etc/cproto-was-here"))

    def test_a_link_planted_in_the_inbox_leads_nowhere(self):
        daemon = self.daemon()
        outside = self.directory / "outside"
        outside.mkdir()
        inbox = daemon.store / "inbox"
        (inbox / "linked").symlink_to(outside)
        (inbox / "client").mkdir()
        (inbox / "client" / "files").symlink_to(outside)
        for client in ("linked", "client"):
            sender = self.sender(daemon, self.make("a", 10), client=client)
            wait_for(lambda: daemon.log_lines("cannot be put there"), "the line")
            self.assertEqual(os.listdir(outside), [])
            sender.process.kill()
        self.send(daemon, "-m", "a line", client="linked")
        time.sleep(0.3)
        self.assertEqual(os.listdir(outside), [])

    def test_a_folder_in_its_place_makes_a_file_wait_until_it_is_gone(self):
        daemon = self.daemon()
        place = daemon.file("client", "a")
        place.mkdir(parents=True)
        path = self.make("a", 10)
        sender = self.sender(daemon, path)
        wait_for(lambda: daemon.log_lines("a: cannot be put there (Is a directory); the file waits"), "the line")
        self.assertIsNone(sender.process.poll())
        place.rmdir()
        self.assertEqual(sender.wait(), 0)
        self.assert_same_file(place, path)

    def test_a_file_larger_than_is_taken_is_refused_before_its_first_byte(self):
        daemon = self.daemon("[limits]\nfile_size = \"1MiB\"\n")
        proxy = self.proxy(daemon)
        large, small = self.make("large", 2 * MIB), self.make("small", 10)
        sender = self.send(proxy, large, small, status=65)
        self.assertIn("large: larger than 1 MiB", sender.errors)
        self.assertLess(proxy.payload_bytes, 1000)
        self.assert_same_file(daemon.file("client", "small"), small)

    def test_a_file_that_does_not_fit_is_refused_before_its_first_byte_and_a_full_disk_is_waited_for(self):
        disk = self.directory / "disk"
        disk.mkdir()
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=60m", "tmpfs", disk], capture_output=True).returncode != 0:
            self.skip_or_fail("no tmpfs can be mounted here")
        self.addCleanup(subprocess.run, ["umount", "-l", disk], capture_output=True)
        daemon = self.daemon("[store]\nsegment_size = \"1MiB\"\n", name="disk/daemon")
        proxy = self.proxy(daemon)
        large, small = self.make("large", 80 * MIB), self.make("small", 10)
        sender = self.send(proxy, large, small, status=65)
        self.assertIn("large: the file does not fit on the server's disk", sender.errors)
        self.assertLess(proxy.payload_bytes, 1000)
        self.assert_same_file(daemon.file("client", "small"), small)
        # Nobody could know: it comes through a pipe.
        ballast = disk / "ballast"
        ballast.write_bytes(bytes(30 * MIB))
        content = self.random.randbytes(40 * MIB)
        sender = self.sender(daemon, "-", "--as", "piped", stdin=subprocess.PIPE)
        feeder = threading.Thread(target=lambda: (sender.stdin.write(content), sender.stdin.close()), daemon=True)
        feeder.start()
        # The floor is noticed first, or what is there is used up before.
        wait_for(lambda: re.search("says: (the server's disk is full|disk below its floor)", sender.errors),
                 lambda: "the reason: " + sender.errors)
        ballast.unlink()
        self.assertEqual(sender.wait(), 0, sender.errors)
        feeder.join()
        self.assert_same_bytes(daemon.file("client", "piped").read_bytes(), content)


if __name__ == "__main__":
    main()

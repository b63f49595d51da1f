"""A log that is followed, and lines of a file, go on behind the last line that is durable."""
import collections
import json
import os
import re
import signal
import subprocess
import threading
import time

from support import LONG, TestCase, has_state, main, numbered_lines, size_of, wait_for


def make_room(path):
    """app.log.2.gz -> app.log.3.gz, app.log.1 -> app.log.2: as logrotate does before it sets the log aside."""
    for i in range(20, 0, -1):
        for ending in ("", ".gz"):
            old = beside(path, "%d%s" % (i, ending))
            if old.exists():
                old.rename(beside(path, "%d%s" % (i + 1, ending)))


def beside(path, ending):
    return path.with_name("%s.%s" % (path.name, ending))


def append(path, text):
    with open(path, "ab") as file:
        file.write(text)


class Writer(threading.Thread):
    """A program that writes lines to a log and is rotated."""

    def __init__(self, path, lines, rotations, copytruncate, pause):
        super().__init__(daemon=True)
        self.path, self.lines, self.rotations, self.copytruncate, self.pause = path, lines, rotations, copytruncate, pause
        self.written = 0  # lines
        self.rotated_at = []
        self.start()

    def run(self):
        file = open(self.path, "ab")
        for i, chunk in enumerate(self.cut()):
            if i > 0:
                self.rotated_at.append(self.written)
                make_room(self.path)
                if self.copytruncate:
                    beside(self.path, 1).write_bytes(self.path.read_bytes())
                    os.truncate(self.path, 0)
                else:
                    self.path.rename(beside(self.path, 1))
                    late = chunk.index(b"\n", 1000) + 1
                    file.write(chunk[:late])  # it has not heard of it yet
                    self.written += chunk.count(b"\n", 0, late)
                    chunk = chunk[late:]
                    file.close()
                    file = open(self.path, "ab")
            for at in range(0, len(chunk), 50_000):
                file.write(chunk[at:at + 50_000])
                file.flush()
                self.written += chunk.count(b"\n", at, at + 50_000)
                time.sleep(self.pause)
        file.close()

    def cut(self):
        """At line ends."""
        size = len(self.lines) // (self.rotations + 1)
        chunks, at = [], 0
        for _ in range(self.rotations):
            end = self.lines.index(b"\n", at + size) + 1
            chunks.append(self.lines[at:end])
            at = end
        return chunks + [self.lines[at:]]


def difference(arrived, expected):
    """Which of numbered lines are missing, are there more than once, and are at a wrong place, as ranges of numbers."""
    found = [re.match(rb"line (\d+)", line) for line in arrived.splitlines()]
    numbers = [int(match[1]) if match else 0 for match in found]
    count = collections.Counter(numbers)
    wanted = range(1, expected.count(b"\n") + 1)
    jumps = ["%d after %d" % (b, a) for a, b in zip([0] + numbers, numbers) if b != a + 1]
    return "missing %s; twice %s; order: %s" % (
        ranges(i for i in wanted if count[i] == 0), ranges(i for i in wanted if count[i] > 1), jumps[:20])


def ranges(numbers):
    """[1, 2, 3, 7] -> "1-3 7"."""
    found = []
    for i in numbers:
        if found and found[-1][1] == i - 1:
            found[-1][1] = i
        else:
            found.append([i, i])
    return " ".join("%d-%d" % (a, b) if a != b else str(a) for a, b in found) or "none"


class Follow(TestCase):
    def setUp(self):
        super().setUp()
        self.path = self.directory / "app.log"

    def follow(self, daemon, *arguments, **options):
        return self.sender(daemon, "--follow", self.path, *arguments, **options)

    def followed(self, *arguments):
        """A log that was read so far: one line."""
        daemon = self.daemon()
        self.path.write_bytes(b"one\n")
        sender = self.follow(daemon, *arguments)
        self.assert_arrives(daemon.inbox("client"), b"one\n")
        return daemon, sender

    def wait_for_state(self):
        """It knows where it begins."""
        wait_for(lambda: any(map(has_state, (self.directory / "state").rglob("*"))), "a state")

    @staticmethod
    def kill(sender):
        sender.process.kill()
        sender.wait()

    def kill_unreached(self, sender):
        """A follower whose server is away."""
        wait_for(lambda: "connection refused" in sender.errors, lambda: sender.errors)
        self.kill(sender)

    def end(self, sender):
        sender.process.terminate()
        self.assertEqual(sender.wait(), 0, sender.errors)

    def test_what_is_there_and_what_comes_arrives_and_a_line_that_is_not_whole_waits(self):
        daemon, sender = self.followed()
        append(self.path, b"two\nthr")
        self.assert_arrives(daemon.inbox("client"), b"one\ntwo\n")
        time.sleep(0.3)
        self.assertEqual(daemon.inbox("client").read_bytes(), b"one\ntwo\n")
        append(self.path, b"ee\n")
        self.assert_arrives(daemon.inbox("client"), b"one\ntwo\nthree\n")
        self.end(sender)

    def test_it_goes_on_where_it_was_ended_or_killed(self):
        daemon = self.daemon()
        expected = b""
        for number in (signal.SIGTERM, signal.SIGKILL, signal.SIGINT, signal.SIGKILL):
            sender = self.follow(daemon)
            line = b"line %d\n" % len(expected)
            append(self.path, line)
            expected += line
            self.assert_arrives(daemon.inbox("client"), expected)
            sender.process.send_signal(number)
            self.assertEqual(sender.wait(), -9 if number == signal.SIGKILL else 0)
        self.assert_stops(daemon)
        self.assert_same_bytes(daemon.inbox("client").read_bytes(), expected)

    def test_from_the_end_leaves_out_what_was_there(self):
        daemon = self.daemon()
        self.path.write_bytes(b"old\n")
        sender = self.follow(daemon, "--from-end")
        self.wait_for_state()
        append(self.path, b"new\n")
        self.assert_arrives(daemon.inbox("client"), b"new\n")
        self.end(sender)

    def test_a_log_that_is_not_there_yet_is_waited_for(self):
        daemon = self.daemon()
        sender = self.follow(daemon)
        time.sleep(0.5)
        self.path.write_bytes(b"first\n")
        self.assert_arrives(daemon.inbox("client"), b"first\n")
        self.end(sender)

    def test_a_folder_is_no_log_and_without_a_place_to_remember_there_is_no_following(self):
        daemon = self.daemon()
        self.assertIn("Is a directory", self.send(daemon, "--follow", self.directory, status=66).errors)
        self.assertIn("/proc/none", self.send(daemon, "--follow", self.path, "--state", "/proc/none", status=73).errors)

    def test_a_second_follower_is_told_who_the_first_is(self):
        daemon, first = self.followed()
        second = self.send(daemon, "--follow", self.path, status=75)
        self.assertIn("app.log is being followed already (pid %d)" % first.process.pid, second.errors)
        self.end(first)

    def test_a_rotation_while_nobody_follows_loses_nothing(self):
        daemon, sender = self.followed()
        self.end(sender)
        append(self.path, b"two\n")
        self.path.rename(beside(self.path, 2))
        beside(self.path, 1).write_bytes(b"three\n")
        self.path.write_bytes(b"four\n")
        sender = self.follow(daemon)
        self.assert_arrives(daemon.inbox("client"), b"one\ntwo\nthree\nfour\n")
        self.end(sender)

    def test_what_is_rotated_before_a_server_was_reached_once_comes_too(self):
        daemon = self.daemon()
        daemon.terminate()
        for options, expected in (([], b"old\none\ntwo\n"), (["--from-end"], b"one\ntwo\n")):
            self.path.write_bytes(b"old\n")
            who = {"client": "client%d" % len(options)}
            self.kill_unreached(self.follow(daemon, *options, **who))
            append(self.path, b"one\n")
            self.path.rename(beside(self.path, 1))
            self.path.write_bytes(b"two\n")
            self.kill_unreached(self.follow(daemon, *options, **who))
            sender = self.follow(daemon, *options, **who)
            daemon.start()
            self.assert_arrives(daemon.inbox(**who), expected)
            self.end(sender)
            daemon.terminate()

    def test_a_session_that_is_lost_before_anything_was_durable_loses_no_line(self):
        daemon = self.daemon()
        self.path.touch()
        sender = self.follow(daemon, "--verbose")
        wait_for(lambda: "connected" in sender.errors, lambda: sender.errors)
        daemon.kill()
        self.kill(sender)
        self.path.write_bytes(b"one\n")
        self.path.rename(beside(self.path, 1))
        self.path.write_bytes(b"two\n")
        sender = self.follow(daemon)
        daemon.start()
        self.assert_arrives(daemon.inbox("client"), b"one\ntwo\n")
        self.end(sender)

    def test_what_is_gone_before_it_was_read_is_told_with_its_bytes(self):
        daemon, sender = self.followed()
        self.end(sender)
        append(self.path, b"nobody reads this\n")
        self.path.unlink()
        self.path.write_bytes(b"another\n")
        sender = self.follow(daemon, "--json")
        self.assert_arrives(daemon.inbox("client"), b"one\nanother\n")
        self.end(sender)
        self.assertIn("lost: ", sender.errors)
        self.assertEqual(json.loads(sender.output)["losses"], 1)

    def rotate_behind_a_reader_that_sleeps(self, away):
        """`away` compresses or removes a rotated log with each rotation but the first."""
        daemon, sender = self.followed()
        sender.process.send_signal(signal.SIGSTOP)
        for line in (b"two\n", b"three\n", b"four\n"):
            make_room(self.path)
            self.path.rename(beside(self.path, 1))
            if beside(self.path, 2).exists():
                away(beside(self.path, 2))
            time.sleep(0.05)  # files are stamped with a clock that has steps
            append(self.path, line)
        sender.process.send_signal(signal.SIGCONT)
        self.assert_arrives(daemon.inbox("client"), b"one\nthree\nfour\n")
        self.end(sender)
        return sender.errors

    def test_what_was_compressed_before_it_was_read_is_told(self):
        said = self.rotate_behind_a_reader_that_sleeps(lambda path: subprocess.run(["gzip", path], check=True))
        self.assertIn("app.log.2.gz was compressed before it was read; at least 4 bytes", said)
        self.assertEqual(said.count("lost: "), 1)

    def test_what_was_removed_before_it_was_read_is_told(self):
        said = self.rotate_behind_a_reader_that_sleeps(os.unlink)
        self.assertIn("app.log was removed after it was rotated, and perhaps others", said)
        self.assertEqual(said.count("lost: "), 1)

    def test_a_daemon_that_is_away_costs_nothing_but_delay(self):
        daemon, sender = self.followed()
        daemon.terminate()
        lines = numbered_lines(50_000)
        append(self.path, lines)
        time.sleep(0.5)
        daemon.start()
        self.assert_arrives(daemon.inbox("client"), b"one\n" + lines)
        self.end(sender)

    def test_a_line_too_long_is_refused_by_its_number_and_the_rest_goes_on(self):
        daemon = self.daemon("[limits]\nmessage_size = \"1KiB\"\n")
        append(self.path, b"one\n" + b"x" * 5000 + b"\nthree\n")
        sender = self.follow(daemon)
        self.assert_arrives(daemon.inbox("client"), b"one\nthree\n")
        self.kill(sender)
        append(self.path, b"four\n" + b"y" * 3000 + b"\nsix\n")
        again = self.follow(daemon)
        self.assert_arrives(daemon.inbox("client"), b"one\nthree\nfour\nsix\n")
        self.end(again)
        self.assertIn("line 2: larger than 1 KiB", sender.errors)
        self.assertIn("line 5: larger than 1 KiB", again.errors)

    def rotate_and_kill(self, copytruncate):
        count, kills = (200_000, 30) if LONG else (60_000, 12)
        daemon = self.daemon()
        lines = numbered_lines(count)
        self.path.touch()
        log = daemon.inbox("client")
        senders = [self.follow(daemon)]
        self.wait_for_state()  # what was rotated away before it began is none of its business
        rotations = 10 if LONG else 5
        writer = Writer(self.path, lines, rotations, copytruncate, pause=0.02 if LONG else 0.01)
        killed = []
        for _ in range(kills):
            time.sleep(self.random.random() ** 3 * 0.8)  # often at once again
            who = "follower" if self.random.random() < 0.6 else "daemon"
            killed.append("%s, %d lines written, %d bytes arrived" % (who, writer.written, size_of(log)))
            if who == "follower":
                self.kill(senders[-1])
                senders.append(self.follow(daemon))
            else:
                daemon.kill()
                daemon.start()
        writer.join()
        deadline = time.monotonic() + 60
        while size_of(log) < len(lines) and time.monotonic() < deadline:
            time.sleep(0.01)
        senders[-1].process.terminate()
        self.assertIn(senders[-1].wait(), (0, -signal.SIGTERM), senders[-1].errors)  # it may just have been started
        self.assert_stops(daemon)
        arrived = log.read_bytes()
        if arrived != lines:
            self.fail("\n".join(["%s rotated behind lines %s; killed:" % (self.path, writer.rotated_at)] + killed +
                                ["said: " + sender.errors for sender in senders if sender.errors] +
                                [difference(arrived, lines)]))

    def test_a_log_rotated_by_rename_while_both_sides_are_killed_arrives_once_and_in_order(self):
        self.rotate_and_kill(copytruncate=False)

    def test_a_log_rotated_by_copytruncate_while_both_sides_are_killed_arrives_once_and_in_order(self):
        self.rotate_and_kill(copytruncate=True)


class Lines(TestCase):
    def test_lines_of_a_file_go_on_behind_the_last_durable_one(self):
        daemon = self.daemon()
        lines = numbered_lines(400_000)
        path = self.directory / "lines"
        path.write_bytes(lines)
        log = daemon.inbox("client")
        for number in (signal.SIGKILL, signal.SIGINT):
            sender = self.sender(daemon, "--lines", path, "--window-size", 300)
            target = size_of(log) + len(lines) // 20
            wait_for(lambda: size_of(log) > target, "some lines", interval=0.0005)
            sender.process.send_signal(number)
            self.assertEqual(sender.wait(), -number)
        append(path, b"and one more\n")
        sender = self.send(daemon, "--lines", path, "--window-size", 300)
        self.assertIn("continuing after line ", sender.errors)
        self.assert_stops(daemon)
        self.assert_same_bytes(log.read_bytes(), lines + b"and one more\n")

    def test_a_file_that_is_another_by_now_is_sent_from_its_beginning(self):
        daemon = self.daemon()
        path = self.directory / "lines"
        path.write_bytes(numbered_lines(400_000))
        sender = self.sender(daemon, "--lines", path, "--window-size", 300)
        wait_for(lambda: size_of(daemon.inbox("client")) > 100_000, "some lines", interval=0.0005)
        sender.process.kill()
        sender.wait()
        path.write_bytes(b"all new\n")
        sender = self.send(daemon, "--lines", path)
        self.assertIn("changed since it was interrupted; sent from its beginning", sender.errors)
        wait_for(lambda: daemon.inbox("client").read_bytes().endswith(b"\nall new\n"), "the new content")


if __name__ == "__main__":
    main()

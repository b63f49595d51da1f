"""The inbox belongs to its owner: logs are renamed, removed and cut while messages come, and nothing is lost or doubled."""
import os
import subprocess

from support import Feeder, TestCase, main, numbered_lines, size_of, wait_for


class Inbox(TestCase):
    def begin(self, count=200_000, config=""):
        """A transfer that goes only as far as it is allowed to."""
        self.lines = numbered_lines(count)
        self.served = self.daemon(config)
        self.log = self.served.inbox("client")
        self.sender_under_test = self.sender(self.served, "--lines", "-", stdin=subprocess.PIPE)
        self.feeder = Feeder(self.sender_under_test.stdin, self.lines, allowed=0)

    def go_to(self, part, moved=(), read=0):
        """Lets more come and waits until some of it is there, also behind the last move; what was moved may still grow."""
        self.feeder.allow(int(len(self.lines) * part))
        enough = len(self.lines) * part * 0.7
        wait_for(lambda: self.log.exists() and read + sum(map(size_of, [*moved, self.log])) >= enough, "%d %%" % (part * 100),
                 interval=0.001)

    def finish(self):
        self.feeder.allow(len(self.lines))
        self.assertEqual(self.sender_under_test.wait(), 0, self.sender_under_test.errors)
        self.assert_stops(self.served)

    def test_a_log_that_is_renamed_again_and_again_loses_nothing_and_repeats_nothing(self):
        self.begin()
        moved = []
        for i in range(1, 9):
            self.go_to(i / 10, moved)
            moved.append(self.log.with_name("messages.log.%d" % i))
            self.log.rename(moved[-1])
        self.finish()
        self.assert_same_bytes(b"".join(path.read_bytes() for path in moved + [self.log]), self.lines)

    def test_a_log_renamed_while_the_daemon_is_killed_and_restarted_loses_nothing_and_repeats_nothing(self):
        self.begin()
        moved = []
        for i in range(1, 7):
            self.go_to(i / 8, moved)
            where = self.log.with_name("messages.log.%d" % i)
            # Before the kill, while it is down, and after it is back.
            if i % 3 == 0:
                self.log.rename(where)
            self.served.kill()
            if i % 3 == 1:
                self.log.rename(where)
            self.served.start()
            if i % 3 == 2:
                wait_for(self.log.exists, "the log")
                self.log.rename(where)
            moved.append(where)
        self.finish()
        self.assert_same_bytes(b"".join(path.read_bytes() for path in moved + [self.log]), self.lines)

    def test_a_log_that_is_removed_goes_on_in_a_new_one_that_begins_with_a_whole_line(self):
        self.begin()
        read = b""
        for i in range(1, 6):
            self.go_to(i / 8, read=len(read))
            # A reader that removes what it has read: it keeps it open, as long as anything could still be written.
            with open(self.log, "rb") as file:
                self.log.unlink()
                self.feeder.allow(int(len(self.lines) * (i / 8 + 0.05)))
                wait_for(lambda: size_of(self.log) > 0, "a new log")
                read += file.read()
            self.assertTrue(read.endswith(b"\n"))
        self.finish()
        self.assert_same_bytes(read + self.log.read_bytes(), self.lines)

    def test_what_is_sent_after_a_log_was_renamed_or_removed_is_in_the_new_one(self):
        daemon = self.daemon()
        for take_away in (lambda log: log.rename(log.with_suffix(".1")), lambda log: log.unlink()):
            log = daemon.inbox("client")
            self.send(daemon, "-m", "before")
            self.assert_arrives(log, b"before\n")
            take_away(log)
            self.send(daemon, "-m", "after")
            self.assert_arrives(log, b"after\n")
            self.assert_same_bytes(log.with_suffix(".1").read_bytes(), b"before\n")
            log.unlink()

    def test_a_log_removed_while_the_daemon_is_down_begins_anew_with_what_comes_then(self):
        daemon = self.daemon()
        log = daemon.inbox("client")
        self.send(daemon, "-m", "old")
        self.assert_arrives(log, b"old\n")
        daemon.kill()
        log.unlink()
        daemon.start()
        self.send(daemon, "-m", "new")
        wait_for(lambda: log.exists() and log.read_bytes().endswith(b"new\n"), "the new line")
        self.assert_stops(daemon)
        self.assertEqual(log.read_bytes().splitlines()[-1:], [b"new"])
        self.assertLessEqual(log.read_bytes().count(b"old"), 1)

    def test_a_log_that_is_cut_is_continued_at_its_end_without_a_gap_and_without_a_repeat(self):
        self.begin()
        for i in range(1, 6):
            self.more(i / 8 + 0.05)
            os.truncate(self.log, 0)
        self.finish()
        self.assert_tail_of_lines(self.log.read_bytes())
        wait_for(lambda: self.served.log_lines("became shorter"), "the line")

    def more(self, part):
        """Something came behind the cut."""
        self.feeder.allow(int(len(self.lines) * part))
        wait_for(lambda: size_of(self.log) > 0, "something behind the cut", interval=0.001)

    def assert_tail_of_lines(self, data):
        """A truncation may fall between two writes: what is there ends the input, each line once, in order."""
        self.assertNotIn(b"\0", data)
        self.assertTrue(data)
        self.assert_same_bytes(data, self.lines[len(self.lines) - len(data):])

    def test_a_log_cut_while_the_daemon_is_down_repeats_nothing_behind_the_cut(self):
        daemon = self.daemon()
        log = daemon.inbox("client")
        before = numbered_lines(1000, "before")
        self.send_bytes(daemon, before, "--lines", "-")
        self.assertEqual(daemon.terminate(), 0)
        os.truncate(log, 0)
        daemon.start()
        self.send(daemon, "-m", "behind")
        self.assert_arrives(log, b"behind\n")
        self.assertEqual(daemon.terminate(), 0)
        daemon.start()
        self.send(daemon, "-m", "again")
        self.assert_arrives(log, b"behind\nagain\n")

    def test_a_folder_in_the_place_of_a_log_holds_that_one_up_and_no_other(self):
        daemon = self.daemon()
        log = daemon.inbox("client", "blocked")
        log.mkdir(parents=True)
        blocked = self.sender(daemon, "-c", "blocked", "-m", "waits")
        wait_for(lambda: daemon.log_lines("blocked.log"), "the reason in the log")
        self.send(daemon, "-c", "free", "-m", "goes on")
        self.assert_arrives(daemon.inbox("client", "free"), b"goes on\n")
        log.rmdir()
        self.assertEqual(blocked.wait(), 0, blocked.errors)
        self.assert_arrives(log, b"waits\n")

    def test_a_link_planted_in_the_inbox_is_not_followed(self):
        daemon = self.daemon()
        log = daemon.inbox("client")
        victim = self.directory / "victim"
        victim.write_bytes(b"mine")
        log.parent.mkdir(parents=True)
        log.symlink_to(victim)
        sender = self.sender(daemon, "-m", "waits")
        wait_for(lambda: daemon.log_lines("messages.log"), "the reason in the log")
        self.assert_same_bytes(victim.read_bytes(), b"mine")
        log.unlink()
        self.assertEqual(sender.wait(), 0, sender.errors)
        self.assert_arrives(log, b"waits\n")

    def test_a_small_journal_that_goes_round_many_times_and_is_killed_loses_nothing(self):
        self.begin(count=400_000, config="[store]\nsegment_size = \"1MiB\"\n")
        for i in range(1, 9):
            self.go_to(i / 9)
            self.served.kill()
            self.served.start()
        self.finish()
        self.assert_arrives(self.log, self.lines)


if __name__ == "__main__":
    main()

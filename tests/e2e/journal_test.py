"""The systemd journal is followed: each entry once, whatever is killed. The journals are made by systemd's own tool; the one
that journald writes is in the test of the services."""
import json
import os
import signal
import subprocess

from support import LONG, TestCase, has_state, main, wait_for

TOOL = "/lib/systemd/systemd-journal-remote"
BOOT = "0123456789abcdef0123456789abcdef"


class Journal(TestCase):
    def setUp(self):
        super().setUp()
        if not os.path.exists(TOOL):
            self.skip_or_fail("no %s (package systemd-journal-remote)" % TOOL)
        self.journal = self.directory / "journal"
        self.journal.mkdir()

    def write(self, numbers, file="a.journal", **fields):
        text = "".join("__REALTIME_TIMESTAMP=%d\n__MONOTONIC_TIMESTAMP=%d\n_BOOT_ID=%s\nMESSAGE=%d\n%s\n" % (
            1_600_000_000_000_000 + i, i, BOOT, i, "".join("%s=%s\n" % field for field in fields.items())) for i in numbers)
        subprocess.run([TOOL, "-o", self.journal / file, "-"], input=text.encode(), check=True, stderr=subprocess.DEVNULL)

    def arguments(self, *matches):
        return "--journal", *matches, "--directory", self.journal

    @staticmethod
    def numbers(daemon):
        """Of the lines that are whole: one may just be written."""
        path = daemon.inbox("client")
        whole = path.read_bytes().rpartition(b"\n")[0] if path.exists() else b""
        return [int(json.loads(line)["MESSAGE"]) for line in whole.splitlines()]

    def assert_numbers(self, daemon, expected):
        wait_for(lambda: len(self.numbers(daemon)) >= len(expected), "%d entries" % len(expected))
        self.assertEqual(self.numbers(daemon), list(expected))

    def test_what_is_there_and_what_comes_arrives_as_journalctl_prints_it(self):
        daemon = self.daemon()
        self.write(range(1, 4), PRIORITY="3")
        sender = self.sender(daemon, *self.arguments())
        self.assert_numbers(daemon, range(1, 4))
        self.write(range(4, 6), _COMM='a "program"')
        self.assert_numbers(daemon, range(1, 6))
        printed = subprocess.run(["journalctl", "-D", self.journal, "-o", "json", "--all", "--no-pager", "-q"], check=True,
                                 stdout=subprocess.PIPE).stdout.splitlines()
        arrived = daemon.inbox("client").read_bytes().splitlines()
        self.assertEqual([json.loads(line) for line in arrived], [json.loads(line) for line in printed])
        sender.process.terminate()
        self.assertEqual(sender.wait(), 0, sender.errors)

    def test_each_entry_arrives_once_while_both_sides_are_killed_and_files_rotated(self):
        count, kills = (20_000, 30) if LONG else (3000, 6)
        daemon = self.daemon()
        self.write(range(1, 2))
        sender = self.sender(daemon, *self.arguments())
        written = 1
        for round in range(kills):
            self.write(range(written + 1, written + count // kills + 1), "a.journal" if round % 3 else "%d.journal" % round)
            written += count // kills
            wait_for(lambda: len(self.numbers(daemon)) >= written - self.random.randrange(count // kills), "the last ones")
            if self.random.random() < 0.4:
                daemon.kill()
                daemon.start()
            else:
                sender.process.send_signal(self.random.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGTERM]))
                sender.wait()
                sender = self.sender(daemon, *self.arguments())
        self.assert_numbers(daemon, range(1, written + 1))
        self.assert_stops(daemon)
        self.assertTrue(daemon.inbox("client").read_bytes().endswith(b"\n"))

    def test_matches_choose_and_from_the_end_leaves_out_what_was_there(self):
        daemon = self.daemon()
        self.write(range(1, 4), UNIT="a")
        self.write(range(4, 6), UNIT="b")
        sender = self.sender(daemon, *self.arguments("UNIT=b", "MESSAGE=4", "+", "MESSAGE=1"))
        self.assert_numbers(daemon, [1, 4])
        late = self.sender(daemon, "--from-end", *self.arguments("UNIT=b"))
        wait_for(lambda: sum(map(has_state, self.directory.rglob("?" * 16 + ".journal"))) == 2, "the second")
        self.write(range(6, 8), UNIT="b")
        self.assert_numbers(daemon, [1, 4, 6, 7])
        for process in (sender, late):
            process.process.terminate()
            self.assertEqual(process.wait(), 0, process.errors)

    def test_what_was_removed_before_it_was_sent_is_told_and_counted(self):
        daemon = self.daemon()
        self.write(range(1, 4), "a.journal")
        sender = self.sender(daemon, *self.arguments())
        self.assert_numbers(daemon, range(1, 4))
        sender.process.terminate()
        sender.wait()
        self.write(range(4, 6), "a.journal")
        self.write(range(6, 8), "b.journal")
        (self.journal / "a.journal").unlink()
        sender = self.sender(daemon, "--json", *self.arguments())
        self.assert_numbers(daemon, [1, 2, 3, 6, 7])
        sender.process.terminate()
        self.assertEqual(sender.wait(), 0)
        self.assertIn("lost: entries of the journal were removed, perhaps before they were sent", sender.errors)
        self.assertEqual(json.loads(sender.output)["losses"], 1)

    def test_no_journal_no_match_and_a_second_one_are_told(self):
        daemon = self.daemon()
        self.assertIn("no journal", self.send(daemon, *self.arguments(), status=66).errors)
        self.write(range(1, 2))
        self.assertIn("'nginx' is no match", self.send(daemon, *self.arguments("nginx"), status=64).errors)
        first = self.sender(daemon, *self.arguments())
        self.assert_numbers(daemon, [1])
        self.assertIn("the journal is being sent already (pid %d)" % first.process.pid,
                      self.send(daemon, *self.arguments(), status=75).errors)


if __name__ == "__main__":
    main()

"""cproto-send on a terminal: the line of progress, and what is left of it when the command has ended."""
import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import termios
import threading
import time

from support import BIN, TestCase, die_with_us, main, size_of, wait_for

MIB = 1 << 20
SUMMARY = r"cproto-send: 1 file \(%d MiB\) durable on 127\.0\.0\.1:\d+ in .*, \d+ reconnects?, \w+(?: \(.*\))?"
FIGURES = r"[\d.]+ MiB of %d MiB, (\d+) %%, [\d.]+ [KM]iB/s, \d+ (?:s|min) left"
WAITING = r"127\.0\.0\.1:\d+: connection refused; next try in [\d.]+ m?s"


class Terminal:
    """A cproto-send that has a terminal of its own."""

    def __init__(self, command, columns, **variables):
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        self.process = subprocess.Popen([str(BIN / "cproto-send"), *map(str, command)], stdin=slave, stdout=slave, stderr=slave,
                                        env={**os.environ, **variables}, start_new_session=True, preexec_fn=self.take_over)
        os.close(slave)
        self.bytes = b""
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    @staticmethod
    def take_over():
        die_with_us()
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    def read(self):
        try:
            while data := os.read(self.master, 1 << 16):
                self.bytes += data
        except OSError:
            pass  # nobody has the other end any more

    def type(self, keys):
        os.write(self.master, keys)

    @property
    def updates(self):
        """Each line of progress that was shown, "" where it was wiped."""
        return re.findall(r"\r([^\r\n]*)\x1b\[K", self.bytes.decode())

    @property
    def screen(self):
        """What a person sees by now."""
        rows = []
        for line in self.bytes.decode().split("\r\n"):
            row = ""
            for part in line.split("\r"):
                over, *behind = part.split("\x1b[K")
                row = over + ("".join(behind) if behind else row[len(over):])
            rows.append(row)
        return "\n".join(rows)

    def wait(self):
        status = self.process.wait(timeout=60)
        self.reader.join()
        return status

    def stop(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.reader.join()
        os.close(self.master)


class OnATerminal(TestCase):
    def terminal(self, daemon, *command, columns=100):
        terminal = Terminal(command, columns, CPROTO_SERVER=daemon.server, CPROTO_CLIENT_ID="client",
                            XDG_STATE_HOME=str(self.directory / "state"))
        self.addCleanup(terminal.stop)
        return terminal

    def file(self, name, size):
        path = self.directory / name
        with open(path, "wb") as file:
            file.truncate(size)
        return path

    def halfway(self, daemon, path, *options, **kind):
        """A terminal with a file on its way, and a daemon that has come to a halt in the middle of it."""
        terminal = self.terminal(daemon, path, *options, **kind)
        parts = daemon.store / "partial"
        # More than a window: some of it is durable, and known to be.
        wait_for(lambda: sum(map(size_of, parts.iterdir())) > 24 * MIB, "the first bytes", interval=0.001)
        os.kill(daemon.pid, signal.SIGSTOP)
        return terminal

    def assert_ends(self, terminal, expected, status=0):
        """With nothing but this on the screen."""
        self.assertEqual(terminal.wait(), status, terminal.screen)
        self.assertRegex(terminal.screen, r"\A%s\n\Z" % expected)

    def test_a_file_is_one_line_with_its_name_bytes_percent_rate_and_time_left(self):
        daemon = self.daemon()
        path = self.file("large", 300 * MIB)
        terminal = self.halfway(daemon, path)
        line = "%s: %s" % (path, FIGURES % 300)
        wait_for(lambda: re.fullmatch(line, terminal.screen), lambda: "the line: " + terminal.screen)
        os.kill(daemon.pid, signal.SIGCONT)
        self.assert_ends(terminal, SUMMARY % 300)
        shown = [re.fullmatch(line, update) for update in terminal.updates]  # the first may know no rate yet
        percents = [int(update[1]) for update in shown if update]
        self.assertEqual(percents, sorted(percents))
        self.assertLess(percents[0], 60)

    def test_what_is_too_long_for_the_terminal_is_left_out_in_front(self):
        daemon = self.daemon()
        path = self.file("l" * 100, 200 * MIB)
        terminal = self.halfway(daemon, path, columns=60)
        wait_for(lambda: re.fullmatch(r"\.\.\.l+: " + FIGURES % 200, terminal.screen), lambda: "the line: " + terminal.screen)
        self.assertEqual(len(terminal.screen), 59)
        os.kill(daemon.pid, signal.SIGCONT)
        self.assert_ends(terminal, SUMMARY % 200)

    def test_while_the_server_is_away_the_line_says_why_and_when_the_next_try_is(self):
        daemon = self.daemon()
        path = self.file("large", 300 * MIB)
        terminal = self.halfway(daemon, path)
        daemon.kill()
        wait_for(lambda: re.fullmatch(WAITING, terminal.screen), lambda: "the line: " + terminal.screen)
        daemon.start()
        self.assert_ends(terminal, SUMMARY % 300)
        self.assertEqual(daemon.file("client", "large").stat().st_size, 300 * MIB)

    def test_a_server_that_was_never_there_leaves_its_reason_on_the_screen(self):
        daemon = self.daemon()
        daemon.kill()
        terminal = self.terminal(daemon, "-m", "x", "--timeout", "3s")
        self.assert_ends(terminal, r"cproto-send: nothing became durable for 3 s \(connection refused\); 0 of 1 message is", 69)
        self.assertRegex(terminal.updates[0], WAITING)
        self.assertEqual(terminal.updates[-1], "")

    def test_quiet_is_quiet_on_a_terminal_too(self):
        daemon = self.daemon()
        path = self.file("large", 300 * MIB)
        terminal = self.halfway(daemon, path, "-q")
        daemon.kill()
        daemon.start()
        self.assertEqual(terminal.wait(), 0)
        self.assertEqual(terminal.bytes, b"")

    def test_ctrl_c_wipes_the_line_and_says_how_far_it_came(self):
        daemon = self.daemon()
        path = self.file("large", 300 * MIB)
        terminal = self.halfway(daemon, path)
        wait_for(lambda: terminal.screen, "the line")
        terminal.type(b"\x03")
        os.kill(daemon.pid, signal.SIGCONT)
        self.assert_ends(terminal, r"cproto-send: interrupted by SIGINT; 0 of 1 file is acknowledged; the same command continues",
                         -signal.SIGINT)

    def test_lines_that_are_typed_leave_one_by_one_and_no_line_of_progress_wipes_them(self):
        daemon = self.daemon()
        terminal = self.terminal(daemon, "--lines")
        for typed in (b"one\n", b"two\n"):
            terminal.type(typed)
            wait_for(lambda: daemon.inbox("client").exists() and daemon.inbox("client").read_bytes().endswith(typed), "the line")
        terminal.type(b"thr")
        time.sleep(1.6)  # progress is shown after one second
        terminal.type(b"ee\n\x04")
        self.assert_ends(terminal, r"one\ntwo\nthree\ncproto-send: 3 lines \(11 B\) durable on .*")


if __name__ == "__main__":
    main()

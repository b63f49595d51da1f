"""cprotod from start to stop: configuration, what keeps it from starting, signals, limits."""
import mmap
import os
import pathlib
import re
import signal
import socket
import subprocess
import time

import wire
from support import (BIN, Feeder, TestCase, descriptors, descriptors_at_rest, die_with_us, link_of, main,
                     numbered_lines, size_of, unused_port, wait_for)
from wire import Peer, frame

MISTAKES = '''\
[listen]
prot = 7780
port = 70000
insecure = "yes"
[store]
segment_size = "1KiB"
[session]
window_size = 0
keep_alive = "20"
unknown = "perhaps"
[limits]
memory = "a lot"
connections = -1
[colour]
level = "info"
'''
MISTAKEN_LINES = [2, 3, 4, 6, 8, 9, 10, 12, 13, 14]


class Start(TestCase):
    def cprotod(self, *arguments, status, as_nobody=False):
        command = [str(BIN / "cprotod"), *map(str, arguments)]
        if as_nobody:
            command = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"] + command
        ended = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60,
                               preexec_fn=die_with_us)
        self.assertEqual(ended.returncode, status, ended.stderr)
        return ended

    def write(self, name, text):
        path = self.directory / name
        path.write_text(text)
        return path

    def test_ten_mistakes_are_ten_lines_with_their_places_and_status_78(self):
        path = self.write("wrong.toml", MISTAKES)
        for arguments in ([], ["--check-config"], ["--print-config"]):
            ended = self.cprotod("--config", path, "--directory", self.directory / "store", *arguments, status=78)
            lines = ended.stderr.splitlines()
            places = [re.match(re.escape(str(path)) + r":(\d+):\d+: ", line) for line in lines]
            self.assertTrue(all(places), ended.stderr)
            self.assertEqual([int(place.group(1)) for place in places], MISTAKEN_LINES, ended.stderr)
            self.assertIn('did you mean "port"?', lines[0])
            self.assertEqual(ended.stdout, "")
        self.assertFalse((self.directory / "store").exists())

    def test_a_configuration_that_is_named_and_missing_is_status_78(self):
        ended = self.cprotod("--config", self.directory / "none.toml", status=78)
        self.assertIn("none.toml", ended.stderr)
        self.assertEqual(len(ended.stderr.splitlines()), 1)

    def test_another_address_than_loopback_needs_a_word(self):
        path = self.write("open.toml", '[listen]\nhost = "*"\n')
        ended = self.cprotod("--config", path, status=78)
        self.assertRegex(ended.stderr, r':2:\d+: listen.host = "\*": other hosts could send without encryption')

    def test_check_config_says_nothing_when_all_is_well(self):
        path = self.write("good.toml", '[session]\nkeep_alive = "5s"\n')
        ended = self.cprotod("--config", path, "--check-config", status=0)
        self.assertEqual(ended.stdout + ended.stderr, "")

    def test_print_config_prints_what_can_be_read_again_and_flags_win(self):
        path = self.write("some.toml", '[listen]\nport = 1234\n[session]\nmax_packet_size = "2KiB"\n')
        printed = self.cprotod("--config", path, "--port", 4321, "--directory", "/var/lib/elsewhere", "--max-size", "4KiB",
                               "--print-config", status=0).stdout
        self.assertRegex(printed, r"(?m)^port = 4321$")
        self.assertRegex(printed, r'(?m)^directory = "/var/lib/elsewhere"$')
        self.assertRegex(printed, r'(?m)^max_packet_size = "4KiB"$')
        again = self.cprotod("--config", self.write("again.toml", printed), "--print-config", status=0).stdout
        self.assertEqual(again, printed)

    def test_version_and_help_are_answers(self):
        self.assertRegex(self.cprotod("--version", status=0).stdout, r"^cprotod \d+\.\d+\.\d+( \([0-9a-f]+(-dirty)?\))?\n$")
        self.assertIn("--check-config", self.cprotod("--help", status=0).stdout)

    def test_an_unknown_flag_is_status_64(self):
        self.assertIn("--colour", self.cprotod("--colour", status=64).stderr)

    def test_an_address_in_use_has_its_sentence_and_status_71(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            ended = self.cprotod("--config", "/dev/null", "--host", "127.0.0.1", "--port", port, "--directory",
                                 self.directory / "store", status=71)
        self.assertIn("127.0.0.1:%d is in use (another cprotod? see: ss -ltnp 'sport = :%d')" % (port, port), ended.stderr)

    def test_a_second_daemon_on_the_same_store_says_whose_it_is_and_harms_nothing(self):
        first = self.daemon()
        ended = self.cprotod("--config", "/dev/null", "--host", "127.0.0.1", "--port", 0, "--directory", first.store, status=75)
        self.assertIn("another cprotod (pid %d) uses %s" % (first.pid, first.store), ended.stderr)
        self.assert_served(first)

    def test_a_directory_that_cannot_be_written_has_its_sentence_and_status_77(self):
        if os.geteuid() == 0:
            os.chmod(self.directory, 0o755)
        closed = self.directory / "closed"
        closed.mkdir(mode=0o555)
        for directory in (closed, closed / "store"):
            ended = self.cprotod("--config", "/dev/null", "--host", "127.0.0.1", "--port", 0, "--directory", directory,
                                 status=77, as_nobody=os.geteuid() == 0)
            self.assertIn(str(directory), ended.stderr)
            self.assertIn("Permission denied", ended.stderr)

    def test_a_store_below_what_is_no_directory_cannot_be_created(self):
        path = self.write("file", "")
        ended = self.cprotod("--config", "/dev/null", "--directory", path / "store", status=73)
        self.assertIn("Not a directory", ended.stderr)

    def test_a_low_port_is_status_77_for_those_who_may_not_have_it(self):
        with open("/proc/sys/net/ipv4/ip_unprivileged_port_start") as first:
            if int(first.read()) <= 1:
                self.skipTest("here everybody may")
        os.chmod(self.directory, 0o777)
        ended = self.cprotod("--config", "/dev/null", "--host", "127.0.0.1", "--port", 1, "--directory",
                             self.directory / "store", status=77, as_nobody=os.geteuid() == 0)
        self.assertIn("127.0.0.1:1", ended.stderr)


class Run(TestCase):
    def test_modes_of_what_is_in_the_store(self):
        daemon = self.daemon()
        self.send(daemon, "-m", "x")
        self.assert_arrives(daemon.inbox("client"), b"x\n")
        modes = {path: os.stat(path).st_mode & 0o7777 for path in
                 (daemon.store, daemon.store / "journal", daemon.inbox("client").parent, daemon.inbox("client"))}
        self.assertEqual([oct(modes[path]) for path in modes], ["0o700", "0o700", "0o2750", "0o640"])

    def test_sigterm_drains_and_ends_with_0_and_its_clients_come_back(self):
        daemon = self.daemon()
        lines = numbered_lines(300_000)
        log = daemon.inbox("client")
        sender = self.sender(daemon, "--lines", "-", stdin=subprocess.PIPE)
        feeder = Feeder(sender.stdin, lines, allowed=0)
        idle = self.sender(daemon, "--lines", "-", stdin=subprocess.PIPE, client="idle")
        idle.stdin.write(b"before\n")
        idle.stdin.flush()
        wait_for(lambda: size_of(daemon.inbox("idle")), "the idle client's line")
        for quarter in range(1, 4):
            at = len(lines) * quarter // 4
            feeder.allow(at)
            wait_for(lambda: size_of(log) >= at - (at // 8), "a quarter more", interval=0.001)
            self.assertEqual(daemon.terminate(), 0)
            wait_for(lambda: daemon.log_lines("everything received is durable and delivered"), "the line")
            daemon.start()
        feeder.allow(len(lines))
        idle.stdin.write(b"after\n")
        idle.stdin.close()
        self.assertEqual(sender.wait(), 0, sender.errors)
        self.assertEqual(idle.wait(), 0, idle.errors)
        self.assert_arrives(log, lines)
        self.assert_arrives(daemon.inbox("idle"), b"before\nafter\n")

    def test_sigterm_does_not_wait_long_for_a_client_that_does_not_listen(self):
        daemon = self.daemon()
        peer = Peer(daemon.port)
        self.addCleanup(peer.close)
        peer.shake_hands()
        peer.send(frame(wire.DATA, b"durable all the same", 1))
        peer.wait_durable(1)
        began = time.monotonic()
        self.assertEqual(daemon.terminate(), 0)
        self.assertLess(time.monotonic() - began, 20)
        self.assert_arrives(daemon.inbox("raw"), b"durable all the same\n")

    def test_a_connection_before_its_handshake_is_told_that_the_server_stops(self):
        daemon = self.daemon()
        peer = Peer(daemon.port)
        self.addCleanup(peer.close)
        wait_for(lambda: descriptors(daemon.pid), "descriptors")
        self.send(daemon, "-m", "it was accepted before this one")
        daemon.process.terminate()
        error = peer.expect_error()
        self.assertEqual((error.code, error.error_class), (wire.SHUTTING_DOWN, 1))
        self.assertGreater(error.retry_after_ms, 0)
        peer.close()
        self.assertEqual(daemon.process.wait(60), 0)

    def test_sighup_reads_the_configuration_again_and_a_mistake_changes_nothing(self):
        daemon = self.daemon()
        daemon.configure("[log]\nlevel = \"debug\"\n[listen]\nport = 1\n")
        os.kill(daemon.pid, signal.SIGHUP)
        wait_for(lambda: daemon.log_lines("configuration reloaded"), "the reload")
        daemon.configure("[log]\nlevl = \"debug\"\n")
        os.kill(daemon.pid, signal.SIGHUP)
        wait_for(lambda: daemon.log_lines("not reloaded"), "the refusal")
        self.assertEqual(len(daemon.log_lines('did you mean "level"?')), 1)
        self.assert_served(daemon)

    def test_a_log_that_nobody_reads_any_more_ends_nothing(self):
        daemon = self.daemon(start=False)
        daemon.port = unused_port()
        read, write = os.pipe()
        os.close(read)
        daemon.process = subprocess.Popen(daemon.command(), stdin=subprocess.DEVNULL, stdout=write, stderr=write,
                                          preexec_fn=die_with_us)
        os.close(write)
        self.assert_served(daemon)  # the client waits until it listens
        self.assertEqual(daemon.terminate(), 0)

    def test_a_session_is_one_line_when_it_ends(self):
        daemon = self.daemon()
        self.send(daemon, "-m", "a", "-m", "bcd")
        lines = wait_for(lambda: daemon.log_lines("client (127.0.0.1:"), "a line about the session")
        self.assertEqual(len(lines), 1)
        self.assertRegex(lines[0], r"client \(127\.0\.0\.1:\d+\) session [0-9a-f]{8} \(burst, window 32,767, packets to 64KiB\): 2 messages, 4 B in .* m?s; finished$")

    def test_as_many_connections_as_allowed_are_taken_and_the_next_is_told_to_wait(self):
        for limit in ("connections", "connections_per_address"):
            daemon = self.daemon("[limits]\n%s = 3\n" % limit, name=limit)
            peers = [Peer(daemon.port) for _ in range(3)]
            for peer in peers:
                self.addCleanup(peer.close)
                peer.shake_hands()
            with Peer(daemon.port) as late:
                error = late.expect_error()
                self.assertEqual((error.code, error.error_class), (wire.TOO_MANY_CONNECTIONS, 1), limit)
                self.assertGreater(error.retry_after_ms, 0)
        sender = self.sender(daemon, "-m", "patient")
        wait_for(lambda: "too many connections" in sender.errors, "its reason")
        peers[0].close()
        self.assertEqual(sender.wait(), 0, sender.errors)

    def test_a_thousand_sessions_give_their_descriptors_back(self):
        daemon = self.daemon()
        self.assert_served(daemon, client="many")  # its log is open from now on
        log = daemon.inbox("many")
        first = log.read_bytes()
        before = descriptors_at_rest(daemon)
        for batch in range(10):
            peers = [Peer(daemon.port) for _ in range(100)]
            terms = [peer.shake_hands(client_id=b"many") for peer in peers]
            for peer in peers:
                peer.send(frame(wire.DATA, b"one", 1))
            for peer, term in zip(peers, terms):
                peer.finish(term.session, 1)
                peer.close()
        wait_for(lambda: descriptors(daemon.pid) == before, lambda: "%d descriptors, not %d" % (before, descriptors(daemon.pid)))
        self.assert_arrives(log, first + b"one\n" * 1000)


class PastTheCache(TestCase):
    def can_be(self):
        """Whether the file system of this test lets anybody do so."""
        page = mmap.mmap(-1, 4096)
        try:
            file = os.open(self.directory / "probe", os.O_RDWR | os.O_CREAT | os.O_DIRECT)
            try:
                return os.write(file, page) == len(page)
            finally:
                os.close(file)
        except OSError:
            return False

    def test_the_journal_is_written_past_the_page_cache(self):
        if not self.can_be():
            self.skipTest("this file system has no way past the page cache")
        daemon = self.daemon()
        self.send(daemon, "-m", "x" * 10000)
        process = pathlib.Path("/proc/%d" % daemon.pid)
        segments = [entry.name for entry in (process / "fd").iterdir() if link_of(entry).endswith(".seg")]
        infos = [(process / "fdinfo" / name).read_text() for name in segments]
        flags = [int(re.search(r"flags:\s*([0-7]+)", info).group(1), 8) for info in infos]
        self.assertTrue(any(flag & os.O_DIRECT for flag in flags), infos)  # of those there are one is written


if __name__ == "__main__":
    main()

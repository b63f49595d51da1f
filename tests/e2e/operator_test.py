"""cprotoctl and what an operator sees: reports, reload, draining, metrics, sockets of a service manager, containers."""
import fcntl
import json
import os
import re
import resource
import shutil
import signal
import socket
import subprocess
import time

from support import BIN, Daemon, TestCase, die_with_us, main, numbered_lines, size_of, stored, unused_port, wait_for
import wire
from wire import Peer, frame


class Operator(TestCase):
    def ctl(self, daemon, *arguments, status=0, program=BIN / "cprotoctl", **options):
        where = ["--directory", daemon.store] if daemon else []
        ended = subprocess.run([str(program), *map(str, where), *map(str, arguments)], stdin=subprocess.DEVNULL,
                               capture_output=True, timeout=60, preexec_fn=die_with_us, **options)
        self.assertEqual(ended.returncode, status, ended.stderr.decode() + ended.stdout.decode())
        return (ended.stdout if status == 0 else ended.stderr).decode()

    def json(self, daemon, *arguments):
        return json.loads(self.ctl(daemon, "--json", *arguments))


class Reports(Operator):
    def test_status_for_people_and_for_programs(self):
        daemon = self.daemon()
        self.send(daemon, "-m", "x")
        self.assertTrue(self.ctl(daemon, "status").startswith("state        well\n"))
        status = self.json(daemon, "status")
        self.assertEqual((status["pid"], status["messages"], status["state"]), (daemon.pid, 1, "well"))
        self.assertIn("127.0.0.1:%d" % daemon.port, status["listening"])

    def test_sessions_shows_who_is_there_and_who_left_something(self):
        daemon = self.daemon()
        held = self.sender(daemon, "--lines", "-", stdin=subprocess.PIPE, client="web-1")
        held.stdin.write(b"a\nb\n")
        held.stdin.flush()
        here = wait_for(lambda: [s for s in self.json(daemon, "sessions") if s["messages"] == 2], "two durable lines")[0]
        self.assertEqual((here["client"], here["channel"], here["state"], here["in_flight"]),
                         ("web-1", "messages", "connected", 0))
        half = Peer(daemon.port)
        half.shake_hands(client_id=b"web-2")
        half.send(frame(wire.FRAGMENT, b"x" * 1000, 1))
        half.wait_durable(1)
        half.close()
        wait_for(lambda: [s for s in self.json(daemon, "sessions", "web-2") if s["state"] == "away"], "it to be seen gone")
        unfinished = self.json(daemon, "sessions", "--unfinished")
        self.assertEqual([(s["client"], s["unfinished"]) for s in unfinished], [("web-2", 1000)])
        self.assertRegex(self.ctl(daemon, "why", "web-2"), r"^web-2 is not connected: .* 1,000 B of an unfinished one")
        self.assertRegex(self.ctl(daemon, "why", "web-1"), r"^web-1 \(session [0-9a-f]{8}, .*\) waits for nothing")
        held.stdin.close()
        self.assertEqual(held.wait(), 0)

    def test_a_kicked_client_comes_back_and_loses_nothing(self):
        daemon = self.daemon()
        sender = self.sender(daemon, "--lines", "-", stdin=subprocess.PIPE)
        sender.stdin.write(b"before\n")
        sender.stdin.flush()
        wait_for(lambda: size_of(daemon.inbox("client")), "the first line")
        self.assertIn("the client comes back by itself", self.ctl(daemon, "kick", "client"))
        sender.stdin.write(b"after\n")
        sender.stdin.close()
        self.assertEqual(sender.wait(), 0, sender.errors)
        self.assert_arrives(daemon.inbox("client"), b"before\nafter\n")
        wait_for(lambda: daemon.log_lines("is sent away (cprotoctl, uid %d)" % os.getuid()), "the line")

    def test_a_forgotten_session_is_refused_when_it_comes_back(self):
        daemon = self.daemon()
        peer = Peer(daemon.port)
        terms = peer.shake_hands()
        peer.send(frame(wire.DATA, b"durable", 1))
        peer.wait_durable(1)
        peer.close()
        session = wait_for(lambda: [s for s in self.json(daemon, "sessions") if s["state"] == "away"], "it to be gone")[0]
        self.assertIn("is forgotten", self.ctl(daemon, "forget", session["session"]))
        self.assertEqual(self.json(daemon, "sessions"), [])
        self.ctl(daemon, "forget", session["session"], status=64)

    def test_verify_reads_a_running_store_and_a_resting_one(self):
        daemon = self.daemon()
        self.send(daemon, "-m", "x")
        self.assertIn("every checksum agrees", self.ctl(daemon, "verify"))
        busy = subprocess.run([BIN / "cprotod", "--config", "/dev/null", "--verify", "--directory", daemon.store],
                              capture_output=True)
        self.assertEqual(busy.returncode, 75)
        self.assertIn(b"ask it: cprotoctl verify", busy.stderr)
        self.assert_stops(daemon)
        before = {path: path.stat().st_mtime_ns for path in daemon.store.rglob("*")}
        rest = subprocess.run([BIN / "cprotod", "--config", "/dev/null", "--verify", "--directory", daemon.store],
                              capture_output=True)
        self.assertEqual(rest.returncode, 0, rest.stderr)
        self.assertIn(b"every checksum agrees", rest.stdout)
        self.assertEqual({path: path.stat().st_mtime_ns for path in daemon.store.rglob("*")}, before)
        segment = max((daemon.store / "journal").glob("*.seg"), key=lambda path: path.stat().st_mtime_ns)
        with open(segment, "r+b") as file:
            file.seek(4096 + 300)
            file.write(b"\xff\xff\xff\xff")
        damaged = subprocess.run([BIN / "cprotod", "--config", "/dev/null", "--verify", "--directory", daemon.store],
                                 capture_output=True)
        self.assertEqual(damaged.returncode, 65, damaged.stdout + damaged.stderr)

    def test_cat_prints_binary_messages_and_names_what_is_damaged(self):
        daemon = self.daemon()
        self.send(daemon, "--binary", "-m", "one", "-m", "two\nlines")
        path = daemon.inbox("client", ending="bin")
        self.assert_arrives(path, stored(b"one", b"two\nlines"))
        self.assertEqual(self.ctl(None, "cat", path), "one\ntwo\nlines\n")
        self.assertEqual(self.ctl(None, "cat", "--null", path), "one\0two\nlines\0")
        self.assertEqual(self.ctl(None, "cat", "--raw", path), "onetwo\nlines")
        path.write_bytes(path.read_bytes()[:-1])
        self.assertIn("message 2 at byte 11 is cut short", self.ctl(None, "cat", path, status=65))
        self.ctl(None, "cat", daemon.directory / "nothing", status=66)
        self.ctl(None, "cat", daemon.directory, status=66)


class Metrics(Operator):
    def test_what_prometheus_says_to_it(self):
        promtool = shutil.which("promtool") or os.environ.get("CPROTO_PROMTOOL")
        if not promtool:
            self.skip_or_fail("no promtool here")
        daemon = self.daemon()
        self.send(daemon, "-m", "x")
        checked = subprocess.run([promtool, "check", "metrics"], input=self.ctl(daemon, "metrics").encode(),
                                 capture_output=True)
        self.assertEqual((checked.returncode, checked.stdout + checked.stderr), (0, b""))

    def test_figures_follow_what_happens(self):
        daemon = self.daemon("[limits]\nmessage_size = 500\n")
        self.send_bytes(daemon, numbered_lines(1000))
        with Peer(daemon.port) as peer:
            peer.shake_hands()
            peer.send(frame(wire.DATA, b"x" * 600, 1))
            self.assertEqual(peer.expect_error().code, wire.MESSAGE_TOO_LARGE)
        figures = dict(line.rsplit(" ", 1) for line in self.ctl(daemon, "metrics").splitlines() if line[0] != "#")
        self.assertEqual(figures["cproto_messages_received_total"], "1000")
        self.assertEqual(figures['cproto_refusals_total{code="message_too_large"}'], "1")
        self.assertGreater(int(figures["cproto_fdatasync_seconds_count"]), 0)
        self.assertGreater(int(figures["cproto_acknowledgements_total"]), 0)

    def test_output_is_renamed_into_place_for_others_to_read(self):
        daemon = self.daemon()
        path = self.directory / "cproto.prom"
        self.ctl(daemon, "metrics", "--output", path)
        self.assertIn("\ncproto_connections 0\n", path.read_text())
        self.assertEqual(path.stat().st_mode & 0o777, 0o644)
        self.assertEqual([p.name for p in self.directory.glob("cproto.prom*")], ["cproto.prom"])
        self.ctl(daemon, "metrics", "--output", self.directory / "nowhere" / "x", status=73)


class Reload(Operator):
    def test_the_verdict_comes_back_and_new_connections_get_the_new_terms(self):
        daemon = self.daemon("[session]\nwindow_size = 20\n")
        peer = Peer(daemon.port)
        self.addCleanup(peer.close)
        self.assertEqual(peer.shake_hands().window_size, 20)
        daemon.configure("[session]\nwindow_size = 10\n[store]\nsegment_size = \"8MiB\"\n")
        said = self.ctl(daemon, "reload")
        self.assertIn("store.segment_size takes effect at a restart", said)
        self.assertIn("configuration reloaded", said)
        with Peer(daemon.port) as second:
            self.assertEqual(second.shake_hands(client_id=b"second").window_size, 10)
        peer.send(frame(wire.DATA, b"the old one goes on", 1))
        peer.wait_durable(1)

    def test_everything_or_nothing(self):
        daemon = self.daemon()
        daemon.configure("[session]\nwindow_size = 10\nwindow_byte = 1\n[inbox]\ngroup = 7\n")
        said = self.ctl(daemon, "reload", status=78)
        self.assertIn('did you mean "window_bytes"?', said)
        self.assertIn("inbox.group", said)
        self.assertIn("not reloaded", said)
        with Peer(daemon.port) as peer:
            self.assertEqual(peer.shake_hands().window_size, 32)
        daemon.configure("[session]\nwindow_size = 10\n[inbox]\ngroup = \"no-such-group\"\n")
        self.assertIn("there is no group no-such-group", self.ctl(daemon, "reload", status=78))
        with Peer(daemon.port) as peer:
            self.assertEqual(peer.shake_hands(client_id=b"third").window_size, 32)

    def test_limits_of_connections_change_while_it_runs(self):
        daemon = self.daemon()
        peers = [Peer(daemon.port) for _ in range(3)]
        for i, peer in enumerate(peers):
            self.addCleanup(peer.close)
            peer.shake_hands(client_id=b"peer-%d" % i)
        daemon.configure("[limits]\nconnections = 2\n")
        self.ctl(daemon, "reload")
        with Peer(daemon.port) as late:
            self.assertEqual(late.expect_error().code, wire.TOO_MANY_CONNECTIONS)
        peers[0].send(frame(wire.DATA, b"who is there stays", 1))
        peers[0].wait_durable(1)


class Ends(Operator):
    def test_drain_answers_when_everything_is_delivered_and_the_daemon_has_ended(self):
        daemon = self.daemon()
        lines = numbered_lines(100_000)
        self.send_bytes(daemon, lines)
        self.assertIn("everything received is durable and delivered", self.ctl(daemon, "drain"))
        self.assertEqual(daemon.process.wait(10), 0)
        self.assert_arrives(daemon.inbox("client"), lines)

    def test_without_a_daemon_it_is_69_and_what_to_type(self):
        said = self.ctl(self.daemon(start=False), "status", status=69)
        self.assertIn("systemctl start cprotod", said)

    def test_who_has_no_right_is_told_how_to_get_it(self):
        if os.geteuid() != 0:
            self.skip_or_fail("needs root to be somebody else")
        daemon = self.daemon()
        for directory in (self.directory, daemon.directory, daemon.store):
            os.chmod(directory, 0o711)
        self.assertEqual(os.stat(daemon.store / "control").st_mode & 0o777, 0o660)
        # The build may be in a folder that is root's alone.
        program = shutil.copy(BIN / "cprotoctl", self.directory)
        said = self.ctl(daemon, "status", status=77, program=program, user=65534, group=65534, extra_groups=[])
        self.assertIn("usermod -aG cproto", said)

    def test_wrong_arguments_are_64(self):
        for arguments in ((), ("bogus",), ("why",), ("cat",), ("status", "--bogus")):
            self.ctl(None, *arguments, status=64)

    def test_callers_that_say_nothing_or_too_much_take_nothing_from_others(self):
        daemon = self.daemon()
        callers = []
        for _ in range(40):
            caller = socket.socket(socket.AF_UNIX)
            caller.connect(str(daemon.store / "control"))
            caller.settimeout(10)
            callers.append(caller)
        self.assertEqual(callers[39].recv(100), b"75\ntoo many ask at once; ask again later\n")
        for caller in callers[:10]:
            caller.close()
        try:
            callers[15].sendall(b"x" * 100_000)
        except OSError:
            pass
        callers[15].close()
        self.assert_served(daemon)
        wait_for(lambda: subprocess.run([BIN / "cprotoctl", "--directory", daemon.store, "status"],
                                        capture_output=True).returncode == 0, "an answer")
        for caller in callers:
            caller.close()

    def test_a_log_that_nobody_reads_holds_neither_the_loop_nor_the_end(self):
        daemon = self.daemon("[log]\nlevel = \"debug\"\n", start=False)
        daemon.port = unused_port()
        read, write = os.pipe()
        self.addCleanup(os.close, read)
        fcntl.fcntl(write, fcntl.F_SETPIPE_SZ, 4096)
        daemon.process = subprocess.Popen(daemon.command(), stdin=subprocess.DEVNULL, stdout=write, stderr=write,
                                          preexec_fn=die_with_us)
        os.close(write)
        for _ in range(60):
            self.assert_served(daemon)
        began = time.monotonic()
        self.assertEqual(daemon.terminate(), 0)
        self.assertLess(time.monotonic() - began, 10)


class ServiceManager(Operator):
    def setUp(self):
        super().setUp()
        self.heard = []
        self.manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.manager.bind(str(self.directory / "notify"))
        self.manager.settimeout(0)
        self.addCleanup(self.manager.close)

    def managed(self, config="", **variables):
        """A daemon that has a service manager: this test."""
        daemon = self.daemon(config, start=False)
        os.environ["NOTIFY_SOCKET"] = str(self.directory / "notify")
        self.addCleanup(os.environ.pop, "NOTIFY_SOCKET", None)
        for name, value in variables.items():
            os.environ[name] = value
            self.addCleanup(os.environ.pop, name, None)
        return daemon.start()

    def hears(self, part):
        """Whether it was told that by now."""
        try:
            while True:
                self.heard.append(self.manager.recv(65536).decode())
        except BlockingIOError:
            return [said for said in self.heard if part in said]

    def test_it_is_ready_when_it_listens_and_says_so_again_behind_a_reload(self):
        daemon = self.managed()
        ready = wait_for(lambda: self.hears("READY=1"), "READY=1")
        self.assertIn("STATUS=listening on 127.0.0.1:%d" % daemon.port, ready[0])
        self.heard.clear()
        os.kill(daemon.pid, signal.SIGHUP)
        wait_for(lambda: self.hears("READY=1"), "READY=1 behind the reload")
        self.assertRegex(self.hears("RELOADING=1")[0], r"^RELOADING=1\nMONOTONIC_USEC=\d+$")
        self.heard.clear()
        daemon.configure("[log]\nlevl = 1\n")
        os.kill(daemon.pid, signal.SIGHUP)
        wait_for(lambda: self.hears("READY=1"), "READY=1 behind a reload that was refused")

    def test_recovery_and_draining_ask_for_time_and_say_how_far_they_are(self):
        daemon = self.managed()
        self.send_bytes(daemon, numbered_lines(50_000))
        daemon.kill()
        self.heard.clear()
        self.hears("")
        self.heard.clear()
        daemon.start()
        recovering = wait_for(lambda: self.hears("STATUS=recovering: "), "how far recovery is")[0]
        self.assertRegex(recovering, r"EXTEND_TIMEOUT_USEC=\d{8,}")
        ready = wait_for(lambda: self.hears("READY=1"), "that it is ready")[0]
        self.assertLess(self.heard.index(recovering), self.heard.index(ready))
        self.assertEqual(daemon.terminate(), 0)
        self.assertTrue(self.hears("STOPPING=1"))
        self.assertRegex(self.hears("STATUS=draining: ")[0], r"EXTEND_TIMEOUT_USEC=\d{8,}")

    def test_signals_during_recovery_lose_nothing(self):
        daemon = self.managed()
        lines = numbered_lines(200_000)
        self.send_bytes(daemon, lines)
        for number, status in ((signal.SIGHUP, None), (signal.SIGTERM, 0), (signal.SIGINT, 0)):
            daemon.kill()
            self.hears("")
            self.heard.clear()
            with open(daemon.log, "ab") as log:
                daemon.process = subprocess.Popen(daemon.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                                  preexec_fn=die_with_us)
            wait_for(lambda: self.hears("STATUS=recovering: "), "recovery", interval=0.0001)
            os.kill(daemon.pid, number)
            if status is None:
                wait_for(lambda: self.hears("READY=1"), "READY=1 all the same")
            else:
                self.assertEqual(daemon.process.wait(30), status)
        daemon.start()
        self.assert_arrives(daemon.inbox("client"), lines)

    def test_the_watchdog_is_fed(self):
        self.managed(WATCHDOG_USEC="600000")
        began = time.monotonic()
        wait_for(lambda: len(self.hears("WATCHDOG=1")) >= 4, "four times fed")
        self.assertLess(time.monotonic() - began, 10)


class Surroundings(Operator):
    def with_sockets(self, daemon, addresses):
        """Starts it as a service manager would that listens for it."""
        listeners = [socket.create_server(address, family=socket.AF_INET6 if ":" in address[0] else socket.AF_INET)
                     for address in addresses]
        for listener in listeners:
            self.addCleanup(listener.close)

        def hand_over():
            die_with_us()
            copies = [fcntl.fcntl(listener, fcntl.F_DUPFD, 100) for listener in listeners]
            for i, copy in enumerate(copies):
                os.dup2(copy, 3 + i)  # inheritable
            os.environ["LISTEN_PID"] = str(os.getpid())

        script = 'LISTEN_PID=$$ LISTEN_FDS=%d exec "$@"' % len(listeners)
        with open(daemon.log, "ab") as log:
            daemon.process = subprocess.Popen(["sh", "-c", script, "sh", *daemon.command()], stdin=subprocess.DEVNULL,
                                              stdout=log, stderr=log, preexec_fn=hand_over, close_fds=False)
        daemon.port = listeners[0].getsockname()[1]
        return listeners

    def test_sockets_of_a_service_manager_are_taken_and_a_difference_is_one_warning(self):
        daemon = self.daemon(start=False)
        self.with_sockets(daemon, [("127.0.0.1", 0)])
        self.assert_served(daemon)
        warning = wait_for(lambda: daemon.log_lines("as cprotod.socket says"), "the warning")
        self.assertEqual(len(warning), 1)
        self.assertIn("listening on 127.0.0.1:%d" % daemon.port, warning[0])
        self.assertIn("[listen] says 127.0.0.1:0", warning[0])
        self.assert_stops(daemon)

    def test_sockets_that_agree_with_listen_are_no_warning(self):
        daemon = self.daemon(start=False)
        daemon.port = unused_port()
        self.with_sockets(daemon, [("127.0.0.1", daemon.port)])
        self.assert_served(daemon)
        self.assertEqual(daemon.log_lines("as cprotod.socket says"), [])

    def test_inherited_sockets_open_to_others_need_insecure_as_well(self):
        daemon = self.daemon(start=False, in_clear=True)
        self.with_sockets(daemon, [("0.0.0.0", 0)])
        self.assertEqual(daemon.process.wait(30), 78)
        wait_for(lambda: daemon.log_lines("other hosts could send without encryption"), "the line")

    def test_what_is_said_of_who_can_reach_it_is_true_of_inherited_sockets(self):
        daemon = self.daemon("[listen]\ninsecure = true\n", start=False, in_clear=True)
        self.with_sockets(daemon, [("0.0.0.0", 0)])
        self.assert_served(daemon)
        self.assertEqual(daemon.log_lines("other hosts can't reach it"), [])
        self.assertEqual(len(wait_for(lambda: daemon.log_lines("other hosts send unencrypted"), "the line")), 1)

    def test_too_few_descriptors_are_said(self):
        daemon = self.daemon(start=False)
        limit = min(1024, resource.getrlimit(resource.RLIMIT_NOFILE)[1])

        def few():
            die_with_us()
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))

        daemon.port = unused_port()
        with open(daemon.log, "ab") as log:
            daemon.process = subprocess.Popen(daemon.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                              preexec_fn=few)
        self.assert_served(daemon)
        self.assertEqual(len(wait_for(
            lambda: daemon.log_lines("limits.connections is 10,000, but only 1,024 descriptors may be open"), "the line")), 1)

    def test_a_store_in_memory_is_a_warning(self):
        if not os.access("/dev/shm", os.W_OK):
            self.skip_or_fail("no /dev/shm")
        directory = "/dev/shm/cproto-test-%d" % os.getpid()
        self.addCleanup(shutil.rmtree, directory, True)
        daemon = Daemon(directory)
        self.daemons.append(daemon)
        self.addCleanup(daemon.end)
        daemon.start()
        self.assertEqual(len(daemon.log_lines("is on tmpfs: what is acknowledged is gone with the next boot")), 1)

    def test_in_a_container_it_is_process_1_of_any_user_and_ends_within_10_s(self):
        if os.geteuid() != 0 or not shutil.which("unshare"):
            self.skip_or_fail("needs root and unshare")
        daemon = self.daemon(start=False, in_clear=True)  # its user cannot read our keys
        for directory in (self.directory, daemon.directory):
            os.chmod(directory, 0o711)
        daemon.store.mkdir()
        os.chown(daemon.store, 12345, 12345)
        os.chmod(daemon.config, 0o644)
        daemon.port = unused_port()
        command = ["unshare", "--fork", "--pid", "--mount-proc", "--kill-child", "setpriv", "--reuid", "12345", "--regid",
                   "12345", "--clear-groups", *daemon.command()]
        with open(daemon.log, "ab") as log:
            unshare = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=die_with_us)
        daemon.process = unshare
        self.assert_served(daemon)
        self.assertEqual(self.json(daemon, "status")["pid"], 1)
        held = self.sender(daemon, "--lines", "-", stdin=subprocess.PIPE, client="held")
        held.stdin.write(b"x\n")
        held.stdin.flush()
        wait_for(lambda: size_of(daemon.inbox("held")), "its line")
        deaf = Peer(daemon.port)
        self.addCleanup(deaf.close)
        deaf.shake_hands()
        children = "/proc/%d/task/%d/children" % (unshare.pid, unshare.pid)
        with open(children) as file:
            os.kill(int(file.read().split()[0]), signal.SIGTERM)
        began = time.monotonic()
        self.assertEqual(unshare.wait(20), 0)
        self.assertLess(time.monotonic() - began, 10)
        wait_for(lambda: daemon.log_lines("everything received is durable and delivered"), "the line")


if __name__ == "__main__":
    main()

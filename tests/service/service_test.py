"""The packages on a machine of their own (tests/service/run): from installation to purge, in this order. Each test leaves
the service running as it found it."""
import gzip
import json
import os
import pathlib
import random
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "e2e"))
from support import LONG, Result, numbered_lines, size_of, wait_for  # noqa: E402
import wire  # noqa: E402
from wire import Peer, frame  # noqa: E402

PACKAGES = pathlib.Path(os.environ["CPROTO_PACKAGES"])
INBOX = pathlib.Path("/var/lib/cproto/inbox")
DROP_INS = pathlib.Path("/etc/systemd/system/cprotod.service.d")
CONFIG = pathlib.Path("/etc/cproto.toml")


def run(*command, status=0, **options):
    """Its standard output and error."""
    ended = subprocess.run([str(part) for part in command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT, timeout=150, **options)
    text = ended.stdout.decode(errors="replace")
    if status is not None and ended.returncode != status:
        raise AssertionError("%s ended with %d:\n%s" % (command, ended.returncode, text))
    return text


def package(name, version=None):
    return max(PACKAGES.glob("%s_%s_*.deb" % (name, version or "*")), key=lambda path: path.stat().st_mtime)


def show(key, unit="cprotod"):
    return run("systemctl", "show", "-P", key, unit).strip()


def journal(*matches, unit="cprotod", since=None):
    return run("journalctl", "-q", "--no-pager", "-o", "cat", "-u", unit, *(["--since", since] if since else []), *matches)


def now():
    return "@%f" % time.time()


def send(*arguments, status=0, **options):
    return run("cproto-send", *arguments, status=status, **options)


def drop_in(name, text):
    DROP_INS.mkdir(parents=True, exist_ok=True)
    (DROP_INS / name).write_text("[Service]\n" + text)
    run("systemctl", "daemon-reload")


def remove_drop_in(name):
    (DROP_INS / name).unlink(missing_ok=True)
    run("systemctl", "daemon-reload")


class Load:
    """Lines that come all the time, slowly enough that whatever happens happens in their middle."""

    def __init__(self, client, count, pause=0.01):
        self.client = client
        self.lines = numbered_lines(count, client)
        self.pause = pause
        self.process = subprocess.Popen(["cproto-send", "-i", client, "--lines", "-"],
                                        stdin=subprocess.PIPE, stderr=subprocess.PIPE)
        self.sent = 0
        self.ended = False
        self.thread = threading.Thread(target=self.feed, daemon=True)
        self.thread.start()

    def feed(self):
        try:
            while self.sent < len(self.lines) and not self.ended:
                self.process.stdin.write(self.lines[self.sent:self.sent + 20_000])
                self.process.stdin.flush()
                self.sent += 20_000
                time.sleep(self.pause)
            self.process.stdin.close()
        except (OSError, ValueError):
            pass

    def wait_until(self, share):
        wait_for(lambda: self.sent >= len(self.lines) * share, "a share of the lines to be sent")

    def finish(self, test):
        """Hurries; then everything must be there once and in order."""
        self.pause = 0
        self.thread.join(60)
        test.assertEqual(self.process.wait(60), 0, self.process.stderr.read())
        log = INBOX / self.client / "messages.log"
        wait_for(lambda: size_of(log) >= len(self.lines), "the last line")
        test.assertTrue(log.read_bytes() == self.lines, "what arrived is not what was sent")


class Service(unittest.TestCase):
    def say_what_happened(self):
        print(run("journalctl", "-q", "--no-pager", "-u", "cprotod", "-n", "40"), file=sys.stderr)

    def pid(self):
        return int(show("MainPID"))

    def wait_active(self, timeout=30):
        wait_for(lambda: show("ActiveState") == "active", lambda: "an active service: " + show("StatusText"), timeout)

    def check_served(self, client="bystander"):
        log = INBOX / client / "messages.log"
        before = size_of(log)
        send("-i", client, "-m", "still served")
        wait_for(lambda: size_of(log) >= before + 13, "the bystander's message")

    def configure(self, text):
        CONFIG.write_text(text)
        self.addCleanup(self.restore_configuration, self.shipped)

    @staticmethod
    def restore_configuration(text):
        CONFIG.write_text(text)
        run("systemctl", "reset-failed", "cprotod")
        run("systemctl", "restart", "cprotod")

    @classmethod
    def setUpClass(cls):
        cls.shipped = (ROOT / "config" / "cproto.toml").read_text()

    # --- installed ---

    def test_installing_starts_it(self):
        run("dpkg", "-i", package("cproto-send"), package("cprotod"))
        self.assertEqual(run("systemctl", "is-enabled", "cprotod").strip(), "enabled")
        self.assertEqual(show("ActiveState"), "active")
        self.assertRegex(show("StatusText"), r"^listening on 127\.0\.0\.1:7780, \[::1\]:7780; 0 connections")
        self.assertEqual(CONFIG.read_text(), self.shipped)
        self.assertEqual(show("User"), "cproto")
        self.assertEqual(oct(os.stat("/run/cproto/control").st_mode & 0o777), "0o660")
        self.assertIn("disabled", run("systemctl", "is-enabled", "cprotod.socket", status=None))
        self.assertIn("disabled", run("systemctl", "is-enabled", "cproto-metrics.timer", status=None))
        run("systemd-analyze", "verify", "/lib/systemd/system/cprotod.service")
        # A pipeline that stands still takes half a minute to be believed: begun here, looked at below.
        begin_stuck_daemon()

    def test_it_delivers_and_people_of_its_groups_can_look(self):
        send("-i", "web-1", "-m", "Hello World")
        log = INBOX / "web-1" / "messages.log"
        wait_for(lambda: size_of(log), "the message")
        self.assertEqual(log.read_bytes(), b"Hello World\n")
        run("useradd", "--groups", "adm,cproto", "operator-1")
        run("useradd", "nobody-1")
        self.assertEqual(run("runuser", "-u", "operator-1", "--", "cat", log), "Hello World\n")
        self.assertIn("listening", run("runuser", "-u", "operator-1", "--", "cprotoctl", "status"))
        self.assertIn("usermod -aG cproto",
                      run("runuser", "-u", "nobody-1", "--", "cprotoctl", "status", status=77))
        run("runuser", "-u", "nobody-1", "--", "cat", log, status=1)

    def test_exposure(self):
        said = run("systemd-analyze", "security", "--no-pager", "cprotod").splitlines()[-1]
        exposure = float(re.search(r"(\d+\.\d+)", said).group(1))
        self.assertLessEqual(exposure, 1.5)
        print(" exposure %.1f ..." % exposure, end=" ", file=sys.stderr)

    # --- sending as a service ---

    def assert_same(self, arrived, written):
        if arrived == written:
            return
        first = next((i for i, (a, b) in enumerate(zip(arrived, written)) if a != b), min(len(arrived), len(written)))
        self.fail("%d of %d are missing, %d are there twice; the first difference at %d: %s" % (
            len(set(written) - set(arrived)), len(written), len(arrived) - len(set(arrived)), first, arrived[first:first + 3]))

    def test_a_log_is_followed_by_its_service_through_kills_and_rotations(self):
        unit, log = "cproto-send@app", pathlib.Path("/var/log/app/app.log")
        log.parent.mkdir()
        os.chmod(log.parent, 0o755)
        pathlib.Path("/etc/cproto/app.env").write_text("FILE=%s\nCPROTO_CLIENT_ID=app-1\nCPROTO_CHANNEL=app\n" % log)
        lines = numbered_lines(3000).splitlines(keepends=True)

        def write(part):
            with open(log, "ab") as file:
                file.write(b"".join(part))
            shutil.chown(log, group="adm")
            os.chmod(log, 0o640)

        arrived = INBOX / "app-1" / "app.log"
        write(lines[:500])
        run("systemctl", "start", unit)
        wait_for(lambda: size_of(arrived) == len(b"".join(lines[:500])), "the first lines")
        self.assertEqual(run("ps", "-o", "user=", "-p", show("MainPID", unit)).strip()[:6], "cproto")
        os.kill(int(show("MainPID", unit)), signal.SIGKILL)
        write(lines[500:1000])
        log.rename(str(log) + ".1")
        write(lines[1000:1500])
        wait_for(lambda: size_of(arrived) == len(b"".join(lines[:1500])), "those behind a kill and a rotation")
        run("systemctl", "stop", unit)
        self.assertEqual(show("Result", unit), "success")
        write(lines[1500:2000])
        (log.parent / "app.log.1").rename(log.parent / "app.log.2")
        log.rename(str(log) + ".1")
        write(lines[2000:])
        run("systemctl", "start", unit)
        wait_for(lambda: size_of(arrived) == len(b"".join(lines)), "those behind a stop")
        self.assertTrue(arrived.read_bytes() == b"".join(lines))
        run("systemctl", "restart", "cprotod")
        write([b"behind a restart\n"])
        wait_for(lambda: arrived.read_bytes().endswith(b"behind a restart\n"), "the line behind a restart of the daemon")
        run("systemctl", "stop", unit)
        said = run("systemd-analyze", "security", "--no-pager", unit).splitlines()[-1]
        self.assertLessEqual(float(re.search(r"(\d+\.\d+)", said).group(1)), 1.5, said)

    def test_the_journal_is_shipped_by_its_service_through_kills_and_rotations(self):
        count, rotations, kills = (200_000, 10, 30) if LONG else (3000, 3, 6)
        unit, arrived = "cproto-send-journal", INBOX / "app-1" / "journal.log"
        unlimited = pathlib.Path("/etc/systemd/journald.conf.d/unlimited.conf")  # it throws away what comes too fast
        unlimited.parent.mkdir(exist_ok=True)
        unlimited.write_text("[Journal]\nRateLimitIntervalSec=0\nRuntimeMaxUse=2G\nSystemMaxUse=2G\n")
        run("systemctl", "restart", "systemd-journald")
        pathlib.Path("/etc/cproto/journal.env").write_text("CPROTO_CLIENT_ID=app-1\nOPTIONS=SYSLOG_IDENTIFIER=app\n")
        lines = [b"entry %d" % i for i in range(count)]
        steps = ["rotate"] * rotations + ["kill"] * kills
        random.shuffle(steps)
        run("systemctl", "start", unit)
        for i, step in enumerate(steps):
            part = lines[count * i // len(steps):count * (i + 1) // len(steps)]
            with subprocess.Popen(["systemd-cat", "-t", "app"], stdin=subprocess.PIPE) as cat:
                cat.stdin.write(b"".join(line + b"\n" for line in part))
            run("journalctl", "--sync")  # it reads its streams in no order
            if step == "rotate":
                run("journalctl", "--rotate")
            else:
                killed = random.choice([unit, unit, "cprotod"])
                run("systemctl", "kill", "--signal=KILL", "--kill-whom=main", killed)
                run("systemctl", "restart", killed)

        def messages():
            whole = arrived.read_bytes().rpartition(b"\n")[0]  # the last line may just be written
            return [json.loads(line)["MESSAGE"].encode() for line in whole.splitlines()]

        wait_for(lambda: arrived.exists() and len(messages()) >= count, lambda: "%d entries" % len(messages()), timeout=120,
                 interval=0.5)
        self.assert_same(messages(), lines)
        wait_for(lambda: show("ActiveState") == "active", "the daemon")
        run("systemctl", "stop", unit)
        self.assertEqual(show("Result", unit), "success")
        said = run("systemd-analyze", "security", "--no-pager", unit).splitlines()[-1]
        self.assertLessEqual(float(re.search(r"(\d+\.\d+)", said).group(1)), 1.5, said)

    def test_a_log_that_cannot_be_one_ends_its_service_for_good(self):
        pathlib.Path("/etc/cproto/wrong.env").write_text("FILE=/var/log\nCPROTO_CLIENT_ID=app-1\n")
        run("systemctl", "start", "cproto-send@wrong", status=None)
        wait_for(lambda: show("ActiveState", "cproto-send@wrong") == "failed", "the end")
        self.assertEqual(show("ExecMainStatus", "cproto-send@wrong"), "66")
        self.assertEqual(show("NRestarts", "cproto-send@wrong"), "0")
        self.assertIn("Is a directory", journal(unit="cproto-send@wrong"))

    # --- seen ---

    def test_the_queries_of_the_readme_find_what_they_say(self):
        held = subprocess.Popen(["cproto-send", "-i", "web-1", "--lines", "-"], stdin=subprocess.PIPE,
                                stderr=subprocess.DEVNULL)
        held.stdin.write(b"one\n")
        held.stdin.flush()
        wait_for(lambda: json.loads(run("cprotoctl", "--json", "sessions", "web-1")), "its session")
        wait_for(lambda: json.loads(run("cprotoctl", "--json", "sessions", "web-1"))[0]["messages"], "its line")
        run("cprotoctl", "kick", "web-1")
        held.stdin.close()
        self.assertEqual(held.wait(60), 0)
        with Peer(7780) as stranger:
            stranger.send(b"GET / HTTP/1.1\r\n\r\n")
            stranger.expect_error()
        with Peer(7780) as lost:
            lost.send(frame(wire.SYN, wire.syn(client_id=b"web-2", attempt=2, extra=wire.resume(b"s" * 16, b"t" * 16, 7, 70, 7))))
            lost.expect_error()
        readme = (ROOT / "README.md").read_text()
        queries = [line.split("   #")[0].strip() for line in readme.splitlines() if line.startswith("journalctl -u cprotod")]
        self.assertEqual(len(queries), 6)
        for query in queries:
            said = wait_for(lambda: run("bash", "-c", query + " --no-pager -q"), query)
            print("\n  %s: %d lines" % (query, len(said.splitlines())), end=" ", file=sys.stderr)
            self.assertNotIn("-- No entries --", said)
        story = journal("CPROTO_CLIENT=web-1")
        for part in ("burst, window", "is sent away", "goes on behind 1 message", "finished"):
            self.assertIn(part, story)
        explained = run("journalctl", "-q", "--no-pager", "-x", "-u", "cprotod", "CPROTO_CLIENT=web-2")
        self.assertIn("is the right disk mounted", explained)

    def test_metrics_come_by_timer_for_node_exporter(self):
        folder = pathlib.Path("/var/lib/prometheus/node-exporter")
        folder.mkdir(parents=True)
        run("systemctl", "start", "cproto-metrics.service")
        self.assertIn("\ncproto_messages_received_total ", (folder / "cproto.prom").read_text())
        run("systemctl", "start", "cproto-metrics.timer")
        run("systemctl", "stop", "cproto-metrics.timer")

    def test_a_journald_that_does_not_answer_holds_nothing(self):
        journald = int(show("MainPID", "systemd-journald"))
        os.kill(journald, signal.SIGSTOP)
        try:
            began = time.monotonic()
            for _ in range(1500):  # more than a socket's queue takes
                with Peer(7780) as peer:
                    peer.send(b"GET / HTTP/1.1\r\n\r\n")
                    peer.expect_error()
            send("-i", "web-1", "-m", "delivered while journald is stuck")
            self.assertLess(time.monotonic() - began, 30)
            self.assertEqual(json.loads(run("cprotoctl", "--json", "status"))["state"], "well")
        finally:
            os.kill(journald, signal.SIGCONT)

    # --- reload ---

    def test_reload_waits_for_the_verdict(self):
        load = Load("reloaded", 100_000)
        pid = self.pid()
        self.configure(self.shipped.replace("#connections_per_address = 1000", "connections_per_address = 500"))
        run("systemctl", "reload", "cprotod")
        CONFIG.write_text(self.shipped.replace("#connections = 10000", "connection = 1"))
        since = now()
        run("systemctl", "reload", "cprotod", status=1)
        wait_for(lambda: 'did you mean "connections"?' in journal(since=since), "the mistake")
        wait_for(lambda: "not reloaded" in journal(since=since), "what became of it")
        self.assertEqual((show("ActiveState"), self.pid()), ("active", pid))
        load.finish(self)
        lines = wait_for(lambda: journal("CPROTO_CLIENT=reloaded").splitlines(), "its line")
        self.assertEqual(len(lines), 1)  # its session stayed

    def test_keys_are_made_and_taken_away_while_it_runs_and_are_for_root_and_it_alone(self):
        def put_back():
            shutil.rmtree("/etc/cproto", ignore_errors=True)
            remove_drop_in("keys.conf")
            self.restore_configuration(self.shipped)
        self.addCleanup(put_back)
        key = pathlib.Path("/root/keyed.key")
        key.write_bytes(subprocess.run(["cprotoctl", "key", "add", "keyed"], capture_output=True, check=True, timeout=60).stdout)
        key.chmod(0o600)
        keys = pathlib.Path("/etc/cproto/keys")
        self.assertEqual((oct(keys.stat().st_mode & 0o777), keys.owner(), keys.group()), ("0o640", "root", "cproto"))
        send("--key", key, "-m", "one")
        self.assertIn("only TLS is taken here", send("-i", "keyed", "-m", "in plain text", status=76))
        run("systemctl", "restart", "cprotod")
        self.wait_active()
        send("--key", key, "-m", "two")
        wait_for(lambda: self.concatenated(INBOX / "keyed") == b"one\ntwo\n", "both messages")
        self.assertNotIn(key.read_text().split()[1], journal())

        # The same from the service manager's hand: then they are root's alone.
        keys.chmod(0o600)
        drop_in("keys.conf", "LoadCredential=keys:/etc/cproto/keys\n")
        CONFIG.write_text(self.shipped.replace('#keys = "/etc/cproto/keys"', 'keys = "keys"'))
        run("systemctl", "restart", "cprotod")
        self.wait_active()
        send("--key", key, "-m", "three")

    # --- stopped and started ---

    def test_restarts_under_load_lose_nothing(self):
        load = Load("restarted", 400_000)
        gaps = []
        for share in (0.2, 0.4, 0.6):
            load.wait_until(share)
            since = now()
            run("systemctl", "restart", "cprotod")
            gaps.append(wait_for(lambda: self.gap("restarted", since), "the client to be back"))
        print(" back after %s s ..." % ", ".join("%.2f" % gap for gap in gaps), end=" ", file=sys.stderr)
        load.finish(self)

    def gap(self, client, since):
        """Seconds from the last line of the client's old connection to the first of its new one."""
        entries = [json.loads(line) for line in run("journalctl", "-q", "--no-pager", "-o", "json", "-u", "cprotod", "--since",
                                                    since, "CPROTO_CLIENT=" + client).splitlines()]
        times = [int(entry["__REALTIME_TIMESTAMP"]) / 1e6 for entry in entries]
        return times[-1] - times[0] if len(times) > 1 and "goes on behind" in entries[-1]["MESSAGE"] else None

    def test_killed_it_comes_back(self):
        load = Load("killed", 200_000)
        load.wait_until(0.3)
        before = int(show("NRestarts"))
        run("systemctl", "kill", "--kill-whom=main", "-s", "KILL", "cprotod")
        wait_for(lambda: int(show("NRestarts")) == before + 1, "a restart")
        load.finish(self)

    def test_a_loop_that_hangs_is_restarted_by_the_watchdog(self):
        drop_in("watchdog.conf", "WatchdogSec=2\n")
        self.addCleanup(remove_drop_in, "watchdog.conf")
        run("systemctl", "restart", "cprotod")
        load = Load("frozen", 200_000)
        load.wait_until(0.3)
        pid = self.pid()
        since = now()
        os.kill(pid, signal.SIGSTOP)
        wait_for(lambda: self.pid() not in (0, pid), "another process", 60)
        wait_for(lambda: "Watchdog timeout" in journal(since=since), "what the service manager says of it")
        load.finish(self)

    def test_the_socket_of_systemd_is_taken(self):
        run("systemctl", "stop", "cprotod")
        run("systemctl", "start", "cprotod.socket")
        since = now()
        self.check_served()
        self.assertEqual(show("ActiveState"), "active")
        self.assertNotIn("as cprotod.socket says", journal(since=since))
        run("systemctl", "stop", "cprotod.socket", "cprotod")
        run("systemctl", "start", "cprotod")

    # --- what the sandbox forbids, and disks ---

    def test_a_folder_the_sandbox_forbids_is_said_with_the_drop_in_to_write(self):
        image = pathlib.Path("/tmp/disk.img")
        with open(image, "wb") as file:
            file.truncate(160 << 20)
        run("mkfs.ext4", "-q", "-F", image)
        mount = pathlib.Path("/srv/cproto")
        mount.mkdir()
        run("mount", "-o", "loop", image, mount)
        shutil.chown(mount, "cproto", "cproto")
        CONFIG.write_text('[store]\ndirectory = "/srv/cproto/store"\nsegment_size = "8MiB"\n')
        since = now()
        run("systemctl", "restart", "cprotod", status=1)
        wait_for(lambda: "add  [Service] ReadWritePaths=/srv/cproto/store" in journal(since=since), "the drop-in to write")
        self.assertEqual(show("ExecMainStatus"), "77")
        self.assertEqual(show("NRestarts"), "0")  # a restart would not help
        drop_in("disk.conf", "ReadWritePaths=/srv/cproto\n")
        run("systemctl", "restart", "cprotod")

    def other_inbox(self, client):
        return pathlib.Path("/srv/cproto/store/inbox") / client / "messages.log"

    def test_a_disk_that_freezes_is_told_and_waited_for(self):
        send("-i", "cold", "-m", "before")
        pid = self.pid()
        since = now()
        run("fsfreeze", "-f", "/srv/cproto")
        try:
            waiting = subprocess.Popen(["cproto-send", "-i", "cold", "-m", "after"])
            wait_for(lambda: "has not returned for" in show("StatusText"), "STATUS= to say so", 40)
            wait_for(lambda: "nothing is acknowledged until it does" in journal(since=since), "the journal to say so")
            self.assertIn("waits: fdatasync on", run("cprotoctl", "why", "cold"))
        finally:
            run("fsfreeze", "-u", "/srv/cproto")
        self.assertEqual(waiting.wait(60), 0)
        wait_for(lambda: "answers again" in journal(since=since), "that it is over")
        wait_for(lambda: size_of(self.other_inbox("cold")) == len(b"before\nafter\n"), "both messages")
        self.assertEqual(self.other_inbox("cold").read_bytes(), b"before\nafter\n")
        wait_for(lambda: show("StatusText").startswith("listening"), "STATUS= to be well again")
        self.assertEqual(self.pid(), pid)

    def test_a_full_disk_is_told_and_waited_for(self):
        since = now()
        filler = pathlib.Path("/srv/cproto/filler")
        run("dd", "if=/dev/zero", "of=%s" % filler, "bs=1M", status=1)
        lines = numbered_lines(1_000_000)
        pathlib.Path("/tmp/lines").write_bytes(lines[:40 << 20])
        sender = subprocess.Popen(["cproto-send", "-i", "full", "--lines", "/tmp/lines"],
                                  stderr=subprocess.PIPE)
        # Whichever comes first: the floor is seen, or a write fails.
        wait_for(lambda: re.search("below its floor|disk full", journal(since=since)), "the daemon to say so")
        wait_for(lambda: "senders wait" in show("StatusText"), "STATUS= to say so")
        filler.unlink()
        _, errors = sender.communicate(timeout=60)
        self.assertEqual(sender.returncode, 0, errors)
        self.assertIn(b"below its floor", errors)
        wait_for(lambda: re.search("above its floor again|the disk works again", journal(since=since)), "that it is over")
        wait_for(lambda: self.other_inbox("full").read_bytes() == lines[:40 << 20], "every line once")

    def test_back_on_its_own_disk(self):
        CONFIG.write_text(self.shipped)
        run("systemctl", "restart", "cprotod")
        remove_drop_in("disk.conf")
        run("systemctl", "restart", "cprotod")
        run("umount", "/srv/cproto")
        self.check_served()

    def test_a_port_the_sandbox_forbids_is_said_with_the_drop_in_to_write(self):
        self.configure("[listen]\nport = 514\n")
        since = now()
        run("systemctl", "restart", "cprotod", status=1)
        line = wait_for(lambda: re.search(r"add  \[Service\] (AmbientCapabilities=CAP_NET_BIND_SERVICE.*)", journal(since=since)),
                        "the drop-in to write").group(1)
        drop_in("port.conf", "\n".join(line.split()) + "\n")
        self.addCleanup(remove_drop_in, "port.conf")
        run("systemctl", "reset-failed", "cprotod")
        run("systemctl", "restart", "cprotod")
        self.assertIn("127.0.0.1:514", show("StatusText"))

    # --- rotation ---

    def test_ten_rotations_under_load_with_kills_between_keep_every_line_once(self):
        shutil.copy("/usr/share/doc/cprotod/examples/logrotate", "/etc/logrotate.d/cproto")
        load = Load("rotated", 600_000, pause=0.03)
        folder = INBOX / "rotated"
        wait_for(lambda: size_of(folder / "messages.log"), "the first lines")
        for turn in range(10):
            pid = self.pid()
            if turn % 2:
                os.kill(pid, signal.SIGSTOP)  # so that nothing comes between the rename and the kill
            run("logrotate", "-f", "--state", "/tmp/logrotate.state", "/etc/logrotate.d/cproto")
            if turn % 2:
                os.kill(pid, signal.SIGKILL)
            wait_for(lambda: size_of(folder / "messages.log"), "lines in the new log")
            time.sleep(1.02 - time.time() % 1)  # dateformat %s: one name a second
        load.pause = 0
        load.thread.join(60)
        self.assertEqual(load.process.wait(60), 0, load.process.stderr.read())
        whole = lambda: self.concatenated(folder)  # noqa: E731
        wait_for(lambda: len(whole()) >= len(load.lines), "the last line")
        self.assertTrue(whole() == load.lines, "the concatenation is not what was sent")
        rotated = [path.name for path in folder.iterdir()]
        self.assertEqual(len(rotated), 11)
        self.assertEqual(sum(name.endswith(".gz") for name in rotated), 9)  # delaycompress
        run("systemctl", "reset-failed", "cprotod")

    @staticmethod
    def concatenated(folder):
        def order(path):
            stamp = re.search(r"-\d{8}-(\d+)", path.name)
            return int(stamp.group(1)) if stamp else float("inf")
        return b"".join(gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
                        for path in sorted(folder.iterdir(), key=order))

    def test_the_watchdog_restarts_what_stands_still(self):
        wait_for(lambda: int(show("NRestarts", "stuck")) > 0, lambda: run("systemctl", "status", "stuck", status=None), 90)
        for words in ("nothing is done about it: a bug in cprotod", "Watchdog timeout"):
            wait_for(lambda: words in journal(unit="stuck"), words)
        wait_for(lambda: size_of("/tmp/stuck/inbox/stuck/messages.log"), "the message that waited for it")
        run("systemctl", "stop", "stuck")

    # --- changed and removed ---

    def test_upgrades_under_load_lose_nothing_and_neither_does_going_back(self):
        load = Load("upgraded", 400_000)
        load.wait_until(0.2)
        run("dpkg", "-i", upgraded_package())
        self.wait_active()
        self.assertIn("9.9", run("dpkg-query", "-W", "-f", "${Version}", "cprotod"))
        load.wait_until(0.5)
        run("dpkg", "-i", package("cprotod"))
        self.wait_active()
        load.finish(self)

    def test_removed_purged_and_installed_again(self):
        CONFIG.write_text(self.shipped.replace('#level = "info"', 'level = "debug"'))
        run("dpkg", "-r", "cprotod")
        self.assertNotEqual(show("ActiveState"), "active")
        self.assertTrue(CONFIG.exists())
        said = run("dpkg", "-P", "cprotod")
        self.assertIn("is still in /var/lib/cproto", said)
        self.assertFalse(CONFIG.exists())
        self.assertTrue(self.concatenated(INBOX / "web-1").startswith(b"Hello World\n"))
        since = now()
        run("dpkg", "-i", package("cprotod"))
        self.wait_active()
        self.assertEqual(CONFIG.read_text(), self.shipped)
        wait_for(lambda: "recovered" in journal(since=since), "what it found")
        self.assertNotIn("created a new store", journal(since=since))
        self.check_served("web-1")
        run("dpkg", "-P", "cproto-send")
        self.assertEqual(show("ActiveState"), "active")


def upgraded_package():
    """The package as a later version."""
    tree = pathlib.Path("/tmp/upgrade")
    run("dpkg-deb", "-R", package("cprotod"), tree)
    control = tree / "DEBIAN" / "control"
    control.write_text(re.sub(r"(?m)^Version: .*", "Version: 9.9", control.read_text()))
    run("dpkg-deb", "-Znone", "-b", tree, "/tmp/cprotod_9.9.deb")
    return "/tmp/cprotod_9.9.deb"


def begin_stuck_daemon():
    """A second cprotod, as a service with a watchdog, whose journal forgets to hand batches to the disk: the function that
    does it returns at once from now on, in this process. No daemon does that by itself."""
    run("systemd-run", "--quiet", "--unit", "stuck", "-p", "Type=notify", "-p", "WatchdogSec=2", "-p", "Restart=on-failure",
        "-p", "RestartSec=100ms", "cprotod", "--config", "/dev/null", "--directory", "/tmp/stuck", "--port", "7790",
        "--host", "127.0.0.1")
    pid = int(show("MainPID", "stuck"))
    with open("/proc/%d/maps" % pid) as maps:
        base = int(maps.readline().split("-")[0], 16)
    with open("/proc/%d/mem" % pid, "r+b", buffering=0) as memory:
        memory.seek(base + flush_address())
        memory.write({"x86_64": b"\xc3", "aarch64": b"\xc0\x03\x5f\xd6"}[os.uname().machine])  # ret
    subprocess.Popen(["cproto-send", "-s", "127.0.0.1:7790", "-i", "stuck", "-m", "waits"],
                     stderr=subprocess.DEVNULL)


def flush_address():
    """Of Journal::flush in the program that was packaged, which is stripped: the build has one with names."""
    built = max(PACKAGES.glob("cproto-*/obj-*/bin/cprotod"), key=lambda path: path.stat().st_mtime)
    for line in run("nm", "-C", built).splitlines():
        if line.endswith("cproto::Journal::flush()"):
            return int(line.split()[0], 16)
    raise AssertionError("no Journal::flush in %s" % built)


def main():
    suite = unittest.TestSuite(Service(name) for name in vars(Service) if name.startswith("test_"))
    result = unittest.TextTestRunner(verbosity=2, resultclass=Result, failfast=True).run(suite)
    sys.exit(not result.wasSuccessful())


if __name__ == "__main__":
    main()

"""Which congestion control a sender gets, over a short way and a long one, and what it says where it is refused."""
import json
import os
import pathlib
import shutil
import subprocess
import sys

from support import BIN, ROOT, main, wait_for
from torture.arena import CannotBeDone
from torture.case import AttackCase
from torture.disks import command
from torture.networks import CLIENT, SERVER, BadLink, Network

KNOWN = pathlib.Path("/proc/sys/net/ipv4/tcp_available_congestion_control")
ALLOWED = pathlib.Path("/proc/sys/net/ipv4/tcp_allowed_congestion_control")
NOBODY = 65534


class LongWay(AttackCase):
    def go(self, delay_ms, congctl):
        """A way with this delay to one side; the namespaces' own congestion control is a route's."""
        try:
            self.network = Network(self.arena)
            BadLink(self.arena, self.network, {"delay_ms": delay_ms})
        except CannotBeDone as reason:
            self.skip_or_fail(str(reason))
        for name, peer in zip(self.network.names, (CLIENT, SERVER)):
            command("ip", "-n", name, "route", "change", peer, "dev", "bad0", "congctl", *congctl)
        self.far = self.network.daemon(self.arena, "")

    def report(self, *arguments, **options):
        sender = self.send(self.far, "--json", "-v", "-m", "x", *arguments, prefix=self.network.client, **options)
        return json.loads(sender.output), sender.errors

    def test_a_long_way_gets_bbr_and_a_short_one_what_the_system_has(self):
        self.go(10, ["reno"])
        said, errors = self.report()
        if "bbr" in KNOWN.read_text().split():
            self.assertEqual(said["congestion_control"], "bbr", errors)
        else:
            self.assertIn(said["congestion_control"], ("bbr", "reno"))
        self.assertIn(", congestion control %s" % said["congestion_control"], errors)
        self.assertEqual(self.report("--congestion", "system")[0]["congestion_control"], "reno")

    def test_a_short_way_is_left_as_it_is(self):
        self.go(0, ["reno"])

        def left_alone():
            said, errors = self.report()
            return said["congestion_control"] == "reno" and errors
        # On a busy machine any way may be long for a moment.
        self.assertNotIn("refused", wait_for(left_alone, "a short way"))
        self.assertEqual(self.report("--congestion", "cubic")[0]["congestion_control"], "cubic")

    def test_where_a_route_insists_it_is_refused_and_no_sysctl_is_named(self):
        if "bbr" not in ALLOWED.read_text().split():
            self.skip_or_fail("the kernel does not allow bbr: its sysctl would be named")
        self.go(10, ["lock", "reno"])
        said, errors = self.report()
        self.assertEqual(said["congestion_control"], "reno")
        self.assertIn("congestion control reno (bbr is refused)\n", errors)

    def test_what_is_not_allowed_to_all_is_refused_with_the_command_that_would_allow_it(self):
        allowed = ALLOWED.read_text().split()
        restricted = [name for name in KNOWN.read_text().split() if name not in allowed]
        if os.geteuid() != 0 or not restricted:
            self.skip_or_fail("every congestion control that is loaded is allowed to all, or this is not root")
        daemon = self.daemon()
        name = restricted[0]
        # The build may be in a folder that is root's alone.
        os.chmod(self.directory, 0o711)
        program = shutil.copy(BIN / "cproto-send", self.directory)
        done = subprocess.run([program, "-s", daemon.server, "-i", "nobody", "--state", "/nowhere", "--congestion",
                               name, "-m", "x"], user=NOBODY, group=NOBODY, extra_groups=[], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(done.stderr, r'congestion control \w+ \(%s is refused; to allow it: sysctl -w '
                         r'net\.ipv4\.tcp_allowed_congestion_control="%s %s"\)\n' % (name, " ".join(allowed), name))

    def test_one_that_no_kernel_has_is_said_and_the_message_arrives(self):
        daemon = self.daemon()
        sender = self.send(daemon, "--congestion", "no-such-thing", "-m", "x")
        self.assertIn("(no-such-thing is refused; to allow it: modprobe tcp_no-such-thing && sysctl -w ", sender.errors)
        self.assert_arrives(daemon.inbox("client"), b"x\n")

    def test_it_is_measured_beside_a_bare_stream(self):
        figures = self.directory / "figures.json"
        done = subprocess.run([sys.executable, "-B", "-m", "bench.wan", "--runs", "1", "--seconds", "0.5", "--round-trip", "20", "--loss",
                               "1", "--directory", self.directory, "--json", figures], capture_output=True, text=True,
                              env={**os.environ, "PYTHONPATH": "%s:%s" % (ROOT / "tests", ROOT / "tests" / "e2e")})
        if done.returncode == 69:
            self.skip_or_fail(done.stdout)
        self.assertEqual(done.returncode, 0, done.stderr)
        works = json.loads(figures.read_text())["works"]
        self.assertEqual(len(works), 5, done.stdout)
        for work in works:  # how fast it was is nobody's business here
            self.assertGreater(work["metrics"]["bytes_per_second"]["median"], 0, work)


if __name__ == "__main__":
    main()

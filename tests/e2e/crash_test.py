"""The daemon is killed with SIGKILL in the middle, again and again."""
import subprocess
import time

import wire
from support import Feeder, TestCase, main, numbered_lines, size_of, wait_for
from wire import Peer, frame

AHEAD = 6 << 20  # what the feeder may be ahead of a kill: more than a window, so that the kill falls into traffic


class Crash(TestCase):
    def kill_during(self, daemon, feeder, log, total, times):
        """Kills and restarts at random lengths of the log, with more to come at each."""
        for point in sorted(self.random.randrange(total // 100, total * 9 // 10) for _ in range(times)):
            feeder.allow(min(point + AHEAD, total))
            wait_for(lambda: size_of(log) >= point, "%d bytes in the log" % point, timeout=120, interval=0.0005)
            daemon.kill()
            time.sleep(self.random.random() * 0.3)
            daemon.start()
        feeder.allow(total)

    def test_a_million_lines_survive_five_kills_each_there_once_in_order_and_printed_once_by_tail(self):
        daemon = self.daemon()
        lines = numbered_lines(1_000_000)
        log = daemon.inbox("client")
        log.parent.mkdir(parents=True, exist_ok=True)
        tail = self.tail(log)
        sender = self.sender(daemon, "--lines", "-", stdin=subprocess.PIPE)
        feeder = Feeder(sender.stdin, lines, allowed=0)
        self.kill_during(daemon, feeder, log, len(lines), times=5)
        self.assertEqual(sender.wait(240), 0, sender.errors)
        self.assert_stops(daemon)
        self.assert_arrives(log, lines)
        wait_for(lambda: size_of(tail.output) >= len(lines), "all of it in tail's output")
        tail.stop()
        self.assert_same_bytes(tail.output.read_bytes(), lines)
        self.assertIn("back after", sender.errors)

    def test_a_file_sent_while_the_daemon_is_killed_is_there_once_also_after_another_restart(self):
        daemon = self.daemon()
        lines = numbered_lines(300_000)
        path = self.directory / "lines"
        path.write_bytes(lines)
        log = daemon.inbox("client")
        # Small packets and a small window, so that it lasts.
        sender = self.sender(daemon, "--lines", path, "--window-size", 500)
        for _ in range(5):
            point = size_of(log) + self.random.randrange(1, len(lines) // 10)
            wait_for(lambda: size_of(log) >= point or sender.process.poll() is not None, "progress", interval=0.0005)
            daemon.kill()
            daemon.start()
        self.assertEqual(sender.wait(240), 0, sender.errors)
        self.assert_arrives(log, lines)
        daemon.kill()
        daemon.start()
        self.send(daemon, "-m", "behind")
        self.assert_stops(daemon)
        self.assert_arrives(log, lines + b"behind\n")

    def test_what_was_acknowledged_is_delivered_by_the_next_daemon_though_nobody_comes_back(self):
        daemon = self.daemon()
        for i in range(10):
            name = "gone-%d" % i
            with Peer(daemon.port) as peer:
                peer.shake_hands(client_id=name.encode())
                peer.send(frame(wire.DATA, b"first", 1) + frame(wire.DATA, b"second", 2))
                peer.wait_durable(2)
                daemon.kill()
            daemon.start()
            self.assert_arrives(daemon.inbox(name), b"first\nsecond\n")

    def test_a_client_that_is_killed_leaves_what_was_read_by_then_once_and_in_order(self):
        daemon = self.daemon()
        lines = numbered_lines(200_000)
        sender = self.sender(daemon, "--lines", "-", stdin=subprocess.PIPE)
        Feeder(sender.stdin, lines)
        log = daemon.inbox("client")
        wait_for(lambda: size_of(log) > len(lines) // 4, "a quarter", interval=0.0005)
        sender.process.kill()
        sender.process.wait()
        self.assert_stops(daemon)
        arrived = daemon.inbox("client").read_bytes()
        self.assert_same_bytes(arrived, lines[:len(arrived)])
        self.assertTrue(arrived.endswith(b"\n"))


if __name__ == "__main__":
    main()

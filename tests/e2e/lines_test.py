"""Many lines, in both modes: what arrives is what was sent, byte for byte."""
import subprocess

from proxy import Proxy
from support import LONG, TestCase, main, numbered_lines, wait_for


class Lines(TestCase):
    def test_a_million_lines_in_burst_are_the_log_byte_for_byte(self):
        daemon = self.daemon()
        lines = numbered_lines(1_000_000)
        self.send_bytes(daemon, lines, "--lines", "-")
        self.assert_arrives(daemon.inbox("client"), lines)

    def test_a_million_lines_from_a_file_and_small_packets_are_the_log_byte_for_byte(self):
        daemon = self.daemon()
        lines = numbered_lines(1_000_000 if LONG else 100_000)
        path = self.directory / "lines"
        path.write_bytes(lines)
        self.send(daemon, "--lines", path, "--max-packet-size", 64, "--window-size", 1000)
        self.assert_arrives(daemon.inbox("client"), lines)

    def send_through(self, daemon, channel, lines, *arguments):
        proxy = Proxy(daemon.port)
        self.addCleanup(proxy.close)
        path = self.directory / channel
        path.write_bytes(lines)
        self.send(proxy, "--lines", path, "-c", channel, *arguments)
        self.assertEqual(proxy.problems, [])
        return proxy

    def test_step_by_step_and_burst_give_identical_logs_and_step_by_step_has_one_frame_in_flight(self):
        daemon = self.daemon()
        # Empty lines, long ones of several frames, and bytes that are no text.
        lines = numbered_lines(2000 if LONG else 500) + b"\n\r\n\0\xff\xfe\n" + b"x" * 5000 + b"\n" + b"the last\n"
        step = self.send_through(daemon, "step", lines, "--operation-mode", "step-by-step", "--max-packet-size", 1024)
        burst = self.send_through(daemon, "burst", lines, "--operation-mode", "burst", "--max-packet-size", 1024,
                                  "--window-size", 50)
        self.assert_arrives(daemon.inbox("client", "step"), lines)
        self.assert_arrives(daemon.inbox("client", "burst"), lines)
        self.assertEqual(step.in_flight_max, 1)
        self.assertGreater(burst.in_flight_max, 1)
        self.assertLessEqual(burst.in_flight_max, 50)
        self.assertEqual(step.frames, burst.frames)

    def test_a_window_is_never_exceeded_and_nothing_is_sent_twice_on_a_good_network(self):
        daemon = self.daemon("[session]\nwindow_size = 20\n")
        lines = numbered_lines(20_000)
        proxy = self.send_through(daemon, "messages", lines, "--window-size", 1000)
        self.assertLessEqual(proxy.in_flight_max, 20)
        self.assertEqual(proxy.frames, 20_000)
        self.assertEqual(proxy.connections, 1)
        self.assert_arrives(daemon.inbox("client"), lines)

    def test_a_line_that_arrives_in_a_pipe_is_durable_before_the_pipe_ends(self):
        daemon = self.daemon()
        sender = self.sender(daemon, "--lines", stdin=subprocess.PIPE)
        for text in ("one", "two", "three"):
            sender.stdin.write(text.encode() + b"\n")
            sender.stdin.flush()
            wait_for(lambda: daemon.inbox("client").exists() and text in daemon.inbox("client").read_text().splitlines(),
                     "the line " + text)
        sender.stdin.close()
        self.assertEqual(sender.wait(), 0, sender.errors)
        self.assert_arrives(daemon.inbox("client"), b"one\ntwo\nthree\n")


if __name__ == "__main__":
    main()

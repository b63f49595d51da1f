"""Large messages: in small packets, through a small window, over connections that break."""
import subprocess

from proxy import Proxy
from support import TestCase, main, size_of, stored, wait_for

PACKET = 1024
WINDOW = 5
SIZE = 64 << 20
SMALL = ["--max-packet-size", PACKET, "--window-size", WINDOW]


class Fragments(TestCase):
    def message(self, size):
        path = self.directory / ("message-%d" % size)
        data = self.random.randbytes(size)
        path.write_bytes(data)
        return path, data

    def test_a_message_of_64_MiB_arrives_whole_in_packets_of_1024_bytes(self):
        daemon = self.daemon()
        path, data = self.message(SIZE)
        self.send(daemon, "--binary", path, "--max-packet-size", PACKET, timeout=300)
        self.assert_arrives(daemon.inbox("client", ending="bin"), stored(data))

    def test_a_message_of_64_MiB_through_a_window_of_5_goes_on_where_it_was_cut_and_sends_nothing_durable_again(self):
        daemon = self.daemon()
        path, data = self.message(SIZE)
        frames = SIZE // PACKET
        cuts = [frames // 2, 1, frames // 8]
        proxy = Proxy(daemon.port, cut_after=cuts)
        self.addCleanup(proxy.close)
        self.send(proxy, "--binary", path, *SMALL, timeout=500)
        self.assertEqual(proxy.problems, [])
        self.assertEqual(proxy.connections, len(cuts) + 1)
        self.assertGreaterEqual(proxy.payload_bytes, SIZE)
        self.assertLessEqual(proxy.payload_bytes, SIZE + len(cuts) * WINDOW * PACKET)
        self.assert_arrives(daemon.inbox("client", ending="bin"), stored(data))

    def test_a_daemon_killed_in_the_middle_of_a_message_goes_on_where_it_was(self):
        daemon = self.daemon("[store]\nsegment_size = \"1MiB\"\n")
        path, data = self.message(4 << 20)
        proxy = Proxy(daemon.port)
        self.addCleanup(proxy.close)
        sender = self.sender(proxy, "--binary", path, *SMALL)
        kills = 4
        for i in range(kills):
            at = len(data) * (i + 1) // (kills + 1)
            wait_for(lambda: proxy.payload_bytes >= at, "%d bytes" % at, interval=0.001)
            daemon.kill()
            daemon.start()
        self.assertEqual(sender.wait(300), 0, sender.errors)
        # The connection a kill ends may have been up for less than a window.
        self.assertLessEqual(proxy.payload_bytes, len(data) + proxy.connections * WINDOW * PACKET)
        self.assert_arrives(daemon.inbox("client", ending="bin"), stored(data))

    def test_several_large_messages_and_small_ones_between_them_arrive_in_order(self):
        daemon = self.daemon()
        files = [self.message(size) for size in (0, 1, 1 << 20, 65536, 65537, 3 << 20, 1023, 1024, 1025)]
        self.send(daemon, "--binary", *(path for path, _ in files), "--max-packet-size", PACKET)
        self.assert_arrives(daemon.inbox("client", ending="bin"), stored(*(data for _, data in files)))

    def test_a_message_larger_than_a_segment_arrives_beside_the_lines_of_others(self):
        daemon = self.daemon("[store]\nsegment_size = \"1MiB\"\n")
        path, data = self.message(16 << 20)
        large = self.sender(daemon, "--binary", path, "--max-packet-size", 4096, client="large")
        small = self.sender(daemon, "--lines", "-", client="small", stdin=subprocess.PIPE)
        lines = b""
        log = daemon.inbox("small")
        while large.process.poll() is None:
            line = b"beside it %d\n" % len(lines)
            lines += line
            small.stdin.write(line)
            small.stdin.flush()
            wait_for(lambda: size_of(log) == len(lines), "a line beside it")
        small.stdin.close()
        self.assertEqual(large.wait(), 0, large.errors)
        self.assertEqual(small.wait(), 0, small.errors)
        self.assert_arrives(daemon.inbox("large", ending="bin"), stored(data))
        self.assert_arrives(log, lines)


if __name__ == "__main__":
    main()

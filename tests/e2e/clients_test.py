"""Twenty clients at once, and a daemon that keeps being killed."""
import subprocess
import time

from support import LONG, Feeder, TestCase, main, numbered_lines, size_of, wait_for

CLIENTS = 20
LINES = 50_000 if LONG else 10_000
KILLS = 10


class Clients(TestCase):
    def test_twenty_clients_and_ten_kills_leave_each_line_once_in_order_of_its_client(self):
        daemon = self.daemon()
        names = ["client-%02d" % i for i in range(CLIENTS)]
        lines = {name: numbered_lines(LINES, name) for name in names}
        total = sum(map(len, lines.values()))
        senders = {name: self.sender(daemon, "--lines", "-", client=name, stdin=subprocess.PIPE) for name in names}
        feeders = {name: Feeder(senders[name].stdin, lines[name], allowed=0) for name in names}

        def arrived():
            return sum(size_of(daemon.inbox(name)) for name in names)

        points = sorted(self.random.random() * 0.9 for _ in range(KILLS))
        for point in points:
            for name in names:
                feeders[name].allow(int(len(lines[name]) * min(point + 0.08, 1)))
            wait_for(lambda: arrived() >= total * point, "progress of all", timeout=120, interval=0.001)
            time.sleep(self.random.random() * 0.02)
            daemon.kill()
            time.sleep(self.random.random() * 0.2)
            daemon.start()
        for name in names:
            feeders[name].allow(len(lines[name]))
        for name in names:
            self.assertEqual(senders[name].wait(240), 0, "%s: %s" % (name, senders[name].errors))
        self.assert_stops(daemon)
        for name in names:
            self.assert_arrives(daemon.inbox(name), lines[name])

    def test_two_clients_of_one_name_both_complete_and_each_is_in_its_own_order(self):
        daemon = self.daemon()
        lines = {one: numbered_lines(50_000, one).splitlines(keepends=True) for one in ("left", "right")}
        senders = {}
        for one in lines:
            path = self.directory / one
            path.write_bytes(b"".join(lines[one]))
            senders[one] = self.sender(daemon, "--lines", path, client="both")
        for one in lines:
            self.assertEqual(senders[one].wait(), 0, senders[one].errors)
        self.assert_stops(daemon)
        arrived = daemon.inbox("both").read_bytes().splitlines(keepends=True)
        self.assertEqual(len(arrived), 100_000)
        for one in lines:
            self.assertEqual([line for line in arrived if line.startswith(one.encode())], lines[one])


if __name__ == "__main__":
    main()

"""cproto-send as people and scripts meet it: statuses, signals, what is said, and what a line is."""
import fcntl
import json
import os
import signal
import socket
import struct
import subprocess
import termios
import time

from support import Feeder, TestCase, journal_only, main, numbered_lines, size_of, stored, unused_port, wait_for


def is_pending(pid, number):
    with open("/proc/%d/status" % pid) as status:
        masks = [int(line.split()[1], 16) for line in status if line.startswith(("SigPnd", "ShdPnd"))]
    return any(mask >> (number - 1) & 1 for mask in masks)


def is_empty(pipe):
    return struct.unpack("i", fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)))[0] == 0


class Statuses(TestCase):
    def assert_says(self, sender, *words):
        for word in words:
            self.assertIn(word, sender.errors)

    def test_wrong_arguments_are_status_64(self):
        for arguments in (["--colour"], ["-m"], ["--lines", "a", "b"], ["--window-size", "0", "-m", "x"],
                          ["--window-size", "32768", "-m", "x"], ["--max-packet-size", "63", "-m", "x"], ["-m", "x", "-c", "../up"],
                          ["--operation-mode", "fast", "-m", "x"], ["-s", "host:port", "-m", "x"], ["--timeout", "soon", "-m", "x"]):
            sender = self.send(None, *arguments, status=64)
            self.assertEqual(len(sender.errors.splitlines()), 1, sender.errors)
        self.send(None, "-m", "x", client="../up", status=64)

    def test_a_missing_input_is_status_66_and_the_other_messages_are_durable(self):
        daemon = self.daemon()
        self.assert_says(self.send(daemon, "--lines", self.directory / "none", status=66), "none", "No such file")
        there = self.directory / "there"
        there.write_bytes(b"I am here")
        sender = self.send(daemon, "--binary", there, self.directory / "none", there, status=66)
        self.assert_says(sender, "none")
        self.assert_arrives(daemon.inbox("client", ending="bin"), stored(b"I am here", b"I am here"))

    def test_a_directory_as_input_is_status_66(self):
        self.assert_says(self.send(self.daemon(), "--lines", self.directory, status=66), str(self.directory))

    def test_a_host_that_does_not_exist_is_status_68(self):
        sender = self.send(None, "-s", "x" * 64 + ".example", "-m", "x", status=68)
        self.assert_says(sender, "no such host name")
        try:
            socket.getaddrinfo("does-not-exist.invalid", 7780)
        except socket.gaierror as error:
            if error.errno == socket.EAI_NONAME:
                self.assert_says(self.send(None, "-s", "does-not-exist.invalid", "-m", "x", status=68), "does-not-exist.invalid")

    def test_a_server_that_is_not_there_is_status_69_after_the_timeout(self):
        port = unused_port()
        began = time.monotonic()
        sender = self.send(port, "-m", "x", "--timeout", "3s", status=69)
        self.assertGreaterEqual(time.monotonic() - began, 3)
        self.assert_says(sender, "127.0.0.1:%d" % port, "connection refused; is cprotod running", "nothing became durable for 3 s",
                         "0 of 1 message")

    def test_a_server_that_stops_answering_is_status_75_after_the_timeout(self):
        daemon = self.daemon()
        sender = self.sender(daemon, "--lines", "-", "--timeout", "5s", stdin=subprocess.PIPE)
        sender.stdin.write(b"one\n")
        sender.stdin.flush()
        wait_for(lambda: size_of(daemon.inbox("client")) == 4, "the first line")
        os.kill(daemon.pid, signal.SIGSTOP)
        sender.stdin.write(b"two\n")
        sender.stdin.close()
        self.assertEqual(sender.wait(), 75, sender.errors)
        self.assert_says(sender, "nothing became durable for 5 s", "1 of the 2 lines read")
        os.kill(daemon.pid, signal.SIGCONT)

    def test_an_idle_pipe_is_no_reason_to_time_out(self):
        daemon = self.daemon()
        sender = self.sender(daemon, "--lines", "-", "--timeout", "3s", stdin=subprocess.PIPE)
        time.sleep(4)
        sender.stdin.write(b"late\n")
        sender.stdin.close()
        self.assertEqual(sender.wait(), 0, sender.errors)

    def test_what_is_not_cproto_is_status_76_and_called_by_its_first_words(self):
        with socket.create_server(("127.0.0.1", 0)) as server:
            sender = self.sender(server.getsockname()[1], "-m", "x")
            other, _ = server.accept()
            with other:
                other.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")
                self.assertEqual(sender.wait(), 76, sender.errors)
        self.assert_says(sender, 'does not speak cproto: it says "SSH-2.0-OpenSSH_9.2"')

    @journal_only("jetstream_test removes its stream")
    def test_a_store_that_was_replaced_is_said_and_nothing_is_sent_to_it(self):
        daemon = self.daemon()
        sender = self.sender(daemon, "--lines", "-", "--timeout", "15s", stdin=subprocess.PIPE)
        sender.stdin.write(b"one\n")
        sender.stdin.flush()
        wait_for(lambda: size_of(daemon.inbox("client")) == 4, "the first line")
        daemon.kill()
        daemon.store.rename(daemon.directory / "old store")
        daemon.start()
        sender.stdin.write(b"two\n")
        sender.stdin.close()
        self.assertEqual(sender.wait(), 76, sender.errors)
        self.assert_says(sender, "Is its disk mounted?")
        self.assertFalse(daemon.inbox("client").exists())

    def test_sigint_says_what_is_acknowledged_and_the_process_dies_of_it(self):
        daemon = self.daemon()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            name = number.name.lower()
            sender = self.sender(daemon, "--lines", "-", stdin=subprocess.PIPE, client=name)
            sender.stdin.write(b"one\ntwo\nthree")
            sender.stdin.flush()
            wait_for(lambda: size_of(daemon.inbox(name)) >= 8, "two lines")
            os.kill(sender.process.pid, number)
            self.assertEqual(sender.wait(), -number, sender.errors)
            self.assertRegex(sender.errors, "interrupted by %s; 3 lines are acknowledged" % number.name)
            self.assert_arrives(daemon.inbox(name), b"one\ntwo\nthree\n")

    def test_a_second_sigint_ends_it_at_once_while_the_daemon_is_away(self):
        daemon = self.daemon()
        sender = self.sender(daemon, "--lines", "-", stdin=subprocess.PIPE)
        sender.stdin.write(b"one\n")
        sender.stdin.flush()
        wait_for(lambda: size_of(daemon.inbox("client")) == 4, "the first line")
        # Read, and on its way to a daemon that will never acknowledge it.
        os.kill(daemon.pid, signal.SIGSTOP)
        sender.stdin.write(b"two\n")
        sender.stdin.flush()
        wait_for(lambda: is_empty(sender.stdin), "the second line to be read")
        daemon.kill()
        wait_for(lambda: "next try" in sender.errors, "the loss")
        os.kill(sender.process.pid, signal.SIGINT)
        wait_for(lambda: not is_pending(sender.process.pid, signal.SIGINT), "it to be taken: two at once are one")
        time.sleep(0.3)
        self.assertIsNone(sender.process.poll())
        os.kill(sender.process.pid, signal.SIGINT)
        self.assertEqual(sender.wait(5), -signal.SIGINT)
        self.assert_says(sender, "1 of the 2 lines read", "acknowledged")


class Said(TestCase):
    def test_success_says_nothing(self):
        sender = self.send(self.daemon(), "-m", "x")
        self.assertEqual(sender.output + sender.errors, "")

    def test_verbose_is_a_summary(self):
        sender = self.send(self.daemon(), "-v", "-m", "one", "two")
        self.assertRegex(sender.errors, r"2 messages \(6 B\) durable on 127\.0\.0\.1:\d+ in .*; 0 frames retransmitted, 0 reconnects")

    def test_json_is_one_object(self):
        daemon = self.daemon("[limits]\nmessage_size = \"1KiB\"\n")
        sender = self.send(daemon, "--json", "-m", 'with "quotes" \\ and \x7f', "x" * 2000, "", status=65)
        report = json.loads(sender.output)
        self.assertEqual((report["status"], report["causes"], report["messages"], report["durable"], report["refused"]),
                         (65, [65], 3, 2, 1))
        self.assertEqual(len(report["refused_first"]), 1)
        self.assertEqual(report["terms"]["message_size_max"], 1024)
        failed = json.loads(self.send(unused_port(), "--json", "--timeout", "300ms", "-m", "x", status=69).output)
        self.assertEqual((failed["status"], failed["durable"]), (69, 0))
        self.assertIn("nothing became durable", failed["reason"])
        empty = json.loads(self.send(daemon, "--json", "--lines", "/dev/null").output)
        self.assertEqual((empty["status"], empty["messages"]), (0, 0))

    def test_check_says_what_was_found_and_leaves_nothing(self):
        daemon = self.daemon()
        sender = self.send(daemon, "--check")
        for word in ("127.0.0.1:%d: cprotod" % daemon.port, "protocol version 1", "packets to 64KiB", "messages to 64MiB", "durability"):
            self.assertIn(word, sender.output)
        self.assertFalse(daemon.inbox("client").parent.exists())
        began = time.monotonic()
        self.send(unused_port(), "--check", status=69)
        self.assertLess(time.monotonic() - began, 10)

    def test_a_server_that_comes_late_is_waited_for_and_said_once(self):
        daemon = self.daemon()
        daemon.kill()
        sender = self.sender(daemon, "-m", "patience")
        wait_for(lambda: "Next try" in sender.errors, "the line about it")
        time.sleep(1)  # some more tries, of which nothing is said
        daemon.start()
        self.assertEqual(sender.wait(), 0, sender.errors)
        lines = sender.errors.splitlines()
        self.assertEqual(len(lines), 2, sender.errors)
        self.assertRegex(lines[0], r"^cproto-send: 127\.0\.0\.1:\d+: connection refused; is cprotod running, and does it listen on "
                                   r"this address\? Next try in [0-9.]+ m?s$")
        self.assertIn("reached after", lines[1])
        self.assert_arrives(daemon.inbox("client"), b"patience\n")

    def test_the_environment_stands_in_for_flags(self):
        daemon = self.daemon()
        self.send(None, "-m", "x", client=None,
                  env={"CPROTO_SERVER": daemon.server, "CPROTO_CLIENT_ID": "from-env", "CPROTO_CHANNEL": "chan"})
        self.assert_arrives(daemon.inbox("from-env", "chan"), b"x\n")

    def test_a_closed_output_never_ends_a_transfer(self):
        daemon = self.daemon()
        read, write = os.pipe()
        os.close(read)
        sender = self.sender(daemon, "-v", "--json", "--trace", "-m", "x")
        self.assertEqual(sender.wait(), 0)
        closed = subprocess.run(sender.process.args, stdin=subprocess.DEVNULL, stdout=write, stderr=write, timeout=60)
        os.close(write)
        self.assertEqual(closed.returncode, 0)
        self.assert_arrives(daemon.inbox("client"), b"x\nx\n")


class Input(TestCase):
    def test_lines_stay_as_they_are(self):
        daemon = self.daemon()
        lines = b"plain\n\nwith\rCR\r\nnul \0 nul\n\xff\xfe no text\n  spaces  \n{}\n[a,b]\n" + b"y" * 200_000 + b"\n"
        self.send_bytes(daemon, lines, "--lines", "-")
        self.assert_arrives(daemon.inbox("client"), lines)

    def test_a_last_line_without_lf_is_a_line(self):
        daemon = self.daemon()
        self.send_bytes(daemon, b"one\ntwo", "--lines", "-")
        self.assert_arrives(daemon.inbox("client"), b"one\ntwo\n")

    def test_empty_input_is_no_message_and_no_fault(self):
        daemon = self.daemon()
        self.send_bytes(daemon, b"", "--lines", "-")
        self.send_bytes(daemon, b"")
        self.assertFalse(daemon.inbox("client").exists())
        self.send_bytes(daemon, b"\n", "--lines", "-")
        self.assert_arrives(daemon.inbox("client"), b"\n")

    def test_messages_may_be_empty_begin_with_a_dash_and_hold_line_feeds(self):
        daemon = self.daemon()
        self.send(daemon, "-m", "")
        self.send(daemon, "-m", "--lines", "-m", "-", "-m", "two\nlines", "-m", "{}", "[1,2]")
        self.assert_arrives(daemon.inbox("client"), b"\n--lines\n-\ntwo\nlines\n{}\n[1,2]\n")

    def test_standard_input_is_not_touched_where_messages_are_given(self):
        daemon = self.daemon()
        read, write = os.pipe()
        os.write(write, b"mine\n")
        self.send(daemon, "-m", "x", stdin=read)
        os.close(write)
        self.assertEqual(os.read(read, 100), b"mine\n")
        os.close(read)

    def test_without_operands_a_pipe_is_read_as_lines(self):
        daemon = self.daemon()
        self.send_bytes(daemon, b"one\ntwo\n")
        self.assert_arrives(daemon.inbox("client"), b"one\ntwo\n")

    def test_lines_that_are_too_large_are_refused_by_name_and_the_rest_arrives(self):
        daemon = self.daemon("[limits]\nmessage_size = \"1KiB\"\n")
        lines = [b"first", b"x" * 1024, b"y" * 1025, b"fourth", b"z" * 3_000_000, b"", b"seventh"]
        for packet in (64, 65536):
            channel = "packets-of-%d" % packet
            sender = self.send_bytes(daemon, b"\n".join(lines), "--lines", "-", "-c", channel, "--max-packet-size", packet, status=65)
            said = [line.split(": ", 1)[1] for line in sender.errors.splitlines()]
            self.assertEqual(said[:2], ["line 3: larger than 1 KiB", "line 5: larger than 1 KiB"])
            self.assertEqual(said[2:], ["2 of 7 lines were refused; the rest is durable"])
            rest = [line for line in lines if len(line) <= 1024]
            self.assert_arrives(daemon.inbox("client", channel), b"\n".join(rest) + b"\n")

    def test_a_pipe_is_held_while_the_daemon_is_away_in_bounded_memory_and_all_of_it_arrives(self):
        daemon = self.daemon()
        lines = numbered_lines(2_000_000)
        sender = self.sender(daemon, "--lines", "-", stdin=subprocess.PIPE)
        feeder = Feeder(sender.stdin, lines, allowed=1000)
        wait_for(lambda: size_of(daemon.inbox("client")) > 0, "the first lines")
        daemon.kill()
        feeder.allow(len(lines))
        wait_for(lambda: "the writer of this pipe is being held" in sender.errors, "the line that says so")
        held = self.standstill(feeder)
        self.assertLess(held, len(lines) // 2)
        with open("/proc/%d/status" % sender.process.pid) as status:
            resident = next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))
        self.assertLess(resident, 64 << 10)
        daemon.start()
        self.assertEqual(sender.wait(), 0, sender.errors)
        self.assert_arrives(daemon.inbox("client"), lines)

    def standstill(self, feeder):
        """How much the pipe took until it took no more."""
        seen = [-1, time.monotonic()]

        def stands():
            if feeder.written != seen[0]:
                seen[:] = [feeder.written, time.monotonic()]
            return time.monotonic() - seen[1] > 0.7
        wait_for(stands, "a standstill")
        return feeder.written


if __name__ == "__main__":
    main()

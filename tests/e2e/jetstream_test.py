"""What a stream as the engine does when something is wrong with it, and what its readers see."""
import os
import pathlib
import re
import signal
import subprocess
import time

os.environ["CPROTO_E2E_ENGINE"] = "jetstream"  # before anybody looks at it

import jetstream
import wire
from support import BIN, ROOT, TestCase, main, numbered_lines, size_of, wait_for


def memory_of(pid):
    status = pathlib.Path("/proc/%d/status" % pid).read_text()
    return int(re.search(r"VmRSS:\s+(\d+) kB", status).group(1)) * 1024


class JetStream(TestCase):
    def ask(self, daemon, subject, question=None):
        connection = jetstream.Connection(daemon.nats.port)
        try:
            return connection.ask("$JS.API." + subject, question)
        finally:
            connection.close()

    def wait_log(self, daemon, containing, timeout=30):
        wait_for(lambda: daemon.log_lines(containing), "a line with " + containing, timeout)
        return daemon.log_lines(containing)

    @staticmethod
    def start_without_stream(daemon):
        """start() waits until the stream is open."""
        server, daemon.nats = daemon.nats, None
        daemon.start()
        daemon.nats = server

    # --- the stream is not as it should be ---

    def test_a_server_that_is_away_at_the_start_is_waited_for_and_senders_are_told(self):
        daemon = self.daemon(start=False)
        daemon.nats.start()
        daemon.nats.kill()
        daemon.reader = jetstream.Reader([daemon.nats.port], jetstream.Inbox(daemon.store / "inbox").take)
        self.start_without_stream(daemon)
        self.assertIn("no server can be reached", self.wait_log(daemon, "cannot be used")[0])
        sender = self.sender(daemon, "-m", "early", "-v")
        wait_for(lambda: "cannot be used" in sender.errors, "the sender to say why it waits")
        daemon.nats.start()
        self.assertEqual(sender.wait(), 0, sender.errors)
        self.assert_arrives(daemon.inbox("client"), b"early\n")

    def test_a_server_that_goes_and_comes_back_is_said_once_each_and_nothing_is_lost(self):
        daemon = self.daemon()
        self.send(daemon, "-m", "before")
        daemon.nats.kill()
        sender = self.sender(daemon, "-m", "meanwhile")
        time.sleep(4)
        self.assertIsNone(sender.process.poll())
        daemon.nats.start()
        self.assertEqual(sender.wait(), 0, sender.errors)
        self.assert_arrives(daemon.inbox("client"), b"before\nmeanwhile\n")
        wait_for(lambda: len(daemon.log_lines(" is open: ")) > 1, "the second line that it is open")
        self.assertEqual(len(daemon.log_lines("the connection was closed")), 1)
        self.assertLessEqual(len(daemon.log_lines("cannot be used")), 3)  # closed, refused, and perhaps not ready yet
        self.assertEqual(len(daemon.log_lines(" is open: ")), 2)

    def test_a_server_that_stands_still_costs_no_memory_and_nothing_is_acknowledged_meanwhile(self):
        daemon = self.daemon('[limits]\nmemory = "16MiB"\n')
        self.send(daemon, "-m", "x")
        before = memory_of(daemon.pid)
        lines = numbered_lines(300_000)
        path = self.directory / "lines"
        path.write_bytes(lines)
        os.kill(daemon.nats.process.pid, signal.SIGSTOP)
        try:
            senders = [self.sender(daemon, "--lines", path, client="fast-%d" % i) for i in range(2)]
            highest = 0
            for _ in range(65):
                highest = max(highest, memory_of(daemon.pid))
                time.sleep(0.1)
            self.assertTrue(all(sender.process.poll() is None for sender in senders))
            wait_for(lambda: daemon.log_lines("no answer for 5 s"), "the line")
        finally:
            os.kill(daemon.nats.process.pid, signal.SIGCONT)
        self.assertLess(highest - before, 64 << 20)
        for sender in senders:
            self.assertEqual(sender.wait(), 0, sender.errors)
        for i in range(2):
            self.assert_arrives(daemon.inbox("fast-%d" % i), lines, timeout=120)

    def test_a_stream_that_is_full_holds_senders_and_they_go_on_when_there_is_room(self):
        daemon = self.daemon(start=False)
        daemon.config.write_text(daemon.config.read_text() + 'max_bytes = "1MiB"\n')
        daemon.start()
        lines = b"".join(b"%099d\n" % i for i in range(20_000))
        path = self.directory / "lines"
        path.write_bytes(lines)
        sender = self.sender(daemon, "--lines", path, "-v")
        self.assertIn("nothing is acknowledged", self.wait_log(daemon, "is full")[0])
        wait_for(lambda: "is full" in sender.errors, "the sender to say why it waits")
        info = self.ask(daemon, "STREAM.INFO.cproto")
        config = info["config"]
        config["max_bytes"] = 100 << 20
        self.assertNotIn("error", self.ask(daemon, "STREAM.UPDATE.cproto", config))
        self.assertEqual(sender.wait(), 0, sender.errors)
        self.assert_arrives(daemon.inbox("client"), lines)
        self.assertEqual(len(daemon.log_lines("is full: maximum bytes exceeded; nothing is acknowledged")), 1)

    def test_a_stream_that_was_removed_is_made_again_and_is_another_store(self):
        daemon = self.daemon()
        sender = self.sender(daemon, "--lines", "-", "--timeout", "15s", stdin=subprocess.PIPE)
        sender.stdin.write(b"one\n")
        sender.stdin.flush()
        wait_for(lambda: size_of(daemon.inbox("client")) == 4, "the first line")
        daemon.reader.stop()
        self.assertTrue(self.ask(daemon, "STREAM.DELETE.cproto")["success"])
        sender.stdin.write(b"two\n")
        sender.stdin.close()
        wait_for(lambda: len(daemon.log_lines(" is open: ")) == 2, "the stream to be made again")
        self.assertEqual(sender.wait(), 76, sender.errors)
        self.assertIn("not the store the session belongs to", sender.errors)
        self.send(daemon, "-m", "others are served", client="other")

    def test_a_stream_that_may_not_be_made_is_named_until_it_is_there(self):
        daemon = self.daemon(start=False)
        daemon.config.write_text(daemon.config.read_text() + "create = false\n")
        daemon.nats.start()
        self.start_without_stream(daemon)
        self.assertIn("there is no stream cproto", self.wait_log(daemon, "cannot be used")[0])
        made = self.ask(daemon, "STREAM.CREATE.cproto", {"name": "cproto", "subjects": ["cproto.>"], "storage": "file",
                                                         "retention": "limits", "num_replicas": 1, "max_consumers": -1,
                                                         "max_msgs": -1, "max_bytes": -1, "max_age": 0,
                                                         "discard": "new"})
        self.assertNotIn("error", made)
        self.send(daemon, "-m", "at last")

    def test_a_stream_of_another_kind_is_refused_by_what_is_wrong_with_it(self):
        daemon = self.daemon(start=False)
        daemon.nats.start()
        base = {"name": "cproto", "subjects": ["cproto.>"], "storage": "file", "retention": "limits", "num_replicas": 1,
                "max_consumers": -1, "max_msgs": -1, "max_bytes": -1, "max_age": 0, "discard": "new"}
        self.ask(daemon, "STREAM.CREATE.cproto", {**base, "retention": "workqueue"})
        self.start_without_stream(daemon)
        self.assertIn("drops what its consumers have seen", self.wait_log(daemon, "cannot be used")[0])

    # --- what it refuses, and says ---

    def test_files_are_refused(self):
        daemon = self.daemon()
        path = self.directory / "file"
        path.write_bytes(b"whatever")
        sender = self.send(daemon, path, status=76)
        self.assertIn("takes no files", sender.errors)
        self.send(daemon, "-m", "messages are not")

    def test_senders_hear_what_is_behind_an_acknowledgement_and_may_require_more(self):
        daemon = self.daemon()
        self.assertIn("durability on 1 server, not synced", self.send(daemon, "--check").output)
        for level in ("fsync", "replicated"):
            self.assertIn("less than the client requires", self.send(daemon, "--require", level, "-m", "x", status=76).errors)
        self.send(daemon, "--require", "any", "-m", "taken")
        self.assert_arrives(daemon.inbox("client"), b"taken\n")
        daemon.terminate()
        daemon.config.write_text(daemon.config.read_text() + "servers_sync = true\n")
        daemon.start()
        self.send(daemon, "--require", "fsync", "-m", "synced")

    def test_status_metrics_and_why_speak_of_the_stream(self):
        daemon = self.daemon()
        self.send(daemon, "-m", "x")
        control = ["--directory", str(daemon.store)]
        run = lambda *words: subprocess.run([str(BIN / "cprotoctl"), *words, *control], capture_output=True, text=True, timeout=20)
        status = run("status")
        self.assertEqual(status.returncode, 0, status.stderr)
        self.assertIn("the stream cproto", status.stdout)
        self.assertIn("cproto_publish_seconds_count 1", run("metrics").stdout)
        self.assertIn("there is no journal here", run("verify").stdout + run("verify").stderr)

    # --- two daemons ---

    def second(self, first):
        """Another daemon before the same stream."""
        second = self.daemon(name="second", start=False)
        second.config.write_text(first.config.read_text())
        second.nats = None
        second.start()
        self.wait_log(second, " is open: ")
        return second

    def begun(self, daemon):
        """A peer with one durable message, and its terms."""
        peer = wire.Peer(daemon.port)
        self.addCleanup(peer.close)
        terms = peer.shake_hands()
        peer.send(wire.frame(wire.DATA, b"one", 1))
        peer.wait_durable(1)
        return peer, terms

    def test_a_session_goes_on_at_another_daemon_and_the_first_is_fenced(self):
        first = self.daemon("[session]\nmax_packet_size = 1024\n")
        second = self.second(first)
        peer, terms = self.begun(first)
        # The same client, taken elsewhere; the first connection does not know of it.
        other = wire.Peer(second.port)
        self.addCleanup(other.close)
        again = other.shake_hands(attempt=2, extra=wire.resume(terms.session, terms.store, 1, 3, 1))
        self.assertEqual((again.outcome, again.durable_through, again.durable_messages), (wire.RESUMED, 1, 1))
        other.send(wire.frame(wire.DATA, b"two", 2))
        other.wait_durable(2)
        peer.send(wire.frame(wire.DATA, b"two, late", 2))
        self.assertEqual(peer.expect_error().code, 48)
        other.finish(terms.session, 2)
        self.assert_arrives(first.inbox("raw"), b"one\ntwo\n")

    def test_a_resume_at_another_daemon_fences_the_first_before_anything_is_sent(self):
        first = self.daemon()
        second = self.second(first)
        peer, terms = self.begun(first)
        other = wire.Peer(second.port)
        self.addCleanup(other.close)
        other.shake_hands(attempt=2, extra=wire.resume(terms.session, terms.store, 1, 3, 1))
        peer.send(wire.frame(wire.DATA, b"two", 2))
        self.assertEqual(peer.expect_error().code, 48)

    # --- its readers ---

    def test_the_document_s_python_reads_what_was_sent(self):
        text = (ROOT / "daemon" / "STREAM.md").read_text()
        scope = {}
        exec(re.search(r"```python\n(.*?)```", text, re.S).group(1), scope)
        daemon = self.daemon()
        seen = []
        daemon.reader.stop()
        daemon.reader = reader = jetstream.Reader([daemon.nats.port], lambda *message: None)
        reader.messages.of = lambda subject, headers, payload: seen.append((headers, payload)) or ()
        data = self.random.randbytes(300_000).replace(b"\n", b" ")
        path = self.directory / "large"
        path.write_bytes(data)
        self.send(daemon, "-m", "a", "-m", "", "-m", "c", client="small")
        self.send(daemon, "--binary", path, "--max-packet-size", "10KiB", client="large")
        reader.catch_up()
        small = [one for one in seen if "binary" != one[0].get("Cproto-Kind")]
        large = [one for one in seen if "binary" == one[0].get("Cproto-Kind")]
        self.assertEqual(list(scope["messages"](small)), [b"a", b"", b"c"])
        self.assertEqual(list(scope["messages"](large)), [data])

    def test_with_a_pack_size_of_1_each_message_is_one_of_the_stream(self):
        daemon = self.daemon(start=False)
        daemon.config.write_text(daemon.config.read_text() + "pack_size = 1\n")
        daemon.start()
        path = self.directory / "lines"
        path.write_bytes(numbered_lines(500))
        self.send(daemon, "--lines", path)
        self.assert_arrives(daemon.inbox("client"), numbered_lines(500))
        self.assertEqual(self.ask(daemon, "STREAM.INFO.cproto")["state"]["messages"], 500)


if __name__ == "__main__":
    main()

"""Encryption, identity, authority: who belongs, who does not, and what each is told."""
import os
import re
import signal
import socket
import ssl
import subprocess
import threading
import time

from authority import Authority
from support import BIN, ROOT, TestCase, die_with_us, main, wait_for
import wire

SECRET = re.compile(r"[0-9a-f]{64}")


class Tls(TestCase):
    def key_daemon(self, *clients, config=""):
        """With a key for each of these clients."""
        self.keys = self.directory / "server.keys"
        for client in clients:
            self.add_key(client)
        return self.daemon('[tls]\nkeys = "%s"\n' % self.keys + config)

    def add_key(self, client, status=0, daemon=None):
        where = ["--directory", daemon.store] if daemon else ["--socket", self.directory / "nobody"]
        ended = subprocess.run([str(BIN / "cprotoctl"), *map(str, where), "key", "--file", str(self.keys), "add", client],
                               capture_output=True, text=True, timeout=60, preexec_fn=die_with_us)
        self.assertEqual(ended.returncode, status, ended.stderr)
        path = self.key_of(client)
        path.write_text(ended.stdout)
        path.chmod(0o600)
        return path

    def ctl(self, daemon, *arguments):
        ended = subprocess.run([str(BIN / "cprotoctl"), "--directory", str(daemon.store), *map(str, arguments)],
                               capture_output=True, text=True, timeout=60, preexec_fn=die_with_us)
        self.assertEqual(ended.returncode, 0, ended.stderr)
        return ended.stdout

    def key_of(self, client):
        return self.directory / (client + ".key")

    def certificate_daemon(self, config="", **request):
        self.authority = Authority(self.directory / "authority")
        request = {"hosts": "IP:127.0.0.1", **request}
        certificate, key = self.authority.sign("logs", **request)
        return self.daemon('[tls]\nkeys = ""\ncertificate = "%s"\ncertificate_key = "%s"\nclient_ca = "%s"\n'
                           % (certificate, key, self.authority.ca) + config)

    def certificate_of(self, client, authority=None, **request):
        certificate, key = (authority or self.authority).sign(client, **request)
        return ["--ca", self.authority.ca, "--certificate", certificate, "--certificate-key", key]


class Keys(Tls):
    def test_a_key_says_who_sends(self):
        daemon = self.key_daemon("web-1", "web-2")
        self.send(daemon, "--key", self.key_of("web-1"), "-m", "one", client=None)
        self.send(daemon, "--key", self.key_of("web-2"), "-m", "two", client="web-2")
        self.assert_arrives(daemon.inbox("web-1"), b"one\n")
        self.assert_arrives(daemon.inbox("web-2"), b"two\n")

    def test_the_key_of_another_is_a_mistake_that_is_seen_at_once(self):
        daemon = self.key_daemon("web-1")
        sender = self.send(daemon, "--key", self.key_of("web-1"), "-m", "x", client="web-2", status=64)
        self.assertIn("is the key of web-1, and the client id is web-2", sender.errors)

    def test_a_key_that_is_not_known_is_said_and_not_tried_for_ever(self):
        daemon = self.key_daemon("web-1")
        path = self.directory / "wrong.key"
        path.write_text("web-1 " + "ab" * 32 + "\n")
        sender = self.send(daemon, "--key", path, "-m", "x", client=None, status=77, timeout=20)
        self.assertIn("it does not know this key", sender.errors)
        wait_for(lambda: daemon.log_lines("TLS fails"), "the line")

    def test_plain_text_is_refused_with_one_line_at_both_ends(self):
        daemon = self.key_daemon("web-1")
        sender = self.send(daemon, "-m", "x", client="web-1", status=76, timeout=20)
        self.assertIn("only TLS is taken here; --key FILE", sender.errors)
        lines = wait_for(lambda: daemon.log_lines("speaks plain text, and [tls] is on here"), "the line")
        self.assertEqual(len(lines), 1)

    def test_plain_text_is_taken_while_clients_are_changed_over(self):
        daemon = self.key_daemon("web-1", config="allow_plain = true\n")
        wait_for(lambda: daemon.log_lines("tls.allow_plain"), "the line")
        self.send(daemon, "-m", "plain", client="old")
        self.send(daemon, "--key", self.key_of("web-1"), "-m", "encrypted", client=None)
        self.assert_arrives(daemon.inbox("old"), b"plain\n")
        self.assert_arrives(daemon.inbox("web-1"), b"encrypted\n")

    def test_a_key_is_known_as_soon_as_it_is_made_and_gone_as_soon_as_it_is_taken_away(self):
        daemon = self.key_daemon("web-1")
        self.add_key("web-2", daemon=daemon)
        sender = self.sender(daemon, "--key", self.key_of("web-2"), "--lines", "-", client=None, stdin=subprocess.PIPE)
        sender.stdin.write(b"a\n")
        sender.stdin.flush()
        self.assert_arrives(daemon.inbox("web-2"), b"a\n")
        self.ctl(daemon, "key", "--file", self.keys, "remove", "web-2")
        self.assertEqual(sender.wait(30), 77, sender.errors)
        self.assertIn("is not taken any more", sender.errors)

    def test_sessions_outlive_a_reload(self):
        daemon = self.key_daemon("web-1")
        sender = self.sender(daemon, "--key", self.key_of("web-1"), "--verbose", "--lines", "-", client=None,
                             stdin=subprocess.PIPE)
        sender.stdin.write(b"a\n")
        sender.stdin.flush()
        self.assert_arrives(daemon.inbox("web-1"), b"a\n")
        self.add_key("web-1", daemon=daemon)
        sender.stdin.write(b"b\n")
        sender.stdin.close()
        self.assertEqual(sender.wait(30), 0, sender.errors)
        self.assert_arrives(daemon.inbox("web-1"), b"a\nb\n")
        self.assertNotIn("lost", sender.errors)

    def test_a_key_file_with_a_mistake_changes_nothing(self):
        daemon = self.key_daemon("web-1")
        good = self.keys.read_text()
        self.keys.write_text(good + "web-2 nonsense\n")
        os.kill(daemon.pid, signal.SIGHUP)
        line = wait_for(lambda: daemon.log_lines("tls.keys: "), "the mistake to be said")[0]
        self.assertIn("line 3: the key is not 64 hexadecimal digits", line)
        self.send(daemon, "--key", self.key_of("web-1"), "-m", "x", client=None)

    def test_what_is_secret_is_never_said(self):
        daemon = self.key_daemon("web-1", config='[log]\nlevel = "debug"\n')
        secret = SECRET.search(self.key_of("web-1").read_text()).group()
        said = [self.send(daemon, "--key", self.key_of("web-1"), "-v", "--json", "--trace", "-m", "x", client=None)]
        self.key_of("bad").write_text("web-1 %s0\n" % secret)
        said.append(self.send(daemon, "--key", self.key_of("bad"), "-m", "x", client=None, status=66))
        texts = [s.errors + s.output for s in said] + [daemon.log.read_text(), self.ctl(daemon, "status"),
                                                       self.ctl(daemon, "metrics"),
                                                       self.ctl(daemon, "key", "--file", self.keys, "list")]
        for text in texts:
            self.assertNotIn(secret, text)
            self.assertIsNone(SECRET.search(text))

    def test_a_secret_that_everybody_can_read_is_said_at_both_ends(self):
        daemon = self.key_daemon("web-1")
        key = self.key_of("web-1")
        key.chmod(0o644)
        self.assertIn("everybody on this machine can read it", self.send(daemon, "--key", key, "-m", "x", client=None).errors)
        key.chmod(0o600)
        self.assertEqual(self.send(daemon, "--key", key, "-m", "x", client=None).errors, "")
        self.keys.chmod(0o644)
        self.assertIn("%s: everybody on this machine" % self.keys, self.ctl(daemon, "reload"))

    def test_the_key_file_is_for_root_and_the_daemon(self):
        self.key_daemon("web-1")
        self.assertEqual(self.keys.stat().st_mode & 0o007, 0)


class Certificates(Tls):
    def test_a_certificate_says_who_sends(self):
        daemon = self.certificate_daemon()
        self.send(daemon, *self.certificate_of("web-1"), "-m", "one", client=None)
        self.assert_arrives(daemon.inbox("web-1"), b"one\n")
        sender = self.send(daemon, *self.certificate_of("web-1"), "-m", "x", client="web-2", status=77, timeout=20)
        self.assertIn("belongs to another client: it is web-1's", sender.errors)

    def test_the_lines_of_the_manual_make_an_authority_that_works(self):
        page = (ROOT / "client" / "cproto-send.1.scd").read_text()
        lines, = [block for block in re.findall(r"```\n(.*?)```", page, re.DOTALL) if "openssl" in block]
        self.assertEqual(len(lines.splitlines()), 6)
        subprocess.run(["bash", "-e", "-c", lines], cwd=self.directory, check=True, capture_output=True, timeout=60)
        daemon = self.daemon('[tls]\nkeys = ""\ncertificate = "{0}/logs.pem"\ncertificate_key = "{0}/logs.key"\n'
                             'client_ca = "{0}/ca.pem"\n'.format(self.directory))
        self.send(daemon, "--ca", "ca.pem", "--certificate", "web-1.pem", "--certificate-key", "web-1.key", "--server-name",
                  "logs.example", "-m", "one", client=None, directory=self.directory)
        self.assert_arrives(daemon.inbox("web-1"), b"one\n")

    def test_a_certificate_with_another_name_is_mapped(self):
        daemon = self.certificate_daemon('[client.web-1]\ncertificate_name = "host 1.example"\n')
        self.send(daemon, *self.certificate_of("host 1.example"), "-m", "one", client="web-1")
        self.assert_arrives(daemon.inbox("web-1"), b"one\n")

    def test_without_a_certificate_nobody_sends(self):
        daemon = self.certificate_daemon()
        sender = self.send(daemon, "--ca", self.authority.ca, "-m", "x", status=77, timeout=20)
        self.assertIn("neither a key nor a certificate says who this is", sender.errors)
        wait_for(lambda: daemon.log_lines("identity_required"), "the line")

    def test_each_reason_to_refuse_has_its_words(self):
        daemon = self.certificate_daemon()
        other = Authority(self.directory / "other", "other")
        for arguments, words in (
                (["--ca", other.ca], "nobody who is believed here has signed its certificate"),
                (["--ca", self.authority.ca, "--server-name", "mail.example"], "its certificate is for another name"),
                (self.certificate_of("web-1", other), "it refuses the certificate of this client"),
                (self.certificate_of("web-1", days=-1), "it refuses the certificate of this client")):
            sender = self.send(daemon, *arguments, "-m", "x", client="web-1", status=77, timeout=20)
            self.assertIn(words, sender.errors)
        expired = self.certificate_daemon_beside(days=-1)
        sender = self.send(expired, *self.certificate_of("web-1"), "-m", "x", client="web-1", status=77, timeout=20)
        self.assertIn("its certificate has expired", sender.errors)
        wait_for(lambda: expired.log_lines("the certificate has expired"), "the line")

    def certificate_daemon_beside(self, **request):
        certificate, key = self.authority.sign("logs", hosts="IP:127.0.0.1", file="beside", **request)
        return self.daemon('[tls]\nkeys = ""\ncertificate = "%s"\ncertificate_key = "%s"\nclient_ca = "%s"\n'
                           % (certificate, key, self.authority.ca), name="beside")

    def test_a_new_certificate_is_shown_from_a_reload_on(self):
        daemon = self.certificate_daemon(days=10)
        wait_for(lambda: daemon.log_lines("the certificate expires in"), "the line")
        self.authority.sign("logs", hosts="IP:127.0.0.1", days=100)
        os.kill(daemon.pid, signal.SIGHUP)
        wait_for(lambda: daemon.log_lines("configuration reloaded"), "the reload")
        context = ssl.create_default_context(cafile=str(self.authority.ca))
        with socket.create_connection(("127.0.0.1", daemon.port)) as plain:
            with context.wrap_socket(plain, server_hostname="127.0.0.1") as encrypted:
                end = ssl.cert_time_to_seconds(encrypted.getpeercert()["notAfter"])
        self.assertGreater(end - time.time(), 90 * 86400)


class Refusals(Tls):
    def test_each_has_a_code_a_line_and_a_counter(self):
        daemon = self.certificate_daemon('[client.narrow]\nchannels = ["messages"]\nfiles = false\n'
                                         '[client.far]\nfrom = ["192.0.2.0/24"]\n')
        path = self.directory / "file"
        path.write_bytes(b"x")
        narrow = self.certificate_of("narrow")
        for code, arguments, client in (
                ("tls_required", ["-m", "x"], "narrow"),
                ("identity_required", ["--ca", self.authority.ca, "-m", "x"], "narrow"),
                ("wrong_identity", [*narrow, "-m", "x"], "web-1"),
                ("channel_not_allowed", [*narrow, "-c", "other", "-m", "x"], None),
                ("files_not_allowed", [*narrow, path], None),
                ("address_not_allowed", [*self.certificate_of("far"), "-m", "x"], None)):
            plain = code == "tls_required"
            self.send(daemon, *arguments, client=client, status=76 if plain else 77, timeout=20)
            said = "speaks plain text" if plain else "is refused: " + code
            wait_for(lambda: daemon.log_lines(said), said)
            self.assertIn('cproto_refusals_total{code="%s"} 1\n' % code, self.ctl(daemon, "metrics"))
        self.assertEqual(list((daemon.store / "inbox").iterdir()), [])
        self.assertRegex(self.ctl(daemon, "metrics"), r"(?m)^cproto_certificate_expires_seconds 2[0-9.e+]+$")

    def test_a_key_that_is_not_known_is_counted_at_both_tries(self):
        daemon = self.key_daemon("web-1")
        path = self.directory / "wrong.key"
        path.write_text("web-1 " + "ab" * 32 + "\n")
        self.send(daemon, "--key", path, "-m", "x", client=None, status=77, timeout=20)
        wait_for(lambda: "cproto_tls_failures_total 2\n" in self.ctl(daemon, "metrics"), "its counter")


class Wire(Tls):
    def recorded(self, daemon):
        """A port in front of the daemon's, and all that passes it."""
        listener = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(listener.close)
        seen = bytearray()

        def pump(source, sink):
            try:
                while data := source.recv(65536):
                    seen.extend(data)
                    sink.sendall(data)
                sink.shutdown(socket.SHUT_WR)
            except OSError:
                pass  # one of the two has ended; the test looks at how

        def serve():
            client, _ = listener.accept()
            server = socket.create_connection(("127.0.0.1", daemon.port))
            back = threading.Thread(target=pump, args=(server, client), daemon=True)
            back.start()
            pump(client, server)
            back.join(20)
            client.close()
            server.close()
        threading.Thread(target=serve, daemon=True).start()
        return listener.getsockname()[1], seen

    def test_nothing_of_what_is_sent_can_be_read_on_the_way(self):
        daemon = self.key_daemon("client-name-1")
        secrets = [b"client-name-1", b"channel-name", b"file-name.txt", b"payload of the message"]
        path = self.directory / "file-name.txt"
        path.write_bytes(b"payload of the message" * 100)
        for arguments in (["-c", "channel-name", "-m", "payload of the message"], [path]):
            port, seen = self.recorded(daemon)
            self.send(port, "--key", self.key_of("client-name-1"), *arguments, client=None)
            self.assertGreater(len(seen), 500)
            for secret in secrets:
                self.assertNotIn(secret, seen)
        port, seen = self.recorded(self.daemon(name="plain"))
        self.send(port, "-c", "channel-name", "-m", "payload of the message", client="client-name-1")
        self.assertIn(b"payload of the message", seen)  # the record is one

    def test_only_tls_1_3_is_spoken_and_only_what_is_meant_to_be(self):
        daemon = self.certificate_daemon()

        def probe(*arguments):
            ended = subprocess.run(["openssl", "s_client", "-connect", "127.0.0.1:%d" % daemon.port, "-CAfile",
                                    str(self.authority.ca), *arguments], stdin=subprocess.DEVNULL, capture_output=True,
                                   text=True, timeout=20)
            return ended.stdout + ended.stderr
        good = probe("-tls1_3")
        self.assertIn("Verification: OK", good)
        self.assertIn("Compression: NONE", good)
        self.assertIn("Early data was not sent", good)
        self.assertNotIn("New Session Ticket arrived", good)
        for version in ("-tls1_2", "-tls1_1", "-tls1"):
            self.assertNotIn("Cipher is TLS", probe(version, "-cipher", "ALL:@SECLEVEL=0"))
        for suite, is_meant in (("TLS_AES_128_GCM_SHA256", True), ("TLS_CHACHA20_POLY1305_SHA256", True),
                                ("TLS_AES_256_GCM_SHA384", False), ("TLS_AES_128_CCM_SHA256", False)):
            self.assertEqual("Cipher is " + suite in probe("-tls1_3", "-ciphersuites", suite), is_meant, suite)
        for group, is_meant in (("X25519", True), ("P-256", True), ("P-521", False), ("X448", False)):
            self.assertEqual("Cipher is TLS" in probe("-tls1_3", "-groups", group), is_meant, group)

    def test_a_handshake_may_stall_at_any_byte_and_nobody_else_waits(self):
        daemon = self.key_daemon("web-1", config='[session]\nhandshake_timeout = "1s"\n')
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        stream = context.wrap_bio(incoming, outgoing)
        with self.assertRaises(ssl.SSLWantReadError):
            stream.do_handshake()
        hello = outgoing.read()
        stalled = []
        for size in range(1, len(hello), 7):
            stalled.append(socket.create_connection(("127.0.0.1", daemon.port), timeout=20))
            stalled[-1].sendall(hello[:size])
        self.send(daemon, "--key", self.key_of("web-1"), "-m", "x", client=None, timeout=20)
        for one in stalled:
            while one.recv(4096):
                pass
            one.close()
        self.send(daemon, "--key", self.key_of("web-1"), "-m", "y", client=None, timeout=20)
        self.assert_arrives(daemon.inbox("web-1"), b"x\ny\n")


class TlsPeer(wire.Peer):
    """A client made by hand, inside TLS. Each send() is records of its own. `plain` is the stream below."""

    def __init__(self, port, context):
        super().__init__(port)
        self.plain = self.socket.dup()
        self.socket = context.wrap_socket(self.socket)

    def close(self):
        super().close()
        self.plain.close()


class Hostile(Tls):
    def context(self, client="peer"):
        _, _, _, certificate, _, key = self.certificate_of(client)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.load_cert_chain(certificate, key)
        return context

    def peer(self, daemon, client="peer"):
        peer = TlsPeer(daemon.port, self.context(client))
        self.addCleanup(peer.close)
        return peer

    def test_records_may_be_of_any_length_and_frames_lie_in_them_as_they_like(self):
        daemon = self.certificate_daemon()
        peer = self.peer(daemon)
        session = peer.shake_hands(client_id=b"peer").session
        lines = [b"%d " % i + b"x" * (i * 37 % 900) for i in range(1, 401)]
        stream = b"".join(wire.frame(wire.DATA, line, i) for i, line in enumerate(lines, 1))
        size = 1
        while stream:
            peer.send(stream[:size])
            stream, size = stream[size:], size % 1000 + 1
        peer.wait_durable(len(lines))
        peer.finish(session, len(lines))
        self.assert_arrives(daemon.inbox("peer"), b"".join(line + b"\n" for line in lines))

    def test_what_is_wrong_inside_is_answered_inside(self):
        daemon = self.certificate_daemon()
        peer = self.peer(daemon)
        peer.send(wire.frame(wire.DATA, b"too early", 1))
        self.assertEqual(peer.expect_error().code, wire.UNEXPECTED_FRAME)
        self.send(daemon, *self.certificate_of("web-1"), "-m", "x", client=None)

    def test_the_name_in_the_syn_is_the_name_that_was_proven_or_refused(self):
        daemon = self.certificate_daemon()
        peer = self.peer(daemon, "peer")
        peer.send(wire.frame(wire.SYN, wire.syn(client_id=b"web-1")))
        self.assertEqual(peer.expect_error().code, wire.WRONG_IDENTITY)
        self.assertFalse((daemon.store / "inbox" / "web-1").exists())

    def test_the_session_of_another_is_out_of_reach_even_with_its_id(self):
        daemon = self.certificate_daemon()
        owner = self.peer(daemon, "web-1")
        terms = owner.shake_hands(client_id=b"web-1")
        thief = self.peer(daemon, "web-2")
        thief.send(wire.frame(wire.SYN, wire.syn(client_id=b"web-2", attempt=2, extra=wire.resume(terms.session, terms.store))))
        self.assertEqual(thief.expect_error().code, wire.UNKNOWN_SESSION)
        owner.send(wire.frame(wire.DATA, b"mine", 1))
        owner.wait_durable(1)

    def test_a_byte_that_is_put_in_ends_the_connection_and_the_session_goes_on_with_the_next(self):
        daemon = self.certificate_daemon()
        peer = self.peer(daemon)
        terms = peer.shake_hands(client_id=b"peer")
        peer.send(wire.frame(wire.DATA, b"one", 1))
        peer.wait_durable(1)
        peer.plain.sendall(b"\x17\x03\x03\x00\x20" + bytes(32))
        with self.assertRaises((ssl.SSLError, wire.Closed)):
            while True:
                peer.receive()
        self.assert_arrives(daemon.inbox("peer"), b"one\n")
        self.assertTrue(wait_for(lambda: daemon.log_lines("lost"), "the loss"))
        again = self.peer(daemon).shake_hands(client_id=b"peer", attempt=2, extra=wire.resume(terms.session, terms.store, 1, 3, 1))
        self.assertEqual((again.outcome, again.durable_through), (wire.RESUMED, 1))

    def test_keys_may_be_changed_on_the_way_and_not_for_ever(self):
        daemon = self.certificate_daemon(config='[session]\nhandshake_timeout = "2s"\n')
        _, _, _, certificate, _, key = self.certificate_of("peer")
        subprocess.run(["openssl", "s_client", "-connect", "127.0.0.1:%d" % daemon.port, "-cert", certificate, "-key", key],
                       input=b"K\n" * 2000, capture_output=True, timeout=60)
        self.send(daemon, *self.certificate_of("web-1"), "-m", "x", client=None)

    def test_a_thousand_handshakes_at_once_are_all_answered_and_a_session_goes_on_between(self):
        daemon = self.certificate_daemon(config="[session]\nhandshake_timeout = \"60s\"\n[limits]\nconnections_per_address = 2000\nhandshakes_pending = 2000\n")
        established = self.peer(daemon)
        session = established.shake_hands(client_id=b"peer").session
        context = self.context()
        waiting = []
        for _ in range(1000):
            answers, hello = ssl.MemoryBIO(), ssl.MemoryBIO()
            stream = context.wrap_bio(answers, hello)
            with self.assertRaises(ssl.SSLWantReadError):
                stream.do_handshake()
            waiting.append((socket.create_connection(("127.0.0.1", daemon.port), timeout=60), hello.read()))
            self.addCleanup(waiting[-1][0].close)
        for one, hello in waiting:
            one.sendall(hello)
        for number in range(1, 101):
            established.send(wire.frame(wire.DATA, b"%d" % number, number))
            established.wait_durable(number)
        established.finish(session, 100)
        for one, _ in waiting:
            self.assertEqual(one.recv(1), b"\x16")
        self.assert_arrives(daemon.inbox("peer"), b"".join(b"%d\n" % i for i in range(1, 101)))


if __name__ == "__main__":
    main()

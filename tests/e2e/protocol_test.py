"""Conversations of a peer written from proto/PROTOCOL.md alone with the real daemon."""
import struct

import wire
from support import DURABILITY, TestCase, journal_only, main, stored, wait_for
from wire import Peer, frame


class Protocol(TestCase):
    def peer(self, daemon):
        peer = Peer(daemon.port)
        self.addCleanup(peer.close)
        return peer

    def test_one_message_from_beginning_to_end(self):
        daemon = self.daemon()
        peer = self.peer(daemon)
        terms = peer.shake_hands(client_id=b"raw", max_packet_size=1024, window_size=5)
        self.assertEqual((terms.version, terms.mode, terms.durability, terms.outcome), (1, wire.BURST, DURABILITY, wire.BEGUN))
        self.assertEqual((terms.max_packet_size, terms.window_size, terms.keep_alive_ms), (1024, 5, 20000))
        self.assertEqual((terms.durable_through, terms.durable_bytes, terms.limit_number), (0, 0, 5))
        reserved = {0x0A0A + 0x1010 * i for i in range(8)}
        self.assertTrue(reserved & {kind for kind, _ in terms.parameters}, "no reserved parameter")
        self.assertEqual(dict(terms.parameters)[0x0102], struct.pack(">Q", 64 << 20))
        peer.send(frame(wire.DATA, b"Hello World", 1))
        self.assertEqual(peer.wait_durable(1).durable_through, 1)
        peer.finish(terms.session, 1)
        self.assert_arrives(daemon.inbox("raw"), b"Hello World\n")

    def test_a_message_in_fragments_goes_to_the_channel_of_its_header(self):
        daemon = self.daemon()
        peer = self.peer(daemon)
        terms = peer.shake_hands()
        header = struct.pack(">B3x", 2) + wire.parameter(0x8201, b"images")
        peer.send(frame(wire.DATA, b"text", 1) + frame(wire.HEADER, header, 2) + frame(wire.FRAGMENT, b"0123456789", 3) +
                  frame(wire.FRAGMENT, b"", 4) + frame(wire.DATA, b"abc", 5) + frame(wire.DATA, b"more text", 6))
        peer.finish(terms.session, 6)
        self.assert_arrives(daemon.inbox("raw"), b"text\nmore text\n")
        self.assert_arrives(daemon.inbox("raw", "images", "bin"), stored(b"0123456789abc"))

    def test_a_message_that_is_abandoned_is_never_seen(self):
        daemon = self.daemon()
        peer = self.peer(daemon)
        terms = peer.shake_hands()
        peer.send(frame(wire.FRAGMENT, b"never", 1) + frame(wire.HEADER, bytes(4), 2) + frame(wire.DATA, b"seen", 3))
        peer.finish(terms.session, 3)
        self.assert_arrives(daemon.inbox("raw"), b"seen\n")

    def test_a_client_without_a_name_is_told_one(self):
        daemon = self.daemon()
        peer = self.peer(daemon)
        terms = peer.shake_hands(client_id=None)
        name = dict(terms.parameters)[0x0101].decode()
        peer.send(frame(wire.DATA, b"who am I", 1))
        peer.finish(terms.session, 1)
        self.assert_arrives(daemon.inbox(name), b"who am I\n")

    def test_a_session_resumes_behind_what_is_durable_and_a_duplicate_is_acknowledged_once_more(self):
        daemon = self.daemon()
        first = self.peer(daemon)
        terms = first.shake_hands()
        first.send(frame(wire.DATA, b"one", 1) + frame(wire.DATA, b"two", 2) + frame(wire.FRAGMENT, b"thr", 3))
        first.wait_durable(3)
        first.close()
        daemon.kill()
        daemon.start()
        second = self.peer(daemon)
        again = second.shake_hands(attempt=2, extra=wire.resume(terms.session, terms.store, 1, 3, 1))
        self.assertEqual((again.outcome, again.session, again.store), (wire.RESUMED, terms.session, terms.store))
        self.assertEqual((again.durable_through, again.durable_bytes, again.durable_messages), (3, 9, 2))
        self.assertEqual(struct.unpack(">QQB", dict(again.parameters)[0x0103]), (3, 3, 1))
        second.send(frame(wire.DATA, b"two", 2))
        self.assertEqual(second.wait_durable(3).durable_through, 3)
        second.send(frame(wire.DATA, b"ee", 4))
        second.finish(terms.session, 4)
        self.assert_arrives(daemon.inbox("raw"), b"one\ntwo\nthree\n")

    def test_a_higher_attempt_takes_over_and_a_lower_one_is_stale(self):
        daemon = self.daemon()
        old = self.peer(daemon)
        terms = old.shake_hands()
        old.send(frame(wire.DATA, b"one", 1))
        old.wait_durable(1)
        new = self.peer(daemon)
        new.shake_hands(attempt=5, extra=wire.resume(terms.session, terms.store, 1, 3, 1))
        self.assertEqual(old.expect_error().code, wire.SUPERSEDED)
        late = self.peer(daemon)
        late.send(frame(wire.SYN, wire.syn(attempt=5, extra=wire.resume(terms.session, terms.store, 1, 3, 1))))
        error = late.expect_error()
        self.assertEqual((error.code, error.number), (wire.STALE_ATTEMPT, 5))
        new.send(frame(wire.DATA, b"two", 2))
        new.finish(terms.session, 2)
        self.assert_arrives(daemon.inbox("raw"), b"one\ntwo\n")

    def test_a_resume_under_another_name_or_ahead_of_the_store_is_refused(self):
        daemon = self.daemon()
        peer = self.peer(daemon)
        terms = peer.shake_hands()
        peer.send(frame(wire.DATA, b"one", 1))
        peer.wait_durable(1)
        peer.close()
        for offer, code in (({"client_id": b"other", "extra": wire.resume(terms.session, terms.store, 1, 3, 1)},
                             wire.UNKNOWN_SESSION),
                            ({"extra": wire.resume(terms.session, terms.store, 9, 30, 9)}, wire.STORE_BEHIND),
                            ({"extra": wire.resume(terms.session, bytes(16), 1, 3, 1)}, wire.OTHER_STORE)):
            peer = self.peer(daemon)
            peer.send(frame(wire.SYN, wire.syn(attempt=2, **offer)))
            self.assertEqual(peer.expect_error().code, code)
            peer.close()

    def test_a_refused_message_is_said_again_until_it_was_heard(self):
        daemon = self.daemon("[limits]\nmessage_size = \"1KiB\"\n")
        peer = self.peer(daemon)
        terms = peer.shake_hands()
        peer.send(frame(wire.DATA, b"small", 1) + frame(wire.FRAGMENT, bytes(1024), 2) + frame(wire.DATA, b"x", 3))
        error = peer.expect_error()
        self.assertEqual((error.code, error.error_class, error.number), (wire.MESSAGE_TOO_LARGE, 2, 2))
        peer.wait_durable(3)
        peer.close()
        daemon.kill()
        daemon.start()
        for attempt, heard, expected in ((2, 0, [struct.pack(">HQ", wire.MESSAGE_TOO_LARGE, 2)]), (3, 2, [])):
            peer = self.peer(daemon)
            extra = wire.resume(terms.session, terms.store, 0, 0, 0) + wire.parameter(5, struct.pack(">Q", heard))
            again = peer.shake_hands(attempt=attempt, extra=extra)
            self.assertEqual([value for kind, value in again.parameters if kind == 0x8104], expected)
            if heard == 0:
                peer.close()
        peer.finish(terms.session, 3)
        self.assert_arrives(daemon.inbox("raw"), b"small\n")

    def test_a_question_is_answered_behind_an_ack(self):
        daemon = self.daemon()
        peer = self.peer(daemon)
        peer.shake_hands()
        peer.send(frame(wire.KEEP_ALIVE, b"\0"))
        self.assertEqual(peer.receive().type, wire.ACK)
        answer = peer.receive()
        self.assertEqual((answer.type, answer.payload), (wire.KEEP_ALIVE, b"\1"))

    def test_a_silent_client_is_asked_and_then_let_go_and_its_session_stays(self):
        daemon = self.daemon("[session]\nkeep_alive = \"300ms\"\n")
        peer = self.peer(daemon)
        terms = peer.shake_hands()
        peer.send(frame(wire.DATA, b"one", 1))
        heard = []
        while not heard or heard[-1].type != wire.ERROR:
            heard.append(peer.receive())
        self.assertEqual(wire.decode_error(heard[-1].payload).code, wire.PEER_SILENT)
        self.assertEqual([one.payload for one in heard if one.type == wire.KEEP_ALIVE], [b"\0", b"\0"])
        back = self.peer(daemon)
        again = back.shake_hands(attempt=2, extra=wire.resume(terms.session, terms.store, 1, 3, 1))
        self.assertEqual((again.outcome, again.durable_through), (wire.RESUMED, 1))

    @journal_only("a stream knows a session as long as it has its last message")
    def test_a_finished_session_is_forgotten_and_a_paused_one_is_not(self):
        daemon = self.daemon()
        peer = self.peer(daemon)
        terms = peer.shake_hands()
        peer.send(frame(wire.DATA, b"one", 1) + wire.disconnect(wire.PAUSE, 1))
        peer.wait_durable(1)
        peer.close()
        peer = self.peer(daemon)
        again = peer.shake_hands(attempt=2, extra=wire.resume(terms.session, terms.store, 1, 3, 1))
        self.assertEqual(again.outcome, wire.RESUMED)
        peer.finish(terms.session, 1)
        for restarted in (False, True):
            if restarted:
                self.assert_served(daemon)  # what is durable now is behind the record of its end
                daemon.kill()
                daemon.start()
            peer = self.peer(daemon)
            peer.send(frame(wire.SYN, wire.syn(attempt=3, extra=wire.resume(terms.session, terms.store, 1, 3, 1))))
            self.assertEqual(peer.expect_error().code, wire.UNKNOWN_SESSION)

    def test_a_lost_store_is_refused_or_restarted_as_the_operator_says(self):
        lost = wire.resume(self.random.randbytes(16), self.random.randbytes(16), 41, 400, 40)
        daemon = self.daemon("[session]\nunknown = \"restart\"\n")
        peer = self.peer(daemon)
        terms = peer.shake_hands(attempt=2, extra=lost)
        self.assertEqual((terms.outcome, terms.durable_through, terms.durable_bytes, terms.durable_messages),
                         (wire.RESTARTED, 41, 400, 40))
        peer.send(frame(wire.DATA, b"number 42", 42))
        peer.finish(terms.session, 42)
        self.assert_arrives(daemon.inbox("raw"), b"number 42\n")
        self.assertEqual(len(wait_for(lambda: daemon.log_lines("may be missing"), "the line")), 1)

    def test_sixteen_bits_wrap_without_anybody_noticing(self):
        daemon = self.daemon()
        peer = self.peer(daemon)
        terms = peer.shake_hands(window_size=1000)
        count, sent, durable = 70_000, 0, 0
        while durable < count:
            end = min(durable + 1000, count)
            peer.send(b"".join(frame(wire.DATA, b"%d" % i, i) for i in range(sent + 1, end + 1)))
            sent = end
            durable = peer.wait_durable(durable + 1).durable_through
        peer.finish(terms.session, count)
        self.assert_arrives(daemon.inbox("raw"), b"".join(b"%d\n" % i for i in range(1, count + 1)))


if __name__ == "__main__":
    main()

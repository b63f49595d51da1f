"""What no client would send. Each is answered where that is possible, is one line in the log, and hurts nobody else."""
import os
import socket
import struct
import time

import credentials
import wire
from support import TestCase, descriptors, descriptors_at_rest, main, wait_for
from wire import Peer, frame

ZERO = bytes(16)


class BadInput(TestCase):
    def setUp(self):
        super().setUp()
        self.served = self.daemon("[session]\nhandshake_timeout = \"2s\"\n[store]\nsegment_size = \"1MiB\"\n"
                                  "[log]\nlevel = \"debug\"\n")
        self.assert_served(self.served)
        self.before = descriptors_at_rest(self.served)

    def peer(self):
        peer = Peer(self.served.port)
        self.addCleanup(peer.close)
        return peer

    def assert_one_line(self, address, *words):
        """The log has exactly one line about the connection from this address, with these words."""
        lines = wait_for(lambda: self.served.log_lines(address), "a line about " + address)
        time.sleep(0.05)  # a second one would be there by now
        lines = self.served.log_lines(address)
        self.assertEqual(len(lines), 1, lines)
        for word in words:
            self.assertIn(word, lines[0])

    def assert_unharmed(self):
        wait_for(lambda: descriptors(self.served.pid) == self.before,
                 lambda: "%d descriptors, there are %d" % (self.before, descriptors(self.served.pid)))
        self.assertIsNone(self.served.process.poll())
        self.assert_served(self.served)

    def assert_refused(self, data, code, number=None, words=(), peer=None):
        """`data` is answered with this ERROR and the end of the connection."""
        peer = peer or self.peer()
        address = peer.address
        peer.send(data)
        error = peer.expect_error()
        self.assertEqual(error.code, code, error)
        if number is not None:
            self.assertEqual(error.number, number, error)
        self.assertTrue(error.sentence)
        peer.expect_end()
        peer.close()
        self.assert_one_line(address, *words)
        self.assert_unharmed()
        return error

    # --- no protocol at all ---

    def test_garbage_with_a_length_beyond_the_limit(self):
        self.assert_refused(b"\xff" * 500, wire.FRAME_TOO_LARGE)

    def test_garbage_with_a_small_length_is_a_damaged_frame(self):
        self.assert_refused(b"\0\0\0\x10" + self.random.randbytes(200), wire.BAD_CHECKSUM)

    def test_random_bytes_of_all_lengths_end_their_connection_and_nothing_else(self):
        for _ in range(50):
            peer = self.peer()
            peer.send(self.random.randbytes(self.random.randrange(1, 5000)))
            peer.close()
        self.assert_unharmed()

    def test_http_is_called_by_its_name(self):
        self.assert_refused(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", wire.FRAME_TOO_LARGE, 
                            words=["speaks HTTP, not cproto; closed"])

    def test_tls_is_called_by_its_name(self):
        if credentials.KIND:
            self.skipTest("it is taken for what it is")
        self.assert_refused(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(400), wire.FRAME_TOO_LARGE, words=["TLS"])

    def test_a_frame_longer_than_allowed_before_the_handshake(self):
        self.assert_refused(struct.pack(">IBHI", 4097, wire.SYN, 0, 0), wire.FRAME_TOO_LARGE)

    def test_a_frame_of_four_gigabytes_takes_no_memory(self):
        def resident():
            with open("/proc/%d/statm" % self.served.pid) as statm:
                return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        before = resident()
        self.assert_refused(struct.pack(">IBHI", 0xFFFFFFFF, wire.SYN, 0, 0) + bytes(100_000), wire.FRAME_TOO_LARGE)
        self.assertLess(resident() - before, 8 << 20)

    # --- the handshake ---

    def test_a_truncated_syn_that_ends_is_one_line(self):
        whole = frame(wire.SYN, wire.syn())
        for size in (1, 4, 10, 11, 30, len(whole) - 1):
            peer = self.peer()
            address = peer.address
            peer.send(whole[:size])
            peer.socket.shutdown(socket.SHUT_WR)
            peer.expect_end()
            peer.close()
            self.assert_one_line(address, "handshake")
        self.assert_unharmed()

    def test_a_truncated_syn_that_waits_meets_the_deadline(self):
        began = time.monotonic()
        self.assert_refused(frame(wire.SYN, wire.syn())[:-1], wire.HANDSHAKE_TIMEOUT)
        self.assertLess(time.monotonic() - began, 10)

    def test_a_handshake_that_is_never_confirmed_meets_the_deadline(self):
        peer = self.peer()
        peer.send(frame(wire.SYN, wire.syn()))
        self.assert_refused(b"", wire.HANDSHAKE_TIMEOUT, peer=self.past_syn_ack(peer))

    def past_syn_ack(self, peer):
        peer.expect(wire.SYN_ACK)
        return peer

    def test_a_short_syn(self):
        self.assert_refused(frame(wire.SYN, wire.syn()[:19]), wire.MALFORMED_FRAME, 0)

    def test_an_unknown_version(self):
        self.assert_refused(frame(wire.SYN, wire.syn(versions=(2, 9))), wire.UNSUPPORTED_VERSION, 1)

    def test_a_range_of_versions_with_ours_in_it_is_accepted(self):
        with self.peer() as peer:
            self.assertEqual(peer.shake_hands(versions=(1, 9)).version, 1)

    def test_an_unknown_mode(self):
        self.assert_refused(frame(wire.SYN, wire.syn(mode=3)), wire.BAD_PARAMETER, 2)

    def test_a_packet_size_below_64(self):
        self.assert_refused(frame(wire.SYN, wire.syn(max_packet_size=63)), wire.BAD_PARAMETER, 4)

    def test_a_window_of_zero(self):
        self.assert_refused(frame(wire.SYN, wire.syn(window_size=0)), wire.BAD_PARAMETER, 8)

    def test_a_window_of_65535(self):
        self.assert_refused(frame(wire.SYN, wire.syn(window_size=65535)), wire.BAD_PARAMETER, 8)

    def test_the_largest_window_and_packet_are_in_their_range(self):
        with self.peer() as peer:
            terms = peer.shake_hands(window_size=32767, max_packet_size=0xFFFFFFFF)
            self.assertEqual((terms.window_size, terms.max_packet_size), (32767, 65536))

    def test_an_unknown_critical_parameter(self):
        data = frame(wire.SYN, wire.syn(extra=wire.parameter(0x80FF, b"x")))
        self.assertIn("0x80ff", self.assert_refused(data, wire.UNKNOWN_CRITICAL_PARAMETER, 0x80FF).sentence)

    def test_an_unknown_parameter_that_is_not_critical_is_ignored(self):
        with self.peer() as peer:
            peer.shake_hands(extra=wire.parameter(0x00FF, b"x" * 1000))

    def test_a_parameter_that_is_cut_short(self):
        self.assert_refused(frame(wire.SYN, wire.syn() + b"\x80\x01\0\x20raw"), wire.MALFORMED_FRAME, 0)

    def test_a_parameter_of_a_wrong_length(self):
        self.assert_refused(frame(wire.SYN, wire.syn(extra=wire.parameter(0x8004, b"short"))), wire.BAD_PARAMETER, 0x8004)

    def test_a_client_id_that_would_leave_the_inbox(self):
        for client_id in (b"../", b"../up", b"..", b"a/b", b".hidden", b"-dash", b"with space", b"x" * 65, b"caf\xc3\xa9"):
            self.assert_refused(frame(wire.SYN, wire.syn(client_id=client_id)), wire.BAD_CLIENT_ID, words=["bad_client_id"])
        self.assertEqual(sorted(os.listdir(self.served.store / "inbox")), ["bystander"])

    def test_a_client_id_with_nul(self):
        self.assert_refused(frame(wire.SYN, wire.syn(client_id=b"a\0b")), wire.BAD_CLIENT_ID)

    def test_an_empty_client_id(self):
        self.assert_refused(frame(wire.SYN, wire.syn(client_id=b"")), wire.BAD_CLIENT_ID)

    def test_a_channel_that_would_leave_its_folder(self):
        for channel in (b"../../etc/passwd", b"a\0b", b".x"):
            self.assert_refused(frame(wire.SYN, wire.syn(channel=channel)), wire.BAD_CHANNEL)

    def test_the_confirmation_of_another_session(self):
        peer = self.peer()
        peer.send(frame(wire.SYN, wire.syn()))
        self.assert_refused(frame(wire.ACK, ZERO), wire.WRONG_SESSION, peer=self.past_syn_ack(peer))

    # --- sessions that do not exist ---

    def test_data_before_syn(self):
        self.assert_refused(frame(wire.DATA, b"hello", 1), wire.UNEXPECTED_FRAME)

    def test_every_frame_but_syn_comes_first(self):
        for kind in (wire.ACK, wire.KEEP_ALIVE, wire.DISCONNECT, wire.SYN_ACK, wire.FRAGMENT, wire.HEADER, 0, 10, 255):
            self.assert_refused(frame(kind, ZERO), wire.UNEXPECTED_FRAME)

    def test_an_error_first_is_not_answered(self):
        peer = self.peer()
        address = peer.address
        peer.send(frame(wire.ERROR, struct.pack(">HBBIQ", 5, 4, 0, 0, 0) + b"I am wrong here"))
        peer.expect_end()
        peer.close()
        self.assert_one_line(address)
        self.assert_unharmed()

    def test_data_before_the_confirmation(self):
        peer = self.peer()
        peer.send(frame(wire.SYN, wire.syn()))
        self.assert_refused(frame(wire.DATA, b"hello", 1), wire.UNEXPECTED_FRAME, peer=self.past_syn_ack(peer))

    def test_a_resume_of_a_session_of_another_store(self):
        unknown = self.random.randbytes(16)
        self.assert_refused(frame(wire.SYN, wire.syn(attempt=2, extra=wire.resume(unknown, ZERO))), wire.UNKNOWN_SESSION)
        self.assert_refused(frame(wire.SYN, wire.syn(attempt=2, extra=wire.resume(unknown, ZERO, 7, 70, 7))), wire.OTHER_STORE)

    def test_a_resume_of_an_unknown_session_of_this_store(self):
        with self.peer() as peer:
            store = peer.shake_hands().store
        unknown = self.random.randbytes(16)
        self.assert_refused(frame(wire.SYN, wire.syn(attempt=2, extra=wire.resume(unknown, store, 7, 70, 7))),
                            wire.UNKNOWN_SESSION)

    # --- those who take their time ---

    def test_a_probe_that_says_nothing_is_told_about_the_deadline(self):
        self.assert_refused(b"", wire.HANDSHAKE_TIMEOUT, words=["said nothing"])

    def test_a_probe_that_closes_without_a_word_is_a_line_for_debugging_only(self):
        peer = self.peer()
        address = peer.address
        peer.close()
        self.assert_one_line(address, " debug: ", "without a word")
        self.assert_unharmed()

    def test_one_byte_at_a_time_has_one_deadline_for_all_of_them(self):
        peer = self.peer()
        address = peer.address
        began = time.monotonic()
        error = None
        for byte in frame(wire.SYN, wire.syn()):
            peer.send(bytes([byte]))
            peer.socket.settimeout(0.25)
            try:
                data = peer.socket.recv(65536)
            except TimeoutError:
                continue
            peer.buffer += data
            error = wire.decode_error(wire.take_frame(peer.buffer).payload)
            break
        self.assertEqual(error.code, wire.HANDSHAKE_TIMEOUT)
        self.assertLess(time.monotonic() - began, 6)
        peer.close()
        self.assert_one_line(address, "handshake_timeout")
        self.assert_unharmed()

    def test_a_hundred_probes_that_say_nothing_hold_nobody_up_and_give_their_descriptors_back(self):
        peers = [self.peer() for _ in range(100)]
        self.assert_served(self.served)
        for peer in peers:
            self.assertEqual(peer.expect_error().code, wire.HANDSHAKE_TIMEOUT)
            peer.expect_end()
            peer.close()
        self.assert_unharmed()

    # --- in a session ---

    def established(self, **offer):
        peer = self.peer()
        return peer, peer.shake_hands(**offer)

    def test_a_frame_longer_than_the_packet_size(self):
        peer, _ = self.established(max_packet_size=8192)
        self.assert_refused(frame(wire.DATA, bytes(8193), 1), wire.FRAME_TOO_LARGE, peer=peer)

    def test_a_packet_longer_than_agreed_though_shorter_than_a_control_frame(self):
        peer, _ = self.established(max_packet_size=64)
        self.assert_refused(frame(wire.DATA, bytes(65), 1), wire.FRAME_TOO_LARGE, 1, peer=peer)

    def test_a_number_beyond_the_next(self):
        peer, _ = self.established()
        self.assert_refused(frame(wire.DATA, b"second", 2), wire.NUMBER_OUT_OF_WINDOW, 2, peer=peer)

    def test_an_order_of_frames_that_makes_no_message(self):
        peer, _ = self.established()
        header = struct.pack(">B3x", 1)
        self.assert_refused(frame(wire.HEADER, header, 1) + frame(wire.HEADER, header, 2), wire.BAD_MESSAGE_ORDER, 2, peer=peer)

    def test_a_keep_alive_that_is_neither_question_nor_answer(self):
        peer, _ = self.established()
        self.assert_refused(frame(wire.KEEP_ALIVE, b"\x02"), wire.MALFORMED_FRAME, peer=peer)

    def test_a_second_syn(self):
        peer, _ = self.established()
        self.assert_refused(frame(wire.SYN, wire.syn()), wire.UNEXPECTED_FRAME, peer=peer)

    def test_two_damaged_frames_in_a_row_lose_the_framing(self):
        peer, _ = self.established()
        damaged = bytearray(frame(wire.DATA, b"hello", 1))
        damaged[-1] ^= 1
        peer.send(bytes(damaged))
        error = peer.expect_error()
        self.assertEqual((error.code, error.number), (wire.BAD_CHECKSUM, 1))
        self.assert_refused(bytes(damaged), wire.FRAMING_LOST, peer=peer)

    def test_a_damaged_frame_is_asked_for_again_and_arrives_once(self):
        peer, terms = self.established(client_id=b"damaged")
        damaged = bytearray(frame(wire.DATA, b"two", 2))
        damaged[-1] ^= 0x80
        peer.send(frame(wire.DATA, b"one", 1) + bytes(damaged) + frame(wire.DATA, b"three", 3))
        error = peer.expect_error()
        self.assertEqual((error.code, error.number), (wire.BAD_CHECKSUM, 2))
        peer.send(frame(wire.DATA, b"two", 2) + frame(wire.DATA, b"three", 3))
        peer.finish(terms.session, 3)
        self.assert_arrives(self.served.inbox("damaged"), b"one\ntwo\nthree\n")


if __name__ == "__main__":
    main()

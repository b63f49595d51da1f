"""The protocol as proto/PROTOCOL.md describes it, written from that document alone: it tests the document too.

It knows nothing of the programs under test. `Peer` is a client that says exactly what a test tells it to.
"""
import collections
import hashlib
import socket
import struct
import time
import zlib

DATA, ACK, ERROR, KEEP_ALIVE, DISCONNECT, SYN, SYN_ACK, FRAGMENT, HEADER = range(1, 10)
NUMBERED = (DATA, FRAGMENT, HEADER)

# PROTOCOL §8
(BAD_CHECKSUM, FRAMING_LOST, FRAME_TOO_LARGE, MALFORMED_FRAME, UNEXPECTED_FRAME, UNSUPPORTED_VERSION,
 UNKNOWN_CRITICAL_PARAMETER, BAD_PARAMETER, BAD_CLIENT_ID, BAD_CHANNEL, UNKNOWN_SESSION, OTHER_STORE, STORE_BEHIND,
 STALE_ATTEMPT, SUPERSEDED, HANDSHAKE_TIMEOUT, BAD_MESSAGE_ORDER, MESSAGE_TOO_LARGE, KIND_NOT_ACCEPTED,
 NUMBER_OUT_OF_WINDOW, PEER_SILENT, TOO_MANY_CONNECTIONS, SHUTTING_DOWN, DISK_FULL, DISK_FAILED, WRONG_SESSION,
 TOO_MANY_REFUSALS, FRAME_LOST, TOO_MANY_CLIENTS, TOO_MANY_CHANNELS, KICKED, BAD_FILE_NAME, FILE_DIFFERS,
 NO_SPACE_FOR_FILE, INBOX_FULL, MESSAGE_FORGOTTEN, INBOX_BLOCKED, OVERLOADED, TLS_REQUIRED, IDENTITY_REQUIRED,
 WRONG_IDENTITY, IDENTITY_GONE, ADDRESS_NOT_ALLOWED, FILES_NOT_ALLOWED, CHANNEL_NOT_ALLOWED) = range(1, 46)

STEP_BY_STEP, BURST = 1, 2
FINISH, PAUSE = 1, 2
BEGUN, RESUMED, RESTARTED = 0, 1, 2
HEADER_SIZE = 11

Frame = collections.namedtuple("Frame", "type sequence payload")
Ack = collections.namedtuple("Ack", "durable_through received_through limit_number limit_bytes is_final ranges")
Error = collections.namedtuple("Error", "code error_class retry_after_ms number sentence")
SynAck = collections.namedtuple(
    "SynAck", "version mode durability outcome max_packet_size window_size keep_alive_ms store session "
    "durable_through durable_bytes durable_messages limit_number limit_bytes parameters")


def frame(kind, payload=b"", sequence=0):
    """PROTOCOL §2.1, §2.4: the checksum covers the seven bytes before it and the payload."""
    head = struct.pack(">IBH", len(payload), kind, sequence & 0xFFFF)
    return head + struct.pack(">I", zlib.crc32(payload, zlib.crc32(head))) + payload


def take_frame(buffer):
    """Takes the first frame out of a bytearray; None if it is not whole yet."""
    if len(buffer) < HEADER_SIZE:
        return None
    size, kind, sequence, checksum = struct.unpack_from(">IBHI", buffer)
    if len(buffer) < HEADER_SIZE + size:
        return None
    payload = bytes(buffer[HEADER_SIZE:HEADER_SIZE + size])
    if zlib.crc32(payload, zlib.crc32(buffer[:7])) != checksum:
        raise ValueError("a frame with a wrong checksum")
    del buffer[:HEADER_SIZE + size]
    return Frame(kind, sequence, payload)


def parameter(kind, value):
    return struct.pack(">HH", kind, len(value)) + value


def parameters(data):
    found = []
    while data:
        kind, size = struct.unpack_from(">HH", data)
        found.append((kind, data[4:4 + size]))
        data = data[4 + size:]
    return found


def file_header(name=None, size=None, mode=None, mtime=None, digest=None):
    """PROTOCOL §4.4, §4.7. mtime: (seconds, nanoseconds)."""
    payload = struct.pack(">B3x", 3)
    if name is not None:
        payload += parameter(0x8202, name)
    if size is not None:
        payload += parameter(0x8203, struct.pack(">Q", size))
    if mode is not None:
        payload += parameter(0x0204, struct.pack(">I", mode))
    if mtime is not None:
        payload += parameter(0x0205, struct.pack(">qI", *mtime))
    return payload if digest is None else payload + parameter(0x8206, digest)


def file_digest(data):
    """PROTOCOL §4.7."""
    chain = bytes(32)
    for at in range(0, len(data), 4 << 20):
        chain = hashlib.sha256(chain + hashlib.sha256(data[at:at + (4 << 20)]).digest()).digest()
    return chain


def resume(session, store, acknowledged=0, acknowledged_bytes=0, acknowledged_messages=0):
    return parameter(0x8004, session + store + struct.pack(">QQQ", acknowledged, acknowledged_bytes, acknowledged_messages))


def syn(client_id=b"raw", channel=b"messages", versions=(1, 1), mode=BURST, max_packet_size=1024, window_size=32,
        attempt=1, extra=b""):
    fixed = struct.pack(">BBBBIIQ", versions[0], versions[1], mode, 0, max_packet_size, window_size, attempt)
    return (fixed + (parameter(0x8001, client_id) if client_id is not None else b"") + parameter(0x8002, channel) +
            extra + parameter(0x3A3A, b"\x12\x34"))


def decode_syn_ack(payload):
    return SynAck(*struct.unpack_from(">BBBBIII16s16sQQQQQ", payload), parameters(payload[88:]))


def decode_ack(payload):
    durable, received, number, size, flags, count = struct.unpack_from(">QQQQHH", payload)
    ranges = [struct.unpack_from(">QQ", payload, 36 + 16 * i) for i in range(count)]
    return Ack(durable, received, number, size, bool(flags & 1), ranges)


def decode_error(payload):
    code, error_class, _, retry_after_ms, number = struct.unpack_from(">HBBIQ", payload)
    return Error(code, error_class, retry_after_ms, number, payload[16:].decode())


def disconnect(end, last):
    return frame(DISCONNECT, struct.pack(">BBHIQ", end, 0, 0, 0, last))


def whole_number(sequence, top):
    """PROTOCOL §4.2: the number, of the 65,536 up to and including `top`, that ends in these bits."""
    return top - ((top - sequence) & 0xFFFF)


class Closed(Exception):
    """The other side ended the connection."""


class Peer:
    """A client made by hand. Every wait has a deadline."""

    def __init__(self, port, timeout=20):
        self.timeout = timeout
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = bytearray()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    @property
    def address(self):
        return "127.0.0.1:%d" % self.socket.getsockname()[1]

    def close(self):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def receive(self):
        """The next frame. Raises Closed behind the last one."""
        deadline = time.monotonic() + self.timeout
        while True:
            found = take_frame(self.buffer)
            if found:
                return found
            self.socket.settimeout(max(deadline - time.monotonic(), 0.001))
            try:
                data = self.socket.recv(65536)
            except ConnectionError as error:
                raise Closed from error
            if not data:
                raise Closed
            self.buffer += data

    def expect(self, kind):
        """The next frame of this type; ACKs and KEEP-ALIVEs before it are passed over."""
        while True:
            got = self.receive()
            if got.type == kind:
                return got
            if got.type == ERROR:
                raise AssertionError("an ERROR where %d was expected: %s" % (kind, decode_error(got.payload)))
            if got.type not in (ACK, KEEP_ALIVE):
                raise AssertionError("frame %s where %d was expected" % (got, kind))

    def expect_error(self):
        while True:
            got = self.receive()
            if got.type == ERROR:
                return decode_error(got.payload)

    def expect_end(self):
        """Nothing more comes but the end of the stream."""
        try:
            got = self.receive()
        except Closed:
            return
        raise AssertionError("frame %s behind the end" % (got,))

    def shake_hands(self, **offer):
        self.send(frame(SYN, syn(**offer)))
        terms = decode_syn_ack(self.expect(SYN_ACK).payload)
        self.send(frame(ACK, terms.session))
        return terms

    def wait_durable(self, number):
        while True:
            ack = decode_ack(self.expect(ACK).payload)
            if ack.durable_through >= number:
                return ack

    def finish(self, session, last):
        """The close of PROTOCOL §7.2."""
        self.send(disconnect(FINISH, last))
        while True:
            ack = decode_ack(self.expect(ACK).payload)
            if ack.is_final:
                break
        self.expect_end()
        self.send(frame(ACK, session + struct.pack(">Q", ack.durable_through)))
        return ack

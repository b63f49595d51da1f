"""What Wireshark shows with scripts/cproto.lua: of the examples of proto/PROTOCOL.md, of what nobody should send, and of the real
programs as captured on the loopback interface.

Without tshark, or without the right to capture, tests are skipped and say why; CPROTO_NO_SKIP=1 makes that a failure.
"""
import collections
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import time
import xml.etree.ElementTree

import wire
from support import ROOT, TestCase, die_with_us, main, numbered_lines, size_of, wait_for
from wire import Peer, frame, parameter

SCRIPT = ROOT / "scripts" / "cproto.lua"
DOCUMENT = (ROOT / "proto" / "PROTOCOL.md").read_text()
LUA = SCRIPT.read_text()
PORT = 7780
CLIENT_PORT = 50001  # of conversations written here; no dissector of Wireshark's own has it
# What Wireshark calls a dissector that ran into the end of its bytes, or that is itself at fault.
FAULTS = ("_ws.malformed.expert", "_ws.malformed.dissector_bug", "_ws.malformed.reassembly", "_ws.lua.error", "_ws.type_length",
          "_ws.string")


def section(number):
    """The text of one section of the document, with what is below it."""
    level = "##" if "." not in number else "###"
    begin = DOCUMENT.index("\n%s §%s " % (level, number))
    ends = [at for at in (DOCUMENT.find("\n" + mark, begin + 1) for mark in ("## ", "### ")[:len(level) - 1]) if at > 0]
    return DOCUMENT[begin:min(ends, default=None)]


def names_in_document(number):
    """{number: name} of a table whose rows begin with these two."""
    rows = re.findall(r"^\| (0x[0-9a-f]+|\d+) \| ([\w-]+) \|", section(number), re.MULTILINE)
    return {int(value, 0): name for value, name in rows}


def names_in_script(table):
    """{number: name} of a table in the dissector."""
    body = re.search(r"^local %s = \{\n(.*?)^\}" % table, LUA, re.MULTILINE | re.DOTALL).group(1)
    rows = re.findall(r'^  \[(0x[0-9a-f]+|\d+)\] = "([\w-]+)",$', body, re.MULTILINE)
    assert len(rows) == len(body.splitlines()), table
    return {int(value, 0): name for value, name in rows}


Example = collections.namedtuple("Example", "type is_from_client sequence bytes says")


def examples():
    """The frames of §9. `says`: what stands behind the semicolons."""
    found = []
    for kind, sender, sequence, block in re.findall(
            r"^\*\*([A-Z-]+)\*\*, (client|server) to \w+, sequence (\d+):.*?```hex\n(.*?)```", section("9"),
            re.MULTILINE | re.DOTALL):
        lines = [line.partition(";") for line in block.splitlines()]
        found.append(Example(kind, sender == "client", int(sequence), bytes.fromhex(" ".join(line[0] for line in lines)),
                             [line[2].strip() for line in lines[1:]]))
    return found


class Capture:
    """A capture file with conversations that never took place."""

    def __init__(self, path):
        self.path, self.snapshot = path, 65535
        self.file = open(path, "wb")
        self.file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 228))  # 228: the packets are IPv4
        self.sent = collections.Counter()
        self.packets = 0

    def close(self):
        self.file.close()

    def send(self, data, is_from_client=True, port=PORT, client_port=CLIENT_PORT):
        """One segment."""
        ends = (client_port, port) if is_from_client else (port, client_port)
        sequence, acknowledged = 1000 + self.sent[ends], 1000 + self.sent[ends[::-1]]
        self.sent[ends] += len(data)
        tcp = struct.pack(">HHIIBBHHH", *ends, sequence, acknowledged, 0x50, 0x18, 65535, 0, 0)
        ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 40 + len(data), self.packets & 0xFFFF, 0x4000, 64, 6, 0, b"\x7f\0\0\1",
                         b"\x7f\0\0\1")
        whole = ip + tcp + data
        kept = whole[:self.snapshot]
        self.packets += 1
        self.file.write(struct.pack("<IIII", 1, self.packets, len(kept), len(whole)) + kept)


class LiveCapture:
    """What passes over the loopback interface from and to a port."""

    def __init__(self, path, port, environment):
        self.path, self.port = path, port
        self.said = path.with_suffix(".txt")
        with open(self.said, "wb") as said:
            self.process = subprocess.Popen(
                ["tshark", "-i", "lo", "-f", "tcp port %d or udp port %d" % (port, port), "-B", "16", "-w", str(path)],
                env=environment, stdin=subprocess.DEVNULL, stdout=said, stderr=said, preexec_fn=die_with_us)

    def begins(self):
        """False if it is not permitted."""
        wait_for(lambda: "Capture started" in self.text() or self.process.poll() is not None, self.text, timeout=30)
        return self.process.poll() is None

    def text(self):
        return self.said.read_text(errors="replace")

    def end(self):
        """Everything until now is in the file."""
        # Words: some random bytes are a damaged packet to one of Wireshark's own dissectors.
        mark = b"the end of the capture " + os.urandom(8).hex().encode()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.sendto(mark, ("127.0.0.1", self.port))
        wait_for(lambda: mark in self.path.read_bytes(), self.text, timeout=30, interval=0.05)
        self.stop()

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        self.process.wait(timeout=30)


class RecordedPeer(Peer):
    """Remembers the headers it sent, and the frames it received."""

    def __init__(self, port):
        super().__init__(port)
        self.port = self.socket.getsockname()[1]
        self.sent, self.received = bytearray(), []

    def send(self, data):
        self.sent += data
        super().send(data)

    def receive(self):
        self.received.append(super().receive())
        return self.received[-1]

    def headers_sent(self):
        found, at = [], 0
        while at < len(self.sent):
            size, kind, sequence, checksum = struct.unpack_from(">IBHI", self.sent, at)
            found.append((kind, sequence, size, checksum))
            at += wire.HEADER_SIZE + size
        return found


class Shown:
    """What is shown of one frame: a line, and fields with their value and their line."""

    def __init__(self, packet, number, element):
        self.packet = number
        self.ports = [int(packet.find(".//field[@name='tcp.%s']" % end).get("show")) for end in ("srcport", "dstport")]
        self.segments = int(getattr(packet.find(".//field[@name='tcp.segment.count']"), "attrib", {}).get("show", 1))
        self.line = element.get("showname")
        self.fields = [(field.get("name"), field.get("show"), field.get("showname")) for field in element.iter("field")]

    def all(self, name):
        return [show for field, show, _ in self.fields if field == name]

    def get(self, name):
        found = self.all(name)
        return found[0] if found else None

    def lines(self, name):
        return [line for field, _, line in self.fields if field == name]

    def number(self, name):
        return int(self.get(name), 0)

    @property
    def type(self):
        return self.lines("cproto.type")[0].split()[1]

    @property
    def header(self):
        return tuple(self.number("cproto." + name) for name in ("type", "seq", "length", "checksum"))


class DissectorTest(TestCase):
    def needs(self, condition, reason):
        if not condition:
            if os.environ.get("CPROTO_NO_SKIP") == "1":
                self.fail(reason)
            self.skipTest(reason)

    def setUp(self):
        super().setUp()
        self.needs(shutil.which("tshark"), "tshark is not installed")
        # A home of its own: with no copy of the script, and nobody's preferences.
        self.environment = dict(os.environ, HOME=str(self.directory), XDG_CONFIG_HOME=str(self.directory), LC_ALL="C.UTF-8")

    def tshark(self, path, *arguments):
        """Its standard output. Nothing may be wrong with the script."""
        done = subprocess.run(["tshark", "-X", "lua_script:%s" % SCRIPT, "-n", "-r", str(path), *arguments], env=self.environment,
                              stdin=subprocess.DEVNULL, capture_output=True, timeout=60)
        errors = done.stderr.decode(errors="replace")
        self.assertEqual(done.returncode, 0, errors)
        self.assertNotIn("Lua", errors)
        return done.stdout

    def read(self, path, *arguments):
        """All frames that are shown. The dissector must have got through all of them."""
        shown = []
        for number, packet in enumerate(xml.etree.ElementTree.fromstring(self.tshark(path, "-T", "pdml", *arguments)), 1):
            for element in packet.iter():
                if (element.get("name") or "").startswith(FAULTS):
                    self.fail("packet %d: %s" % (number, element.get("showname")))
            shown += [Shown(packet, number, element) for element in packet.iter("proto") if element.get("name") == "cproto"]
        return shown

    def info(self, path, *arguments):
        """The Info column of each packet."""
        return self.tshark(path, "-o", 'gui.column.format:"Info","%i"', *arguments).decode().splitlines()

    def capture(self):
        capture = Capture(self.directory / "capture.pcap")
        self.addCleanup(capture.close)
        return capture

    def shown(self, segments):
        """What is shown of these; each is bytes from the client, or a pair with is_from_client."""
        capture = self.capture()
        for segment in segments:
            capture.send(*(segment if isinstance(segment, tuple) else (segment,)))
        capture.close()
        return self.read(capture.path)


class Names(TestCase):
    def test_the_names_in_the_script_are_those_of_the_document(self):
        for number, table in (("2.2", "FRAME_TYPES"), ("3.1", "PARAMETERS"), ("8", "ERRORS"), ("6.4", "ERROR_CLASSES")):
            expected = names_in_document(number)
            self.assertGreaterEqual(len(expected), 5, number)
            self.assertEqual(names_in_script(table), expected, "§" + number)


class Written(DissectorTest):
    """Conversations that never took place."""

    def test_every_example_of_the_document_is_shown_with_what_the_document_says_of_it(self):
        expected = examples()
        self.assertGreater(len(expected), 20)
        shown = self.shown((example.bytes, example.is_from_client) for example in expected)
        self.assertEqual(len(shown), len(expected))
        for frame_shown, example in zip(shown, expected):
            with self.subTest(example=example):
                self.assertEqual(frame_shown.type, example.type)
                self.assertEqual(frame_shown.number("cproto.seq"), example.sequence)
                self.assertEqual(frame_shown.get("cproto.checksum.status"), "1")
                for said in example.says:
                    self.assert_says(frame_shown, said)

    def assert_says(self, frame_shown, said):
        """`said` is how the document explains a line: "attempt 2", "client_id \"web-1\"", "first 10, durable_bytes 2048"."""
        for name, value in re.findall(r'(\w+) (\d+|"[^"]*")', said):
            fields = [show for field, show, _ in frame_shown.fields if field.split(".")[-1] == name or
                      (field, name) == ("cproto.refusal.number", "first")]
            if fields:
                self.assertIn(value.strip('"'), fields, said)
        for name in re.findall("|".join(names_in_document("8").values()), said):
            self.assertTrue(any("code: %s (" % name in line for _, _, line in frame_shown.fields), said)

    def test_the_info_column_reads_like_a_conversation(self):
        capture = self.capture()
        for example in examples()[:8]:
            capture.send(example.bytes, example.is_from_client)
        full = wire.ERROR, struct.pack(">HBBIQ", wire.DISK_FULL, 1, 0, 5000, 0) + b"full"
        too_large = wire.ERROR, struct.pack(">HBBIQ", wire.MESSAGE_TOO_LARGE, 2, 0, 0, 7)
        for kind, payload in (full, too_large, (wire.DISCONNECT, struct.pack(">BBHIQ", 2, 0, 0, 1000, 0)), (0x77, b"?")):
            capture.send(frame(kind, payload), is_from_client=False)
        capture.send(b"".join(frame(wire.DATA, b"x", i) for i in range(1, 21)))
        capture.send(examples()[3].bytes[:-1] + b"x")
        capture.close()
        self.assertEqual(self.info(capture.path), [
            "SYN web-1 burst window 5",
            "SYN-ACK begun burst window 5 durable 0",
            "ACK confirms the session",
            "DATA seq 1 len 11",
            "ACK durable 1",
            "DISCONNECT finish last 1",
            "ACK durable 1 final",
            "ACK confirms the close",
            "ERROR disk_full retry after 5000 ms",
            "ERROR message_too_large never message number 7",
            "DISCONNECT pause last 0 retry after 1000 ms",
            "type 0x77 len 1",
            ", ".join("DATA seq %d len 1" % i for i in range(1, 9)) + " and 12 more",
            "damaged DATA seq 1 len 11",
        ])

    def test_every_error_class_and_parameter_has_its_name(self):
        codes, classes, known = (names_in_document(number) for number in ("8", "6.4", "3.1"))
        reserved = [0x0A0A + 0x1010 * i for i in range(8)]
        offer = wire.syn()[:20] + b"".join(parameter(kind, bytes(17)) for kind in [*known, *reserved, 0x00FF, 0x80FF])
        syn, *errors, unknown = self.shown([frame(wire.SYN, offer)] + [
            (frame(wire.ERROR, struct.pack(">HBBIQ", code, code % len(classes), 0, 0, 0)), False) for code in [*codes, 999]])
        for error, code in zip(errors, codes, strict=True):
            self.assertEqual(error.lines("cproto.error.code"), ["code: %s (%d)" % (codes[code], code)])
            self.assertEqual(error.lines("cproto.error.class"),
                             ["class: %s (%d)" % (classes[code % len(classes)], code % len(classes))])
        self.assertEqual(unknown.lines("cproto.error.code"), ["code: Unknown (999)"])
        self.assertEqual(syn.lines("cproto.parameter.type"),
                         ["Type: %s (0x%04x)" % (name, kind) for kind, name in known.items()] +
                         ["Type: reserved type (0x%04x)" % kind for kind in reserved] +
                         ["Type: Unknown (0x00ff)", "Type: Unknown (0x80ff)"])
        # An unknown one says whether it must be understood.
        self.assertEqual([line.endswith("Critical: True") for line in syn.lines("cproto.parameter.critical")],
                         [kind >= 0x8000 for kind in known] + [False] * 9 + [True])
        self.assertEqual(len(syn.all("cproto.parameter.unknown")), 1)
        self.assertEqual(len(syn.all("cproto.parameter.unknown_critical")), 1)

    def test_frames_may_be_cut_anywhere_and_stand_side_by_side(self):
        client = [example.bytes for example in examples() if example.is_from_client]
        whole, capture = b"".join(client), self.capture()
        for size in (1, 13, len(whole)):
            for at in range(0, len(whole), size):
                capture.send(whole[at:at + size], client_port=CLIENT_PORT + size)
        capture.close()
        shown = self.read(capture.path)
        self.assertEqual([s.header[:3] for s in shown],
                         [(data[4], data[5] << 8 | data[6], len(data) - wire.HEADER_SIZE) for data in client] * 3)
        self.assertEqual({s.get("cproto.checksum.status") for s in shown}, {"1"})

    def test_no_payload_is_too_much_for_it(self):
        capture = self.capture()
        for example in examples():
            kind, payload = example.bytes[4], example.bytes[wire.HEADER_SIZE:]
            for size in range(len(payload)):
                capture.send(frame(kind, payload[:size]), example.is_from_client)
            for _ in range(30):
                other = bytearray(payload)
                for _ in range(self.random.randrange(1, 6)):
                    other[self.random.randrange(len(other))] = self.random.choice((0, 1, 255, self.random.randrange(256)))
                capture.send(frame(kind, bytes(other)), example.is_from_client)
        for kind in range(256):
            capture.send(frame(kind) + frame(kind, b"\xff" * 40))
        capture.close()
        self.assertEqual(self.tshark(capture.path, "-Y", " || ".join(("!cproto",) + FAULTS)), b"")

    def test_what_is_wrong_with_a_frame_is_said(self):
        unreadable = [frame(wire.SYN, wire.syn()[:19]), frame(wire.SYN, wire.syn() + b"\x80\x01\0\5ab"),
                      frame(wire.SYN_ACK, bytes(87)), frame(wire.ACK, bytes(35)), frame(wire.ACK, bytes(34) + b"\0\2" + bytes(31)),
                      frame(wire.ACK, bytes(34) + b"\0\x21" + bytes(16 * 33)), frame(wire.ERROR, bytes(15)), frame(wire.KEEP_ALIVE),
                      frame(wire.DISCONNECT, bytes(15)), frame(wire.HEADER, bytes(3))]
        no_name = [frame(wire.SYN, wire.syn(client_id=name)) for name in (b"", b".hidden", b"x" * 65, b"a b")]
        damaged = [frame(wire.DATA, b"text", 1)[:-1] + b"T"]
        too_large = [struct.pack(">IBHI", (1 << 20) + 1, wire.DATA, 1, 0) + bytes(50),
                     struct.pack(">IBHI", 4097, wire.ACK, 0, 0) + bytes(50)]
        unknown = [frame(0x0A, b"?")]
        expected = [(data, complaint) for frames, complaint in (
            (unreadable, "payload.unreadable"), (no_name, "parameter.bad"), (damaged, "checksum.bad"),
            (too_large, "length.too_large"), (unknown, "type.unknown")) for data in frames]
        for s, (data, complaint) in zip(self.shown(data for data, _ in expected), expected, strict=True):
            self.assertTrue(s.lines("cproto." + complaint), (s.line, complaint))
            self.assertEqual(s.get("cproto.checksum.status"), {"checksum.bad": "0", "length.too_large": None}.get(complaint, "1"))

    def test_what_was_not_captured_is_no_fault(self):
        both = b"".join(example.bytes for example in examples()[:3])
        capture = self.capture()
        for capture.snapshot in (41, 50, 51, 80, 111, 115, 200, 1000):
            capture.send(both)
            capture.send(both)
        capture.close()
        shown = self.read(capture.path)
        self.assertEqual([s.line for s in shown].count("cproto, SYN web-1 burst window 5"), 8)
        self.assertEqual([s.line for s in shown].count("cproto, ACK confirms the session"), 2)
        self.assertEqual({s.get("cproto.checksum.status") for s in shown}, {"1", None})

    def test_on_other_ports_a_conversation_is_recognised_by_its_syn_and_by_nothing_else(self):
        syn, answer, confirmation, data, *_ = examples()
        http = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
        unreadable = frame(wire.SYN, wire.syn(versions=(0, 0)))
        capture = self.capture()
        for port, segments in ((25001, [syn.bytes, (answer.bytes, False), confirmation.bytes + data.bytes[:5], data.bytes[5:]]),
                               (25002, [syn.bytes[:11], syn.bytes[11:], (answer.bytes, False)]),
                               (25003, [http, syn.bytes]),
                               (25004, [data.bytes, syn.bytes]),
                               (25005, [unreadable]),  # but its checksum is right
                               (25006, [unreadable[:-1] + b"?"])):
            for segment in segments:
                data_sent, is_from_client = segment if isinstance(segment, tuple) else (segment, True)
                capture.send(data_sent, is_from_client, port=port)
        capture.close()
        # In two passes, of which the first has no fields; with one pass the captured conversation of a peer made by hand is read.
        shown = [(port, s.type) for s in self.read(capture.path, "-2") for port in s.ports if port != CLIENT_PORT]
        self.assertEqual(shown, [(25001, "SYN"), (25001, "SYN-ACK"), (25001, "ACK"), (25001, "DATA"), (25002, "SYN"),
                                 (25002, "SYN-ACK"), (25005, "SYN")])

    def test_tls_is_left_to_others_and_the_port_can_be_chosen(self):
        hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(505)
        capture = self.capture()
        for i, data in enumerate((hello, hello[:100], hello[:1])):
            capture.send(data, client_port=CLIENT_PORT + i)
        damaged = frame(wire.DATA, b"text", 1)[:-1] + b"T"
        capture.send(damaged, client_port=CLIENT_PORT + 3)
        capture.send(damaged, port=25001)
        capture.close()
        for arguments, expected in (([], [(PORT, "0")]),
                                    (["-o", "cproto.port:25001", "-o", "cproto.check:FALSE"], [(25001, "2")])):
            shown = self.read(capture.path, *arguments)
            self.assertEqual([(s.ports[1], s.get("cproto.checksum.status")) for s in shown], expected, arguments)


class Captured(DissectorTest):
    """The real programs."""

    def start(self, config):
        """A daemon on a port below the clients', for which Wireshark has no dissector of its own, and a capture of it."""
        daemon = self.daemon(config, start=False)
        while not daemon.port:
            try:
                with socket.create_server(("127.0.0.1", self.random.randrange(25000, 27000))) as free:
                    daemon.port = free.getsockname()[1]
            except OSError:
                pass
        capture = LiveCapture(self.directory / "capture.pcapng", daemon.port, self.environment)
        self.addCleanup(capture.stop)
        daemon.start()
        self.needs(capture.begins(), "no capture on lo: " + " ".join(re.findall("^tshark: (.*)", capture.text(), re.MULTILINE)))
        return daemon, capture

    def peer(self, daemon):
        peer = RecordedPeer(daemon.port)
        self.addCleanup(peer.close)
        return peer

    def test_what_cproto_send_sends(self):
        daemon, capture = self.start("[session]\nkeep_alive = \"1s\"\n[limits]\nmessage_size = \"64KiB\"\n")
        files = {}
        for size in (20_000, 65_536, 65_537):
            files[size] = self.directory / ("%d bytes" % size)
            files[size].write_bytes(self.random.randbytes(size))
        self.send(daemon, "-m", "one", "two", "three", client="messages")
        self.send_bytes(daemon, numbered_lines(200), "--lines", client="lines")
        self.send(daemon, "--binary", files[20_000], "--max-packet-size", 1024, client="fragments")
        self.send(daemon, "--binary", files[65_536], client="large")
        self.send(daemon, "--binary", files[65_537], client="refused", status=65)
        self.send(daemon, "-m", "one", "two", "--operation-mode", "step-by-step", client="slow")
        # One that has nothing to say for a while, then is asked to pause, comes back and goes on.
        idle = self.sender(daemon, client="idle", stdin=subprocess.PIPE)
        idle.stdin.write(b"before\n")
        idle.stdin.flush()
        self.assert_arrives(daemon.inbox("idle"), b"before\n")
        time.sleep(2)  # the daemon asks whether it is still there
        self.assert_stops(daemon)
        daemon.start()
        idle.stdin.write(b"behind\n")
        idle.stdin.close()
        self.assertEqual(idle.wait(), 0, idle.errors)
        capture.end()

        shown = self.read(capture.path, "-d", "tcp.port==%d,cproto" % daemon.port)
        self.assertEqual({s.get("cproto.checksum.status") for s in shown}, {"1"})
        self.assertFalse([s.line for s in shown if s.all("cproto.payload.unreadable")])
        by_client, name_of_port = collections.defaultdict(list), {}
        for s in shown:
            port, = (port for port in s.ports if port != daemon.port)
            if s.type == "SYN":
                name_of_port[port] = s.get("cproto.client_id")
            by_client[name_of_port[port]].append(s)

        def count(client, kind):
            return sum(s.type == kind for s in by_client[client])

        self.assertEqual({client: count(client, "DATA") for client in by_client if client != "refused"},
                         {"messages": 3, "lines": 200, "fragments": 1, "large": 1, "slow": 2, "idle": 2})
        self.assertEqual(count("fragments", "FRAGMENT"), 20_000 // 1024)
        # A frame of 64 KiB is larger than any segment.
        large = max(by_client["large"], key=lambda s: s.number("cproto.length"))
        self.assertEqual(large.number("cproto.length"), 65_536)
        self.assertGreater(large.segments, 1)
        for client in by_client:
            kinds = [s.type for s in by_client[client]]
            self.assertEqual(kinds[:3], ["SYN", "SYN-ACK", "ACK"])
            # A disk that takes its time is spoken of before the final ACK.
            last = [s for s in by_client[client] if s.type != "KEEP-ALIVE"]
            begin = max(i for i, s in enumerate(last) if s.type == "DISCONNECT")
            self.assertEqual({s.type for s in last[begin + 1:]}, {"ACK"})
            self.assertTrue(last[-2].line.endswith("final"), last[-2].line)
            self.assertEqual(last[-1].line, "cproto, ACK confirms the close")
        self.assertEqual(by_client["messages"][0].line, "cproto, SYN messages burst window 32767")
        self.assertEqual(by_client["slow"][0].line, "cproto, SYN slow step-by-step window 32767")
        # The SYN-ACK said how large a message may be, so the client abandons this one by itself.
        self.assertEqual([s.line for s in by_client["refused"] if s.type in ("FRAGMENT", "DATA", "HEADER")],
                         ["cproto, FRAGMENT seq 1 len 65536", "cproto, HEADER seq 2 abandons"])
        idle_lines = [s.line for s in by_client["idle"]]
        for line in ("KEEP-ALIVE ask", "KEEP-ALIVE answer", "SYN idle burst window 32767 resume"):
            self.assertIn("cproto, " + line, idle_lines)
        self.assertTrue([line for line in idle_lines if line.startswith("cproto, DISCONNECT pause last 0 retry after ")])
        self.assertTrue([line for line in idle_lines if line.startswith("cproto, SYN-ACK resumed burst")])

    def test_what_a_peer_made_by_hand_sends_is_shown_as_it_was_sent(self):
        daemon, capture = self.start("[session]\nkeep_alive = \"2s\"\n[limits]\nmessage_size = \"1KiB\"\nfile_size = \"1MiB\"\n")
        conversations = [getattr(self, name) for name in sorted(dir(self)) if name.startswith("converse_")]
        peers = [peer for converse in [*conversations, self.be_paused] for peer in converse(daemon)]
        capture.end()

        # The clients' ports are random, and a dissector that has such a port would be asked before those that look at the bytes.
        shown = self.read(capture.path, "-o", "tcp.try_heuristic_first:TRUE")
        for peer in peers:
            sent = [s.header for s in shown if s.ports[0] == peer.port]
            received = [s.header[:3] for s in shown if s.ports[1] == peer.port]
            self.assertEqual(sent, peer.headers_sent())
            expected = [(f.type, f.sequence, len(f.payload)) for f in peer.received]
            self.assertEqual(received[:len(expected)], expected)

        self.assertEqual({s.type for s in shown}, set(names_in_document("2.2").values()))
        parameters = {line.split()[1] for s in shown for line in s.lines("cproto.parameter.type")}
        of_streams = {"replication"}  # and this daemon has a journal
        self.assertEqual(parameters, set(names_in_document("3.1").values()) - of_streams | {"reserved", "Unknown"})
        self.assertEqual({line.split()[1] for s in shown for line in s.lines("cproto.error.code")},
                         {"bad_checksum", "unknown_critical_parameter", "unsupported_version", "message_too_large",
                          "bad_file_name", "file_differs"})
        self.assertEqual([s.type for s in shown if s.get("cproto.checksum.status") != "1"], ["DATA"])
        self.assertFalse([s.line for s in shown if s.all("cproto.payload.unreadable")])
        lines = [s.line.removeprefix("cproto, ") for s in shown]
        for line in ("ERROR bad_checksum retry now number 1", "ERROR unknown_critical_parameter go away 0x80ff",
                     "ERROR unsupported_version go away number 1", "ERROR bad_file_name never message number 1",
                     "HEADER seq 4 file digest", "ERROR file_differs never message number 6",
                     "ERROR message_too_large never message number 2",
                     "KEEP-ALIVE ask", "KEEP-ALIVE answer", "HEADER seq 1 text channel other", "HEADER seq 2 abandons",
                     "DISCONNECT pause last 1"):
            self.assertIn(line, lines)

    def converse_damage(self, daemon):
        peer = self.peer(daemon)
        terms = peer.shake_hands(client_id=b"damage")
        data = frame(wire.DATA, b"text", 1)
        peer.send(data[:-1] + b"T")
        self.assertEqual(peer.expect_error().code, wire.BAD_CHECKSUM)
        peer.send(data[:5])  # in two segments
        time.sleep(0.02)
        peer.send(data[5:])
        peer.finish(terms.session, 1)
        return [peer]

    def converse_unknown_parameters(self, daemon):
        peer = self.peer(daemon)
        extra = (parameter(0x00FF, b"x") + parameter(0x8003, b"\1") + parameter(6, "probe/1 ✓".encode()) +
                 parameter(5, bytes(8)))
        terms = peer.shake_hands(client_id=None, extra=extra)  # the server assigns one
        peer.finish(terms.session, 0)
        refused = self.peer(daemon)
        refused.send(frame(wire.SYN, wire.syn(extra=parameter(0x80FF, b""))))
        self.assertEqual(refused.expect_error().code, wire.UNKNOWN_CRITICAL_PARAMETER)
        return [peer, refused]

    def converse_version(self, daemon):
        peer = self.peer(daemon)
        syn = frame(wire.SYN, wire.syn(versions=(2, 3)))
        peer.send(syn[:20])  # in two segments
        time.sleep(0.02)
        peer.send(syn[20:])
        self.assertEqual(peer.expect_error().code, wire.UNSUPPORTED_VERSION)
        return [peer]

    def converse_alive(self, daemon):
        peer = self.peer(daemon)
        terms = peer.shake_hands(client_id=b"alive")
        self.assertEqual(peer.expect(wire.KEEP_ALIVE).payload, b"\0")
        peer.send(frame(wire.KEEP_ALIVE, b"\1") + frame(wire.KEEP_ALIVE, b"\0"))
        self.assertEqual(peer.expect(wire.KEEP_ALIVE).payload, b"\1")
        peer.finish(terms.session, 0)
        return [peer]

    def converse_refusal(self, daemon):
        peer = self.peer(daemon)
        terms = peer.shake_hands(client_id=b"refused")
        peer.send(frame(wire.DATA, b"small", 1) + frame(wire.FRAGMENT, bytes(1024), 2) + frame(wire.DATA, b"x", 3))
        self.assertEqual(peer.expect_error().code, wire.MESSAGE_TOO_LARGE)
        peer.finish(terms.session, 3)
        return [peer]

    def converse_headers(self, daemon):
        peer = self.peer(daemon)
        terms = peer.shake_hands(client_id=b"headers")
        channel = struct.pack(">B3x", 1) + parameter(0x8201, b"other")
        peer.send(frame(wire.HEADER, channel, 1) + frame(wire.FRAGMENT, b"a", 2) + frame(wire.DATA, b"b", 3) +
                  frame(wire.FRAGMENT, b"never", 4))
        peer.wait_durable(4)
        peer.close()
        # Number 4 is unfinished; it is abandoned.
        again = self.peer(daemon)
        resumed = again.shake_hands(client_id=b"headers", attempt=2, extra=wire.resume(terms.session, terms.store))
        self.assertIn(0x0103, dict(resumed.parameters))
        again.send(frame(wire.HEADER, bytes(4), 5))
        again.finish(terms.session, 5)
        abandoned = self.peer(daemon)
        terms = abandoned.shake_hands(client_id=b"abandoned")
        abandoned.send(frame(wire.FRAGMENT, b"never", 1) + frame(wire.HEADER, bytes(4), 2))
        abandoned.finish(terms.session, 2)
        return [peer, again, abandoned]

    def converse_files(self, daemon):
        peer = self.peer(daemon)
        terms = peer.shake_hands(client_id=b"files")
        peer.send(frame(wire.HEADER, wire.file_header(b".."), 1) + frame(wire.DATA, b"", 2))
        self.assertEqual(peer.expect_error().code, wire.BAD_FILE_NAME)
        peer.send(frame(wire.HEADER, wire.file_header(b"a", 4, 0o640, (0, 1)), 3) +
                  frame(wire.HEADER, wire.file_header(digest=wire.file_digest(b"text")), 4) + frame(wire.DATA, b"text", 5))
        peer.send(frame(wire.HEADER, wire.file_header(b"b"), 6) + frame(wire.DATA, b"text", 7))
        self.assertEqual(peer.expect_error().code, wire.FILE_DIFFERS)
        peer.wait_durable(7)
        peer.close()
        again = self.peer(daemon)
        resumed = again.shake_hands(client_id=b"files", attempt=2, extra=wire.resume(terms.session, terms.store))
        self.assertIn(0x8104, dict(resumed.parameters))
        again.finish(terms.session, 7)
        return [peer, again]

    def be_paused(self, daemon):
        peer = self.peer(daemon)
        terms = peer.shake_hands(client_id=b"paused")
        peer.send(frame(wire.DATA, b"text", 1))
        peer.wait_durable(1)
        daemon.process.terminate()
        peer.expect(wire.DISCONNECT)
        peer.send(wire.disconnect(wire.PAUSE, 1))
        self.assertTrue(wire.decode_ack(peer.expect(wire.ACK).payload).is_final)
        peer.send(frame(wire.ACK, terms.session + struct.pack(">Q", 1)))
        peer.close()
        return [peer]


if __name__ == "__main__":
    main()

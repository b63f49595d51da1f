"""A nats-server with JetStream, and a plain consumer that writes what is in its stream as an inbox has it.

CPROTO_E2E_ENGINE=jetstream: every daemon of a test keeps its messages in a stream of a server of its own, so that the same
tests run with both engines.
"""
import binascii
import itertools
import json
import os
import pathlib
import random
import re
import shutil
import socket
import struct
import subprocess
import threading
import time

ENGINE = os.environ.get("CPROTO_E2E_ENGINE", "journal")
assert ENGINE in ("journal", "jetstream"), "CPROTO_E2E_ENGINE=%s" % ENGINE
PROGRAM = os.environ.get("CPROTO_NATS_SERVER") or shutil.which("nats-server")


class Gone(Exception):
    """The connection to the server was lost."""


class Connection:
    """As much of the NATS protocol as reading a stream takes: https://docs.nats.io/reference/reference-protocols/nats-protocol"""

    def __init__(self, port, timeout=5):
        try:
            self.socket = socket.create_connection(("127.0.0.1", port), timeout)
        except OSError as error:
            raise Gone(str(error)) from error
        self.file = self.socket.makefile("rb", 1 << 20)
        self.inbox = "_INBOX.%x" % random.SystemRandom().getrandbits(64)
        self.requests = 0
        self.line()
        self.write(b'CONNECT {"verbose":false,"headers":true,"lang":"python","version":"0"}\r\nSUB %s.* 1\r\n' % self.inbox.encode())

    def close(self):
        self.file.close()
        self.socket.close()

    def write(self, data):
        try:
            self.socket.sendall(data)
        except OSError as error:
            raise Gone(str(error)) from error

    def line(self):
        try:
            line = self.file.readline()
        except TimeoutError:
            raise
        except OSError as error:
            raise Gone(str(error)) from error
        if not line.endswith(b"\n"):
            raise Gone("closed")
        return line.rstrip(b"\r\n")

    def publish(self, subject, data=b"", reply=""):
        self.write(b"PUB %s %s %d\r\n%s\r\n" % (subject.encode(), reply.encode(), len(data), data))

    def next(self):
        """The next message: subject, reply, headers, payload. TimeoutError if there is none for a while."""
        while True:
            words = self.line().split()
            if not words or words[0] in (b"+OK", b"PONG", b"INFO"):
                continue
            if words[0] == b"PING":
                self.write(b"PONG\r\n")
                continue
            if words[0] == b"-ERR":
                raise Gone(b" ".join(words).decode())
            has_headers = words[0] == b"HMSG"
            numbers = 2 if has_headers else 1
            reply = words[3].decode() if len(words) == 4 + numbers else ""
            head = int(words[-2]) if has_headers else 0
            try:
                body = self.file.read(int(words[-1]) + 2)
            except OSError as error:
                raise Gone(str(error)) from error
            if len(body) < int(words[-1]) + 2:
                raise Gone("closed")
            headers = dict(line.split(": ", 1) for line in body[:head].decode().split("\r\n")[1:] if ": " in line)
            if head:
                headers["status"] = body[:head].split(b"\r\n")[0].decode()
            return words[1].decode(), reply, headers, body[head:-2]

    def ask(self, subject, question=None):
        """The answer of the JetStream API; what comes meanwhile for others is dropped."""
        self.requests += 1
        reply = "%s.%d" % (self.inbox, self.requests)
        self.publish(subject, json.dumps(question).encode() if question is not None else b"", reply)
        while True:
            to, _, headers, body = self.next()
            if to == reply:
                return json.loads(body) if body else {"error": {"description": headers.get("status", "")}}


class Server:
    """A nats-server that keeps what it has in `directory` and stays on its port."""

    def __init__(self, directory, port, config=""):
        self.directory = pathlib.Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.port = port
        self.file = self.directory / "nats.conf"
        self.file.write_text('listen: "127.0.0.1:%d"\njetstream { store_dir: "%s" }\n%s' % (port, self.directory / "js", config))
        self.process = None

    @property
    def url(self):
        return "nats://127.0.0.1:%d" % self.port

    def start(self, timeout=120):
        with open(self.directory / "nats.log", "ab") as log:
            self.process = subprocess.Popen([PROGRAM, "-c", str(self.file)], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        deadline = time.monotonic() + timeout
        while True:
            try:
                connection = Connection(self.port)
                is_there = "error" not in connection.ask("$JS.API.INFO")
                connection.close()
                if is_there:
                    return self
            except (Gone, TimeoutError):
                pass
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError("nats-server does not start:\n" + (self.directory / "nats.log").read_text())
            time.sleep(0.02)

    def kill(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def is_up(self):
        return self.process is not None and self.process.poll() is None


class Messages:
    """Takes publications of sessions apart (daemon/STREAM.md §2)."""

    def __init__(self):
        self.begun = {}  # by session: what there is of a message that is not whole
        self.numbers = {}  # by session: up to where it was read

    def of(self, subject, headers, payload):
        """What a publication completes: (client, channel, session, kind, message)…"""
        _, client, channel, session = subject.split(".")
        number = int(headers["Cproto-Number"])
        is_note = headers["Cproto-Sizes"] == "none"
        before = self.numbers.get(session, 0)
        if number < before or number == before and not is_note:
            raise AssertionError("%s: number %d behind %d" % (subject, number, before))
        self.numbers[session] = number
        if is_note:
            return
        channel = headers.get("Cproto-Channel", channel)
        pieces, at = [], 0
        for size in map(int, headers["Cproto-Sizes"].split()):
            pieces.append(payload[at:at + size])
            at += size
        assert at == len(payload), subject
        begun = self.begun.pop(session, None)
        if "Cproto-Rest" in headers:
            begun += pieces[0]
            pieces[0] = begun
        if "Cproto-More" in headers:
            self.begun[session] = bytearray(pieces.pop()) if pieces[-1] is not begun else pieces.pop()
        for piece in pieces:
            yield client.replace(":", "."), channel.replace(":", "."), session, headers.get("Cproto-Kind", "text"), piece


class Reader:
    """Reads the stream `name` with a consumer, from the first message on and over restarts of its servers; `take` gets what
    is in it as Messages.of() gives it, the messages that follow each other in a list. The thread ends with stop()."""

    def __init__(self, ports, take, name="cproto"):
        self.ports = list(ports)
        self.take = take
        self.name = name
        self.messages = Messages()
        self.sequence = 0  # read up to here
        self.trouble = None
        self.is_stopped = False
        self.moved = threading.Condition()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def stop(self):
        self.is_stopped = True
        self.thread.join(10)

    def last(self):
        """The stream's last sequence; 0 where there is none yet."""
        for _ in range(600):
            try:
                connection = Connection(random.choice(self.ports))
                answer = connection.ask("$JS.API.STREAM.INFO." + self.name)
                connection.close()
                if "state" in answer:
                    return answer["state"]["last_seq"]
                if answer.get("error", {}).get("err_code") == 10059:
                    return 0
            except (Gone, TimeoutError):
                pass
            time.sleep(0.05)
        raise AssertionError("the stream does not answer")

    def catch_up(self, timeout=60):
        """Waits until everything is taken that is in the stream now, and at most `timeout` seconds for the next of it."""
        last = self.last()
        with self.moved:
            while not self.trouble and self.sequence < last and self.moved.wait(timeout):
                pass
        if self.trouble or self.sequence < last:
            raise self.trouble or AssertionError("the stream is at %d, its reader at %d" % (last, self.sequence))

    def run(self):
        while not self.is_stopped:
            try:
                self.read(Connection(random.choice(self.ports), 5))
            except (Gone, TimeoutError):
                time.sleep(0.05)
            except Exception as trouble:  # to be raised where somebody waits
                with self.moved:
                    self.trouble = trouble
                    self.moved.notify_all()
                return

    def read(self, connection):
        deliver = connection.inbox + ".to.deliver"
        connection.write(b"SUB %s 2\r\n" % deliver.encode())  # by its own name: the server looks for that
        config = {"deliver_subject": deliver, "ack_policy": "none", "replay_policy": "instant", "flow_control": True,
                  "idle_heartbeat": 500_000_000, "deliver_policy": "by_start_sequence", "opt_start_seq": self.sequence + 1}
        reply = connection.inbox + ".made"
        connection.publish("$JS.API.CONSUMER.CREATE." + self.name,
                           json.dumps({"stream_name": self.name, "config": config}).encode(), reply)
        expected, idle = 1, 0
        while not self.is_stopped:
            to, back, headers, payload = connection.next()
            if to == reply:
                if b'"error"' in payload or not payload:
                    raise Gone(repr(payload))
                continue
            if not back.startswith("$JS.ACK."):
                flow_control = back or headers.get("Nats-Consumer-Stalled")
                if flow_control:
                    connection.publish(flow_control)
                if int(headers.get("Nats-Last-Consumer", 0)) >= expected:
                    raise Gone("delivered, and lost on the way")
                idle += 1
                if idle > 10:  # a consumer may miss the last message while servers change; a new one costs nothing
                    raise Gone("the consumer stands still")
                continue
            idle = 0
            words = back.split(".")
            sequence, delivered = int(words[-4]), int(words[-3])
            if delivered != expected:
                raise Gone("delivered out of order")
            expected += 1
            if sequence <= self.sequence:
                continue
            for where, messages in itertools.groupby(self.messages.of(to, headers, payload), lambda message: message[:4]):
                self.take(*where, [message[4] for message in messages])
            with self.moved:
                self.sequence = sequence
                self.moved.notify_all()
        connection.close()


class Inbox:
    """Writes messages as cprotod's inbox has them (USER.md)."""

    def __init__(self, directory):
        self.directory = pathlib.Path(directory)

    def take(self, client, channel, session, kind, messages):
        path = self.directory / client / (channel + (".bin" if kind == "binary" else ".log"))
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "ab") as file:
            for message in messages:
                if kind == "binary":
                    file.write(struct.pack(">II", len(message), binascii.crc32(message)) + message)
                else:
                    file.write(bytes(message) + b"\n")


def section(server, options=""):
    return '\n[jetstream]\nurl = "%s"\n%s' % (server.url, options)


def with_engine(config):
    """`config` with the engine set in its [store]."""
    if re.search(r"(?m)^\[store\]", config):
        return re.sub(r"(?m)^\[store\]", '[store]\nengine = "jetstream"', config)
    return config + '\n[store]\nengine = "jetstream"\n'

"""The systems that are measured beside: how each is started, as a user would who wants his messages stored; what its acknowledgement
means; and how it likes to be asked."""
import json
import os
import pwd
import re
import socket
import subprocess

from beside import packages
from beside.server import DidNotStart

TIMEOUT = 20  # seconds


class Peer:
    """One system in one configuration. `durable`: what it acknowledged is on disk by then."""

    packages = ()
    program = ""
    version_words = ("--version",)
    pause_ms = 0.0  # what the load waits so that answers gather; where that makes the system faster
    window = 4096  # messages in flight, where a work does not say

    def __init__(self, name, label, protocol, durable, means, **settings):
        self.name, self.label, self.protocol, self.durable, self.means = name, label, protocol, durable, means
        self.settings = settings
        self.unpacked = None

    def have(self, folder):
        """Unpacks it. Raises CannotBeHad."""
        self.unpacked = packages.unpack(folder, list(self.packages))
        self.unpacked.program(self.program)

    @property
    def environment(self):
        return self.unpacked.environment

    def version(self):
        said = subprocess.run([self.unpacked.program(self.program), *self.version_words], capture_output=True, text=True,
                              env=self.environment, timeout=TIMEOUT)
        found = re.search(r"\d+\.\d+[.\d]*", said.stdout + said.stderr)
        return f"{self.program} {found.group(0) if found else '?'}"

    def command(self, folder, port):
        raise NotImplementedError

    def prepare(self, port):
        """What a publisher expects to be there."""


class Redis(Peer):
    packages = ("redis-server",)
    program = "redis-server"

    def command(self, folder, port):
        return [self.unpacked.program(self.program), "--port", str(port), "--bind", "127.0.0.1", "--dir", folder, "--save", "",
                "--maxclients", "20000", "--tcp-backlog", "4096", "--auto-aof-rewrite-percentage", "0",
                "--appendonly", "yes", "--appendfsync", self.settings["sync"]]


class Mosquitto(Peer):
    packages = ("mosquitto",)
    program = "mosquitto"
    version_words = ("-h",)
    pause_ms = 0.5

    def command(self, folder, port):
        config = os.path.join(folder, "mosquitto.conf")
        with open(config, "w", encoding="utf-8") as file:
            file.write(f"listener {port} 127.0.0.1\nallow_anonymous true\npersistence true\npersistence_location {folder}/\n"
                       "max_queued_messages 0\nmax_inflight_messages 0\nset_tcp_nodelay true\n"
                       f"user {pwd.getpwuid(os.getuid()).pw_name}\n")
        return [self.unpacked.program(self.program), "-c", config]

    def prepare(self, port):
        """A subscriber that is away: the broker keeps for it what is published. Without one it would keep nothing."""
        connect = b"\x00\x04MQTT\x04\x00\x00\x00\x00\x06keeper"  # version 4, no clean session, no keep-alive
        subscribe = b"\x00\x01\x00\x05bench\x02"
        with socket.create_connection(("127.0.0.1", port), TIMEOUT) as connection:
            connection.sendall(bytes([0x10, len(connect)]) + connect)
            read_exactly(connection, 4)
            connection.sendall(bytes([0x82, len(subscribe)]) + subscribe)
            if read_exactly(connection, 5)[4] == 0x80:
                raise DidNotStart("mosquitto refuses the subscription")
            connection.sendall(b"\xe0\x00")


class Rsyslog(Peer):
    packages = ("rsyslog", "rsyslog-relp")
    program = "rsyslogd"
    version_words = ("-v",)

    def command(self, folder, port):
        config = os.path.join(folder, "rsyslog.conf")
        queue, action = "", ""
        if self.settings["synced"]:  # the action runs before the acknowledgement, and syncs
            queue = 'main_queue(queue.type="Direct")\n'
            action = ' asyncWriting="off" flushOnTXEnd="on" sync="on"'
        with open(config, "w", encoding="utf-8") as file:
            file.write(f'global(workDirectory="{folder}" maxMessageSize="64k")\n{queue}module(load="imrelp")\n'
                       'template(name="raw" type="string" string="%rawmsg%\\n")\n'
                       f'input(type="imrelp" port="{port}" address="127.0.0.1" maxDataSize="64k")\n'
                       f'action(type="omfile" file="{folder}/inbox.log" template="raw"{action})\n')
        return [self.unpacked.program(self.program), "-n", "-f", config, "-i", os.path.join(folder, "pid"),
                "-M", self.unpacked.folder_of("imrelp.so")]


class Nats(Peer):
    packages = ("nats-server",)
    program = "nats-server"
    pause_ms = 0.5
    window = 1000

    def command(self, folder, port):
        config = os.path.join(folder, "nats.conf")
        with open(config, "w", encoding="utf-8") as file:
            file.write(f'listen: "127.0.0.1:{port}"\nmax_connections: 30000\n'
                       f'jetstream {{ store_dir: "{folder}/jetstream", max_mem: 1G, max_file: 20G }}\n')
        return [self.unpacked.program(self.program), "-c", config]

    def prepare(self, port):
        """A stream in files, for the subject that is published to."""
        stream = json.dumps({"name": "bench", "subjects": ["bench"], "storage": "file", "retention": "limits", "discard": "old",
                             "max_msgs": -1, "max_bytes": -1, "max_age": 0, "max_consumers": -1, "num_replicas": 1})
        with socket.create_connection(("127.0.0.1", port), TIMEOUT) as connection:
            connection.sendall(b'CONNECT {"verbose":false,"pedantic":false,"lang":"python","version":"1","protocol":1}\r\nSUB made 1\r\n'
                               + f"PUB $JS.API.STREAM.CREATE.bench made {len(stream)}\r\n{stream}\r\n".encode())
            said = b""
            while b"stream_create_response" not in said:
                part = connection.recv(65536)
                if not part:
                    raise DidNotStart("nats-server closed the connection")
                said += part
                if b"PING\r\n" in part:
                    connection.sendall(b"PONG\r\n")
            if b'"error"' in said:
                raise DidNotStart(f"nats-server makes no stream: {said[-200:]!r}")


def read_exactly(connection, size):
    found = b""
    while len(found) < size:
        part = connection.recv(size - len(found))
        if not part:
            raise DidNotStart("the server closed the connection")
        found += part
    return found


def all_peers():
    return [
        Redis("redis-always", "redis XADD, appendfsync always", "redis", True, "synced: one fdatasync for a round of its loop", sync="always"),
        Redis("redis-everysec", "redis XADD, appendfsync everysec", "redis", False, "in memory, and written; synced up to a second later",
              sync="everysec"),
        Rsyslog("relp-synced", "rsyslog RELP, synced", "relp", True, "synced: one fsync for each message", synced=True),
        Rsyslog("relp", "rsyslog RELP, as shipped", "relp", False, "in a queue in memory", synced=False),
        Nats("nats", "NATS JetStream, file store, as shipped", "nats", False, "written; synced up to two minutes later"),
        Mosquitto("mosquitto-1", "mosquitto, QoS 1, persistence on", "mqtt1", False, "in memory; a snapshot each half hour and at the end"),
        Mosquitto("mosquitto-2", "mosquitto, QoS 2, persistence on", "mqtt2", False, "in memory; a snapshot each half hour and at the end"),
    ]

"""Two daemons before a stream of three servers, behind a balancer; kill -9 of any of them, and of clients, in random order.
What was sent is compared with what a plain consumer reads from the stream."""
import os
import pathlib
import shutil
import subprocess
import threading
import time

import jetstream
import support
from torture.arena import CannotBeDone
from torture.ledger import Tally
from torture.load import Load

CLIENTS = {"messages": 4, "lines": 3, "follow": 2, "raw": 1}
HAPROXY = os.environ.get("CPROTO_HAPROXY") or shutil.which("haproxy")

BALANCER = """
global
  maxconn 4000
defaults
  mode tcp
  timeout connect 2s
  timeout client 1h
  timeout server 1h
  retries 2
  option redispatch
listen cproto
  bind 127.0.0.1:%d
  balance leastconn
%s
"""


class Balancer:
    """haproxy, from one port to all daemons. One that is away gets no connections; those of others go on."""

    def __init__(self, directory, daemons):
        self.directory = pathlib.Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.port = support.unused_port()
        servers = "\n".join("  server daemon-%d 127.0.0.1:%d check inter 200ms fall 1 rise 1 on-marked-down shutdown-sessions" % (
            number, daemon.port) for number, daemon in enumerate(daemons, 1))
        self.file = self.directory / "haproxy.cfg"
        self.file.write_text(BALANCER % (self.port, servers))
        self.process = None

    def start(self):
        libraries = os.environ.get("CPROTO_HAPROXY_LIBRARIES", "")
        environment = {**os.environ, "LD_LIBRARY_PATH": libraries} if libraries else dict(os.environ)
        with open(self.directory / "haproxy.log", "ab") as log:
            self.process = subprocess.Popen([HAPROXY, "-f", str(self.file), "-db"], stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log, env=environment, preexec_fn=support.die_with_us)

    def kill(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()


class Cluster:
    """To a Load it looks like one daemon: `server`, `port` and `store` with an inbox, which is what the stream has."""

    def __init__(self, arena, servers=3, daemons=2, pack_size="1MiB"):
        if not jetstream.PROGRAM or not HAPROXY:
            raise CannotBeDone("a cluster needs nats-server and haproxy (scripts/tools nats-server haproxy)")
        directory = arena.directory / "cluster"
        self.store = directory / "read"
        arena.cleanup(self.end)
        self.servers, self.daemons, self.balancer, self.reader = [], [], None, None
        ports = [support.unused_port() for _ in range(2 * servers)]
        routes = ", ".join('"nats://127.0.0.1:%d"' % port for port in ports[servers:])
        for number in range(servers):
            name = "server-%d" % (number + 1)
            self.servers.append(jetstream.Server(directory / name, ports[number], (
                'server_name: "%s"\ncluster { name: "cproto", listen: "127.0.0.1:%d", routes: [%s] }\n') % (
                    name, ports[servers + number], routes)))
        threads = [threading.Thread(target=server.start, args=(60,)) for server in self.servers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        urls = ",".join(server.url for server in self.servers)
        config = ('[store]\nengine = "jetstream"\n[jetstream]\nurl = "%s"\nreplicas = %d\npack_size = "%s"\n'
                  % (urls, servers, pack_size))
        for number in range(daemons):
            daemon = support.Daemon(directory / ("daemon-%d" % (number + 1)), config, in_clear=True)
            self.daemons.append(daemon)
            arena.daemons.append(daemon)
            daemon.start()
            support.wait_for(lambda: daemon.log_lines(" is open: "), "a stream of %d servers" % servers)
        self.balancer = Balancer(directory / "balancer", self.daemons)
        self.balancer.start()
        self.port = self.balancer.port
        self.server = "127.0.0.1:%d" % self.port
        self.reader = jetstream.Reader([server.port for server in self.servers],
                                       jetstream.Inbox(self.store / "inbox").take)

    @property
    def pid(self):
        return self.daemons[0].pid

    def end(self):
        if self.reader:
            self.reader.stop()
        for part in [self.balancer, *self.daemons, *self.servers]:
            if part:
                part.kill() if not isinstance(part, support.Daemon) else part.end()

    def parts(self):
        """What can be killed: (kind, kill, start)."""
        named = [("servers killed", self.servers), ("daemons killed", self.daemons), ("balancers killed", [self.balancer])]
        return [(kind, part) for kind, parts in named for part in parts]


def run(arena, count):
    """Returns what was done, and the tally. A server that is killed is back before the next one is: with two of three
    away nothing could go on."""
    cluster = Cluster(arena)
    load = Load(arena, cluster, CLIENTS)
    killed = dict.fromkeys(["servers killed", "daemons killed", "balancers killed", "clients killed"], 0)
    load.run(1)
    while sum(killed.values()) < count:
        load.run(arena.random.random() ** 2 * 1.0)
        if arena.random.random() < 0.3:
            killed["clients killed"] += bool(load.kill_one())
            continue
        kind, part = arena.random.choice(cluster.parts())
        part.kill()
        load.run(arena.random.random() ** 2 * 2.0)
        part.start()
        killed[kind] += 1
    load.finish()
    cluster.reader.catch_up()
    tally = Tally(problems=[])
    tally.add(load.judge())
    return killed, tally


def show(arena, lines=200_000, clients=10, say=print):
    """The same in front of people: every line of `clients` growing logs, while one of each kind is killed in turn.
    Returns whether the stream has each line once and in order."""
    say("starting three nats-servers with one replicated stream, two cprotods before it, and haproxy before them")
    cluster = Cluster(arena)
    each = lines // clients
    logs = [arena.directory / ("app-%d.log" % number) for number in range(clients)]
    state = {"XDG_STATE_HOME": str(arena.directory / "state")}

    def follow(number):
        return support.Sender(cluster, "--follow", logs[number], client="client-%d" % number, env=state)

    for log in logs:
        log.touch()
    senders = [follow(number) for number in range(clients)]

    def write(begin, end):
        for number, log in enumerate(logs):
            with open(log, "ab") as file:
                file.write(b"".join(b"client %d line %06d\n" % (number, line) for line in range(begin, end)))

    def inbox(number):
        return cluster.store / "inbox" / ("client-%d" % number) / "messages.log"

    def read():
        return sum(support.size_of(inbox(number)) // len(b"client 0 line 000000\n") for number in range(clients))

    say("sending %s lines from %d clients; everybody is killed once meanwhile, with SIGKILL" % (format(lines, ","), clients))
    steps = 40
    kills = {5: "a server of the stream", 13: "a daemon", 21: "the balancer", 29: "a client"}
    part = {"a server of the stream": cluster.servers[0], "a daemon": cluster.daemons[0], "the balancer": cluster.balancer}
    for step in range(steps):
        if step in kills:
            what = kills[step]
            say("  %s of %s lines read; kill -9 of %s" % (format(read(), ","), format(lines, ","), what))
            if what == "a client":
                senders[0].process.kill()
                senders[0].wait()
            else:
                part[what].kill()
        write(each * step // steps, each * (step + 1) // steps)
        time.sleep(0.15)
        if step - 4 in kills:
            what = kills[step - 4]
            if what == "a client":
                senders[0] = follow(0)
            else:
                part[what].start()
            say("  %s is started again" % what)
    deadline = time.monotonic() + 120
    while read() < lines and time.monotonic() < deadline and not cluster.reader.trouble:
        time.sleep(0.05)
    cluster.reader.catch_up()
    for sender in senders:
        sender.stop()
    good = 0
    for number, log in enumerate(logs):
        is_same = inbox(number).exists() and inbox(number).read_bytes() == log.read_bytes()
        good += is_same
        if not is_same:
            say("  client-%d: what the stream has is not its log" % number)
    say("the stream, read by a plain consumer: %s lines of %s; %d of %d clients have each line once and in order" % (
        format(read(), ","), format(lines, ","), good, clients))
    return good == clients

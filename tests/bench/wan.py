"""scripts/bench-wan: a cproto-send and a cprotod with a long way between them, beside a bare TCP stream on the same way.

The way is cproto-bad-link between two network namespaces: a rate, a delay, a queue of as many bytes as are on their way when it is
full, and packets that vanish at random from sender to receiver. Both namespaces have CUBIC by default, as Debian has. Nothing
outside of them is touched. Needs root.
"""
import argparse
import json
import os
import pathlib
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time

import support
from torture.arena import Arena, CannotBeDone
from torture.disks import command
from torture.networks import CLIENT, SERVER, BadLink, Network

HEADER = 11                   # bytes of a frame's
SEGMENT, PACKET = 1448, 1500  # of a packet of TCP with time stamps: what it carries, and all of it
STREAM_PORT = 7781
LOSSES = (0, 0.1, 1, 2)  # percent
GRACE = 300              # seconds, behind the time that a run should take

RECEIVE = """
import socket
with socket.create_server(("%s", %d)) as server:
    print("up", flush=True)
    stream, _ = server.accept()
    received, buffer = 0, bytearray(1 << 18)
    while size := stream.recv_into(buffer):
        received += size
    stream.sendall(b"%%d" %% received)
"""
# To the answer behind the last byte, as a cproto-send: what still fills buffers is not counted as carried.
SEND = """
import socket, time
with socket.socket() as stream:
    begin = time.monotonic()
    stream.connect(("%s", %d))
    stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, b"%s")  # before, the route's would take its place
    while time.monotonic() < begin + %g:
        stream.sendall(bytes(1 << 16))
    stream.shutdown(socket.SHUT_WR)
    received = int(stream.recv(64))
    print(received / (time.monotonic() - begin))
"""


class Way:
    """Two namespaces, a link between them, and a daemon at its far end."""

    def __init__(self, arena, given):
        self.arena, self.given = arena, given
        self.line = b"x" * given.line + b"\n"
        self.network = Network(arena)
        for name, prefix in zip(self.network.names, (self.network.server, self.network.client)):
            # No run learns from the one before.
            command(*prefix, "sysctl", "-q", "-w", "net.ipv4.tcp_no_metrics_save=1")
            if given.buffers:
                command(*prefix, "sysctl", "-q", "-w", "net.ipv4.tcp_rmem=4096 131072 %d" % given.buffers,
                        "net.ipv4.tcp_wmem=4096 16384 %d" % given.buffers)
        self.link = self.daemon = None

    def lose(self, percent, seed):
        """From here on."""
        if self.link is not None:
            self.link.end()
        self.link = BadLink(self.arena, self.network, {
            "rate_mbit": self.given.rate, "queue_kb": self.given.rate * self.given.round_trip / 8,
            "delay_ms": self.given.round_trip / 2, "lose_back": percent, "seed": seed})
        for name, peer in zip(self.network.names, (CLIENT, SERVER)):
            command("ip", "-n", name, "link", "set", "bad0", "txqueuelen", "20000")
            # By its sysctl a namespace may have only what the kernel allows to all.
            command("ip", "-n", name, "route", "change", peer, "dev", "bad0", "congctl", "cubic")
        if self.daemon is None:
            self.daemon = self.network.daemon(self.arena, "")

    def stream(self, congestion):
        """A bare TCP stream."""
        receiver = subprocess.Popen([*self.network.server, sys.executable, "-c", RECEIVE % (SERVER, STREAM_PORT)],
                                    stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, preexec_fn=support.die_with_us)
        try:
            receiver.stdout.readline()
            program = SEND % (SERVER, STREAM_PORT, congestion, self.given.seconds)
            done = subprocess.run([*self.network.client, sys.executable, "-c", program], capture_output=True, text=True, check=True,
                                  timeout=self.given.seconds + GRACE, preexec_fn=support.die_with_us)
        finally:
            receiver.kill()
            receiver.wait()
            receiver.stdout.close()
        return {"bytes_per_second": float(done.stdout)}, congestion

    def send(self, feed, *arguments):
        """A cproto-send, until everything is durable. `feed` writes its standard input."""
        sender = support.Sender(self.daemon, "--json", "--lines", "-", *arguments, client="wan", stdin=subprocess.PIPE,
                                prefix=self.network.client)
        thread = threading.Thread(target=feed, args=(sender.stdin,), daemon=True)
        try:
            thread.start()
            status = sender.wait(self.given.seconds + GRACE)
            thread.join()
            said = json.loads(sender.output)
            if status != 0 or said["reconnects"] != 0:
                raise RuntimeError("cproto-send ended with %d: %s%s" % (status, sender.errors, sender.output))
        finally:
            sender.stop()
        seconds, lines = said["seconds"], said["durable"]
        return {"bytes_per_second": (said["bytes"] + HEADER * lines) / seconds, "messages_per_second": lines / seconds,
                "milliseconds_a_message": seconds * 1000 / lines}, said["congestion_control"]

    def burst(self, *arguments):
        block = memoryview(self.line * (1 + (1 << 16) // len(self.line)))

        def feed(pipe):
            end = time.monotonic() + self.given.seconds
            while time.monotonic() < end:
                pipe.write(block)
            pipe.close()
        return self.send(feed, *arguments)

    def step_by_step(self):
        count = max(1, int(self.given.seconds * 1000 / self.given.round_trip))

        def feed(pipe):
            pipe.write(self.line * count)
            pipe.close()
        return self.send(feed, "--operation-mode", "step-by-step")


WORKS = {
    "TCP stream, CUBIC": lambda way: way.stream("cubic"),
    "TCP stream, BBR": lambda way: way.stream("bbr"),
    "cproto, CUBIC": lambda way: way.burst("--congestion", "cubic"),
    "cproto": lambda way: way.burst(),
    "cproto, step-by-step": lambda way: way.step_by_step(),
}


def arguments():
    parser = argparse.ArgumentParser(prog="scripts/bench-wan", description="cproto-send over a long way that loses packets, "
                                     "beside a bare TCP stream on the same way.")
    parser.add_argument("--quick", action="store_true", help="one run of 8 s each: to see that it works")
    parser.add_argument("--runs", metavar="N", type=int, default=3, help="of each; medians are of them (3)")
    parser.add_argument("--seconds", metavar="S", type=float, default=30, help="of each run, about (30)")
    parser.add_argument("--rate", metavar="MBIT", type=float, default=100, help="of the link (100)")
    parser.add_argument("--round-trip", metavar="MS", type=float, default=50, help="without a queue (50)")
    parser.add_argument("--loss", metavar="P", type=float, action="append", help="percent; may be repeated (0, 0.1, 1, 2)")
    parser.add_argument("--only", metavar="WORK", action="append", choices=list(WORKS), help="; ".join(WORKS))
    parser.add_argument("--line", metavar="BYTES", type=int, default=100, help="of each line (100)")
    parser.add_argument("--buffers", metavar="BYTES", type=int, help="that TCP may have at each end (what the kernel says)")
    parser.add_argument("--seed", metavar="N", type=int, default=1, help="of what is lost (1)")
    parser.add_argument("--directory", metavar="DIR", type=pathlib.Path, default=pathlib.Path("."), help="on the daemon's disk (.)")
    parser.add_argument("--json", metavar="FILE", type=pathlib.Path, help="all figures, for programs")
    given = parser.parse_args()
    if given.quick:
        given.runs, given.seconds = 1, 8
    if min(given.runs, given.seconds, given.rate, given.round_trip, given.line) <= 0 or not given.directory.is_dir():
        parser.error("numbers are above 0, and DIR is a folder that is there")
    return given


def summed_up(runs):
    return {metric: {"median": statistics.median(run[metric] for run in runs), "min": min(run[metric] for run in runs),
                     "max": max(run[metric] for run in runs)} for metric in runs[0]}


def row(result, capacity):
    """Of the table: a cell for each column."""
    metrics = result["metrics"]
    rate = {name: value / 1e6 for name, value in metrics["bytes_per_second"].items()}
    cells = ["%g %%" % result["loss"], result["work"], "%.3g" % rate["median"], "%.3g..%.3g" % (rate["min"], rate["max"]),
             "%.2f" % (rate["median"] * 1e6 / capacity)]
    cells.append("{:,.0f}".format(metrics["messages_per_second"]["median"]) if "messages_per_second" in metrics else "")
    slow = metrics.get("milliseconds_a_message", {"median": 0})["median"]
    cells.append("%.1f" % slow if slow >= 1 else "")
    cells.append(result["congestion_control"])
    return cells


def show(cells):
    widths = (-6, -21, 7, 13, 8, 11, 8, 0)
    print("  ".join("%*s" % (width, cell) for width, cell in zip(widths, cells)).rstrip(), flush=True)


def measure(arena, given, capacity):
    way = Way(arena, given)
    show(("loss", "", "MB/s", "least..most", "of link", "messages/s", "ms each", "congestion control"))
    results = []
    for loss in given.loss or LOSSES:
        for work in given.only or WORKS:
            runs = []
            for i in range(given.runs):
                way.lose(loss, given.seed + i)
                metrics, congestion = WORKS[work](way)
                runs.append(metrics)
            results.append({"loss": loss, "work": work, "congestion_control": congestion, "metrics": summed_up(runs)})
            show(row(results[-1], capacity))
    return results


def main():
    given = arguments()
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    capacity = given.rate * 1e6 / 8 * SEGMENT / PACKET  # of a TCP stream, bytes a second
    load = [os.getloadavg()[0]]
    print("%g Mbit/s, which is %.2f MB/s of TCP; a round trip of %g ms; lines of %d bytes, counted with their frames; %d of %g s each"
          % (given.rate, capacity / 1e6, given.round_trip, given.line, given.runs, given.seconds))
    folder = pathlib.Path(tempfile.mkdtemp(prefix="cproto-bench-wan-", dir=given.directory)).resolve()
    arena = Arena(folder, given.seed)
    try:
        results = measure(arena, given, capacity)
    except CannotBeDone as reason:
        print("It cannot be measured: %s" % reason)
        return 69
    except KeyboardInterrupt:
        return 130
    finally:
        arena.end()
        shutil.rmtree(folder, ignore_errors=True)
    load.append(os.getloadavg()[0])
    print("What else this machine did meanwhile: a load of %.1f at the beginning, %.1f at the end" % tuple(load))
    if given.json:
        way = {"rate_mbit": given.rate, "round_trip_ms": given.round_trip, "line_bytes": given.line, "seconds": given.seconds,
               "runs": given.runs, "capacity_bytes_per_second": capacity, "load": load}
        given.json.write_text(json.dumps({"way": way, "works": results}, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

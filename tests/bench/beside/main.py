"""scripts/bench: cproto beside other systems and beside what this machine can do, in a table and in plots.

  usage:  scripts/bench [--runs N] [--only WORK,...] [--quick] [--directory DIR] [--output DIR] [--scale F] [--time-max SECONDS]

The other systems are unpacked from Debian's packages into build/peers, never installed, and started one at a time with a configuration and
a folder of their own on the disk that is measured. In each run every work is done by cproto, by its limits and by each of the others, one
after the other, so that what the machine does otherwise hits all alike. Writes table.md, results.json and plots; stops what it started.
"""
import argparse
import json
import pathlib
import resource
import shlex
import signal
import subprocess
import sys
import tempfile

from beside import machine, packages, plots, table
from beside.peers import all_peers
from beside.results import Results
from beside.server import DidNotStart, Server, end_with_parent

SOURCE = pathlib.Path(__file__).resolve().parents[3]
PROGRAMS = SOURCE / "build/release/bin"
QUICK_SCALE = 0.02
LOAD_MARGIN = 120  # seconds that a load may take beyond its own limit: handshakes of slow servers
HOLD = 15  # seconds until the memory of idle connections is looked at: some give back what they do not need only then
HOLD_MIN = 2


class Bench:
    """What all works share."""

    def __init__(self, given, directory, peers, results):
        self.given, self.directory, self.peers, self.results = given, directory, peers, results

    def scaled(self, count):
        return max(1, int(count * self.given.scale))

    def measure_cproto(self, work):
        """By cproto-bench, one run; its limits are measured by it, too."""
        command = [PROGRAMS / "cproto-bench", "--work", work, "--runs", "1", "--json", "--directory", self.directory,
                   "--scale", str(self.given.scale)]
        said = run(command)
        if said.returncode != 0:
            return self.results.fail(work, said.stderr.strip())
        for section in json.loads(said.stdout)["works"]:
            self.results.headings[section["work"]] = section["heading"]
            self.results.add(section["work"], table.CPROTO, {key: figure["median"] for key, figure in section["metrics"].items()})

    def measure_peers(self, section, count, size=100, window=None, connections=1, hold=0):
        for peer in self.peers:
            options = {"--count": self.scaled(count) if count else 0, "--size": size, "--connections": connections,
                       "--window": window or peer.window, "--time-max": self.given.time_max, "--hold": hold}
            if connections == 1 and window is None:
                options["--pause"] = peer.pause_ms
            try:
                with Server(peer, self.directory) as server:
                    self.drive(section, peer, server, options)
            except DidNotStart as trouble:
                self.results.note(section, f"{peer.label}: {trouble}.")

    def drive(self, section, peer, server, options):
        command = [PROGRAMS / "cproto-peer-load", peer.protocol, server.address, "--pid", str(server.pid)]
        for name, value in options.items():
            command += [name, str(value)]
        said = run(command, timeout=self.given.time_max + LOAD_MARGIN)
        if said.returncode != 0:
            return self.results.note(section, f"{peer.label}: {said.stderr.strip()}.")
        figures = json.loads(said.stdout)
        self.results.add(section, peer.name, figures)
        if options["--count"] > figures["acknowledged"] and not options["--hold"]:
            self.results.note(section, f"{peer.label}: stopped after {self.given.time_max:g} s; the rate is that of what was done.")


def run(command, timeout=None):
    try:
        return subprocess.run([str(word) for word in command], capture_output=True, text=True, preexec_fn=end_with_parent, timeout=timeout)
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, 1, "", "it took too long")


def many(bench):
    bench.measure_cproto("W5")
    for connections in (100, 1000):
        for window in (1, 64):
            bench.measure_peers(f"many-{connections}-{window}", connections * 1000, window=window, connections=connections)


def idle(bench):
    bench.measure_cproto("W6")
    bench.measure_peers("idle", 0, connections=bench.scaled(10_000), hold=max(HOLD_MIN, bench.scaled(HOLD)))


def with_peers(work, section, count, **options):
    def measure(bench):
        bench.measure_cproto(work)
        bench.measure_peers(section, count, **options)
    return measure


def alone(work):
    return lambda bench: bench.measure_cproto(work)


# In the order they are done. One that has nothing to do with cproto-bench takes a Bench and adds to its results, as these do.
WORKS = {
    "W1": with_peers("W1", "throughput", 1_000_000),
    "W2": with_peers("W2", "latency", 20_000, window=1),
    "W3": with_peers("W3", "large", 200_000, size=4096, window=256),
    "W4": alone("W4"),
    "W5": many,
    "W6": idle,
    "W7": alone("W7"),
    "W8": alone("W8"),
    "client": alone("client"),
    "tls": alone("tls"),
    "fairness": alone("fairness"),
    "limits": alone("limits"),
}


def arguments():
    parser = argparse.ArgumentParser(prog="scripts/bench", formatter_class=argparse.RawDescriptionHelpFormatter, description=__doc__)
    parser.add_argument("--runs", metavar="N", type=int, default=5, help="medians are of them (default: 5)")
    parser.add_argument("--only", metavar="WORK,...", help="some of " + ", ".join(WORKS) + " (default: all)")
    parser.add_argument("--peers", metavar="NAME,...", help="some of " + ", ".join(peer.name for peer in all_peers()) + " (default: all)")
    parser.add_argument("--quick", action="store_true", help=f"one run of {QUICK_SCALE:g} of everything: to try it; the figures mean nothing")
    parser.add_argument("--scale", metavar="F", type=float, default=1, help="do this part of each work (default: 1)")
    parser.add_argument("--time-max", metavar="SECONDS", type=float, default=12,
                        help="stop a slow system behind it, and take the rate up to there (default: 12)")
    parser.add_argument("--directory", metavar="DIR", type=pathlib.Path, default=SOURCE / "build/bench",
                        help="on the disk that is measured (default: build/bench)")
    parser.add_argument("--output", metavar="DIR", type=pathlib.Path, default=SOURCE / "build/bench",
                        help="for the table and the plots (default: build/bench)")
    given = parser.parse_args()
    if given.quick:
        given.runs, given.scale = 1, QUICK_SCALE
    given.works = given.only.split(",") if given.only else list(WORKS)
    given.names = given.peers.split(",") if given.peers is not None else [peer.name for peer in all_peers()]
    unknown = [name for name in given.works if name not in WORKS]
    unknown += [name for name in given.names if name not in {"", *(peer.name for peer in all_peers())}]
    if unknown or given.runs < 1 or given.scale <= 0:
        parser.error(f"unknown: {', '.join(unknown)}" if unknown else "N is at least 1, and F more than 0")
    return given


def peers_at_hand(given, results):
    found = []
    for peer in all_peers():
        if peer.name not in given.names:
            continue
        try:
            peer.have(packages.default_folder(SOURCE / "build"))
            found.append(peer)
        except (packages.CannotBeHad, OSError, subprocess.SubprocessError) as trouble:
            results.left_out[peer.label] = str(trouble)
            print(f"left out: {peer.label}: {trouble}", file=sys.stderr)
    return found


def about(given, peers, directory):
    versions = dict.fromkeys([*(peer.version() for peer in peers), *machine.rsync()])
    return {"command": shlex.join(["scripts/bench", *sys.argv[1:]]), "runs": given.runs, "scale": given.scale,
            "machine": machine.describe(directory, SOURCE), "versions": list(versions)}


def write(results, peers, output, drawn=()):
    """After each run: whoever stops it has what was measured until then."""
    output.mkdir(parents=True, exist_ok=True)
    results.write(output / "results.json")
    (output / "table.md").write_text(table.to_markdown(results, peers, drawn), encoding="utf-8")


def measure(given, directory):
    results = Results({})
    peers = peers_at_hand(given, results)
    results.about = about(given, peers, given.directory)
    bench = Bench(given, directory, peers, results)
    for index in range(given.runs):
        results.run = index
        for work in WORKS:
            if work in given.works:
                print(f"run {index + 1} of {given.runs}: {work}", file=sys.stderr, flush=True)
                WORKS[work](bench)
        write(results, peers, given.output)
    try:
        folder = packages.default_folder(SOURCE / "build")
        drawn = plots.draw_all(results, peers, given.output, lambda: packages.unpack(folder, ["gnuplot-nox"]))
        write(results, peers, given.output, drawn)
    except (packages.CannotBeHad, OSError, subprocess.SubprocessError) as trouble:
        print(f"no plots: {trouble}", file=sys.stderr)
    print((given.output / "table.md").read_text(encoding="utf-8"))
    return 1 if results.failures else 0


def stop(number, _):
    raise SystemExit(128 + number)


def main():
    given = arguments()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stop)
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    given.directory.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="run.", dir=given.directory, ignore_cleanup_errors=True) as directory:
        return measure(given, directory)


if __name__ == "__main__":
    sys.exit(main())

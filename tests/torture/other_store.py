"""Another store in the place of the one that acknowledged: an older copy, an empty one, and the right one again. Each is named at both
ends, nothing is skipped, and nothing is sent twice."""
import shutil
import subprocess

import support
import wire
from torture import kills
from torture.ledger import Tally, Unit, judge_log

NAMED = {  # by the server's answer: what both ends say
    wire.STORE_BEHIND: "the store is older than what it acknowledged",
    wire.OTHER_STORE: "this is not the store the session belongs to",
    wire.UNKNOWN_SESSION: "no such session here",
}


class Follower:
    """A log that is followed, by a cproto-send that is started again for each store: it then tries at once."""

    def __init__(self, arena, daemon, name):
        self.daemon, self.name = daemon, name
        self.directory = arena.directory / name
        self.directory.mkdir()
        self.path = self.directory / "app.log"
        self.path.touch()
        self.unit = Unit([])
        self.sender = None
        arena.cleanup(self.stop)

    def write(self, count):
        lines = [b"%s %06d" % (self.name.encode(), len(self.unit.lines) + i + 1) for i in range(count)]
        with open(self.path, "ab") as file:
            file.write(b"".join(line + b"\n" for line in lines))
        self.unit.lines += lines

    def start(self):
        self.sender = support.Sender(self.daemon, "--follow", self.path, client=self.name,
                                     env={"XDG_STATE_HOME": str(self.directory / "state")})

    def stop(self):
        """In order: one that is killed knows what was acknowledged to it up to a second ago, and could not tell a store older by that."""
        if self.sender is not None:
            self.sender.process.terminate()
            self.sender.wait(20)
            self.sender.stop()
            self.sender = None

    def is_all_there(self):
        log = self.daemon.inbox(self.name)
        return log.exists() and log.read_bytes() == b"".join(line + b"\n" for line in self.unit.lines)


class Heard:
    """Of a session by hand: what the server answered when it came back."""

    def __init__(self, daemon, name):
        self.daemon, self.name, self.unit, self.attempt, self.terms = daemon, name.encode(), Unit([]), 0, None

    def syn(self, peer):
        self.attempt += 1
        resume = wire.resume(self.terms.session, self.terms.store, self.unit.acknowledged) if self.terms else b""
        peer.send(wire.frame(wire.SYN, wire.syn(client_id=self.name, attempt=self.attempt, extra=resume)))
        return peer.receive()

    def send(self, count):
        """More messages, until they are acknowledged."""
        with wire.Peer(self.daemon.port) as peer:
            terms = wire.decode_syn_ack(self.syn(peer).payload)
            self.terms = terms
            peer.send(wire.frame(wire.ACK, terms.session))
            for _ in range(count):
                self.unit.lines.append(b"%s %06d" % (self.name, len(self.unit.lines) + 1))
                peer.send(wire.frame(wire.DATA, self.unit.lines[-1], len(self.unit.lines)))
            self.unit.acknowledge(wire.decode_ack(self.wait(peer)).durable_through)

    def wait(self, peer):
        while True:
            got = peer.expect(wire.ACK)
            if wire.decode_ack(got.payload).durable_through >= len(self.unit.lines):
                return got.payload

    def asks(self):
        """The code of the refusal, or None."""
        with wire.Peer(self.daemon.port) as peer:
            got = self.syn(peer)
            return wire.decode_error(got.payload).code if got.type == wire.ERROR else None


def run(arena, count):
    """`count` times through all the stores."""
    daemon = arena.daemon(kills.config_for(arena.random))
    here, away, old = daemon.store, daemon.directory / "away", daemon.directory / "old"
    fresh = daemon.directory / "fresh"
    problems = []
    follower, by_hand = Follower(arena, daemon, "follower"), Heard(daemon, "by-hand")
    done = {"stores exchanged": 0}
    later = None
    follower.start()
    for round_number in range(count):
        follower.write(arena.random.randrange(1, 200))
        by_hand.send(arena.random.randrange(1, 30))
        wait_for_all(follower, problems)
        daemon.terminate()
        shutil.rmtree(old, ignore_errors=True)
        subprocess.run(["cp", "-a", str(here), str(old)], check=True)  # with its hard links
        daemon.start()
        follower.write(arena.random.randrange(1, 200))
        by_hand.send(arena.random.randrange(1, 30))
        later = Heard(daemon, "later-%d" % round_number)  # a session that the copy has never seen
        later.send(5)
        wait_for_all(follower, problems)
        stop(daemon, follower)
        here.rename(away)
        for store, answers in ((old, (wire.STORE_BEHIND, wire.STORE_BEHIND, wire.UNKNOWN_SESSION)),
                               (fresh, (wire.OTHER_STORE,) * 3)):
            if store.exists():
                store.rename(here)
            before = inbox_of(here)
            daemon.start()
            problems += name_both_ends(daemon, follower, by_hand, later, answers)
            stop(daemon, follower)
            if inbox_of(here) != before:
                problems.append("something was sent to a store that had lost what it acknowledged")
            shutil.rmtree(here)
            done["stores exchanged"] += 1
        away.rename(here)
        daemon.start()
        follower.start()
        if later.asks() is not None or by_hand.asks() is not None:
            problems.append("the right store refuses a session that it knows")
        done["stores exchanged"] += 1
    follower.write(10)
    by_hand.send(10)
    wait_for_all(follower, problems)
    follower.unit.acknowledge(len(follower.unit.lines))
    stop(daemon, follower)
    tally = Tally(problems=problems)
    for one in (follower, by_hand, later):
        name = one.name if isinstance(one.name, str) else one.name.decode()
        tally.add(judge_log(daemon.inbox(name), [one.unit]))
    return done, tally


def wait_for_all(follower, problems, seconds=60):
    try:
        support.wait_for(follower.is_all_there, "", timeout=seconds)
    except AssertionError:
        problems.append("the follower's lines are not all there in %d s; it says: %s" % (seconds, follower.sender.errors[-400:]))


def stop(daemon, follower):
    follower.stop()
    daemon.terminate()


def inbox_of(store):
    inbox = store / "inbox"
    return {str(path.relative_to(inbox)): path.read_bytes() for path in inbox.rglob("*") if path.is_file()}


def name_both_ends(daemon, follower, by_hand, later, answers):
    """Problems, where one end does not name what is wrong."""
    problems = []
    begin = len(daemon.log_lines())
    follower.write(3)  # which must wait
    follower.start()
    words = NAMED[answers[0]]
    try:
        support.wait_for(lambda: words in follower.sender.errors, "", timeout=20)
        if "Nothing was sent" not in follower.sender.errors:
            problems.append("the sender does not say that nothing was sent: %s" % follower.sender.errors)
    except AssertionError:
        problems.append("the sender does not say %r, but: %s" % (words, follower.sender.errors))
    for one, answer in ((by_hand, answers[1]), (later, answers[2])):
        heard = one.asks()
        if heard != answer:
            problems.append("%s hears %s where %d was expected" % (one.name, heard, answer))
    for name, answer in ((follower.name, answers[0]), (by_hand.name.decode(), answers[1]), (later.name.decode(), answers[2])):
        try:
            support.wait_for(lambda: [line for line in daemon.log_lines()[begin:] if name in line and NAMED[answer] in line], "",
                             timeout=10)
        except AssertionError:
            problems.append("the daemon's log does not say %r of %s" % (NAMED[answer], name))
    return problems

"""A medium that forgets: one byte of the journal is another. The daemon starts, says what it left out, and loses at most what was hit."""
import re
import shutil
import struct
import subprocess

import support
import wire
from torture.ledger import Tally

BLOCK = 4096
CLIENTS = ("one", "two", "three")


def make_store(arena):
    """A small journal with messages that are acknowledged and in no inbox yet: their logs' names are taken by folders, and so are those
    of the files where they would wait for that. Sealed, and left as kill -9 leaves it. Returns the store and what each client sent."""
    daemon = arena.daemon('[store]\nsegment_size = "1MiB"\n', name="sealed")
    sent = {name: [] for name in CLIENTS}
    in_the_way = [daemon.inbox(name) for name in CLIENTS]
    in_the_way += [daemon.store / "partial" / ("%016x.aside" % number) for number in range(1, 20)]
    for path in in_the_way:
        path.mkdir(parents=True)
    peers = {name: wire.Peer(daemon.port) for name in CLIENTS}
    for name, peer in peers.items():
        peer.shake_hands(client_id=name.encode())
    for _ in range(3):
        for name, peer in peers.items():
            lines = [("%s %d %s" % (name, len(sent[name]) + i + 1, "x" * arena.random.randrange(60))).encode()
                     for i in range(arena.random.randrange(1, 5))]
            first = len(sent[name]) + 1
            peer.send(b"".join(wire.frame(wire.DATA, line, first + i) for i, line in enumerate(lines)))
            sent[name] += lines
            peer.wait_durable(len(sent[name]))
    for peer in peers.values():
        peer.close()
    support.wait_for(lambda: has_seal(daemon.store), "the seal")
    daemon.kill()
    for path in in_the_way:
        path.rmdir()
    return daemon.store, sent


def batches_of(store):
    """(segment's path, offset, size, bytes of records) of each, in the order of their numbers (STORE §3)."""
    found = []
    for path in (store / "journal").glob("*.seg"):
        data = path.read_bytes()
        for at in range(BLOCK, len(data), BLOCK):
            if data[at:at + 8] == b"CPBATCH1":
                number, = struct.unpack_from(">Q", data, at + 24)
                size, used = struct.unpack_from(">II", data, at + 40)
                found.append((number, path, at, size, used))
    return [batch[1:] for batch in sorted(found)]


def has_seal(store):
    batches = batches_of(store)
    return bool(batches) and batches[-1][3] == 0


def every_byte(arena, step=1):
    """All of them, or every `step`th, with the daemon's recovery in a program of its own, on a disk in memory."""
    store, sent = make_store(arena)
    done = subprocess.run([support.BIN / "cproto-flip", store, str(arena.random.randrange(1 << 30)), str(step)], capture_output=True,
                          text=True)
    counts = {name: int(count) for name, count in re.findall(r"(\w+)=(\d+)", done.stdout)}
    tally = Tally(acknowledged=sum(map(len, sent.values())))
    if done.returncode != 0:
        tally.problems.append("cproto-flip ended with %d: %s" % (done.returncode, done.stdout + done.stderr))
    elif counts["messages"] != tally.acknowledged:
        tally.problems.append("cproto-flip finds %d messages of %d" % (counts["messages"], tally.acknowledged))
    return {"bytes flipped": counts.get("flipped", 0), "of them cost a message": counts.get("cost_a_message", 0)}, tally


def some_bytes(arena, count):
    """A drawn part of them, with the daemon itself."""
    store, sent = make_store(arena)
    tally = Tally(acknowledged=sum(map(len, sent.values())))
    batches = batches_of(store)
    daemon = arena.daemon(name="flipped", start=False)
    done = {"bytes flipped, restarted": 0, "of them cost a message": 0}
    for _ in range(count):
        shutil.rmtree(daemon.store, ignore_errors=True)
        shutil.copytree(store, daemon.store, ignore=shutil.ignore_patterns("control", "lock"))
        path, offset, size, _ = arena.random.choice(batches)
        at = offset + arena.random.choice((arena.random.randrange(80), arena.random.randrange(size), arena.random.randrange(300)))
        with open(daemon.store / "journal" / path.name, "r+b") as file:
            file.seek(at)
            byte = file.read(1)[0]
            file.seek(at)
            file.write(bytes([byte ^ arena.random.randrange(1, 256)]))
        begin = len(daemon.log_lines()) if daemon.log.exists() else 0
        daemon.start()
        status = daemon.terminate()
        where = "byte %d of %s" % (at, path.name)
        if status != 0:
            tally.problems.append("%s: cprotod ended with %d" % (where, status))
        lost = judge(daemon, sent, where, tally)
        done["bytes flipped, restarted"] += 1
        if lost:
            done["of them cost a message"] += 1
            if not any(" error: " in line for line in daemon.log_lines()[begin:]):
                tally.problems.append("%s: %s lost without a word" % (where, lost))
    return done, tally


def judge(daemon, sent, where, tally):
    """What is lost must lie side by side in one client's session: it is of one record."""
    lost = []
    for name, lines in sent.items():
        log = daemon.inbox(name)
        arrived = log.read_bytes().split(b"\n")[:-1] if log.exists() else []
        gone = [i for i, line in enumerate(lines) if line not in arrived]
        if [line for i, line in enumerate(lines) if i not in gone] != arrived:
            tally.problems.append("%s: %s has %s" % (where, name, arrived))
        if gone and gone != list(range(gone[0], gone[-1] + 1)):
            tally.problems.append("%s: %s lost %s, neighbours too" % (where, name, gone))
        if gone:
            lost.append(name)
    if len(lost) > 1:
        tally.problems.append("%s: several clients lost something: %s" % (where, lost))
    return lost

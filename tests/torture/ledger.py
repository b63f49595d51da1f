"""What was sent and acknowledged, and what became of it.

Every line says who sent it and is sent once, so it can be found wherever it is: missing, there twice, out of order, or never sent.
"""
import collections
import dataclasses
import hashlib

EXAMPLES = 5  # of each kind, in a verdict


@dataclasses.dataclass
class Tally:
    """Counts of lines and files; `problems` has a sentence for each thing that is wrong, up to some examples."""

    acknowledged: int = 0
    arrived: int = 0
    missing: int = 0
    twice: int = 0
    out_of_order: int = 0
    foreign: int = 0  # arrived, but was not sent like that
    problems: list = dataclasses.field(default_factory=list)

    def add(self, other):
        for name in ("acknowledged", "arrived", "missing", "twice", "out_of_order", "foreign"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.problems += other.problems

    def note(self, name, what, found):
        """`found` of them are wrong in this way."""
        setattr(self, name, getattr(self, name) + len(found))
        if found:
            kind = name.replace("_", " ")
            self.problems.append("%s: %d %s: %s" % (what, len(found), kind, ", ".join(map(str, found[:EXAMPLES]))))


@dataclasses.dataclass
class Unit:
    """Lines that go in one command or session: in order, each behind the one before it."""

    lines: list
    acknowledged: int = 0  # of them, from the first on
    history: list = dataclasses.field(default_factory=list)  # (mark, acknowledged) as they came

    def acknowledge(self, count, mark=0):
        """Pre: marks rise."""
        if count > self.acknowledged:
            self.acknowledged = count
            self.history.append((mark, count))

    def acknowledged_at(self, mark):
        """How many were acknowledged when the clock of the marks showed this."""
        if mark is None:
            return self.acknowledged
        return max((count for at, count in self.history if at <= mark), default=0)


@dataclasses.dataclass
class SentFile:
    name: str
    digest: bytes
    acknowledged_mark: object = None  # None: not yet

    @staticmethod
    def digest_of(data):
        return hashlib.sha256(data).digest()

    def is_acknowledged_at(self, mark):
        return self.acknowledged_mark is not None and (mark is None or self.acknowledged_mark <= mark)


def judge_log(path, units, mark=None):
    """Compares a log of the inbox with all that its one sender sent to it. `mark`: what was acknowledged by then."""
    tally = Tally()
    what = "%s/%s" % (path.parent.name, path.name)
    arrived = path.read_bytes().split(b"\n") if path.exists() else [b""]
    if arrived.pop():
        tally.problems.append("%s: its last line has no end" % what)
    count = collections.Counter(arrived)
    rank = {}
    missing = []
    for unit in units:
        acknowledged = unit.acknowledged_at(mark)
        tally.acknowledged += acknowledged
        # Nothing may be left out before something that arrived.
        there = max((i + 1 for i, line in enumerate(unit.lines) if line in count), default=0)
        missing += [line for line in unit.lines[:max(acknowledged, there)] if line not in count]
        for line in unit.lines:
            rank[line] = len(rank)
    ranks = [rank[line] for line in dict.fromkeys(arrived) if line in rank]
    tally.arrived = len(arrived)
    tally.note("missing", what, missing)
    tally.note("twice", what, [line for line, times in count.items() if times > 1 and line in rank])
    tally.note("out_of_order", what, [b for a, b in zip(ranks, ranks[1:]) if b < a])
    tally.note("foreign", what, [line[:80] for line in count if line not in rank])
    return tally


def judge_files(folder, files, mark=None):
    """The same with files: each whole or absent."""
    tally = Tally()
    there = {path.name: path for path in folder.iterdir()} if folder.is_dir() else {}
    tally.arrived = len(there)
    tally.acknowledged = sum(file.is_acknowledged_at(mark) for file in files)
    tally.note("missing", folder, [file.name for file in files if file.is_acknowledged_at(mark) and file.name not in there])
    tally.note("foreign", folder, sorted(set(there) - {file.name for file in files}))
    tally.note("foreign", folder, [file.name + " (other bytes)" for file in files if file.name in there and
                                   file.digest != SentFile.digest_of(there[file.name].read_bytes())])
    return tally

"""scripts/torture: attacks the promise on this machine, and ends with a verdict.

  usage:  scripts/torture MINUTES [--directory DIR] [--seed N] [--only ATTACK]...

Runs cprotod and cproto-send in a new folder of DIR (default: .), so on the disk that holds it, and treats them as badly as it can, one
attack after the other, until the time is over. Every attack compares all that was acknowledged with what is there. What needs root is
left out without it, and said. The last line says whether anything acknowledged was lost; the exit status is 0 if nothing was, 1 if
something was, and then the folder is kept, or if nothing was tried.
"""
import argparse
import dataclasses
import pathlib
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback

from torture import cluster, damage, full_disk, kills, network, other_store, power, sync_errors, write_orders
from torture.arena import Arena, CannotBeDone
from torture.ledger import Tally

PROBLEMS_SHOWN = 10  # of one attack


@dataclasses.dataclass
class Attack:
    """`run` takes an arena and does a portion of it; one with a larger `weight` is given more of the time."""

    name: str
    run: object
    weight: float = 1
    done: dict = dataclasses.field(default_factory=dict)
    tally: Tally = dataclasses.field(default_factory=Tally)
    seconds: float = 0
    rounds: int = 0
    left_out: str = ""  # why

    def note(self, done, tally):
        for what, count in done.items():
            self.done[what] = self.done.get(what, 0) + count
        self.tally.add(tally)


def attacks():
    return [
        Attack("kill", lambda arena: kills.run(arena, 50), weight=4),
        Attack("cluster", lambda arena: cluster.run(arena, 15), weight=2),
        Attack("power-ext4", lambda arena: power.run(arena, "ext4", 20), weight=3),
        Attack("power-xfs", lambda arena: power.run(arena, "xfs", 20), weight=3),
        Attack("write-orders-ext4", lambda arena: write_orders.run(arena, "ext4", 1.5, count=100), weight=3),
        Attack("write-orders-xfs", lambda arena: write_orders.run(arena, "xfs", 1.5, count=60), weight=2),
        Attack("stand-still", lambda arena: network.stand_still(arena, 8)),
        Attack("packet-loss", lambda arena: network.filtered(arena, 15), weight=2),
        Attack("bad-link", lambda arena: network.bad_link(arena, 8), weight=2),
        Attack("failing-disk", lambda arena: sync_errors.real(arena, 1)),
        Attack("failing-sync", lambda arena: sync_errors.injected(arena, 3)),
        Attack("full-disk", lambda arena: full_disk.run(arena, 2)),
        Attack("damage", lambda arena: damage.some_bytes(arena, 40)),
        Attack("damage-all", lambda arena: damage.every_byte(arena, step=11)),
        Attack("other-store", lambda arena: other_store.run(arena, 2)),
    ]


def arguments():
    parser = argparse.ArgumentParser(prog="scripts/torture", description="Attacks cproto's promise on this machine's own disk.")
    parser.add_argument("minutes", metavar="MINUTES", type=float, help="each attack gets its share, and at least one round")
    parser.add_argument("--directory", metavar="DIR", type=pathlib.Path, default=pathlib.Path("."), help="on the disk to be tested")
    parser.add_argument("--seed", metavar="N", type=int, help="of everything random; the verdict says the one that was used")
    parser.add_argument("--only", metavar="ATTACK", action="append", choices=[attack.name for attack in attacks()],
                        help="this attack, and others so named: " + ", ".join(attack.name for attack in attacks()))
    given = parser.parse_args()
    if given.minutes < 0 or not given.directory.is_dir():
        parser.error("MINUTES is a number, and DIR a folder that is there")
    return given


def one_round(attack, folder, seed):
    """Runs it once, in a folder of its own, which goes if all is well."""
    arena = Arena(folder / ("%s-%d" % (attack.name, attack.rounds + 1)), "%d %s %d" % (seed, attack.name, attack.rounds))
    begin = time.monotonic()
    problems = len(attack.tally.problems)
    try:
        attack.note(*attack.run(arena))
    except CannotBeDone as reason:
        attack.left_out = str(reason)
    except Exception:  # whatever it is, it is evidence
        attack.tally.problems.append(traceback.format_exc())
    finally:
        end(arena, attack)
    attack.rounds += 1
    attack.seconds += time.monotonic() - begin
    if len(attack.tally.problems) == problems:
        shutil.rmtree(arena.directory, ignore_errors=True)


def end(arena, attack):
    try:
        arena.end()
    except Exception:
        attack.tally.problems.append(traceback.format_exc())


def next_attack(all_attacks):
    """The one that has had the least of its share. None if there is none left."""
    able = [attack for attack in all_attacks if not attack.left_out and not attack.tally.problems]
    return min(able, key=lambda attack: (attack.rounds > 0, attack.seconds / attack.weight), default=None)


def show(all_attacks):
    """The table. Looked for is what was acknowledged, once for each time that it had to be there."""
    columns = ("attack", "rounds", "seconds", "looked for", "missing", "twice", "out of order", "foreign")
    rows = [columns]
    for attack in all_attacks:
        tally = attack.tally
        rows.append((attack.name, attack.rounds, round(attack.seconds), "{:,}".format(tally.acknowledged), tally.missing,
                     tally.twice, tally.out_of_order, tally.foreign))
    widths = [max(len(str(row[i])) for row in rows) for i in range(len(columns))]
    for row in rows:
        print("  ".join(str(cell).ljust(width) if i == 0 else str(cell).rjust(width)
                        for i, (cell, width) in enumerate(zip(row, widths))))
    print()
    for attack in all_attacks:
        what = ", ".join("{:,} {}".format(count, name) for name, count in attack.done.items())
        print("%s: %s" % (attack.name, "left out: " + attack.left_out if attack.left_out else what or "no time for it"))
    print()


def verdict(all_attacks, folder, seed, was_interrupted):
    """Prints it, and returns the exit status."""
    show(all_attacks)
    bad = [attack for attack in all_attacks if attack.tally.problems]
    for attack in bad:
        for problem in attack.tally.problems[:PROBLEMS_SHOWN]:
            print("%s: %s" % (attack.name, problem))
        print("%s again: scripts/torture %g --only %s --seed %d" % (attack.name, max(1, attack.seconds / 60 + 1), attack.name, seed))
    total = Tally()
    for attack in all_attacks:
        total.add(attack.tally)
    ending = " (interrupted)" if was_interrupted else ""
    if bad:
        print("Stores and logs are in %s" % folder)
        print("something is wrong: {:,} looked for, {:,} missing, {:,} twice, {:,} out of order, {:,} never sent like that; "
              "seed {}{}".format(total.acknowledged, total.missing, total.twice, total.out_of_order, total.foreign, seed, ending))
        return 1
    if total.acknowledged == 0:
        print("nothing is proved: no attack was completed%s" % ending)
        return 1
    rounds = sum(attack.rounds for attack in all_attacks if not attack.left_out)
    print("nothing acknowledged was lost: {:,} times one was looked for, and there once and in order, in {:,} rounds of attacks; "
          "seed {}{}".format(total.acknowledged, rounds, seed, ending))
    return 0


def main():
    given = arguments()
    seed = random.SystemRandom().randrange(1 << 32) if given.seed is None else given.seed
    folder = pathlib.Path(tempfile.mkdtemp(prefix="cproto-torture-", dir=given.directory)).resolve()
    chosen = [attack for attack in attacks() if not given.only or attack.name in given.only]
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    deadline = time.monotonic() + given.minutes * 60
    was_interrupted = False
    print("in %s, seed %d" % (folder, seed), flush=True)
    try:
        while (attack := next_attack(chosen)) and (attack.rounds == 0 or time.monotonic() < deadline):
            before = dict(attack.done)
            one_round(attack, folder, seed)
            new = ", ".join("{:,} {}".format(count - before.get(name, 0), name) for name, count in attack.done.items())
            state = "WRONG" if attack.tally.problems else "left out: " + attack.left_out if attack.left_out else "well, " + new
            print("%s %d: %s" % (attack.name, attack.rounds, state), flush=True)
    except KeyboardInterrupt:
        was_interrupted = True
    print()
    status = verdict(chosen, folder, seed, was_interrupted)
    if not any(attack.tally.problems for attack in chosen):
        shutil.rmtree(folder, ignore_errors=True)
    return status


if __name__ == "__main__":
    sys.exit(main())

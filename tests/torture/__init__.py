"""Attacks on the promise, with the real programs: what is acknowledged is on disk, and it is there exactly once.

Each attack is a module with one function, `run(arena, ...)`, that does something terrible for a while and returns what became of
everything that was acknowledged. scripts/torture runs them by the minute (main.py), tests/e2e a short form of each.

  arena.py    where an attack happens: directory, randomness, what has to be cleaned up
  load.py     clients that send messages, lines and files, and remember what was acknowledged to them
  ledger.py   compares what was acknowledged with what is in the inbox
  disks.py    file systems over loop devices that lose power, fail, fill up, and log what is written to them
  networks.py network namespaces, and links between them that lose, delay, reorder, repeat and corrupt
"""
import pathlib
import sys

sys.path.insert(1, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))

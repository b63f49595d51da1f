"""A disk that fills up: senders are told to come again, the daemon stays up, and goes on by itself when there is room."""
import errno
import os
import subprocess

import support
import wire
from torture import kills
from torture.disks import Disk
from torture.load import Load

CLIENTS = {"messages": 2, "lines": 2, "follow": 1, "small_files": 2, "raw": 2}
SIZE = 320 << 20
LEFT = 3 << 20  # bytes that the balloon leaves


def without_floor(config):
    """The disk really fills up, and not only to the floor that [limits] sets."""
    asked = subprocess.run([support.BIN / "cprotod", "--config", "/dev/null", "--print-config"], capture_output=True, text=True)
    return config + ("[limits]\nfree_space = 0\n" if "free_space" in asked.stdout else "")


def run(arena, count):
    disk = Disk(arena, "ext4", size=SIZE)
    daemon = arena.daemon(without_floor('[store]\nsegment_size = "1MiB"\n'), store=disk.place / "store")
    # A file is announced with its size: where there is no room for it, it is refused.
    load = Load(arena, daemon, CLIENTS, tolerated="the file does not fit on the server's disk")
    pid = daemon.pid
    balloon = disk.place / "balloon"
    done = {"disks filled up": 0}
    for _ in range(count):
        load.run(0.2 + arena.random.random() * 0.3)
        fill(disk.place, balloon)
        begin = support.size_of(daemon.log)
        load.run_until(lambda: b"disk full" in daemon.log.read_bytes()[begin:], "the daemon's line about the full disk")
        load.run_until(lambda: wire.DISK_FULL in load.heard, "an ERROR that says disk_full")
        load.run_until(lambda: load.has_said("disk is full"), "a line of cproto-send about the full disk")
        load.run(arena.random.random())
        balloon.unlink()
        acknowledged = load.acknowledged()
        load.run_until(lambda: load.acknowledged() > acknowledged, "an acknowledgement after there is room again")
        load.heard.clear()
        load.said.clear()
        done["disks filled up"] += 1
    load.finish()
    if daemon.process.poll() is not None or daemon.pid != pid:
        load.problem("cprotod did not stay up")
    return done, kills.stopped_and_judged(daemon, load)


def fill(place, balloon):
    with open(balloon, "wb") as file:
        for tries_left in range(100, -1, -1):
            room = os.statvfs(place)
            try:
                return os.posix_fallocate(file.fileno(), 0, max(room.f_bavail * room.f_frsize - LEFT, 1))
            except OSError as error:
                if error.errno != errno.ENOSPC or tries_left == 0:
                    raise
            # Some of it was used up meanwhile: there is less by now.

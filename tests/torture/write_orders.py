"""Every order in which a disk may have written: the store lies on a device that keeps its writes and flushes, and the power goes again
and again, at each flush and between them, with any part of what was not flushed."""
import dataclasses
import mmap
import struct
import subprocess
import time

import support
from torture import kills
from torture.disks import MAKE, LoggedDevice, command, mount_image, need_tools, unmount
from torture.ledger import Tally
from torture.load import Load

CLIENTS = {"messages": 1, "lines": 1, "small_files": 1, "raw": 2}
SIZES = {"ext4": 96 << 20, "xfs": 320 << 20}
SECTOR = 512
SUPERBLOCKS = 4096  # bytes at the beginning of the device
FLUSH = (1 << 64) - 1


@dataclasses.dataclass
class Record:
    offset: int    # on the device; FLUSH
    begin: int     # of its bytes in the log
    size: int

    @property
    def end(self):
        return self.begin + self.size

    @property
    def is_flush(self):
        return self.offset == FLUSH


def read_records(log):
    records, at = [], 0
    while at + 16 <= len(log):
        offset, size = struct.unpack_from("=QQ", log, at)
        records.append(Record(offset, at + 16, size))
        at += 16 + size
    return records


def cut_points(records, random, count):
    """`count` places in the log, as (records that were flushed, records that were written): each flush, and one or two places behind
    each, as many as there are; a drawn part of them if there are more."""
    flushes = [i + 1 for i, record in enumerate(records) if record.is_flush]
    points = {(i, i) for i in flushes}
    for i, after in zip(flushes, flushes[1:] + [len(records)]):
        if after > i + 1:
            points.update((i, random.randrange(i + 1, after)) for _ in range(2))
    points = sorted(points)
    return points if count is None or count >= len(points) else sorted(random.sample(points, count))


class Replay:
    """The device as it was when it had written so much."""

    def __init__(self, log, records, image):
        self.log, self.records, self.image = log, records, image
        self.applied = 0

    def advance(self, count):
        with open(self.image, "r+b") as image:
            for record in self.records[self.applied:count]:
                self.write(image, record, 0, record.size)
        self.applied = count

    def write(self, image, record, begin, end):
        if not record.is_flush:
            image.seek(record.offset + begin)
            image.write(self.log[record.begin + begin:record.begin + end])

    def copy_with_part(self, image, written, random):
        """Of what came behind the last flush, a part: whole writes or sectors, few of them or most."""
        subprocess.run(["cp", "--sparse=always", str(self.image), str(image)], check=True)
        kept = random.choice((0, 0.3, 0.7, 0.95, 1))
        are_torn = random.random() < 0.5
        with open(image, "r+b") as file:
            for record in self.records[self.applied:written]:
                # ext4's own superblock is there whole: without, there is no file system to look into.
                is_superblock = record.offset < SUPERBLOCKS
                step = SECTOR if are_torn and not is_superblock else max(record.size, 1)
                for begin in range(0, record.size, step):
                    if random.random() < kept:
                        self.write(file, record, begin, min(begin + step, record.size))


def record_a_life(arena, kind, seconds):
    """Clients send for so long to a store on a device that keeps its log; then the machine is gone. Returns log, image and load."""
    need_tools(MAKE[kind][0])
    device = LoggedDevice(arena, SIZES[kind], make=MAKE[kind])
    place = arena.directory / "disk"
    place.mkdir()
    command("mount", "-t", kind, "-o", "noatime", device.device, place)
    arena.cleanup(unmount, place)
    daemon = arena.daemon('[store]\nsegment_size = "1MiB"\n', store=place / "store")
    load = Load(arena, daemon, CLIENTS, clock=device.position)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        load.run(min(max(end - time.monotonic(), 0), 0.3 + arena.random.random()))
        daemon.kill()
        daemon.start()
    load.run(0.3)
    load.stop()
    daemon.kill()
    unmount(place)
    return device, place, load


def judge_point(replay, point, load, daemon, place, kind, random):
    """Mounts what the power cut left, reads it, recovers it, and looks into its inbox."""
    flushed, written = point
    image = replay.image.with_name("cut.img")
    replay.advance(flushed)
    replay.copy_with_part(image, written, random)
    mark = replay.records[written - 1].end
    mount_image(image, place, kind)
    try:
        tally = Tally()
        verified = subprocess.run([support.BIN / "cprotod", "--config", "/dev/null", "--verify", "--directory", daemon.store],
                                  capture_output=True, text=True)
        daemon.start()
        status = daemon.terminate()
        if status != 0:
            tally.problems.append("cprotod ended with %d" % status)
        tally.add(load.judge(daemon.store / "inbox", mark))
        # Before the first acknowledgement there may be no store yet.
        if verified.returncode != 0 and tally.acknowledged > 0:
            tally.problems.append("--verify ended with %d: %s" % (verified.returncode, verified.stderr + verified.stdout))
    finally:
        unmount(place)
    tally.problems = ["cut at record %d of the log, the last flush was %d: %s" % (written, flushed, problem)
                      for problem in tally.problems]
    return tally


def run(arena, kind, seconds, count=None, deadline=None):
    """A life of `seconds`, cut at `count` points (None: at all), or at as many as there is time for until `deadline`."""
    device, place, load = record_a_life(arena, kind, seconds)
    image = arena.directory / "replay.img"
    device.fresh.rename(image)
    daemon = arena.daemon(kills.config_for(arena.random), name="recovery", store=place / "store", start=False)
    tally = Tally()
    with open(device.log, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as log:
        replay = Replay(log, read_records(log), image)
        points = cut_points(replay.records, arena.random, count)
        judged = 0
        for point in points:
            if tally.problems or (deadline is not None and time.monotonic() > deadline):
                break
            tally.add(judge_point(replay, point, load, daemon, place, kind, arena.random))
            judged += 1
        done = {"cut points on %s" % kind: judged, "writes logged": sum(not record.is_flush for record in replay.records),
                "flushes logged": sum(record.is_flush for record in replay.records)}
    return done, tally

"""A disk that says it could not write: acknowledging stops, senders are told, and the daemon goes on only when the disk proves itself."""
import os
import pathlib
import re
import subprocess
import time

import support
import wire
from torture import kills
from torture.arena import CannotBeDone
from torture.disks import Disk, command, mount_tmpfs, need_tools
from torture.load import Load

CLIENTS = {"messages": 2, "lines": 2, "follow": 1, "small_files": 1, "raw": 2}
ROOM = 32 << 20           # bytes of the tmpfs below the disk
MORE_ROOM = 1 << 30
STEP = 4 << 20
FAILED = "fdatasync failed ("  # EIO; then ext4 makes itself read-only, and every further one says that


def wait_until_told(load, daemon):
    """Both ends say what is wrong. Then nothing may be acknowledged for as long as it is."""
    load.run_until(lambda: daemon.log_lines(FAILED), "the daemon's line about the failed sync")
    load.run_until(lambda: wire.DISK_FAILED in load.heard, "an ERROR that says disk_failed")


def injected(arena, count):
    """strace(1) lets every fdatasync of the daemon fail for a while, without carrying it out."""
    need_tools("strace")
    daemon = arena.daemon(kills.config_for(arena.random))
    load = Load(arena, daemon, CLIENTS)
    done = {"failed syncs, injected": 0}
    for i in range(count):
        load.run(0.3 + arena.random.random() * 0.5)
        output = arena.directory / ("strace-%d" % i)
        tracer = subprocess.Popen(["strace", "-f", "-p", str(daemon.pid), "-o", str(output), "-e", "trace=fdatasync", "-e",
                                   "inject=fdatasync:error=EIO"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                  stderr=subprocess.PIPE, preexec_fn=support.die_with_us)
        arena.cleanup(end_tracer, tracer)
        load.run_until(lambda: support.size_of(output) > 0 or tracer.poll() is not None, "a sync under strace")
        if tracer.poll() is not None:
            raise CannotBeDone("strace cannot attach here: %s" % tracer.stderr.read().decode().strip())
        wait_until_told(load, daemon)
        load.run(0.5)  # what was acknowledged before is heard of
        acknowledged = load.acknowledged()
        load.run(0.5)
        if load.acknowledged() != acknowledged:
            load.problem("%d messages were acknowledged while every sync failed" % (load.acknowledged() - acknowledged))
        tracer.terminate()
        tracer.wait()
        done["failed syncs, injected"] += output.read_text().count("(INJECTED)")
        if not load.run_until(lambda: load.acknowledged() > acknowledged, "an acknowledgement after the disk works again"):
            load.problem("cprotod's threads: " + "; ".join(threads_of(daemon.pid)))
        load.heard.clear()
    load.finish()
    return done, kills.stopped_and_judged(daemon, load)


def threads_of(pid):
    """What each is doing, as the kernel sees it: a tracer may leave one stopped."""
    for task in sorted(pathlib.Path("/proc/%d/task" % pid).iterdir()):
        state = re.search(r"State:\s*(\S)", (task / "status").read_text())[1]
        yield "%s %s in %s, %s" % (task.name, state, (task / "wchan").read_text(), (task / "syscall").read_text().strip())


def end_tracer(tracer):
    tracer.kill()
    tracer.wait()
    tracer.stderr.close()


def real(arena, count):
    """ext4 over a loop device whose image has no room to grow: the kernel loses what it had taken, and says so in a sync, once."""
    need_tools("mkfs.ext4")
    done = {"disks that failed": 0, "disks mounted anew": 0}
    for i in range(count):
        below = arena.directory / ("below-%d" % i)
        mount_tmpfs(arena, below, ROOM)
        disk = Disk(arena, "ext4", size=256 << 20, image=below / "disk.img", name="disk-%d" % i)
        daemon = arena.daemon('[store]\nsegment_size = "1MiB"\n', name="daemon-%d" % i, store=disk.place / "store")
        # What the kernel cannot write for want of room below may be called that in the sync of a new file, which is then refused.
        load = Load(arena, daemon, CLIENTS, name="clients-%d" % i, tolerated="the file does not fit on the server's disk")
        load.run(0.3 + arena.random.random() * 0.3)
        end = time.monotonic() + 60
        with open(disk.place / "balloon", "wb") as balloon:
            while not daemon.log_lines(FAILED) and time.monotonic() < end:
                blow_up(balloon)
                load.run(0.05)
        wait_until_told(load, daemon)
        done["disks that failed"] += 1
        load.run(arena.random.random())
        command("mount", "-o", "remount,size=%d" % MORE_ROOM, below)
        acknowledged = load.acknowledged()
        # Of itself, or, where the file system has given itself up, once it is mounted anew.
        end = time.monotonic() + 15
        while load.acknowledged() == acknowledged and time.monotonic() < end and disk.is_writable():
            load.run(0.1)
        if load.acknowledged() == acknowledged:
            end_of_daemon = daemon.process.poll()
            if end_of_daemon is not None:
                load.problem("cprotod ended with %d when its disk failed" % end_of_daemon)
            daemon.kill()
            disk.power_up()
            daemon.start()
            done["disks mounted anew"] += 1
        load.finish()
        tally = kills.stopped_and_judged(daemon, load)
        disk.unmount()
        if tally.problems or i == count - 1:
            return done, tally


def blow_up(balloon):
    """Takes room away."""
    try:
        balloon.write(os.urandom(STEP))
        balloon.flush()
        os.fsync(balloon.fileno())
    except OSError:
        pass  # it has failed already

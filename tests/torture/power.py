"""The power goes while clients send: the store's file system is shut down at a random moment, so that what was not synced is gone."""
from torture import kills
from torture.disks import Disk
from torture.load import Load

CLIENTS = {"messages": 2, "lines": 2, "follow": 2, "small_files": 2, "raw": 4}


def run(arena, kind, count):
    """`kind`: of file system. Returns what was done, and the tally."""
    disk = Disk(arena, kind)
    daemon = arena.daemon(kills.config_for(arena.random), store=disk.place / "store")
    load = Load(arena, daemon, CLIENTS)
    name = "power cuts on %s" % kind
    done = {name: 0, "of them behind a kill -9": 0}
    while done[name] < count:
        load.run(arena.random.random() ** 2)
        # A process that is killed leaves in the page cache what the next one reads, and the cut takes away.
        if arena.random.random() < 0.3:
            daemon.kill()
            daemon.start()
            load.run(arena.random.random() ** 3 * 0.2)
            done["of them behind a kill -9"] += 1
        disk.cut_power()
        # It may well live on for a while, with a disk that fails.
        load.run(arena.random.random() ** 2 * 0.3)
        daemon.kill()
        disk.power_up()
        daemon.start()
        done[name] += 1
    load.finish()
    return done, kills.stopped_and_judged(daemon, load)

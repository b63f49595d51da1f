"""kill -9 of the daemon and of its clients, in random order, while twenty of them send messages, lines and files. With a
stream as the engine: of its server, too, and without files."""
from torture.ledger import Tally
from torture.load import Load

CLIENTS = {"messages": 5, "lines": 4, "follow": 4, "files": 4, "raw": 3}
WITHOUT_FILES = {"messages": 7, "lines": 5, "follow": 5, "raw": 3}


def config_for(random):
    """Small segments, so that they are reused between two kills."""
    return '[store]\nsegment_size = "%dMiB"\n' % random.choice((1, 1, 2, 8))


def run(arena, count):
    """Returns what was done, and the tally."""
    daemon = arena.daemon(config_for(arena.random))
    load = Load(arena, daemon, WITHOUT_FILES if daemon.nats else CLIENTS)
    killed = {"daemons killed": 0, "clients killed": 0}
    if daemon.nats:
        killed["servers killed"] = 0
    while sum(killed.values()) < count:
        load.run(arena.random.random() ** 2 * 0.4)
        if daemon.nats and arena.random.random() < 0.3:
            daemon.nats.kill()
            load.run(arena.random.random() ** 2 * 0.3)
            daemon.nats.start()
            killed["servers killed"] += 1
        elif arena.random.random() < 0.5:
            daemon.kill()
            load.run(arena.random.random() ** 2 * 0.3)
            daemon.start()
            killed["daemons killed"] += 1
        elif load.kill_one():
            killed["clients killed"] += 1
    load.finish()
    return killed, stopped_and_judged(daemon, load)


def stopped_and_judged(daemon, load, timeout=120):
    """Everything received is delivered by a daemon that stops in order."""
    problems = []
    status = daemon.terminate(timeout)
    if status != 0:
        problems.append("cprotod ended with %d" % status)
    if daemon.reader:
        daemon.reader.catch_up()
    tally = Tally(problems=problems)
    tally.add(load.judge())
    return tally

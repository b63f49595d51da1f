"""Everything a network can do between two programs that mean well, and a program that stands still as if it were the network."""
import os
import signal

from torture import kills
from torture.load import Load
from torture.networks import BadLink, FilteredLink, Network

CLIENTS = {"messages": 3, "lines": 3, "follow": 2, "small_files": 2}
KEEP_ALIVE = 0.3  # seconds
SILENCE = 3 * KEEP_ALIVE  # after which a peer is gone
CONFIG = '[session]\nkeep_alive = "%dms"\nhandshake_timeout = "2s"\n' % (KEEP_ALIVE * 1000)

DRAWN_FAULTS = {
    "delay_ms": (0, 1, 20), "jitter_ms": (0, 2, 30), "lose": (0, 1, 5), "repeat": (0, 2, 20), "reorder": (0, 3, 20),
    "damage": (0, 1, 3), "rewrite": (0, 0.2, 1),
}


def stand_still(arena, count):
    """SIGSTOP of the daemon or of clients, for longer than every timeout."""
    daemon = arena.daemon(kills.config_for(arena.random) + CONFIG)
    load = Load(arena, daemon, CLIENTS)
    done = {"daemons stopped and continued": 0, "clients stopped and continued": 0}
    while sum(done.values()) < count:
        load.run(0.1 + arena.random.random() * 0.4)
        seconds = SILENCE * (1.2 + arena.random.random())
        if arena.random.random() < 0.5:
            os.kill(daemon.pid, signal.SIGSTOP)
            load.run(seconds)
            os.kill(daemon.pid, signal.SIGCONT)
            done["daemons stopped and continued"] += 1
        else:
            running = [client.sender.process for client in load.clients if client.is_running]
            stopped = arena.random.sample(running, arena.random.randrange(len(running) + 1))
            for process in stopped:
                process.send_signal(signal.SIGSTOP)  # nothing where it has just ended
            load.run(seconds)
            for process in stopped:
                process.send_signal(signal.SIGCONT)
            done["clients stopped and continued"] += len(stopped)
    load.finish()
    return done, kills.stopped_and_judged(daemon, load)


def filtered(arena, count):
    """Connections are killed from outside, packets dropped, and all of them for a while. `count` of such events."""
    network = Network(arena)
    link = FilteredLink(network)
    daemon = network.daemon(arena, kills.config_for(arena.random) + CONFIG)
    load = Load(arena, daemon, CLIENTS, sender_prefix=network.client)
    done = {"connections killed": 0, "spells of loss": 0, "dead links": 0}
    for _ in range(count):
        load.run(0.1 + arena.random.random() * 0.3)
        event = arena.random.random()
        if event < 0.5:
            side = arena.random.choice((network.server, network.client))
            done["connections killed"] += link.cut_connections(daemon.port, side)
        elif event < 0.85:
            link.drop(arena.random.choice((2, 10, 30)))
            load.run(0.5 + arena.random.random())
            done["spells of loss"] += 1
        else:
            link.drop(100)
            load.run(SILENCE * (1 + arena.random.random()))
            done["dead links"] += 1
        link.drop(0)
    load.finish()
    return done, kills.stopped_and_judged(daemon, load)


def bad_link(arena, count):
    """A link that delays, loses, repeats, reorders and corrupts, with other faults each of `count` times."""
    network = Network(arena)
    daemon = load = None
    done = {}
    for _ in range(count):
        faults = {name: arena.random.choice(values) for name, values in DRAWN_FAULTS.items()}
        link = BadLink(arena, network, {**faults, "seed": arena.random.randrange(1 << 30)})
        if daemon is None:
            daemon = network.daemon(arena, kills.config_for(arena.random) + CONFIG)
            load = Load(arena, daemon, CLIENTS, sender_prefix=network.client)
        load.run(1 + arena.random.random())
        for name, number in link.counts().items():
            name = "packets " + name
            done[name] = done.get(name, 0) + number
        link.end()
        load.run(arena.random.random() * 0.2)
    link = BadLink(arena, network, {})
    load.finish()
    return done, kills.stopped_and_judged(daemon, load)

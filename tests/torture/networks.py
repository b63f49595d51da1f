"""Two network namespaces with a link between them: a good one with a filter that drops, or one that treats packets badly."""
import os
import re
import signal
import subprocess

import support
from torture.arena import CannotBeDone, need_root
from torture.disks import command, isolate, need_tools

SERVER, CLIENT = "10.97.0.1", "10.97.0.2"


class Network:
    """`server` and `client` are prefixes of command lines that run there. Nothing outside of it is touched."""

    def __init__(self, arena):
        need_root("a network namespace")
        need_tools("ip")
        isolate()
        self.names = ["cproto-%d-%s" % (os.getpid(), side) for side in ("server", "client")]
        for name in self.names:
            try:
                command("ip", "netns", "add", name)
            except RuntimeError as error:
                raise CannotBeDone("no network namespace can be made here (%s)" % error) from None
            arena.cleanup(command, "ip", "netns", "delete", name)
            command("ip", "-n", name, "link", "set", "lo", "up")
        self.server, self.client = (["ip", "netns", "exec", name] for name in self.names)

    def address(self, device_of_server, device_of_client):
        for name, device, address, peer in ((self.names[0], device_of_server, SERVER, CLIENT),
                                            (self.names[1], device_of_client, CLIENT, SERVER)):
            command("ip", "-n", name, "address", "add", address, "peer", peer, "dev", device)
            command("ip", "-n", name, "link", "set", device, "up")

    def daemon(self, arena, config):
        return arena.daemon("[listen]\ninsecure = true\n" + config, host=SERVER, prefix=self.server)


class FilteredLink:
    """A veth pair. What a filter drops is drawn for each packet, in both directions."""

    def __init__(self, network):
        need_tools("nft", "ss")
        self.network = network
        command("ip", "link", "add", "good0", "netns", network.names[0], "type", "veth", "peer", "name", "good0", "netns",
                network.names[1])
        network.address("good0", "good0")

    def drop(self, percent):
        """From here on; 0: nothing, 100: the link is dead and nobody is told."""
        for prefix in (self.network.server, self.network.client):
            command(*prefix, "nft", "flush ruleset")
            if percent > 0:
                which = "numgen random mod 100 < %d " % percent if percent < 100 else ""
                command(*prefix, "nft", "add table inet bad; add chain inet bad in { type filter hook input priority 0; }; "
                        "add rule inet bad in iifname good0 %scounter drop" % which)

    def cut_connections(self, port, one_side):
        """Ends all connections at one of their ends, as a firewall or an operator would. Returns how many."""
        said = subprocess.run([*one_side, "ss", "--kill", "--no-header", "--tcp", "state", "established",
                               "( sport = :%d or dport = :%d )" % (port, port)], capture_output=True, text=True)
        return len(said.stdout.splitlines())


class BadLink:
    """cproto-bad-link, with these faults."""

    def __init__(self, arena, network, faults):
        program = support.BIN / "cproto-bad-link"
        if not os.path.exists("/dev/net/tun"):
            raise CannotBeDone("there is no /dev/net/tun here")
        words = ["%s=%s" % fault for fault in faults.items()]
        self.process = subprocess.Popen([str(program), *network.names, *words], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, text=True, preexec_fn=support.die_with_us)
        arena.cleanup(self.end)
        if self.process.stdout.readline() != "up\n":
            raise CannotBeDone("no TUN device can be made here")
        network.address("bad0", "bad0")

    def counts(self):
        """What it has done so far."""
        self.process.send_signal(signal.SIGUSR1)
        return {name: int(count) for name, count in re.findall(r"(\w+)=(\d+)", self.process.stdout.readline())}

    def end(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

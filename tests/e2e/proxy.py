"""A TCP proxy between client and daemon that reads the frames as they pass, and can hold or cut the connection."""
import socket
import struct
import threading

import wire


class Proxy:
    """Listens on `port`, forwards to `upstream`. Counts what goes over the wire, on all connections together.

    cut_after: numbered frames after which a connection is reset, one entry for each connection; then none is.
    hold_at: bytes of payload behind which nothing of the client goes on until release(), so that it is in the middle of what it
    sends if that is a window longer.
    """

    def __init__(self, upstream, cut_after=(), hold_at=None):
        self.upstream = upstream
        self.cuts = list(cut_after)
        self.hold_at = hold_at
        self.holds = threading.Event()
        self.released = threading.Event()
        self.lock = threading.Lock()
        self.frames = 0          # numbered frames that came from the client
        self.payload_bytes = 0   # their payloads
        self.in_flight_max = 0   # frames sent and not known to be durable
        self.connections = 0
        self.problems = []
        self.sockets = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.threads = [threading.Thread(target=self.accept, daemon=True)]
        self.threads[0].start()

    def release(self):
        self.released.set()

    def close(self):
        self.release()
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        with self.lock:
            for one in self.sockets:
                try:
                    one.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
        for thread in self.threads:
            thread.join(timeout=20)

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return  # closed
            try:
                server = socket.create_connection(("127.0.0.1", self.upstream))
            except OSError:
                client.close()  # the daemon is away; whoever comes again may find it
                continue
            for one in (client, server):
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self.lock:
                self.sockets += [client, server]
                cut_after = self.cuts.pop(0) if self.cuts else None
                self.connections += 1
            link = Link(self, client, server, cut_after)
            for way in (link.upwards, link.downwards):
                self.threads.append(threading.Thread(target=way, daemon=True))
                self.threads[-1].start()


class Link:
    """One connection through the proxy."""

    def __init__(self, proxy, client, server, cut_after):
        self.proxy, self.client, self.server, self.cut_after = proxy, client, server, cut_after
        self.durable = 0
        self.number = 0
        self.frames = 0

    def upwards(self):
        self.pump(self.client, self.server, self.from_client)

    def downwards(self):
        self.pump(self.server, self.client, self.from_server)

    def pump(self, source, sink, look):
        buffer = bytearray()
        try:
            while True:
                data = source.recv(1 << 16)
                if not data:
                    break
                buffer += data
                while True:
                    frame = wire.take_frame(buffer)
                    if frame is None:
                        break
                    look(frame)
                    if self.cut_after is not None and self.frames >= self.cut_after:
                        return self.cut()
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            self.cut()  # one side was reset: so is the other
        except ValueError as error:
            self.proxy.problems.append(error)
            self.cut()

    def from_client(self, frame):
        if frame.type not in wire.NUMBERED:
            return
        self.number = wire.whole_number(frame.sequence, self.number + 1)
        self.frames += 1
        with self.proxy.lock:
            self.proxy.frames += 1
            self.proxy.payload_bytes += len(frame.payload)
            self.proxy.in_flight_max = max(self.proxy.in_flight_max, self.number - self.durable)
            is_there = self.proxy.hold_at is not None and self.proxy.payload_bytes >= self.proxy.hold_at
        if is_there:
            self.proxy.holds.set()
            self.proxy.released.wait()

    def from_server(self, frame):
        if frame.type == wire.SYN_ACK:
            self.durable = self.number = wire.decode_syn_ack(frame.payload).durable_through
        elif frame.type == wire.ACK:
            self.durable = max(self.durable, wire.decode_ack(frame.payload).durable_through)

    def cut(self):
        """Resets both sides: what is on its way is lost."""
        for one in (self.client, self.server):
            try:
                one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # it is gone already
            one.close()

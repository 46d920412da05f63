"""What an idle keep-alive connection costs: growth of the server's PSS over 2,000 of them.

Half of them asked for a file and half for a view, as on a real site; a server that serves no
files gets views only. The kernel's socket buffers are in nobody's PSS and so are not counted.
"""

import dataclasses
import resource
import selectors
import socket
import time

import load
import prepare
import process
import response
import servers


@dataclasses.dataclass(frozen=True)
class Idle:
    """Opens the connections, waits, and compares the memory of the process tree."""

    key: str
    title: str
    threads: dict
    connections: int = 2000
    settle: float = 5.0

    def run(self, plan):
        raise_descriptor_limit(self.connections + 200)
        return {name: self.once(name, count, plan) for name, count in self.threads.items()
                if name in plan.names}

    def once(self, name, threads, plan):
        with servers.serve(name, servers.PLAIN, threads or 1, plan.binary) as server:
            paths = [servers.PLAIN.path] if server.files is None \
                else [prepare.SMALL, servers.PLAIN.path]
            # Threads, arenas and caches that the first requests create are not the connections'.
            for path in paths:
                with load.Wrk(server.url(path), 64, 1) as warm:
                    warm.result()
            time.sleep(1)
            before, _ = process.memory(server.pids())
            opened = []
            try:
                for number in range(self.connections):
                    opened.append(ask(server, server.path(paths[number % len(paths)])))
                time.sleep(self.settle)
                after, _ = process.memory(server.pids())
                still = sum(not hung_up(one) for one in opened)
            finally:
                for one in opened:
                    one.close()
        return {"label": servers.label(name, threads), "before_kb": before, "after_kb": after,
                "open": still, "errors": self.connections - still,
                "kb_each": (after - before) / self.connections}


def ask(server, path):
    """One connection, one whole response."""
    one = socket.create_connection(("127.0.0.1", server.port), timeout=10)
    one.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n\r\n".encode())
    data = b""
    while True:
        part = one.recv(65536)
        if not part:
            raise RuntimeError(f"{server.name}: closed a connection under its request")
        data += part
        if response.whole(data):
            return one


def hung_up(one):
    with selectors.DefaultSelector() as watch:
        watch.register(one, selectors.EVENT_READ)
        return bool(watch.select(0))


def raise_descriptor_limit(wanted):
    """For this process and, inherited, for the servers."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * wanted
    if hard != resource.RLIM_INFINITY and hard < wanted:
        raise RuntimeError(f"at most {hard} open files are allowed here, {wanted} are needed: "
                           "raise `ulimit -Hn`")
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))

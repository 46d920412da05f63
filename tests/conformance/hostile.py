"""Thousands of slow clients beside a quick one, and clients that never read.

For each attack: the quick client's 99th percentile, and the memory of all the server's processes
(from /proc). The attackers come from many addresses of 127.0.0.0/8 and live in this process,
which moves some of them between two requests of the quick client: neither waits for the other.
"""

import contextlib
import pathlib
import resource
import socket
import sys
import time

from case import PATIENCE, Procedure, wsgi
from wire import Connection

SECTION = "hostile clients"
ATTACKERS = 2000
MEASURED_SECONDS = 0.8
WINDOWS = 5
P99_SECONDS = 0.050
# What a connection may cost that has sent or taken little, and what may be added meanwhile.
BYTES_EACH = 16 * 1024
GROWTH_BYTES_EACH = 2 * 1024
UNREAD_BYTES = 1024 * 1024
GIGABYTE = 1024 * 1024 * 1024

QUICK = [b"GET /hello HTTP/1.1\r\nHost: a\r\n\r\n", b"GET /files/small.txt HTTP/1.1\r\nHost: a\r\n\r\n"]


def attack(server, first, more, what):
    """Opens the connections, each with its first bytes; then `more(number, tick)` for some of
    them at a time while the quick client measures. Gives what was wrong, or None."""
    before = memory(server)
    with contextlib.ExitStack() as stack:
        attackers = [stack.enter_context(attacker(server.address, number, first))
                     for number in range(ATTACKERS)]
        p99 = best_of(1, server, attackers, more)
        opened = memory(server)
        p99 = min(p99, best_of(WINDOWS, server, attackers, more))
        grown = memory(server) - opened
    each = (opened - before) // ATTACKERS
    say(f"{what}: p99 {p99 * 1000:.1f} ms, {each} bytes each, {grown >> 10} KB more in the end")
    problems = []
    if p99 > P99_SECONDS:
        problems.append(f"the quick client's p99 is {p99 * 1000:.0f} ms")
    if each > BYTES_EACH:
        problems.append(f"{each} bytes for each of {ATTACKERS} {what}")
    if grown > ATTACKERS * GROWTH_BYTES_EACH:
        problems.append(f"{grown >> 10} KB more while they went on")
    return ", ".join(problems) or None


def say(text):
    print(f"  {text}", file=sys.stderr)


def attacker(address, number, first):
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.bind((f"127.0.{1 + number // 200}.{1 + number % 200}", 0))
    sock.settimeout(PATIENCE)
    sock.connect(address)
    sock.setblocking(False)
    if first:
        sock.send(first)
    return sock


def best_of(windows, server, attackers, more):
    """The p99 of the first window that is good enough, or the best: other programs of the machine
    can only make it worse, and a server that is held up is so in all of them."""
    best = PATIENCE
    for _ in range(windows):
        best = min(best, quick(server, attackers, more))
        if best <= P99_SECONDS:
            break
    return best


def quick(server, attackers, more):
    """The quick client's 99th percentile, in seconds; every tenth request on a new connection."""
    took, tick = [], 0
    end = time.monotonic() + MEASURED_SECONDS
    connection = Connection(server.address)
    while time.monotonic() < end:
        if tick % 10 == 0:
            connection.socket.close()
        began = time.monotonic()
        if tick % 10 == 0:
            connection = Connection(server.address)
        wanted = len(connection.reader.responses) + 1
        connection.send(QUICK[tick % len(QUICK)])
        if not connection.read_until(
                lambda: len(connection.reader.finished()) >= wanted, PATIENCE):
            return PATIENCE
        took.append(time.monotonic() - began)
        for number in range(tick * 20, tick * 20 + 20):
            with contextlib.suppress(OSError):
                more(attackers[number % len(attackers)], number // len(attackers))
        tick += 1
        time.sleep(0.001)
    connection.socket.close()
    return sorted(took)[int(len(took) * 0.99)]


def room_for_descriptors():
    """For the attackers here, and for the servers, which inherit the limit."""
    wanted = 2 * ATTACKERS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if 0 <= hard < wanted:
        sys.exit(f"error: {ATTACKERS} connections need {wanted} descriptors, the limit is {hard}: "
                 f"raise it with `ulimit -Hn {wanted}`, or leave out the group `hostile`")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted) if soft >= 0 else soft, hard))


def memory(server):
    """What the server's processes hold themselves, in bytes: RSS without the pages of files, which
    are the page cache's, however often they are mapped."""
    kilobytes = 0
    for pid in tree([process.pid for process in server.processes]):
        with contextlib.suppress(OSError):
            status = pathlib.Path(f"/proc/{pid}/status").read_text()
            kilobytes += sum(int(line.split()[1]) for line in status.splitlines()
                             if line.startswith(("RssAnon:", "RssShmem:")))
    return kilobytes * 1024


def tree(roots):
    children = {}
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                # The name before it, in brackets, may hold anything.
                parent = (entry / "stat").read_text().rpartition(")")[2].split()[1]
                children.setdefault(int(parent), []).append(int(entry.name))
    found = []
    while roots:
        pid = roots.pop()
        found.append(pid)
        roots.extend(children.get(pid, []))
    return found


def settle(server):
    """Waits until memory stays what it is, two seconds at most."""
    last, end = memory(server), time.monotonic() + 2
    while time.monotonic() < end:
        time.sleep(0.2)
        now = memory(server)
        if abs(now - last) < 64 * 1024:
            return
        last = now


def slow_heads(server):
    """Two thousand heads that come byte by byte."""
    return attack(server, b"GET /hello HTTP/1.1\r\nHost: a\r\nX: ",
                  lambda sock, tick: sock.send(b"x"), "unfinished heads")


def slow_bodies(server):
    """Two thousand bodies that come byte by byte, for an application of eight threads."""
    return attack(server, b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\nx",
                  lambda sock, tick: sock.send(b"x"), "unfinished bodies")


def slow_chunks(server):
    """Two thousand bodies of one-byte chunks."""
    return attack(server, b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
                  lambda sock, tick: sock.send(b"1\r\nx\r\n"), "unfinished chunked bodies")


def slow_readers(server):
    """Two thousand clients that take a file a few bytes at a time."""
    return attack(server, b"GET /files/large.bin HTTP/1.1\r\nHost: a\r\n\r\n",
                  lambda sock, tick: sock.recv(16), "slow readers")


def idle(server):
    """Two thousand connections on which nothing happens."""
    return attack(server, b"", lambda sock, tick: None, "idle connections")


def unread_by_many(server):
    """More clients than Python threads, none of which reads what the application sends it."""
    return unread_by_32(server, wsgi("""
        start_response("200 OK", [("Content-Length", str(8 << 20))])
        for _ in range(128):
            yield b"x" * 65536
    """, name=b"unread-by-many"))


def unread_file_by_many(server):
    """More clients than Python threads, none of which reads the application's file."""
    path = huge_file(server, 8 << 20)
    try:
        return unread_by_32(server, wsgi("""
            start_response("200 OK", [("Content-Type", "application/octet-stream")])
            return environ["wsgi.file_wrapper"](open(FILES + "/huge.bin", "rb"))
        """, name=b"unread-file-by-many"))
    finally:
        path.unlink()


def unread_by_32(server, request):
    with contextlib.ExitStack() as stack:
        greedy = [stack.enter_context(attacker(server.address, number, request))
                  for number in range(4 * server.place.processes * server.place.threads)]
        time.sleep(2)  # a server that sets it aside has a quarter of a gigabyte to write
        p99 = best_of(2, server, greedy, lambda sock, tick: None)
    say(f"{len(greedy)} clients that do not read: p99 {p99 * 1000:.1f} ms")
    return f"the quick client's p99 is {p99 * 1000:.0f} ms" if p99 > P99_SECONDS else None


def unread(server, request):
    with Connection(server.address) as connection:  # what is allocated once, at the first request
        connection.send(QUICK[0])
        connection.read_until(connection.reader.finished, PATIENCE)
    settle(server)
    before = memory(server)
    connection = Connection(server.address, receive_buffer=4096)
    try:
        connection.send(request)
        connection.read(PATIENCE)
        settle(server)
        grown = memory(server) - before
    finally:
        connection.abort()
    if not connection.received:
        return "nothing came"
    say(f"a gigabyte that nobody reads: {grown >> 10} KB")
    return f"{grown >> 10} KB for one client" if grown > UNREAD_BYTES else None


def unread_response(server):
    """A gigabyte which the application yields and the client never reads costs less than 1 MB."""
    return unread(server, wsgi("""
        start_response("200 OK", [("Content-Length", str(1 << 30))])
        block = b"x" * 65536
        for _ in range((1 << 30) // 65536):
            yield block
    """, name=b"unread"))


def unread_file(server):
    """A file of a gigabyte which the client never reads costs less than 1 MB."""
    path = huge_file(server, GIGABYTE)
    try:
        return unread(server, b"GET /files/huge.bin HTTP/1.1\r\nHost: a\r\n\r\n")
    finally:
        path.unlink()


def huge_file(server, size):
    path = server.folder / "files" / "huge.bin"
    with open(path, "wb") as file:
        file.truncate(size)  # without blocks on the disk
    return path


CASES = [Procedure(name, SECTION, procedure, needs="processes", alone=True)
         for name, procedure in [
             ("2000 slow heads", slow_heads), ("2000 slow bodies", slow_bodies),
             ("2000 slow chunked bodies", slow_chunks), ("2000 slow readers of a file", slow_readers),
             ("2000 idle connections", idle),
             ("8 MB of the application's, unread by 32", unread_by_many),
             ("8 MB by wsgi.file_wrapper, unread by 32", unread_file_by_many),
             ("a gigabyte of the application's that nobody reads", unread_response),
             ("a file of a gigabyte that nobody reads", unread_file)]]

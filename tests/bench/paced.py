"""An open-loop client: a fixed rate on a few kept connections, latency from the scheduled time.

wrk has no rate, and a closed loop hides a stall: while it waits it asks nothing. Here a request
is due every 1/RATE s whatever the server does, and its clock starts when it was due.

usage: paced.py HOST PORT PATH RATE SECONDS CONNECTIONS; prints JSON. Runs as a process of its
own so that its priority can be raised: late wake-ups of the client would count as the server's.
"""

import collections
import gc
import json
import os
import select
import socket
import sys
import time

import response


def main():
    host, port, path = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    rate, seconds, connections = float(sys.argv[4]), float(sys.argv[5]), int(sys.argv[6])
    hurry()
    gc.disable()
    request = f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode()
    idle = collections.deque(Connection(host, port) for _ in range(connections))
    latencies, late = pace(idle, request, int(rate * seconds), 1 / rate)
    print(json.dumps({"requests": len(latencies), "failed": int(rate * seconds) - len(latencies),
                      "late_ms": percentile(late, 0.99) * 1e3,
                      **{name: percentile(latencies, part) * 1e3 for name, part in
                         (("p50_ms", 0.50), ("p99_ms", 0.99), ("max_ms", 1.0))}}))


def hurry():
    """First among the runnable. The caller gave this process a session of its own: where the
    kernel groups sessions (autogroup), nice counts only inside one and the group has its own."""
    try:
        os.setpriority(os.PRIO_PROCESS, 0, -15)
        if os.path.exists("/proc/self/autogroup"):
            with open("/proc/self/autogroup", "w") as group:
                group.write("-15")
    except PermissionError:
        print("paced: normal priority: figures include the client's own waiting", file=sys.stderr)


class Connection:
    def __init__(self, host, port):
        self.address = (host, port)
        self.socket = socket.create_connection((host, port), timeout=10)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""

    def finished(self):
        """Reads what is there: true when the response is whole, ConnectionError when it is bad."""
        data = self.socket.recv(65536)
        if not data:
            raise ConnectionError("closed")
        self.buffer += data
        if not response.whole(self.buffer):
            return False
        self.buffer = b""
        return True


def pace(idle, request, count, interval):
    latencies, due_later, busy, failed, late = [], collections.deque(), {}, 0, []
    start = time.perf_counter() + 0.05
    scheduled = 0
    deadline = start + count * interval + 10  # what is out by then has failed
    while len(latencies) + failed < count and time.perf_counter() < deadline:
        now = time.perf_counter()
        while scheduled < count and start + scheduled * interval <= now:
            due_later.append(start + scheduled * interval)
            late.append(now - due_later[-1])
            scheduled += 1
        while due_later and idle:
            connection = idle.popleft()
            busy[connection.socket] = (connection, due_later.popleft())
            connection.socket.send(request)
        next_due = start + scheduled * interval if scheduled < count else deadline
        # select(2), since epoll's wait counts in whole milliseconds.
        ready, _, _ = select.select(list(busy), [], [], max(0.0, next_due - time.perf_counter()))
        for sock in ready:
            connection, due = busy[sock]
            try:
                if not connection.finished():
                    continue
                latencies.append(time.perf_counter() - due)
            except OSError as error:
                print(f"paced: {error}", file=sys.stderr)
                failed += 1
                connection = Connection(*connection.address)
            del busy[sock]
            idle.append(connection)
    return latencies, late


def percentile(values, part):
    values = sorted(values)
    return values[min(len(values) - 1, int(len(values) * part))] if values else float("nan")


if __name__ == "__main__":
    main()

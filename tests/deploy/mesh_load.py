"""Requests to one address, until a file appears: what becomes of them while replicas come and go behind it.

Some clients open a connection for each request, which is sent once. Others keep theirs. A request that finds
such a connection closed, before there is any of an answer, goes over a new one, as every client and proxy
does that keeps connections (RFC 9112, 9.3.1): these are counted apart from the lost ones.

An update may lose nothing. Of the loss of a replica it is only asked that it is over before the end.
"""

import http.client
import os
import sys
import threading
import time
from collections import Counter
from urllib.parse import urlsplit

URL, STOP, MEANWHILE = sys.argv[1:4]
EACH = 2
PAUSE = 0.4
TIMEOUT = 120
LONGEST = 900
OVER_BEFORE_THE_END = 5
host, path = urlsplit(URL).netloc, urlsplit(URL).path
begun = time.monotonic()
lock = threading.Lock()


class Clients:
    """What clients of one sort have seen."""

    def __init__(self, name):
        self.name = name
        self.answered, self.slowest, self.repeated = 0, 0.0, 0
        self.lost, self.lost_at = Counter(), []

    def count(self, seconds):
        with lock:
            self.answered += 1
            self.slowest = max(self.slowest, seconds)

    def lose(self, error):
        kinds = {ConnectionRefusedError: "refused", ConnectionError: "reset", TimeoutError: "timed out"}
        kind = next((name for kind, name in kinds.items() if isinstance(error, kind)), repr(error))
        with lock:
            self.lost[kind] += 1
            self.lost_at.append(time.monotonic())

    def __str__(self):
        text = f"{self.answered} answered {self.name}, the slowest after {self.slowest:.1f} s"
        if self.repeated:
            text += f", {self.repeated} of them again because a kept one was closed"
        text += f"; {len(self.lost_at)} lost"
        if self.lost_at:
            kinds = ", ".join(f"{count} {kind}" for kind, count in self.lost.items())
            text += f" ({kinds}) within {max(self.lost_at) - min(self.lost_at):.1f} s"
        return text


def going_on():
    return not os.path.exists(STOP) and time.monotonic() - begun < LONGEST


def ask(connection):
    connection.request("GET", path)
    response = connection.getresponse()
    body = response.read()
    if response.status != 200 or b'"notes"' not in body:
        raise ValueError(f"status {response.status}")


def ask_as_clients_do(clients, connection):
    kept = connection.sock is not None
    try:
        ask(connection)
    except ConnectionError:
        if not kept:
            raise
        with lock:
            clients.repeated += 1
        connection.close()
        ask(connection)


def client(clients, keeps):
    connection = http.client.HTTPConnection(host, timeout=TIMEOUT)
    while going_on():
        before = time.monotonic()
        try:
            ask_as_clients_do(clients, connection)
            clients.count(time.monotonic() - before)
        except (OSError, ValueError, http.client.HTTPException) as error:
            clients.lose(error)
            connection.close()
        if not keeps:
            connection.close()
        time.sleep(PAUSE)


new, keeping = Clients("on connections of their own"), Clients("on kept ones")
threads = [threading.Thread(target=client, args=(new, False)) for _ in range(EACH)]
threads += [threading.Thread(target=client, args=(keeping, True)) for _ in range(EACH)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
end = time.monotonic()
print(new, keeping, sep="\n")
if not os.path.exists(STOP):
    sys.exit(f"the load has ended after {LONGEST} s, before what it was to go with")
lost_at = new.lost_at + keeping.lost_at
if MEANWHILE == "update":
    bad = bool(lost_at)
else:
    bad = any(moment > end - OVER_BEFORE_THE_END for moment in lost_at)
sys.exit(bad or min(new.answered, keeping.answered) < 50)

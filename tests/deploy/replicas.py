"""Requests to the replicas of a service, each on a connection of its own; counts the lost ones.

It behaves like a proxy in front of them: healthy replicas only, by a list that is 0.2 s old at most;
what finds nobody listening goes to another replica, and so does, once, a GET whose connection is reset
before there is an answer. A replica that stops resets what the kernel has queued for it after its
workers have accepted their last connection.
"""

import http.client
import json
import os
import random
import socket
import sys
import threading
import time
from urllib.parse import quote

ENGINE, PATH, STOP = sys.argv[1:4]
THREADS = 4
LONGEST = 400
ports, good, elsewhere, repeated, lost = [], [0] * THREADS, [0] * THREADS, [0] * THREADS, []
end = time.monotonic() + LONGEST


class Engine(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(ENGINE)


def going_on():
    return not os.path.exists(STOP) and time.monotonic() < end


def look():
    filters = json.dumps({"label": ["com.docker.swarm.service.name=lantern_web"], "health": ["healthy"]})
    engine = Engine("engine")
    engine.request("GET", "/containers/json?filters=" + quote(filters))
    containers = json.load(engine.getresponse())
    engine.close()
    ports[:] = [port["PublicPort"] for found in containers for port in found["Ports"] if "PublicPort" in port]


def looker():
    while going_on():
        look()
        time.sleep(0.2)


def ask(avoided):
    """Return when there was a good answer, from any replica but the one avoided."""
    port = random.choice([port for port in ports if port != avoided])
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.connect()
        try:
            connection.request("GET", PATH, headers={"Connection": "close"})
            response = connection.getresponse()
        except ConnectionError as error:
            raise Reset(port) from error
        response.read()
        if response.status != 200:
            raise ValueError(f"status {response.status}")
    finally:
        connection.close()


class Reset(Exception):
    """The replica at this port took a connection, and ended it without an answer."""


def client(number):
    avoided = None
    while going_on() or avoided:
        try:
            ask(avoided)
            good[number] += 1
            avoided = None
        except ConnectionRefusedError:
            elsewhere[number] += 1
            continue
        except Reset as error:
            if not avoided:
                repeated[number] += 1
                avoided = error.args[0]
                continue
            lost.append("reset twice")
            avoided = None
        except (OSError, ValueError, http.client.HTTPException) as error:
            lost.append(repr(error))
            avoided = None
        time.sleep(0.01)


look()
threads = [threading.Thread(target=client, args=(number,)) for number in range(THREADS)]
threads.append(threading.Thread(target=looker))
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(f"{sum(good)} requests answered, {sum(elsewhere)} found nobody listening and {sum(repeated)} were reset")
print(f"before another replica answered, {len(lost)} lost", *lost[:5])
sys.exit(bool(lost) or sum(good) < 100 or sum(repeated) * 100 > sum(good))

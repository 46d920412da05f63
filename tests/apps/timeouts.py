"""What takes too long, each in its own way: a function for each path."""
import ctypes
import os
import re
import threading
import time
from itertools import repeat

finished = []
local = threading.local()


def fine(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"fine"]


def loop(environ, start_response):
    end = time.monotonic() + 60
    try:
        while time.monotonic() < end:
            sum(range(100))
    except Exception:
        finished.append("swallowed")
    finally:
        finished.append("finally")
    return fine(environ, start_response)


def sleep(environ, start_response):
    time.sleep(float(environ["QUERY_STRING"]))
    finished.append("slept")
    return fine(environ, start_response)


def hold(environ, start_response):
    open("begun", "w").close()
    while not os.path.exists("go"):
        time.sleep(0.01)
    return fine(environ, start_response)


def keep_gil(environ, start_response):
    # Each "a" doubles what a catastrophic match takes; with fourteen it is a millisecond, and they
    # follow one another in C, without a bytecode in between, until it is late enough by the clock:
    # a match that takes as much of a processor would take ten times as long on a busy machine.
    end = time.monotonic() + float(environ["QUERY_STRING"])
    matches = map(bool, map(re.compile("(a|a)*b").match, repeat("a" * 14)))
    all(map(end.__gt__, map(max, iter(time.monotonic, end), matches)))  # the match
    return fine(environ, start_response)


def wait_with_gil(environ, start_response):
    # Unlike CDLL it does not let go of the GIL.
    ctypes.PyDLL(None).usleep(int(float(environ["QUERY_STRING"]) * 1_000_000))
    return fine(environ, start_response)


def catch(environ, start_response):
    from appliance import RequestTimeout

    try:
        while True:
            time.sleep(0.01)
    except RequestTimeout as timeout:
        assert not isinstance(timeout, Exception)
        finished.append("caught " + type(timeout).__mro__[1].__name__)
    return fine(environ, start_response)


def swallow(environ, start_response):
    end = time.monotonic() + 60
    while time.monotonic() < end:
        try:
            while time.monotonic() < end:
                time.sleep(0.01)
        except BaseException:
            finished.append("swallowed")
    return fine(environ, start_response)


def stall(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    yield b"begun"
    try:
        time.sleep(0.1)
        while True:
            time.sleep(0.01)
    finally:
        finished.append("closed")


def drip(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    for _ in range(8):
        yield b"drop "
        time.sleep(0.5)


def drops(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    for _ in range(3):
        yield b"drop "
        time.sleep(0.01)


def flood(environ, start_response):
    start_response("200 OK", [("Content-Type", "application/octet-stream")])
    for _ in range(64):
        yield bytes(1 << 20)


def report(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [",".join(finished).encode()]


def thread(environ, start_response):
    local.served = getattr(local, "served", 0) + 1
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"%d" % local.served]


def application(environ, start_response):
    return globals()[environ["PATH_INFO"][1:].replace("-", "_")](environ, start_response)

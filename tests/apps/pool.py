"""What shows how requests are spread over threads: a function for each path."""
import os
import threading
import time

barrier = threading.Barrier(4)
gate = threading.Event()
local = threading.local()


def meet():
    return "%d" % (barrier.wait(30) >= 0)


def wait_for_file(name="go-on"):
    with open("waiting", "w"):
        pass
    deadline = time.monotonic() + 30
    while not os.path.exists(name) and time.monotonic() < deadline:
        time.sleep(0.005)
    return "went on" if os.path.exists(name) else "nobody came"


def wait_for_other_file():
    return wait_for_file("other-go-on")


def compute():
    end = time.thread_time() + 0.01
    while time.thread_time() < end:
        pass
    return "10 ms"


def spin():
    turns = 0
    while not gate.is_set() and turns < 200_000_000:
        turns += 1
    return "opened" if gate.is_set() else "nobody came"


def open_gate():
    gate.set()
    return "open"


def hello():
    return "hello"


def thread():
    me = threading.current_thread()
    local.served = getattr(local, "served", 0) + 1
    return "%s %s %s %d" % (type(me).__name__, me.name, me.daemon, local.served)


def application(environ, start_response):
    body = globals()[environ["PATH_INFO"][1:].replace("-", "_")]().encode()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [body]

"""Streams, and what can be learnt about them meanwhile from `/yielded`."""
import threading

go_on = threading.Event()
yielded = 0


def step_by_step():
    yield b"first"
    go_on.wait(30)
    yield b"second"


def large():
    # 200 MB, whose bytes tell their place.
    global yielded
    for number in range(2000):
        yielded = number + 1
        yield bytes([number % 251]) * 100_000


def written(write):
    global yielded
    for number in range(2000):
        yielded = number + 1
        write(bytes([number % 251]) * 100_000)
    return []


def application(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/go-on":
        go_on.set()
    write = start_response("200 OK", [("Content-Type", "application/octet-stream")])
    if path == "/step-by-step":
        return step_by_step()
    if path == "/large":
        return large()
    if path == "/written":
        return written(write)
    return [str(yielded).encode()]

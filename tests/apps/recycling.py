"""Workers that grow old, and requests that want more memory than there is."""
import os
import time

kept = []


def hello():
    return b"hello"


def stream():
    for piece in (b"one ", b"two ", b"three"):
        time.sleep(0.005)
        yield piece


def leak():
    # Written to, or the kernel would not hand it out.
    kept.append(b"x" * 400_000)
    return b"leaked"


def pid():
    return b"%d" % os.getpid()


def too_much():
    return b"%d" % len(bytearray(1 << 30))


def pieces():
    held = []
    while True:
        held.append(bytearray(100_000))


def application(environ, start_response):
    body = globals()[environ["PATH_INFO"][1:].replace("-", "_")]()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [body] if isinstance(body, bytes) else body

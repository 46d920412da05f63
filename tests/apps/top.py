"""Requests that are found at a line of their own; what keeps the GIL is in timeouts.py."""
import os
import time


def wait():
    until = time.monotonic() + 30
    while not os.path.exists("go") and time.monotonic() < until:
        time.sleep(0.02)  # the line


def application(environ, start_response):
    if environ["PATH_INFO"].startswith("/slow"):
        wait()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello from %d" % os.getpid()]

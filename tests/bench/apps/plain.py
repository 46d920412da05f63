"""The trivial view, and the view that keeps its thread busy with 50 ms of pure Python."""

import time

BODY = b"hello, world\n"
HEAD = [("Content-Type", "text/plain"), ("Content-Length", str(len(BODY)))]


def application(environ, start_response):
    # The last letters only: servers differ in what they leave in SCRIPT_NAME.
    if environ["PATH_INFO"].endswith("/burn"):
        burn(0.050)
    start_response("200 OK", HEAD)
    return [BODY]


def burn(seconds):
    # The thread's own CPU clock: with four threads on one GIL a wall clock would count the
    # waiting too and the view would become four times lighter.
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        for _ in range(2000):
            pass

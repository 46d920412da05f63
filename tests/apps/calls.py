"""Ways to call `start_response` and `write`: a function for each path."""
import sys

TEXT = [("Content-Type", "text/plain")]


def lazily(start_response):
    def body():
        start_response("201 Created", TEXT)
        yield b"first "
        yield b"second"

    return body()


def none_as_exc_info(start_response):
    start_response("200 OK", TEXT, None)
    return [b"body"]


def keywords(start_response):
    start_response(status="200 OK", headers=TEXT, exc_info=None)
    return [b"body"]


def replaced(start_response):
    start_response("200 OK", [("X-First", "1")])
    try:
        raise ValueError("before anything was sent")
    except ValueError:
        start_response("503 Service Unavailable", TEXT, sys.exc_info())
    return [b"sorry"]


def replaced_after_empty_chunk(start_response):
    start_response("200 OK", [("X-First", "1"), ("Content-Length", "100")])
    yield b""
    try:
        raise ValueError("an empty chunk sends no head")
    except ValueError:
        start_response("503 Service Unavailable", TEXT, sys.exc_info())
    yield b"sorry"


def refused_then_good(start_response):
    try:
        start_response("200 OK", [("X-First", "a\nb")])
    except ValueError:
        start_response("500 Internal Server Error", TEXT)
    return [b"own error page"]


def twice(start_response):
    start_response("200 OK", TEXT)
    start_response("200 OK", TEXT)
    return [b"body"]


def never(start_response):
    return [b"body"]


def never_in_generator(start_response):
    yield b"body"


def never_and_empty(start_response):
    return []


def str_(start_response):
    start_response("200 OK", TEXT)
    return ["text"]


def bytearray_(start_response):
    start_response("200 OK", TEXT)
    yield bytearray(b"body")


def bare_bytes(start_response):
    start_response("200 OK", TEXT)
    return b"body"


def none(start_response):
    start_response("200 OK", TEXT)


def write_str(start_response):
    start_response("200 OK", TEXT)("text")
    return []


def the_cause():
    raise KeyError("the cause")


def too_late(start_response):
    start_response("200 OK", TEXT)
    yield b"begun"
    try:
        the_cause()
    except KeyError:
        start_response("503 Service Unavailable", TEXT, sys.exc_info())
    yield b"never sent"


def write(start_response):
    send = start_response("200 OK", TEXT)
    send(b"writ")
    send(b"")
    send(b"ten, ")
    return [b"returned"]


def write_counted(start_response):
    send = start_response("200 OK", [("Content-Length", "17")])
    send(b"written, ")
    return iter([b"returned"])


def application(environ, start_response):
    name = environ["PATH_INFO"][1:].replace("-", "_")
    call = globals().get(name + "_") or globals()[name]
    return call(start_response)

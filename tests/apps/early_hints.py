"""`wsgi.early_hints`: a function for each path."""
import threading

LINK = [("Link", "</a.css>; rel=preload; as=style")]
go_on = threading.Event()
kept = []


def hint_then_wait(hints, start_response):
    hints(LINK)
    go_on.wait(10)
    start_response("200 OK", [])
    return [b"done"]


def let_go(hints, start_response):
    go_on.set()
    start_response("200 OK", [])
    return [b""]


def too_late(hints, start_response):
    start_response("200 OK", [("Content-Length", "7")])
    yield b"one"
    hints(LINK)
    yield b" two"


def keep(hints, start_response):
    kept.append(hints)
    start_response("200 OK", [])
    return [b"kept"]


def from_another_thread(hints, start_response):
    other = threading.Thread(target=kept[0], args=(LINK,))
    other.start()
    other.join()
    start_response("200 OK", [])
    return [b"alone"]


def many(hints, start_response):
    for _ in range(100_000):
        hints(LINK)
    start_response("200 OK", [])
    return [b"done"]


def refused(hints, start_response):
    errors = []
    for fields in (
        [("Link", "a\r\nSet-Cookie: b")],
        [("Li nk", "a")],
        [("Content-Length", "1")],
        [("Connection", "close")],
        [("Link", b"a")],
        {"Link": "a"},
    ):
        try:
            hints(fields)
        except (TypeError, ValueError) as error:
            errors.append(type(error).__name__)
    start_response("200 OK", [])
    return [" ".join(errors).encode()]


def application(environ, start_response):
    name = environ["PATH_INFO"][1:].replace("-", "_")
    return globals()[name](environ["wsgi.early_hints"], start_response)

"""Iterables that count how often they are closed: a function for each path. `/closed` tells."""
import io
import threading

closed = []
go_on = threading.Event()


class Iterable:
    def __init__(self, name, chunks):
        self.name, self.chunks = name, chunks

    def __iter__(self):
        return iter(self.chunks)

    def close(self):
        closed.append(self.name)


class ClosableFile(io.FileIO):
    name_to_tell = None

    def close(self):
        if self.name_to_tell:
            closed.append(self.name_to_tell)
        super().close()


class ClosableMemory(io.BytesIO):
    def close(self):
        closed.append("file-in-memory")
        super().close()


def raising(chunk=b"begun"):
    yield chunk
    raise ValueError("in the middle")


def endless():
    while True:
        yield b"x" * 1000


def waiting():
    yield b"begun"
    go_on.wait(30)
    while True:
        yield b"more"


class RaisingClose(Iterable):
    def close(self):
        super().close()
        raise ValueError("while closing")


class RaisingIter(Iterable):
    def __iter__(self):
        raise ValueError("no iterator")


def application(environ, start_response):
    name = environ["PATH_INFO"][1:]
    text = [("Content-Type", "text/plain")]
    if name == "closed":
        start_response("200 OK", text)
        return [" ".join(closed).encode()]
    if name == "go-on":
        go_on.set()
    if name == "never-started":
        return Iterable(name, [b"body"])
    if name in ("too-many", "too-few"):
        text = [("Content-Length", "4")]
    start_response("200 OK", text)
    if name == "generator":
        def generator():
            try:
                yield b"one"
                yield b"two"
            finally:
                closed.append(name)
        return generator()
    if name == "abandoned-generator":
        def generator():
            try:
                yield from endless()
            finally:
                closed.append(name)
        return generator()
    if name == "file":
        file = ClosableFile(__file__)
        file.name_to_tell = name
        return environ["wsgi.file_wrapper"](file)
    if name == "file-in-memory":
        return environ["wsgi.file_wrapper"](ClosableMemory(b"body"))
    if name == "raising-close":
        return RaisingClose(name, [b"body"])
    if name == "raising-iter":
        return RaisingIter(name, [])
    return Iterable(name, {
        "raising": raising(),
        "raising-at-once": raising(b""),
        "endless": endless(),
        "waiting": waiting(),
        "too-many": [b"four", b"more"],
        "too-few": [b"two"],
        "not-bytes": ["text"],
    }.get(name, [b"one", b"two"]))

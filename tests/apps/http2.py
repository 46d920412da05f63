"""What HTTP/2 is tested with: one path for each kind of request and response."""

import time

LARGE = bytes(at % 251 for at in range(8 << 20))
calls = begun = closed = 0


class Endless:
    def __init__(self):
        global begun
        begun += 1

    def __iter__(self):
        return self

    def __next__(self):
        time.sleep(0.001)
        return b"more "

    def close(self):
        global closed
        closed += 1


def breaking():
    yield b"begun"
    raise ValueError("as asked")


def application(environ, start_response):
    global calls
    path, read = environ["PATH_INFO"], environ["wsgi.input"].read
    status, body = "200 OK", [b"?"]
    if path.startswith("/echo/"):
        body = [f"{environ['REQUEST_METHOD']} {path}".encode()]
    elif path.startswith("/n/"):
        body = [path[3:].encode()]
    elif path.startswith("/environ/"):
        lines = (f"{key}={value}" for key, value in environ.items() if isinstance(value, str))
        body = ["\n".join(lines).encode("latin-1")]
    elif path == "/sum":
        data = read()
        body = [f"{len(data)} {sum(data)}".encode()]
    elif path == "/called":
        calls += 1
    elif path == "/calls":
        body = [str(calls).encode()]
    elif path == "/closed":
        body = [b"%d of %d" % (closed, begun)]
    elif path == "/empty":
        status, body = "204 No Content", []
    elif path == "/raise":
        raise ValueError("as asked")
    elif path == "/slow":
        time.sleep(0.3)
        body = [b"slow"]
    elif path == "/hints":
        environ["wsgi.early_hints"]([("Link", "</a.css>; rel=preload")])
        body = [b"hinted"]
    elif path == "/large":
        body = (LARGE[at:at + 100_000] for at in range(0, len(LARGE), 100_000))
    elif path == "/break":
        body = breaking()
    elif path == "/endless":
        body = Endless()
    start_response(status, [("Content-Type", "text/plain")])
    return body

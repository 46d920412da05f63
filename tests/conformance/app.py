"""The WSGI application which every server runs.

`/run` executes the Python that a case sends it in the field `X-Run`, percent-encoded: the body
of `application(environ, start_response)`. So each case holds its own misbehaviour. The server it
runs in listens on 127.0.0.1 for the length of a test.
"""

import io
import json
import os
import sys
import time
import urllib.parse

from brief import brief

EVENTS = os.environ["CONFORMANCE_EVENTS"]
FILES = os.environ["CONFORMANCE_FILES"]
TEXT = [("Content-Type", "text/plain")]


def application(environ, start_response):
    answer = PATHS.get(environ.get("PATH_INFO", ""), environ_as_json)
    return answer(environ, start_response)


def note(case, text):
    """Tells the runner that something happened: a line in the case's file."""
    name = "".join(char for char in case if char.isalnum() or char in "-_")
    with open(os.path.join(EVENTS, name), "a") as file:
        file.write(text + "\n")


def text(start_response, body, status="200 OK", more=()):
    start_response(status, [*TEXT, ("Content-Length", str(len(body))), *more])
    return [body]


def hello(environ, start_response):
    return text(start_response, b"hello")


def probe(environ, start_response):
    return text(start_response, b"probe")


def second(environ, start_response):
    """Its query, so that answers can be told apart."""
    return text(start_response, environ.get("QUERY_STRING", "").encode("latin-1"))


def smuggled(environ, start_response):
    note("smuggled-" + environ.get("QUERY_STRING", ""), "called")
    return text(start_response, b"SMUGGLED")


def echo(environ, start_response):
    """The request's body. One that is shorter than was announced is not taken for whole."""
    body = environ["wsgi.input"].read(*read_at_most(environ))
    announced = environ.get("CONTENT_LENGTH")
    if announced and len(body) != int(announced):
        return text(start_response, b"short body", "400 Bad Request")
    return text(start_response, body)


def read_at_most(environ):
    """PEP 3333 has `read()` end where the body does. Some servers' do not, and those say how long
    the body is."""
    announced = environ.get("CONTENT_LENGTH")
    return (int(announced),) if announced and not environ.get("wsgi.input_terminated") else ()


def slow(environ, start_response):
    time.sleep(0.3)
    return text(start_response, environ.get("QUERY_STRING", "").encode("latin-1"))


def stream(environ, start_response):
    """Of a length that nobody knows beforehand."""
    start_response("200 OK", TEXT)
    yield b"one "
    yield b"two "
    yield b"three"


def environ_as_json(environ, start_response):
    environ["wsgi.input"].read(*read_at_most(environ))
    plain = {}
    for key, value in environ.items():
        if isinstance(value, (str, int, bool, tuple, type(None))):
            plain[key] = value
    return text(start_response, json.dumps(plain).encode())


def run(environ, start_response):
    source = urllib.parse.unquote(environ["HTTP_X_RUN"])
    lines = ["def application(environ, start_response):"]
    lines += ["    " + line for line in source.split("\n")]
    case = environ.get("QUERY_STRING", "")
    scope = {"note": lambda text: note(case, text), "text": text, "TEXT": TEXT, "brief": brief,
             "FILES": FILES, "io": io, "os": os, "sys": sys, "time": time}
    exec("\n".join(lines), scope)
    return scope["application"](environ, start_response)


PATHS = {
    "/hello": hello,
    "/probe": probe,
    "/second": second,
    "/smuggled": smuggled,
    "/echo": echo,
    "/slow": slow,
    "/stream": stream,
    "/run": run,
}

"""`wsgi.input` (PEP 3333, "Input and Error Streams"), compared with Python's own file objects:
each way to read, on each kind of body, by Content-Length and in chunks.
"""

import io

from brief import brief
from case import Case, Outcome, Reply, answered, wsgi
from wire import Await, Dribble, Pause

SECTION = "PEP 3333, Input and Error Streams"
NEXT = b"GET /second?2 HTTP/1.1\r\nHost: a\r\n\r\n"

# Longer than what servers keep in memory: appliance spools beyond 64 KB, nginx beyond 16 KB.
LONG = b"".join(b"line %d\n" % number + b"x" * (number % 97) for number in range(4000))
BODIES = {
    "no body": None,
    "an empty body": b"",
    "a short body": b"hello",
    "lines": b"one\ntwo\r\n\nthree\rfour\n\x00\xff\nlast",
    "lines with an end": b"one\ntwo\n",
    "only line ends": b"\n\n\r\n\n",
    "a long body": LONG,
    "one long line": b"x" * 150_000,
}

# Expressions over `file`. Servers may do without readline's size and readlines' hint; few do.
READS = {
    "read()": "file.read()",
    "read(n) until the end": "[file.read(4) for _ in range(6)]",
    "read(n) beyond the end": "[file.read(1_000_000), file.read(1)]",
    "read(-1)": "[file.read(-1), file.read()]",
    "read(None)": "file.read(None)",
    "read(0)": "[file.read(0), file.read(2), file.read(0), file.read()]",
    "read(1) twice, then the rest": "[file.read(1), file.read(1), file.read()]",
    "read(70000) twice, then the rest": "[file.read(70_000), file.read(70_000), file.read()]",
    "read() at the end": "[len(file.read()), file.read(), file.read(5)]",
    "readline()": "[file.readline() for _ in range(9)]",
    "readline() to the end": "list(iter(file.readline, b''))",
    "readline(n)": "[file.readline(3) for _ in range(9)]",
    "readline(-1)": "[file.readline(-1), file.readline(-1)]",
    "readline(0)": "[file.readline(0), file.readline()]",
    "readline(n) longer than a line": "[file.readline(1000), file.readline(100_000), file.read(3)]",
    "readlines()": "file.readlines()",
    "readlines() at the end": "[len(file.read()), file.readlines()]",
    "iteration": "list(file)",
    "next(), then read()": "[next(iter(file), None), file.read()]",
    "iter() once, readline() between": "[next(iter(file), None), file.readline(), list(file)]",
    "all of them mixed": "[file.read(2), file.readline(), file.readline(2), file.readlines(), "
                         "file.read(), file.readline(), list(file)]",
}


def expected(read, body):
    return repr(brief(eval(read, {"file": io.BytesIO(body or b"")}))).encode()


def code(read):
    return f"""
        file = environ["wsgi.input"]
        return text(start_response, repr(brief({read})).encode())
    """


def matrix():
    for kind, body in BODIES.items():
        for how, read in READS.items():
            framings = [("by length", False), ("in chunks", True)] if body else [("", False)]
            for framing, chunked in framings:
                sent = wsgi(code(read), b"POST", body, chunked) + NEXT
                right = Reply((200,), expected(read, body))
                permit = (Outcome((right, Reply((200,), b"2"))), Outcome((right,), "close"))
                yield Case(f"{how}: {kind} {framing}".strip(), SECTION, sent, permit, permit[0])


def one(name, code, body, wanted, chunked=False, section=SECTION):
    return Case(name, section, wsgi(code, b"POST", body, chunked), answered(wanted))


SLOW_LINES = "return text(start_response, repr(environ['wsgi.input'].readlines()).encode())"

OTHERS = [
    *(Case(f"readlines(hint) {framing}", SECTION, wsgi("""
        file = environ["wsgi.input"]
        lines, rest = file.readlines(5), file.read()
        assert lines, "no line at all"
        return text(start_response, b"".join(lines) + rest)
    """, b"POST", BODIES["lines"], chunked), answered(BODIES["lines"]))
      for framing, chunked in [("by length", False), ("in chunks", True)]),
    Case("readlines(hint) stops after it", SECTION, wsgi("""
        file = environ["wsgi.input"]
        return text(start_response, repr([file.readlines(4), file.read()]).encode())
    """, b"POST", b"one\ntwo\nthree\n"),
         (answered(repr([[b"one\n"], b"two\nthree\n"]).encode()),
          answered(repr([[b"one\n", b"two\n"], b"three\n"]).encode()),
          answered(repr([[b"one\n", b"two\n", b"three\n"], b""]).encode())),
         answered(repr([[b"one\n"], b"two\nthree\n"]).encode())),
    *(Case(f"reads give bytes, {framing}", SECTION, wsgi("""
        file = environ["wsgi.input"]
        kinds = {type(file.read(1)), type(file.readline()), *map(type, file), type(file.read())}
        return text(start_response, repr(kinds).encode())
    """, b"POST", b"one\ntwo\nthree", chunked), answered(b"{<class 'bytes'>}"))
      for framing, chunked in [("by length", False), ("in chunks", True)]),
    Case("reads stop at Content-Length, whatever follows", SECTION,
         wsgi("return text(start_response, environ['wsgi.input'].read(100_000))", b"POST",
              b"hello") + NEXT,
         (Outcome((Reply((200,), b"hello"), Reply((200,), b"2"))), answered(b"hello", end="close")),
         Outcome((Reply((200,), b"hello"), Reply((200,), b"2")))),
    Case("what is not read does not become a request", SECTION,
         wsgi("return text(start_response, environ['wsgi.input'].read(3))", b"POST",
              b"GET /smuggled?@case HTTP/1.1\r\nHost: a\r\n\r\n") + NEXT,
         (Outcome((Reply((200,), b"GET"), Reply((200,), b"2"))), answered(b"GET", end="close")),
         Outcome((Reply((200,), b"GET"), Reply((200,), b"2")))),
    Case("nothing is read at all", SECTION, wsgi("return text(start_response, b'done')", b"POST",
                                                 LONG) + NEXT,
         (Outcome((Reply((200,), b"done"), Reply((200,), b"2"))), answered(b"done", end="close")),
         Outcome((Reply((200,), b"done"), Reply((200,), b"2")))),
    Case("read while the response is sent", SECTION, wsgi("""
        start_response("200 OK", TEXT)
        for line in environ["wsgi.input"]:
            yield line.upper()
    """, b"POST", b"one\ntwo\nthree"), answered(b"ONE\nTWO\nTHREE")),
    *(Case(f"a body that comes slowly, {framing}", SECTION, (Dribble(
        wsgi(SLOW_LINES, b"POST", b"one\ntwo\nthree", chunked), 5, 0.002),),
           answered(repr([b"one\n", b"two\n", b"three"]).encode()))
      for framing, chunked in [("by length", False), ("in chunks", True)]),
    *(Case(f"chunks of every size make the same lines: {size}", SECTION, (
        wsgi(SLOW_LINES, b"POST", b"", True)[:-5]
        + b"".join(b"%x\r\n" % len(part) + part + b"\r\n" for part in
                   [BODIES["lines"][at:at + size] for at in range(0, len(BODIES["lines"]), size)])
        + b"0\r\n\r\n"), answered(repr(io.BytesIO(BODIES["lines"]).readlines()).encode()))
      for size in (1, 2, 3, 5, 11, 100)),
    Case("pieces with pauses make the same lines", SECTION,
         (wsgi(SLOW_LINES, b"POST", b"one\r\ntwo")[:-8], b"on", Pause(0.05), b"e\r", Pause(0.05),
          b"\ntw", Pause(0.05), b"o"), answered(repr([b"one\r\n", b"two"]).encode())),
    Case("a megabyte in one read", SECTION,
         wsgi("return text(start_response, repr(brief(environ['wsgi.input'].read())).encode())",
              b"POST", LONG * 8), answered(repr(brief(LONG * 8)).encode())),
    Case("a megabyte in chunks, in one read", SECTION,
         wsgi("return text(start_response, repr(brief(environ['wsgi.input'].read())).encode())",
              b"POST", LONG * 8, True), answered(repr(brief(LONG * 8)).encode())),
    Case("a body with Expect: 100-continue", "PEP 3333, HTTP 1.1 Expect/Continue",
         (wsgi(SLOW_LINES, b"POST", b"one\ntwo", fields=b"Expect: 100-continue\r\n")[:-7],
          Await(interim=1), b"one\ntwo"), answered(repr([b"one\n", b"two"]).encode())),
    Case("read by another thread", SECTION, wsgi("""
        import threading
        found = []
        reader = threading.Thread(target=lambda: found.append(environ["wsgi.input"].read()))
        reader.start()
        reader.join()
        return text(start_response, found[0])
    """, b"POST", b"hello"), answered(b"hello")),
]

CASES = [*matrix(), *OTHERS]

"""What the application returns and writes, how it fails, and what is on the wire then (PEP 3333
from "Handling the Content-Length Header" to "Error Handling").
"""

import textwrap
import time

from case import PATIENCE, Procedure, Reply, answered, begun, cut, field, without, wsgi
from wire import Connection
from wsgi_case import (ERRORS, FAILED, FAILS, HOP, ITERABLE, LENGTH, START, STREAM, UNDEFINED,
                       WRITE, and_next, body, case, fails)

ITERABLES = [
    ("a list of one", 'return [b"body"]', b"body"),
    ("a list of several", 'return [b"bo", b"d", b"y"]', b"body"),
    ("an empty list", "return []", b""),
    ("a list of an empty chunk", 'return [b""]', b""),
    ("a tuple", 'return (b"bo", b"dy")', b"body"),
    ("a set", 'return {b"body"}', b"body"),
    ("a dictionary's keys", 'return {b"body": 1}', b"body"),
    ("an iterator", 'return iter([b"bo", b"dy"])', b"body"),
    ("a map", 'return map(bytes, [b"bo", b"dy"])', b"body"),
    ("a file", 'return io.BytesIO(b"bo\\ndy")', b"bo\ndy"),
    ("a generator expression", 'return (part for part in [b"bo", b"dy"])', b"body"),
    ("empty chunks between", 'return iter([b"", b"bo", b"", b"", b"dy", b""])', b"body"),
    ("only empty chunks", 'return iter([b"", b"", b""])', b""),
    ("a subclass of list", 'return type("Own", (list,), {})([b"bo", b"dy"])', b"body"),
    ("a subclass of bytes inside", 'return [type("Own", (bytes,), {})(b"body")]', b"body"),
    ("the old protocol, __getitem__", """
        class Old:
            def __getitem__(self, at):
                return [b"bo", b"dy"][at]
        return Old()
    """, b"body"),
    ("__iter__ that is a generator", """
        class Own:
            def __iter__(self):
                yield b"bo"
                yield b"dy"
        return Own()
    """, b"body"),
    ("__len__ of one", """
        class One:
            def __len__(self):
                return 1
            def __iter__(self):
                return iter([b"body"])
        return One()
    """, b"body"),
    ("no __len__, but __getattr__ that knows everything", """
        class Any:
            def __iter__(self):
                return iter([b"body"])
            def __getattr__(self, name):
                raise AttributeError(name)
        return Any()
    """, b"body"),
    ("a thousand small chunks", 'return (b"%d," % number for number in range(1000))',
     b"".join(b"%d," % number for number in range(1000))),
    ("a megabyte in one chunk", 'return [b"x" * 1_000_000]', b"x" * 1_000_000),
    ("a megabyte in a hundred", 'return (b"x" * 10_000 for _ in range(100))', b"x" * 1_000_000),
    ("bytes that look like a response", 'return [b"0\\r\\n\\r\\nHTTP/1.1 200 OK\\r\\n\\r\\n"]',
     b"0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"),
]
NO_BYTES = [("str", '["text"]'), ("str after bytes", 'iter(["text"])'), ("None", "None"),
            ("a number", "5"), ("chunks that are None", "[None]"), ("chunks that are numbers", "[5]"),
            ("bytes that stand alone", 'b"body"'), ("str that stands alone", '"body"'),
            ("bytearray", '[bytearray(b"body")]'), ("memoryview", '[memoryview(b"body")]'),
            ("a list in a list", '[[b"body"]]'), ("a coroutine", "(lambda: None)")]

ITERABLE_CASES = [
    *(and_next(f"iterable: {name}", ITERABLE,
               'start_response("200 OK", TEXT)\n' + textwrap.dedent(code).strip("\n"),
               body(expected)) for name, code, expected in ITERABLES),
    *(case(f"no bytes: {name}", ITERABLE, f'start_response("200 OK", TEXT)\nreturn {value}',
           UNDEFINED, FAILS, choice="what is not made of bytes is a 500")
      for name, value in NO_BYTES),
    and_next("a list of one has its length", LENGTH,
             'start_response("200 OK", TEXT)\nreturn [b"body"]', body(b"body"),
             ours=body(b"body", 200, field("content-length", "4"))),
    and_next("nothing has its length", LENGTH, 'start_response("200 OK", TEXT)\nreturn []',
             body(b""), ours=body(b"", 200, field("content-length", "0"))),
    and_next("a length of zero", LENGTH,
             'start_response("200 OK", [("Content-Length", "0")])\nreturn []', body(b""),
             ours=body(b"", 200, field("content-length", "0"))),
    and_next("as many bytes as promised", LENGTH, """
        start_response("200 OK", [("Content-Length", "6")])
        return iter([b"abc", b"def"])
    """, body(b"abcdef", 200, field("content-length", "6"))),
    and_next("more bytes than promised", LENGTH, """
        start_response("200 OK", [("Content-Length", "4")])
        return iter([b"four", b"more"])
    """, body(b"four")),
    and_next("more bytes than promised, in one chunk", LENGTH, """
        start_response("200 OK", [("Content-Length", "4")])
        return [b"fourmore"]
    """, body(b"four")),
    and_next("more bytes than the promised nothing", LENGTH, """
        start_response("200 OK", [("Content-Length", "0")])
        return [b"HTTP/1.1 200 OK\\r\\nContent-Length: 0\\r\\n\\r\\n"]
    """, body(b"")),
    case("endless bytes beyond what was promised", LENGTH, """
        start_response("200 OK", [("Content-Length", "4")])
        until = time.monotonic() + 7
        try:
            while time.monotonic() < until:
                time.sleep(0.001)
                yield b"more"
        finally:
            note("ended")
    """, answered(b"more"), notes=("ended",)),
    case("fewer bytes than promised", LENGTH, """
        start_response("200 OK", [("Content-Length", "10")])
        return [b"four"]
    """, cut(b"four")),
    case("fewer bytes than promised: none", LENGTH, """
        start_response("200 OK", [("Content-Length", "10")])
        return []
    """, (cut(b""), *FAILED), (cut(b""), FAILS)),
    case("an HTTP/1.0 client gets no chunks", LENGTH, """
        start_response("200 OK", TEXT)
        return iter([b"bo", b"dy"])
    """, answered(b"body", end="close", checks=[without("transfer-encoding")]), version=b"1.0"),
]

WRITE_CASES = [
    and_next("write() comes before what is returned", WRITE, """
        write = start_response("200 OK", TEXT)
        write(b"one ")
        write(b"two ")
        return [b"three"]
    """, body(b"one two three")),
    and_next("write() alone", WRITE, """
        start_response("200 OK", TEXT)(b"body")
        return []
    """, body(b"body")),
    and_next("write() with a length", WRITE, """
        write = start_response("200 OK", [("Content-Length", "7")])
        write(b"one ")
        return [b"two"]
    """, body(b"one two")),
    and_next("write() of nothing", WRITE, """
        write = start_response("200 OK", TEXT)
        write(b"")
        write(b"body")
        write(b"")
        return [b""]
    """, body(b"body")),
    and_next("write() of a megabyte", WRITE, """
        write = start_response("200 OK", TEXT)
        for _ in range(100):
            write(b"x" * 10_000)
        return []
    """, body(b"x" * 1_000_000)),
    case("write() beyond the length", LENGTH, """
        write = start_response("200 OK", [("Content-Length", "4")])
        write(b"four")
        write(b"more")
        return []
    """, (answered(b"four"), cut(b"four")), answered(b"four")),
    case("write() of str", WRITE, """
        write = start_response("200 OK", TEXT)
        write("text")
        return []
    """, UNDEFINED, FAILS),
    case("write() of the first start_response, after the second", WRITE, """
        write = start_response("200 OK", TEXT)
        try:
            raise KeyError
        except KeyError:
            write = start_response("503 Sorry", TEXT, sys.exc_info())
        write(b"sorry")
        return []
    """, answered(b"sorry", 503)),
]

ERROR_CASES = [
    fails("raises at once", "raise ValueError"),
    fails("raises after start_response", 'start_response("200 OK", TEXT)\nraise ValueError'),
    fails("raises before the first chunk", """
        start_response("200 OK", TEXT)
        raise ValueError
        yield b""
    """),
    fails("raises after empty chunks", """
        start_response("200 OK", TEXT)
        yield b""
        raise ValueError
    """),
    fails("raises in iter()", """
        start_response("200 OK", TEXT)
        class Own:
            def __iter__(self):
                raise ValueError
        return Own()
    """),
    fails("sys.exit()", "sys.exit(3)"),
    fails("KeyboardInterrupt", "raise KeyboardInterrupt"),
    fails("an endless recursion", "def again():\n    again()\nagain()"),
    fails("out of memory", "raise MemoryError"),
    fails("an exception that cannot be printed", """
        class Unprintable(Exception):
            def __str__(self):
                raise ValueError
        raise Unprintable
    """),
    case("raises after the first chunk", ERRORS, """
        start_response("200 OK", TEXT)
        yield b"begun"
        raise ValueError
    """, cut(b"begun")),
    case("raises after the first chunk, with a length", ERRORS, """
        start_response("200 OK", [("Content-Length", "100")])
        yield b"begun"
        raise ValueError
    """, cut(b"begun")),
    case("raises after write()", ERRORS, """
        start_response("200 OK", TEXT)(b"begun")
        raise ValueError
    """, cut(b"begun")),
    case("raises after a megabyte", ERRORS, """
        start_response("200 OK", TEXT)
        yield b"x" * 1_000_000
        raise ValueError
    """, cut(b"x" * 1_000_000)),
    case("raises after all that was promised", ERRORS, """
        start_response("200 OK", [("Content-Length", "5")])
        yield b"begun"
        raise ValueError
    """, (answered(b"begun"), answered(b"begun", end="close"))),
]

BODILESS = [
    and_next("HEAD keeps Content-Length", HOP, """
        start_response("200 OK", [("Content-Length", "4")])
        return [b"body"]
    """, body(b"", 200, field("content-length", "4")), head=True),
    and_next("HEAD keeps Content-Length of what is not there", HOP, """
        start_response("200 OK", [("Content-Length", "1000")])
        return []
    """, body(b"", 200, field("content-length", "1000")), head=True),
    and_next("HEAD of a stream", HOP, """
        start_response("200 OK", TEXT)
        yield b"bo"
        yield b"dy"
    """, body(b""), head=True),
    and_next("HEAD with write()", HOP, 'start_response("200 OK", TEXT)(b"body")\nreturn [b"more"]',
             body(b""), head=True),
    and_next("HEAD of an error", HOP, 'start_response("404 X", TEXT)\nreturn [b"nothing"]',
             body(b"", 404), head=True),
    and_next("HEAD that raises", ERRORS, "raise ValueError",
             Reply((500, 502), b""), ours=body(b"", 500), head=True),
    *(and_next(f"{status} with a body", "RFC 9110 §" + section, f"""
        start_response("{status} X", [])
        return [b"body that must not be sent"]
    """, body(b"", status)) for status, section in ((204, "15.3.5"), (304, "15.4.5"))),
    *(and_next(f"{status} with a stream", "RFC 9110 §" + section, f"""
        start_response("{status} X", [])
        yield b"one"
        yield b"two"
    """, body(b"", status)) for status, section in ((204, "15.3.5"), (304, "15.4.5"))),
    and_next("204 with a length of zero", "RFC 9110 §8.6", """
        start_response("204 No Content", [("Content-Length", "0")])
        return []
    """, body(b"", 204, without("content-length"))),
    and_next("204 with a length", "RFC 9110 §8.6", """
        start_response("204 No Content", [("Content-Length", "4")])
        return [b"body"]
    """, body(b"", 204, without("content-length"))),
    and_next("304 with its validators and a length", "RFC 9110 §15.4.5", """
        start_response("304 Not Modified", [("ETag", '"e"'), ("Content-Length", "4")])
        return []
    """, body(b"", 304, field("etag", '"e"'))),
    and_next("204 in HTTP/1.1 needs no closing", "RFC 9112 §6.3",
             'start_response("204 X", [])\nreturn []',
             body(b"", 204, without("transfer-encoding", "content-length"))),
]

def streamed(server, code, name):
    """Nothing is held back: a block is with the client before the application makes the next."""
    with Connection(server.address) as connection:
        connection.send(wsgi('note("begun")\n' + textwrap.dedent(code), name=name.encode()))
        if not begun(server, name):
            return "the application did not begin"
        since = time.monotonic()

        def arrived():
            current = connection.reader.current()
            return current is not None and b"one" in (current.body + connection.reader.buffer)
        if not connection.read_until(arrived, 0.9):
            return f"nothing of it in {time.monotonic() - since:.1f} s"
        connection.read_until(connection.reader.finished, PATIENCE)
        bodies = [response.body for response in connection.reader.finished()]
        return None if bodies == [b"onetwo"] else f"bodies {bodies}"


def streamed_blocks(server):
    """A block that is yielded arrives before the application makes the next."""
    return streamed(server, """
        start_response("200 OK", TEXT)
        yield b"one"
        time.sleep(1.5)
        yield b"two"
    """, "streamed-blocks")


def streamed_writes(server):
    """What is written arrives while the application goes on."""
    return streamed(server, """
        write = start_response("200 OK", TEXT)
        write(b"one")
        time.sleep(1.5)
        return [b"two"]
    """, "streamed-writes")


def streamed_with_length(server):
    """A block arrives before the next, though the length is known."""
    return streamed(server, """
        start_response("200 OK", [("Content-Length", "6")])
        yield b"one"
        time.sleep(1.5)
        yield b"two"
    """, "streamed-length")


def head_waits(server):
    """The head is not sent before there is a body."""
    with Connection(server.address) as connection:
        connection.send(wsgi("""
            start_response("200 OK", TEXT)
            yield b""
            time.sleep(0.7)
            yield b"body"
        """, name=b"head-waits"))
        if connection.read_until(lambda: connection.received, 0.5):
            return "a head came before the first bytes of the body"
        connection.read_until(connection.reader.finished, PATIENCE)
        bodies = [response.body for response in connection.reader.finished()]
        return None if bodies == [b"body"] else f"bodies {bodies}"

def errors_in_the_log(server):
    """What goes to wsgi.errors, and an exception's traceback, can be found in the log."""
    marks = ["mark-of-errors", "mark-of-traceback"]
    with Connection(server.address) as connection:
        connection.send(wsgi(f"""
            environ["wsgi.errors"].write("{marks[0]}\\n")
            raise ValueError("{marks[1]}")
        """, name=b"errors-in-the-log"))
        connection.read_until(connection.reader.finished, PATIENCE)
    deadline = time.monotonic() + PATIENCE
    while missing := [mark for mark in marks if mark not in server.log()]:
        if time.monotonic() > deadline:
            return f"the log has no {', '.join(missing)}"
        time.sleep(0.05)
    return None


PROCEDURES = [
    Procedure("blocks are not held back", STREAM, streamed_blocks),
    Procedure("write() is not held back", STREAM, streamed_writes),
    Procedure("blocks of a known length are not held back", STREAM, streamed_with_length),
    Procedure("the head waits for the body", START, head_waits),
    Procedure("errors can be found in the log", ERRORS, errors_in_the_log),
]

CASES = [*ITERABLE_CASES, *WRITE_CASES, *ERROR_CASES, *BODILESS, *PROCEDURES]

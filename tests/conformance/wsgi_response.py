"""What an application does with `start_response`, `write()`, its iterable and its files, and what
becomes of it on the wire (PEP 3333 from "The start_response() Callable" on).
"""

import textwrap
import time

from case import (DROPPED, PATIENCE, Case, Outcome, Procedure, Reply, answered, cut,
                  field, must, noted, refused, without, wsgi)
from servers import FILES
from wire import Connection

START = "PEP 3333, The start_response() Callable"
LENGTH = "PEP 3333, Handling the Content-Length Header"
STREAM = "PEP 3333, Buffering and Streaming"
WRITE = "PEP 3333, The write() Callable"
ERRORS = "PEP 3333, Error Handling"
CLOSE = "PEP 3333, Specification Details (close())"
ITERABLE = "PEP 3333, Specification Details"
FILE = "PEP 3333, Optional Platform-Specific File Handling"
HOP = "PEP 3333, Other HTTP Features"

NEXT = b"GET /second?2 HTTP/1.1\r\nHost: a\r\n\r\n"

# nginx says 502 for what uWSGI did not answer.
FAILED = (refused(500, 502), Outcome((Reply((500, 502)),)), DROPPED)
FAILS = Outcome((Reply((500,)),), "keep")
ANYTHING = Outcome((Reply(tuple(range(200, 600))),), "any")
UNDEFINED = (ANYTHING, Outcome((Reply(tuple(range(200, 600)), cut=True),), "any"), DROPPED)


def case(name, section, code, permit, ours=None, notes=None, choice="", heads=(), needs=None, **more):
    return Case(name, section, wsgi(code, **more), permit, ours, needs, heads, notes, choice=choice)


def fails(name, code, section=ERRORS, **more):
    return case(name, section, code, FAILED, FAILS, **more)


def and_next(name, section, code, first, notes=None, ours=None, head=False, **more):
    """The response, and that of a request behind it: nothing of the first may be left over."""
    second = Reply((200,), b"2")
    permit = tuple(outcome for one in (first if isinstance(first, tuple) else (first,))
                   for outcome in (Outcome((one, second)), Outcome((one,), "close")))
    if head:
        more["method"] = b"HEAD"
    chosen = Outcome((ours or (first[0] if isinstance(first, tuple) else first), second))
    return Case(name, section, wsgi(code, **more) + NEXT, permit, chosen, heads=(head,),
                notes=notes)


def body(expected, status=200, *checks):
    return Reply((status,), expected, checks)


START_CASES = [
    case("a plain response", START, """
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"body"]
    """, answered(b"body", checks=[field("content-type", "text/plain")])),
    case("called when the iteration begins", ITERABLE, """
        start_response("201 Created", [("X-Lazy", "yes")])
        yield b"body"
    """, answered(b"body", 201, checks=[field("x-lazy", "yes")])),
    case("called by the first next()", ITERABLE, """
        class Lazy:
            done = False
            def __iter__(self):
                return self
            def __next__(self):
                if self.done:
                    raise StopIteration
                self.done = True
                start_response("202 Accepted", [])
                return b"body"
        return Lazy()
    """, answered(b"body", 202)),
    case("called after empty chunks", ITERABLE, """
        yield b""
        start_response("203 Own", [])
        yield b""
        yield b"body"
    """, (answered(b"body", 203), *FAILED), (answered(b"body", 203), FAILS)),
    case("gives a write()", START, """
        write = start_response("200 OK", TEXT)
        return [repr(callable(write)).encode()]
    """, answered(b"True")),
    case("exc_info=None is no exc_info", START, """
        start_response("200 OK", TEXT, None)
        return [b"body"]
    """, answered(b"body")),
    case("status with its own words", START, """
        start_response("200 Fine by me", [])
        return [b"body"]
    """, answered(b"body", checks=[must("reason `Fine by me`", lambda response:
                                        response.reason == b"Fine by me")])),
    *(case(f"status {status}", START, f"""
        start_response("{status} X", [])
        return [b"body"]
    """, answered(b"body", status)) for status in (200, 201, 299, 302, 400, 404, 418, 451, 500, 503,
                                                   599)),
    case("status 999", START, 'start_response("999 X", [])\nreturn [b"body"]',
         (answered(b"body", 999), *FAILED), answered(b"body", 999)),
    case("status without words, with the space", START,
         'start_response("200 ", [])\nreturn [b"body"]', (answered(b"body"), *FAILED),
         answered(b"body")),
    case("fields in their order, all of a name", START, """
        start_response("200 OK", [("Set-Cookie", "a=1"), ("X-One", "1"), ("Set-Cookie", "b=2"),
                                  ("set-cookie", "a=1")])
        return [b"body"]
    """, answered(b"body", checks=[field("x-one", "1"), must(
        "three Set-Cookie", lambda response: response.all("set-cookie") == ["a=1", "b=2", "a=1"])])),
    case("latin-1 in a value", "PEP 3333, Unicode Issues", """
        start_response("200 OK", [("X-One", "\\xe9")])
        return [b"body"]
    """, answered(b"body", checks=[field("x-one", "\xe9")])),
    case("an empty value", START, 'start_response("200 OK", [("X-One", "")])\nreturn [b"body"]',
         answered(b"body", checks=[field("x-one", "")])),
    case("the application's own Server and Date", START, """
        start_response("200 OK", [("Server", "mine"), ("Content-Type", "text/x")])
        return [b"body"]
    """, answered(b"body", checks=[field("date"), field("content-type", "text/x")]),
         answered(b"body", checks=[field("date"), field("server", "mine")])),
    case("Date is added", START, 'start_response("200 OK", [])\nreturn [b"body"]',
         answered(b"body", checks=[field("date")])),
    case("Date is not added twice", START, """
        from email.utils import formatdate
        start_response("200 OK", [("Date", formatdate(usegmt=True))])
        return [b"body"]
    """, answered(b"body", checks=[field("date")])),
    case("names in any case count", START, """
        from email.utils import formatdate
        start_response("200 OK", [("cOnTeNt-LeNgTh", "4"), ("dAtE", formatdate(usegmt=True))])
        return [b"body"]
    """, answered(b"body", checks=[field("content-length", "4"), field("date")])),
    case("the list may be changed afterwards", START, """
        headers = [("X-One", "1")]
        start_response("200 OK", headers)
        headers.append(("X-Two", "2"))
        headers[0] = ("X-One", "changed")
        return [b"body"]
    """, (answered(b"body"),), answered(b"body", checks=[field("x-one", "1"), without("x-two")])),
    case("sixty fields", START, """
        start_response("200 OK", [("X-" + str(number), str(number)) for number in range(60)])
        return [b"body"]
    """, answered(b"body", checks=[field("x-59", "59")])),
]

AGAIN = [
    case("twice is an error", START, """
        start_response("200 OK", TEXT)
        try:
            start_response("200 OK", TEXT)
        except BaseException:
            note("raised")
            raise
        return [b"body"]
    """, FAILED, FAILS, notes=("raised",)),
    case("twice, though the first was refused", START, """
        try:
            start_response("200 OK", [("X", "a\\nb")])
        except Exception:
            note("first raised")
        start_response("200 OK", TEXT)
        return [b"body"]
    """, (*FAILED, answered(b"body")), (FAILS, answered(b"body"))),
    case("again with exc_info replaces all", START, """
        start_response("200 OK", [("X-First", "1"), ("Content-Length", "100")])
        try:
            raise KeyError
        except KeyError:
            start_response("503 Sorry", [("X-Second", "2")], sys.exc_info())
        return [b"sorry"]
    """, answered(b"sorry", 503, checks=[field("x-second", "2"), without("x-first")])),
    case("again with exc_info, after empty chunks", START, """
        start_response("200 OK", [("X-First", "1")])
        yield b""
        yield b""
        try:
            raise KeyError
        except KeyError:
            start_response("503 Sorry", TEXT, sys.exc_info())
        yield b"sorry"
    """, answered(b"sorry", 503, checks=[without("x-first")])),
    case("again with exc_info, though nothing was started", START, """
        try:
            raise KeyError
        except KeyError:
            start_response("503 Sorry", TEXT, sys.exc_info())
        return [b"sorry"]
    """, answered(b"sorry", 503)),
    case("again with exc_info, after the head: raised again", START, """
        start_response("200 OK", TEXT)
        yield b"begun"
        try:
            raise KeyError("cause")
        except KeyError:
            try:
                start_response("503 Sorry", TEXT, sys.exc_info())
            except BaseException as error:
                note(repr(error))
                raise
        yield b"never"
    """, cut(b"begun"), notes=("KeyError('cause')",)),
    case("again with exc_info, after write()", START, """
        start_response("200 OK", TEXT)(b"begun")
        try:
            raise KeyError("cause")
        except KeyError:
            try:
                start_response("503 Sorry", TEXT, sys.exc_info())
            except BaseException as error:
                note(repr(error))
                raise
        return [b"never"]
    """, cut(b"begun"), notes=("KeyError('cause')",)),
    case("three times with exc_info", START, """
        start_response("200 OK", TEXT)
        for status in ("500 One", "503 Two"):
            try:
                raise KeyError
            except KeyError:
                start_response(status, TEXT, sys.exc_info())
        return [b"sorry"]
    """, answered(b"sorry", 503)),
    fails("never called", "return [b'body']", START),
    fails("never called, in a generator", "yield b'body'", START),
    fails("never called, and nothing yielded", "return []", START),
]


def injected(response):
    names = [name for name, _ in response.fields if name == "injected"]
    return "the field was injected" if names or b"injected" in response.reason else None


# Either an error, or at least nothing that was smuggled into the head.
CLEAN = (*FAILED, Outcome((Reply(tuple(range(200, 600)), None, (injected,)),), "any"))
INJECTIONS = [
    ("CR LF in a value", '"200 OK", [("X", "a\\r\\nInjected: yes")]'),
    ("LF in a value", '"200 OK", [("X", "a\\nInjected: yes")]'),
    ("CR in a value", '"200 OK", [("X", "a\\rInjected: yes")]'),
    ("NUL in a value", '"200 OK", [("X", "a\\0b")]'),
    ("LF at a value's end", '"200 OK", [("X", "a\\n")]'),
    ("an empty line in a value", '"200 OK", [("X", "a\\r\\n\\r\\nInjected: yes")]'),
    ("a folded value", '"200 OK", [("X", "a\\r\\n b")]'),
    ("another control character", '"200 OK", [("X", "a\\x01b")]'),
    ("DEL in a value", '"200 OK", [("X", "a\\x7fb")]'),
    ("CR LF in a name", '"200 OK", [("X\\r\\nInjected", "yes")]'),
    ("LF in a name", '"200 OK", [("X\\nInjected", "yes")]'),
    ("a colon in a name", '"200 OK", [("Injected: X", "yes")]'),
    ("a trailing colon", '"200 OK", [("X:", "yes")]'),
    ("a space in a name", '"200 OK", [("X Y", "yes")]'),
    ("an empty name", '"200 OK", [("", "yes")]'),
    ("NUL in a name", '"200 OK", [("X\\0", "yes")]'),
    ("latin-1 in a name", '"200 OK", [("X\\xe9", "yes")]'),
    ("CR LF in the status", '"200 OK\\r\\nInjected: yes", []'),
    ("LF in the status", '"200 OK\\nInjected: yes", []'),
    ("CR in the status", '"200 OK\\rInjected: yes", []'),
    ("NUL in the status", '"200 OK\\0", []'),
    ("LF at the status's end", '"200 OK\\n", []'),
]
REFUSED = [
    ("status as bytes", 'b"200 OK", []'), ("status as a number", "200, []"),
    ("status None", "None, []"), ("status empty", '"", []'), ("status only words", '"OK", []'),
    ("status of two digits", '"20 OK", []'), ("status of four digits", '"2000 OK", []'),
    ("status without its space", '"200OK", []'), ("status with a space before", '" 200 OK", []'),
    ("status negative", '"-20 OK", []'), ("status of letters", '"2xx OK", []'),
    ("status 099", '"099 OK", []'), ("status 100", '"100 Continue", []'),
    ("status 101", '"101 Switching Protocols", []'), ("status 103", '"103 Early Hints", []'),
    ("fields as a tuple", '"200 OK", (("A", "b"),)'),
    ("fields as a dictionary", '"200 OK", {"A": "b"}'), ("fields None", '"200 OK", None'),
    ("fields as an iterator", '"200 OK", iter([])'), ("a field as a list", '"200 OK", [["A", "b"]]'),
    ("a field of three", '"200 OK", [("A", "b", "c")]'), ("a field of one", '"200 OK", [("A",)]'),
    ("a field as str", '"200 OK", ["AB"]'), ("name as bytes", '"200 OK", [(b"A", "b")]'),
    ("value as bytes", '"200 OK", [("A", b"b")]'), ("value as a number", '"200 OK", [("A", 5)]'),
    ("value None", '"200 OK", [("A", None)]'),
    ("Content-Length of letters", '"200 OK", [("Content-Length", "four")]'),
    ("Content-Length negative", '"200 OK", [("Content-Length", "-4")]'),
    ("Content-Length signed", '"200 OK", [("Content-Length", "+4")]'),
    ("Content-Length twice", '"200 OK", [("Content-Length", "4"), ("Content-Length", "5")]'),
    ("Content-Length as a list", '"200 OK", [("Content-Length", "4, 4")]'),
    ("Content-Length beyond 64 bits", '"200 OK", [("Content-Length", "99999999999999999999")]'),
    ("no arguments", ""), ("one argument", '"200 OK"'),
]
NOT_LATIN_1 = [
    ("a status", '"200 \\u20ac", []'), ("a value", '"200 OK", [("X", "\\u20ac")]'),
    ("a name", '"200 OK", [("\\u20ac", "x")]'), ("a lone surrogate", '"200 OK", [("X", "\\ud800")]'),
]
HOP_BY_HOP = {"Connection": "close", "Keep-Alive": "timeout=5", "Proxy-Authenticate": "Basic",
              "Proxy-Connection": "keep-alive", "TE": "trailers", "Trailer": "X",
              "Transfer-Encoding": "chunked", "Upgrade": "h2c"}


def start_with(arguments):
    return f"start_response({arguments})\nreturn [b'body']"


def hop_by_hop(name):
    """Refused, or not sent on as the application's. RFC 2616, which PEP 3333 goes by, has
    `Trailers` in its list, and Proxy-Connection not at all."""
    if name in ("Trailer", "Proxy-Connection"):
        return (*FAILED, ANYTHING)
    value = HOP_BY_HOP[name]

    def check(response):
        found = response.all(name.lower())
        usual = name in ("Connection", "Transfer-Encoding", "Keep-Alive")
        return f"{name}: {found}" if value in found and not usual else None
    check.__name__ = f"no {name} of the application's"
    return (*FAILED, Outcome((Reply((200,), b"body", (check,)),), "any"))


CHECK_CASES = [
    *(case(f"injection: {name}", START, start_with(arguments), CLEAN, FAILS,
           choice="a head that HTTP cannot carry is a 500, and the log says why")
      for name, arguments in INJECTIONS),
    case("injection: the error can be caught where it is made", START, """
        try:
            start_response("200 OK", [("X", "a\\nInjected: yes")])
        except Exception as error:
            start_response("500 Own", TEXT, sys.exc_info())
            return [b"caught"]
        return [b"not caught"]
    """, (answered(b"caught", 500), *CLEAN), answered(b"caught", 500)),
    *(case(f"wrong: {name}", START, start_with(arguments), UNDEFINED, FAILS)
      for name, arguments in REFUSED),
    *(case(f"not latin-1: {name}", "PEP 3333, Unicode Issues", start_with(arguments), FAILED, FAILS)
      for name, arguments in NOT_LATIN_1),
    *(case(f"hop-by-hop: {name}", HOP, start_with(f'"200 OK", [("{name}", "{value}")]'),
           hop_by_hop(name), FAILS, choice="fields of the connection are a 500")
      for name, value in HOP_BY_HOP.items()),
    case("hop-by-hop: in small letters", HOP, start_with('"200 OK", [("upgrade", "h2c")]'),
         hop_by_hop("Upgrade"), FAILS),
]

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

OWN = """
class Own:
    def __init__(self, chunks=(b"one", b"two")):
        self.chunks = chunks
    def __iter__(self):
        return iter(self.chunks)
    def close(self):
        note("closed")
"""
GENERATOR = """
def chunks():
    try:
        {}
    finally:
        note("closed")
"""


def closes(name, code, permit, ours=None, **more):
    """close() is called, once."""
    return case(f"close(): {name}", CLOSE, code, permit, ours, notes=("closed",), **more)


CLOSE_CASES = [
    closes("at the end", OWN + 'start_response("200 OK", TEXT)\nreturn Own()',
           answered(b"onetwo")),
    closes("of a generator", GENERATOR.format('yield b"one"') +
           'start_response("200 OK", TEXT)\nreturn chunks()', answered(b"one")),
    closes("of a subclass of list", """
        class Own(list):
            def close(self):
                note("closed")
        start_response("200 OK", TEXT)
        return Own([b"body"])
    """, answered(b"body")),
    closes("of a subclass of tuple", """
        class Own(tuple):
            def close(self):
                note("closed")
        start_response("200 OK", TEXT)
        return Own([b"bo", b"dy"])
    """, answered(b"body")),
    closes("an attribute of the object", """
        class Own:
            def __init__(self):
                self.close = lambda: note("closed")
            def __iter__(self):
                return iter([b"body"])
        start_response("200 OK", TEXT)
        return Own()
    """, answered(b"body")),
    closes("after empty chunks only", OWN + 'start_response("200 OK", TEXT)\nreturn Own([b""])',
           answered(b"")),
    closes("after nothing", OWN + 'start_response("200 OK", TEXT)\nreturn Own([])', answered(b"")),
    closes("when a generator raises in the middle",
           GENERATOR.format('yield b"one"; raise ValueError')
           + 'start_response("200 OK", TEXT)\nreturn chunks()', cut(b"one")),
    closes("when it raises in the middle", OWN + """
def chunks():
    yield b"one"
    raise ValueError
start_response("200 OK", TEXT)
return Own(chunks())
""", cut(b"one")),
    closes("when iteration raises at once", """
        class Own:
            def __iter__(self):
                return self
            def __next__(self):
                raise ValueError
            def close(self):
                note("closed")
        start_response("200 OK", TEXT)
        return Own()
    """, FAILED, FAILS),
    closes("when there is no iterator", """
        class Own:
            def __iter__(self):
                raise ValueError
            def close(self):
                note("closed")
        start_response("200 OK", TEXT)
        return Own()
    """, FAILED, FAILS),
    closes("when start_response was never called", OWN + "return Own()", FAILED, FAILS),
    closes("when chunks are no bytes", OWN + 'start_response("200 OK", TEXT)\nreturn Own(["text"])',
           UNDEFINED, FAILS),
    closes("with too many bytes",
           OWN + 'start_response("200 OK", [("Content-Length", "3")])\nreturn Own()',
           answered(b"one")),
    closes("with too few bytes",
           OWN + 'start_response("200 OK", [("Content-Length", "9")])\nreturn Own()',
           cut(b"onetwo")),
    closes("after HEAD", OWN + 'start_response("200 OK", TEXT)\nreturn Own()', answered(b""),
           method=b"HEAD", heads=(True,)),
    closes("after 204", OWN + 'start_response("204 No Content", [])\nreturn Own([])',
           answered(b"", 204)),
    closes("after 304", OWN + 'start_response("304 Not Modified", [])\nreturn Own([])',
           answered(b"", 304)),
    closes("after HTTP/1.0", OWN + 'start_response("200 OK", TEXT)\nreturn Own()',
           answered(b"onetwo", end="close"), version=b"1.0"),
    closes("after the body has been sent, not before", """
        sent = []
        class Own:
            def __iter__(self):
                for part in (b"one", b"two"):
                    sent.append(part)
                    yield part
            def close(self):
                note("closed" if sent == [b"one", b"two"] else f"too early: {sent}")
        start_response("200 OK", TEXT)
        return Own()
    """, answered(b"onetwo")),
    and_next("close(): raises itself", CLOSE, """
        class Own:
            def __iter__(self):
                return iter([b"body"])
            def close(self):
                note("closed")
                raise ValueError
        start_response("200 OK", [("Content-Length", "4")])
        return Own()
    """, body(b"body"), notes=("closed",)),
    closes("of a file by file_wrapper", """
        class Own:
            def __init__(self):
                self.left = [b"bo", b"dy", b""]
            def read(self, size=-1):
                return self.left.pop(0)
            def close(self):
                note("closed")
        wrap = environ.get("wsgi.file_wrapper")
        start_response("200 OK", TEXT)
        if wrap is None:
            note("closed")
            return [b"body"]
        return wrap(Own())
    """, answered(b"body")),
    closes("of a real file by file_wrapper", """
        class Own(io.FileIO):
            open_ = True
            def close(self):
                if self.open_:
                    self.open_ = False
                    note("closed")
                super().close()
        wrap = environ.get("wsgi.file_wrapper") or (lambda file: file)
        start_response("200 OK", TEXT)
        return wrap(Own(FILES + "/small.txt"))
    """, answered(FILES["small.txt"])),
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

WRAP = """
wrap = environ.get("wsgi.file_wrapper")
if wrap is None:
    wrap = lambda file, size=8192: iter(lambda: file.read(size), b"")
"""


def wrapped(name, code, expected, ours=None, fields=b"", status=200, **more):
    return case(f"file_wrapper: {name}", FILE, WRAP + textwrap.dedent(code),
                expected if isinstance(expected, (Outcome, tuple)) else answered(expected, status),
                ours, fields=fields, **more)


SMALL = 'open(FILES + "/small.txt", "rb")'
WHOLE = f'start_response("200 OK", TEXT)\nreturn wrap({SMALL})'
RANGE_CHOICE = "a file that the application hands to wsgi.file_wrapper with 200 is served with " \
    "Range, as a file of a route is"

FILE_CASES = [
    wrapped("a file", WHOLE, answered(FILES["small.txt"]),
            answered(FILES["small.txt"], checks=[field("content-length", "10")])),
    wrapped("a large file", 'start_response("200 OK", TEXT)\n'
            'return wrap(open(FILES + "/large.bin", "rb"))', FILES["large.bin"]),
    wrapped("with a block size", f'start_response("200 OK", TEXT)\nreturn wrap({SMALL}, 3)',
            FILES["small.txt"]),
    wrapped("with its length", f"""
        start_response("200 OK", [("Content-Length", "10")])
        return wrap({SMALL})
    """, FILES["small.txt"]),
    wrapped("from where it stands", f"""
        file = {SMALL}
        file.seek(4)
        start_response("200 OK", TEXT)
        return wrap(file)
    """, FILES["small.txt"][4:]),
    wrapped("after a buffered read", f"""
        file = {SMALL}
        file.read(1)
        start_response("200 OK", TEXT)
        return wrap(file)
    """, FILES["small.txt"][1:]),
    wrapped("a part of it", f"""
        file = {SMALL}
        file.seek(2)
        start_response("206 Partial Content", [("Content-Length", "3"),
                                               ("Content-Range", "bytes 2-4/10")])
        return wrap(file)
    """, FILES["small.txt"][2:5], status=206),
    wrapped("beyond its end", f"""
        file = {SMALL}
        file.seek(100)
        start_response("200 OK", TEXT)
        return wrap(file)
    """, b""),
    wrapped("an empty file", 'start_response("200 OK", TEXT)\nreturn wrap(open(os.devnull, "rb"))',
            b""),
    wrapped("shorter than promised", f"""
        start_response("200 OK", [("Content-Length", "20")])
        return wrap({SMALL})
    """, cut(FILES["small.txt"])),
    wrapped("in memory", 'start_response("200 OK", TEXT)\nreturn wrap(io.BytesIO(b"body"))', b"body"),
    wrapped("a pipe", """
        reader, writer = os.pipe()
        os.write(writer, b"body")
        os.close(writer)
        start_response("200 OK", TEXT)
        return wrap(os.fdopen(reader, "rb"))
    """, b"body"),
    wrapped("only read(size)", """
        class Own:
            def __init__(self):
                self.left = [b"one", b"two", b""]
            def read(self, size):
                return self.left.pop(0)
        start_response("200 OK", TEXT)
        return wrap(Own())
    """, b"onetwo"),
    wrapped("whose descriptor holds something else", """
        import gzip, tempfile
        with tempfile.NamedTemporaryFile(suffix=".gz") as file:
            with gzip.open(file.name, "wb") as packed:
                packed.write(b"unpacked")
            found = wrap(gzip.open(file.name))
        start_response("200 OK", TEXT)
        return found
    """, b"unpacked"),
    wrapped("deleted meanwhile", """
        import tempfile
        file = tempfile.TemporaryFile()
        file.write(b"body")
        file.seek(0)
        start_response("200 OK", TEXT)
        return wrap(file)
    """, b"body"),
    wrapped("iterated by middleware", """
        start_response("200 OK", TEXT)
        return (block.upper() for block in wrap(io.BytesIO(b"body")))
    """, b"BODY"),
    wrapped("replaced by middleware", f"""
        wrap({SMALL})
        start_response("200 OK", TEXT)
        return [b"other"]
    """, b"other"),
    wrapped("after write()", f'start_response("200 OK", TEXT)(b"first ")\nreturn wrap({SMALL})',
            b"first " + FILES["small.txt"]),
    wrapped("a text file", 'start_response("200 OK", TEXT)\nreturn wrap(io.StringIO("text"))',
            UNDEFINED, FAILS),
    wrapped("HEAD", WHOLE, answered(b""), answered(b"", checks=[field("content-length", "10")]),
            method=b"HEAD", heads=(True,)),
    wrapped("304", f'start_response("304 X", [])\nreturn wrap({SMALL})', answered(b"", 304)),
    wrapped("HTTP/1.0", WHOLE, answered(FILES["small.txt"], end="close"), version=b"1.0"),
    wrapped("a Range", WHOLE, (answered(FILES["small.txt"]), answered(b"234", 206)),
            answered(b"234", 206, checks=[field("content-range", "bytes 2-4/10"),
                                          field("content-length", "3")]),
            fields=b"Range: bytes=2-4\r\n", choice=RANGE_CHOICE),
    wrapped("a Range to the end", WHOLE, (answered(FILES["small.txt"]), answered(b"89", 206)),
            answered(b"89", 206, checks=[field("content-range", "bytes 8-9/10")]),
            fields=b"Range: bytes=-2\r\n"),
    wrapped("a Range beyond the end", WHOLE,
            (answered(FILES["small.txt"]), Outcome((Reply((416,)),))),
            answered(status=416, checks=[field("content-range", "bytes */10")]),
            fields=b"Range: bytes=20-\r\n"),
    wrapped("a Range that is none", WHOLE, answered(FILES["small.txt"]),
            fields=b"Range: lines=2-4\r\n"),
    wrapped("a Range, though the application speaks of parts itself", f"""
        file = {SMALL}
        file.seek(5)
        start_response("206 Partial Content", [("Content-Range", "bytes 5-9/10"),
                                               ("Content-Length", "5")])
        return wrap(file)
    """, answered(b"56789", 206, checks=[field("content-range", "bytes 5-9/10")]),
            fields=b"Range: bytes=5-9\r\n"),
    wrapped("a Range of an error page", f'start_response("404 X", TEXT)\nreturn wrap({SMALL})',
            answered(FILES["small.txt"], 404), fields=b"Range: bytes=2-4\r\n"),
]

HINTS = """
hints = environ.get("wsgi.early_hints")
if hints is not None:
    hints([("Link", "</a.css>; rel=preload; as=style")])
return text(start_response, b"body")
"""


def hinted(response):
    found = [(one.status, one.get("link")) for one in response.interim]
    return None if found == [(103, "</a.css>; rel=preload; as=style")] else f"before it: {found}"


def unhinted(response):
    return f"before it: {response.interim[0].status}" if response.interim else None


OTHER_CASES = [
    case("early hints", "RFC 8297 §2", HINTS, answered(b"body"), answered(b"body", checks=[hinted]),
         choice="`wsgi.early_hints` takes a list of fields, as gunicorn's does"),
    case("early hints: not for HTTP/1.0", "RFC 8297 §2", HINTS,
         answered(b"body", end="close", checks=[unhinted]), version=b"1.0"),
    case("early hints: twice", "RFC 8297 §2", """
        hints = environ.get("wsgi.early_hints")
        if hints is not None:
            hints([("Link", "</a.css>; rel=preload")])
            hints([("Link", "</b.css>; rel=preload"), ("Link", "</c.css>; rel=preload")])
        return text(start_response, b"body")
    """, answered(b"body"), answered(b"body", checks=[must(
        "two 103 with their links", lambda response: [
            (one.status, *one.all("link")) for one in response.interim] == [
                (103, "</a.css>; rel=preload"),
                (103, "</b.css>; rel=preload", "</c.css>; rel=preload")])])),
    case("early hints: nothing is injected", "RFC 8297 §2", """
        hints = environ.get("wsgi.early_hints")
        if hints is not None:
            try:
                hints([("Link", "a\\r\\n\\r\\nHTTP/1.1 200 OK\\r\\n\\r\\n")])
            except Exception:
                pass
        return text(start_response, b"body")
    """, answered(b"body", checks=[unhinted])),
    case("wsgi.errors takes any str", "PEP 3333, Input and Error Streams", """
        errors = environ["wsgi.errors"]
        errors.write("plain\\n")
        errors.write("\\u20ac \\U0001f600\\n")
        errors.write("")
        errors.write("no line end")
        errors.writelines(["one\\n", "two\\n"])
        errors.flush()
        print("printed", file=errors)
        return text(start_response, b"body")
    """, answered(b"body")),
    case("wsgi.errors takes a lone surrogate", "PEP 3333, environ Variables", """
        environ["wsgi.errors"].write("\\ud800\\n")
        return text(start_response, b"body")
    """, answered(b"body")),
    case("wsgi.errors after the response", "PEP 3333, Input and Error Streams", """
        start_response("200 OK", TEXT)
        yield b"body"
        environ["wsgi.errors"].write("afterwards\\n")
    """, answered(b"body")),
]

VALID = """
from wsgiref.validate import validator
{}
return validator(inner)(environ, start_response)
"""
VALIDATED = [
    ("GET", {}, """
def inner(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "4")])
    return [b"body"]
""", answered(b"body")),
    ("a stream", {}, """
def inner(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return iter([b"bo", b"dy"])
""", answered(b"body")),
    ("a body by length", {"method": b"POST", "body": b"one\ntwo\nthree\nfour"}, """
def inner(environ, start_response):
    file = environ["wsgi.input"]
    body = file.read(2) + file.readline() + b"".join(file.readlines(1)) + b"".join(file)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [body]
""", answered(b"one\ntwo\nthree\nfour")),
    ("a body in chunks", {"method": b"POST", "body": b"one\ntwo", "chunked": True}, """
def inner(environ, start_response):
    body = environ["wsgi.input"].read(100)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [body]
""", answered(b"one\ntwo")),
    ("write()", {}, """
def inner(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])(b"bo")
    return [b"dy"]
""", answered(b"body")),
    ("204", {}, """
def inner(environ, start_response):
    start_response("204 No Content", [])
    return []
""", answered(b"", 204)),
    ("errors", {}, """
def inner(environ, start_response):
    environ["wsgi.errors"].write("a\\n")
    environ["wsgi.errors"].writelines(["b\\n"])
    environ["wsgi.errors"].flush()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"body"]
""", answered(b"body")),
    ("exc_info", {}, """
def inner(environ, start_response):
    try:
        raise KeyError
    except KeyError:
        start_response("500 Own", [("Content-Type", "text/plain")], sys.exc_info())
    return [b"body"]
""", answered(b"body", 500)),
]
VALIDATOR_CASES = [
    case(f"wsgiref.validate: {name}", "PEP 3333, by Python's own validator", VALID.format(inner),
         expected, **request)
    for name, request, inner, expected in VALIDATED
]


def streamed(server, code, name):
    """Nothing is held back: a block is with the client before the application makes the next."""
    with Connection(server.address) as connection:
        connection.send(wsgi(code, name=name))
        begun = time.monotonic()

        def arrived():
            current = connection.reader.current()
            return current is not None and b"one" in (current.body + connection.reader.buffer)
        if not connection.read_until(arrived, 0.9):
            return f"nothing of it in {time.monotonic() - begun:.1f} s"
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
    """, b"streamed-blocks")


def streamed_writes(server):
    """What is written arrives while the application goes on."""
    return streamed(server, """
        write = start_response("200 OK", TEXT)
        write(b"one")
        time.sleep(1.5)
        return [b"two"]
    """, b"streamed-writes")


def streamed_with_length(server):
    """A block arrives before the next, though the length is known."""
    return streamed(server, """
        start_response("200 OK", [("Content-Length", "6")])
        yield b"one"
        time.sleep(1.5)
        yield b"two"
    """, b"streamed-length")


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


def leaves(server, name, code, when):
    """Sends a request, leaves, and waits for the application to be told by close()."""
    for how in ("closed", "reset"):
        connection = Connection(server.address, receive_buffer=8192)
        connection.send(wsgi(code, name=name + how.encode()))
        when(connection)
        if how == "closed":
            connection.socket.close()
        else:
            connection.abort()
        problem = noted(server, (name + how.encode()).decode(), ["closed"])
        if problem:
            return f"{how}: {problem}"
    return None


def closed_for_one_who_left(server):
    """close() is called, once, when the client leaves an endless response."""
    return leaves(server, b"left-endless-", OWN + """
class Endless(Own):
    def __iter__(self):
        until = time.monotonic() + 7
        while time.monotonic() < until:
            time.sleep(0.001)
            yield b"x" * 1000
start_response("200 OK", TEXT)
return Endless()
""", lambda connection: connection.read_until(lambda: connection.received > 5000, 3))


def closed_for_one_who_left_early(server):
    """close() is called, once, when the client has left before the first byte."""
    return leaves(server, b"left-early-", OWN + """
start_response("200 OK", TEXT)
time.sleep(0.5)
return Own(b"x" * 1000 for _ in range(3))
""", lambda connection: time.sleep(0.2))


def closed_for_one_who_left_a_generator(server):
    """A generator's `finally` runs, once, when the client leaves."""
    return leaves(server, b"left-generator-", GENERATOR.format(
        "for _ in range(10_000): yield b'x' * 1000; time.sleep(0.001)")
        + 'start_response("200 OK", TEXT)\nreturn chunks()',
        lambda connection: connection.read_until(lambda: connection.received > 5000, 3))


def closed_for_one_who_left_write(server):
    """close() is called, once, when the client leaves while write() goes on."""
    return leaves(server, b"left-write-", OWN + """
write = start_response("200 OK", TEXT)
try:
    for _ in range(1000):
        write(b"x" * 10_000)
except Exception:
    note("closed")
    raise
return Own()
""", lambda connection: connection.read_until(lambda: connection.received > 5000, 3))


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
    Procedure("close(): the client leaves an endless response", CLOSE, closed_for_one_who_left),
    Procedure("close(): the client leaves before the first byte", CLOSE,
              closed_for_one_who_left_early),
    Procedure("close(): the client leaves a generator", CLOSE, closed_for_one_who_left_a_generator),
    Procedure("close(): the client leaves write()", CLOSE, closed_for_one_who_left_write),
    Procedure("errors can be found in the log", ERRORS, errors_in_the_log),
]

CASES = [*START_CASES, *AGAIN, *CHECK_CASES, *ITERABLE_CASES, *WRITE_CASES, *ERROR_CASES,
         *CLOSE_CASES, *BODILESS, *FILE_CASES, *OTHER_CASES, *VALIDATOR_CASES, *PROCEDURES]

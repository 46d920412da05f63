"""`start_response`: when it may be called, what it takes and what it refuses (PEP 3333, "The
start_response() Callable").
"""

from case import Outcome, Reply, answered, cut, field, must, without
from wsgi_case import ANYTHING, FAILED, FAILS, HOP, ITERABLE, START, UNDEFINED, case, fails

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

CASES = [*START_CASES, *AGAIN, *CHECK_CASES]

"""`wsgi.file_wrapper` (PEP 3333, "Optional Platform-Specific File Handling"), early hints,
`wsgi.errors`, and what Python's own validator says.
"""

import textwrap

from case import Outcome, Reply, answered, cut, field, must
from servers import FILES
from wsgi_case import FAILS, FILE, UNDEFINED, case

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

CASES = [*FILE_CASES, *OTHER_CASES, *VALIDATOR_CASES]

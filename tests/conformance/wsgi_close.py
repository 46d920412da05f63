"""`close()` of what the application returned: once, whatever happens (PEP 3333, "Specification
Details").
"""

from case import PATIENCE, Procedure, answered, begun, cut, noted, wsgi
from servers import FILES
from wire import Connection
from wsgi_case import CLOSE, FAILED, FAILS, UNDEFINED, and_next, body, case

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

def leaves(server, name, code, begun=begun):
    """Sends a request, leaves when the application has begun, and waits for it to be told by
    close(). Nothing is called for one who leaves before that."""
    for how in ("closed", "reset"):
        case = name + how
        connection = Connection(server.address, receive_buffer=8192)
        connection.send(wsgi('note("begun")\n' + code, name=case.encode()))
        if not begun(server, case, connection):
            return f"{how}: the application did not begin"
        if how == "closed":
            connection.socket.close()
        else:
            connection.abort()
        problem = noted(server, case, ["begun", "closed"])
        if problem:
            return f"{how}: {problem}"
    return None


def by_its_bytes(_server, _case, connection):
    return connection.read_until(lambda: connection.received > 5000, PATIENCE)


def closed_for_one_who_left(server):
    """close() is called, once, when the client leaves an endless response."""
    return leaves(server, "left-endless-", OWN + """
class Endless(Own):
    def __iter__(self):
        until = time.monotonic() + 7
        while time.monotonic() < until:
            time.sleep(0.001)
            yield b"x" * 1000
start_response("200 OK", TEXT)
return Endless()
""", by_its_bytes)


def closed_for_one_who_left_early(server):
    """close() is called, once, when the client has left before the first byte."""
    return leaves(server, "left-early-", OWN + """
start_response("200 OK", TEXT)
time.sleep(0.5)
return Own(b"x" * 1000 for _ in range(3))
""")


def closed_for_one_who_left_a_generator(server):
    """A generator's `finally` runs, once, when the client leaves."""
    return leaves(server, "left-generator-", GENERATOR.format(
        "for _ in range(10_000): yield b'x' * 1000; time.sleep(0.001)")
        + 'start_response("200 OK", TEXT)\nreturn chunks()', by_its_bytes)


def closed_for_one_who_left_write(server):
    """close() is called, once, when the client leaves while write() goes on."""
    return leaves(server, "left-write-", OWN + """
write = start_response("200 OK", TEXT)
try:
    for _ in range(1000):
        write(b"x" * 10_000)
except Exception:
    note("closed")
    raise
return Own()
""", by_its_bytes)


PROCEDURES = [
    Procedure("close(): the client leaves an endless response", CLOSE, closed_for_one_who_left),
    Procedure("close(): the client leaves before the first byte", CLOSE,
              closed_for_one_who_left_early),
    Procedure("close(): the client leaves a generator", CLOSE, closed_for_one_who_left_a_generator),
    Procedure("close(): the client leaves write()", CLOSE, closed_for_one_who_left_write),
]

CASES = [*CLOSE_CASES, *PROCEDURES]

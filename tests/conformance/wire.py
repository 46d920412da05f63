"""A client that sends exactly the bytes it is told to, and reads responses to the letter.

A connection is read while it is written: a server may answer, and stop reading, before it has
the whole request. `Response.faults` holds what no server may send; a case with a fault fails.
"""

import dataclasses
import re
import select
import socket
import time

STATUS_LINE = re.compile(rb"HTTP/1\.([01]) ([1-9][0-9]{2}) ([\t\x20-\x7e\x80-\xff]*)")
FIELD_LINE = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*([^\x00\r\n]*?)[ \t]*")
CHUNK_LINE = re.compile(rb"([0-9A-Fa-f]{1,16})(?:;[^\x00\r\n]*)?")
LARGEST_HEAD = 256 * 1024


@dataclasses.dataclass(frozen=True)
class Pause:
    """Nothing is sent for so long."""

    seconds: float


@dataclasses.dataclass(frozen=True)
class Dribble:
    """Bytes sent in small pieces."""

    data: bytes
    size: int = 1
    seconds: float = 0.001


@dataclasses.dataclass(frozen=True)
class Await:
    """Nothing more is sent before so many responses have come, interim ones (1xx) or final ones,
    or the time is over."""

    interim: int = 0
    final: int = 0
    seconds: float = 3.0


HALF_CLOSE = object()  # shutdown(SHUT_WR): what a client does that sends its last request


@dataclasses.dataclass
class Response:
    version: int  # the minor one
    status: int
    reason: bytes
    fields: list  # of (lower-case name, value), both str by latin-1
    body: bytes = b""
    framing: str = "none"  # "length", "chunked", "until close"
    complete: bool = False
    interim: list = dataclasses.field(default_factory=list)  # the 1xx before it
    trailers: list = dataclasses.field(default_factory=list)
    faults: list = dataclasses.field(default_factory=list)

    def all(self, name):
        return [value for known, value in self.fields if known == name]

    def get(self, name):
        return ", ".join(self.all(name)) if self.all(name) else None

    def options(self):
        """The connection options (RFC 9110 §7.6.1), in lower case."""
        value = self.get("connection") or ""
        return [option.strip().lower() for option in value.split(",") if option.strip()]


class Malformed(Exception):
    """What came is no HTTP/1.1 response."""


class Reader:
    """Bytes → responses. `heads` tells for each response whether its request was HEAD."""

    def __init__(self, heads=()):
        self.heads = list(heads)
        self.buffer = b""
        self.responses = []
        self.interim = []
        self.garbage = None  # why the bytes from here on are no response
        self.steps = self.parse()
        next(self.steps)

    def feed(self, data, ended=False):
        if self.garbage is not None:
            self.buffer += data
            return
        self.buffer += data
        try:
            self.steps.send(ended)
        except StopIteration:
            pass
        except Malformed as error:
            self.garbage = str(error)

    def current(self):
        """A response whose body is not complete."""
        return self.responses[-1] if self.responses and not self.responses[-1].complete else None

    def finished(self):
        return [response for response in self.responses if response.complete]

    def between(self):
        """No byte of a further response has come."""
        return not self.buffer and self.current() is None and not self.interim

    def parse(self):
        """A coroutine: receives whether the stream has ended each time there are new bytes."""
        ended = yield
        while True:
            while not self.buffer:
                if ended:
                    return
                ended = yield
            while b"\r\n\r\n" not in self.buffer:
                looks_right = self.buffer[:5] == b"HTTP/"[:len(self.buffer)]
                if ended or not looks_right or len(self.buffer) > LARGEST_HEAD:
                    raise Malformed("no response head")
                ended = yield
            head, self.buffer = self.buffer.split(b"\r\n\r\n", 1)
            response = parse_head(head)
            if response.status < 200 and response.status != 101:
                response.complete = True
                self.interim.append(response)
                continue
            response.interim, self.interim = self.interim, []
            number = len(self.responses)
            self.responses.append(response)
            is_head = number < len(self.heads) and self.heads[number]
            ended = yield from self.parse_body(response, is_head, ended)

    def parse_body(self, response, is_head, ended):
        lengths, codings = response.all("content-length"), response.get("transfer-encoding")
        if len(lengths) > 1:
            response.faults.append("more than one Content-Length")
        if lengths and codings is not None:
            response.faults.append("both Content-Length and Transfer-Encoding (RFC 9112 §6.2)")
        if codings is not None and response.status == 204:
            response.faults.append("Transfer-Encoding with 204 (RFC 9112 §6.1)")
        if lengths and response.status == 204:
            response.faults.append("Content-Length with 204 (RFC 9110 §8.6)")
        if is_head or response.status in (204, 304):
            response.complete = True
            return ended
        if codings is not None:
            if codings.lower() != "chunked":
                raise Malformed(f"Transfer-Encoding: {codings}")
            response.framing = "chunked"
            return (yield from self.parse_chunks(response, ended))
        if lengths:
            if not lengths[0].isascii() or not lengths[0].isdigit():
                raise Malformed(f"Content-Length: {lengths[0]}")
            response.framing = "length"
            length = int(lengths[0])
            while len(self.buffer) < length:
                response.body = self.buffer
                if ended:
                    self.buffer = b""
                    return ended
                ended = yield
            response.body, self.buffer = self.buffer[:length], self.buffer[length:]
            response.complete = True
            return ended
        response.framing = "until close"
        while not ended:
            response.body = self.buffer
            ended = yield
        response.body, self.buffer = self.buffer, b""
        response.complete = True
        return ended

    def parse_chunks(self, response, ended):
        while True:
            line, ended = yield from self.line(ended)
            if line is None:
                return ended
            size = CHUNK_LINE.fullmatch(line)
            if not size:
                raise Malformed(f"chunk size {line[:40]!r}")
            size = int(size[1], 16)
            if size == 0:
                break
            while len(self.buffer) < size + 2:
                if ended:
                    response.body += self.buffer[:size]
                    self.buffer = b""
                    return ended
                ended = yield
            if self.buffer[size:size + 2] != b"\r\n":
                raise Malformed("no CRLF after a chunk")
            response.body += self.buffer[:size]
            self.buffer = self.buffer[size + 2:]
        while True:
            line, ended = yield from self.line(ended)
            if line is None:
                return ended
            if not line:
                response.complete = True
                return ended
            response.trailers.append(line)

    def line(self, ended):
        while b"\r\n" not in self.buffer:
            if ended:
                self.buffer = b""
                return None, ended
            ended = yield
        line, self.buffer = self.buffer.split(b"\r\n", 1)
        return line, ended


def parse_head(head):
    first, *lines = head.split(b"\r\n")
    status = STATUS_LINE.fullmatch(first)
    if not status:
        raise Malformed(f"status line {first[:80]!r}")
    fields = []
    for line in lines:
        field = FIELD_LINE.fullmatch(line)
        if not field:
            raise Malformed(f"field line {line[:80]!r}")
        fields.append((field[1].decode().lower(), field[2].decode("latin-1")))
    return Response(int(status[1]), int(status[2]), status[3], fields)


class Connection:
    """A socket whose responses are parsed as they come."""

    def __init__(self, address, heads=(), receive_buffer=None):
        self.socket = socket.socket()
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(10)
        self.socket.connect(address)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)
        self.reader = Reader(heads)
        self.received = 0
        self.closed = False  # by the server
        self.reset = False
        self.writable = True
        self.poll = select.poll()
        self.poll.register(self.socket, select.POLLIN)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def play(self, steps, stop=lambda: False):
        """Takes the steps of a case one after the other."""
        for step in steps:
            if isinstance(step, bytes):
                self.send(step)
            elif isinstance(step, Dribble):
                for at in range(0, len(step.data), step.size):
                    self.send(step.data[at:at + step.size])
                    self.read(step.seconds)
                    if self.closed:
                        break
            elif isinstance(step, Pause):
                self.read_until(lambda: False, step.seconds)
            elif isinstance(step, Await):
                self.read_until(lambda step=step: self.came(step), step.seconds)
            elif step is HALF_CLOSE:
                self.half_close()
            if stop():
                break

    def came(self, step):
        final = len(self.reader.finished())
        return final >= step.final if step.final else \
            final or len(self.reader.interim) >= step.interim

    def send(self, data, seconds=20):
        deadline = time.monotonic() + seconds
        rest = memoryview(data)
        while rest and self.writable and not self.reset and time.monotonic() < deadline:
            try:
                rest = rest[self.socket.send(rest[:256 * 1024]):]
            except BlockingIOError:
                self.poll.modify(self.socket, select.POLLIN | select.POLLOUT)
                self.poll.poll(200)
                self.poll.modify(self.socket, select.POLLIN)
                self.read(0)
            except OSError:  # the server has closed; what it said before may still be read
                self.writable = False

    def half_close(self):
        try:
            self.socket.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        self.writable = False

    def abort(self):
        """Closes with a reset."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.socket.close()

    def read(self, seconds):
        """Reads what there is, waiting so long for something. False: nothing came."""
        if self.closed:
            return False
        if not self.poll.poll(max(0, seconds) * 1000):
            return False
        try:
            data = self.socket.recv(256 * 1024)
        except BlockingIOError:
            return False
        except OSError:
            data, self.reset = b"", True
        self.received += len(data)
        self.closed = not data
        self.reader.feed(data, ended=self.closed)
        return True

    def read_until(self, enough, seconds):
        """Reads until a condition holds, the server closes or the time is over."""
        deadline = time.monotonic() + seconds
        while not enough() and not self.closed:
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            self.read(left)
        return enough()

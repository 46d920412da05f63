"""What a connection does: keep-alive, pipelining, Expect, closing (RFC 9112 §9 and RFC 9110
§10.1.1).
"""

import random
import time

from case import (DROPPED, PATIENCE, PROBE, Case, Outcome, Procedure, Reply, answered, answers, continued,
                  field, no_interim, refused, short, without, wsgi)
from servers import BODY_LIMIT, FILES
from wire import HALF_CLOSE, Await, Connection, Dribble, Pause

MANY = 100
KEPT_MANY_SECONDS = 10


def get(path, fields=b"", version=b"1.1"):
    host = b"Host: a\r\n" if version == b"1.1" else b""
    return b"GET " + path + b" HTTP/" + version + b"\r\n" + host + fields + b"\r\n"


def head(path, fields=b"", version=b"1.1"):
    return get(path, fields, version).replace(b"GET", b"HEAD", 1)


def post(body, fields=b"", path=b"/echo"):
    return b"POST " + path + b" HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n" % len(body) \
        + fields + b"\r\n" + body


def chunked(body, fields=b"", path=b"/echo"):
    return b"POST " + path + b" HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n" + fields \
        + b"\r\n%x\r\n" % len(body) + body + b"\r\n0\r\n\r\n"


SECOND = get(b"/second?2")


def says_close(response):
    return None if "close" in response.options() else f"Connection: {response.get('connection')}"


CLOSED = answered(b"hello", end="close", checks=[says_close])

KEEP_ALIVE_CASES = [
    Case("keep-alive: usual in HTTP/1.1", "RFC 9112 §9.3", get(b"/hello"),
         answered(b"hello")),
    *(Case(f"keep-alive: {name}", "RFC 9112 §9.3", get(b"/hello", b"Connection: " + value
                                                       + b"\r\n"),
           answered(b"hello"))
      for name, value in [("asked for", b"keep-alive"), ("an option nobody knows", b"foo"),
                          ("an option that only looks like close", b"closed"),
                          ("another one", b"not-close"), ("no option", b""),
                          ("an empty list", b", ,")]),
    *(Case(f"close: {name}", "RFC 9112 §9.6", get(b"/hello", fields) + SECOND,
           answered(b"hello", end="close"), CLOSED)
      for name, fields in [
          ("asked for", b"Connection: close\r\n"), ("in capitals", b"Connection: CLOSE\r\n"),
          ("mixed case", b"connection: Close\r\n"),
          ("last in a list", b"Connection: foo, close\r\n"),
          ("first in a list", b"Connection: close, foo\r\n"),
          ("no space in the list", b"Connection: foo,close\r\n"),
          ("beside keep-alive", b"Connection: keep-alive, close\r\n"),
          ("before keep-alive", b"Connection: close, keep-alive\r\n"),
          ("among empty elements", b"Connection: , close ,\r\n"),
          ("tab around", b"Connection:\tclose\t\r\n"),
          ("in a second field", b"Connection: foo\r\nConnection: close\r\n"),
          ("in a first field", b"Connection: close\r\nConnection: keep-alive\r\n"),
      ]),
    Case("close: after a body", "RFC 9112 §9.6", post(b"hello", b"Connection: close\r\n") + SECOND,
         answered(b"hello", end="close"), CLOSED),
    Case("close: of a response of unknown length", "RFC 9112 §9.6",
         get(b"/stream", b"Connection: close\r\n") + SECOND,
         answered(b"one two three", end="close")),
    Case("close: of a file", "RFC 9112 §9.6",
         get(b"/files/small.txt", b"Connection: close\r\n") + SECOND,
         answered(FILES["small.txt"], end="close"), needs="files"),
    Case("close: of a large file", "RFC 9112 §9.6",
         get(b"/files/large.bin", b"Connection: close\r\n") + SECOND,
         answered(FILES["large.bin"], end="close"), needs="files"),
    Case("HTTP/1.0: closed", "RFC 9112 §9.3", get(b"/hello", version=b"1.0") + SECOND,
         answered(b"hello", end="close")),
    Case("HTTP/1.0: kept if asked for", "RFC 9112 §9.3",
         get(b"/hello", b"Connection: keep-alive\r\n", b"1.0"),
         (answered(b"hello", end="close"),
          answered(b"hello", end="keep", checks=[field("connection", "keep-alive", "Keep-Alive")])),
         answered(b"hello", end="keep", checks=[field("connection", "keep-alive")])),
    Case("HTTP/1.0: kept if asked for, capitals", "RFC 9112 §9.3",
         get(b"/hello", b"Connection: Keep-Alive\r\n", b"1.0"),
         (answered(b"hello", end="close"),
          answered(b"hello", end="keep", checks=[field("connection", "keep-alive", "Keep-Alive")])),
         answered(b"hello", end="keep", checks=[field("connection", "keep-alive")])),
    Case("HTTP/1.0: close beats keep-alive", "RFC 9112 §9.3",
         get(b"/hello", b"Connection: keep-alive, close\r\n", b"1.0") + SECOND,
         answered(b"hello", end="close")),
    Case("HTTP/1.0: no chunks", "RFC 9112 §6.1", get(b"/stream", version=b"1.0"),
         answered(b"one two three", end="close", checks=[without("transfer-encoding")])),
    Case("HTTP/1.0: no chunks though keep-alive is asked for", "RFC 9112 §6.1",
         get(b"/stream", b"Connection: keep-alive\r\n", b"1.0"),
         (answered(b"one two three", end="close", checks=[without("transfer-encoding")]),
          answered(b"one two three", end="keep",
                   checks=[without("transfer-encoding"), field("content-length")]))),
    Case("a stream is chunked, and the connection kept", "RFC 9112 §6.3",
         get(b"/stream") + SECOND, (answers(b"one two three", b"2"),
                                    answered(b"one two three", end="close"))),
    Case("after an error of the application's", "RFC 9112 §9.3",
         post(b"x", path=b"/run", fields=b"X-Run: raise%20KeyError\r\n") + SECOND,
         (Outcome((Reply((500, 502)), Reply((200,), b"2"))), refused(500, 502)),
         Outcome((Reply((500,)), Reply((200,), b"2")), "keep")),
    Case("an idle second between two requests", "RFC 9112 §9.3",
         (get(b"/hello"), Await(final=1), Pause(2.5), SECOND),
         (answers(b"hello", b"2"), answered(b"hello", end="close")), answers(b"hello", b"2")),
    Case("an idle second in a head", "RFC 9112 §9.5",
         (b"GET /hello HTTP/1.1\r\nHo", Pause(2.5), b"st: a\r\n\r\n" + SECOND),
         answers(b"hello", b"2")),
    Case("an idle second in a body", "RFC 9112 §9.5",
         (b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhe", Pause(2.5),
          b"llo" + SECOND), answers(b"hello", b"2")),
]

PIPELINE = b"".join([get(b"/second?0"), post(b"one"), get(b"/second?2"), chunked(b"three"),
                     get(b"/hello"), post(b"", b""), get(b"/second?6")])
PIPELINED = answers(b"0", b"one", b"2", b"three", b"hello", b"", b"6")

PIPELINE_CASES = [
    Case("pipelined: two", "RFC 9112 §9.3.2", get(b"/hello") + SECOND, answers(b"hello", b"2")),
    Case("pipelined: bodies between", "RFC 9112 §9.3.2", PIPELINE, PIPELINED),
    Case("pipelined: byte by byte", "RFC 9112 §9.3.2", (Dribble(PIPELINE),), PIPELINED),
    *(Case(f"pipelined: in pieces of {size}", "RFC 9112 §9.3.2", (Dribble(PIPELINE, size),),
           PIPELINED) for size in (2, 3, 7, 19, 64)),
    Case("pipelined: a slow one before a fast one", "RFC 9112 §9.3.2",
         get(b"/slow?1") + get(b"/second?2") + get(b"/slow?3") + get(b"/second?4"),
         answers(b"1", b"2", b"3", b"4")),
    Case("pipelined: a hundred", "RFC 9112 §9.3.2",
         b"".join(get(b"/second?%d" % number) for number in range(100)),
         answers(*(b"%d" % number for number in range(100)))),
    Case("pipelined: files and application", "RFC 9112 §9.3.2",
         get(b"/files/small.txt") + get(b"/slow?1") + get(b"/files/large.bin") + SECOND
         + get(b"/files/small.txt"),
         answers(FILES["small.txt"], b"1", FILES["large.bin"], b"2", FILES["small.txt"]),
         needs="files"),
    Case("pipelined: behind HEAD", "RFC 9110 §9.3.2", head(b"/hello") + SECOND,
         answers(b"", b"2"), heads=(True,)),
    Case("pipelined: behind 204", "RFC 9110 §15.3.5",
         get(b"/run", b"X-Run: start_response(%22204%20No%20Content%22,%20[])%0Areturn%20[]\r\n")
         + SECOND, (Outcome((Reply((204,), b""), Reply((200,), b"2"))), answered(b"", 204, end="close")),
         Outcome((Reply((204,), b""), Reply((200,), b"2")))),
    Case("pipelined: behind 304", "RFC 9110 §15.4.5",
         get(b"/run", b"X-Run: start_response(%22304%20Not%20Modified%22,%20[])%0Areturn%20[]\r\n")
         + SECOND, (Outcome((Reply((304,), b""), Reply((200,), b"2"))), answered(b"", 304, end="close")),
         Outcome((Reply((304,), b""), Reply((200,), b"2")))),
    Case("pipelined: behind a body that the application left unread", "RFC 9112 §9.3",
         post(b"x" * 100_000, path=b"/hello") + SECOND,
         (answers(b"hello", b"2"), answered(b"hello", end="close")), answers(b"hello", b"2")),
    Case("pipelined: behind a chunked body that was left unread", "RFC 9112 §9.3",
         chunked(b"x" * 100_000, path=b"/hello") + SECOND,
         (answers(b"hello", b"2"), answered(b"hello", end="close")), answers(b"hello", b"2")),
    Case("pipelined: behind a body that looks like a request", "RFC 9112 §9.3",
         post(SECOND, path=b"/hello") + get(b"/second?3"),
         (answers(b"hello", b"3"), answered(b"hello", end="close")), answers(b"hello", b"3")),
    Case("pipelined: behind a body that a file does not want", "RFC 9112 §9.3",
         post(SECOND, path=b"/files/small.txt") + get(b"/second?3"),
         (Outcome((Reply((200, 405)), Reply((200,), b"3"))),
          Outcome((Reply((200, 405)),), "close")), needs="files"),
    Case("pipelined: GET of a file with a body", "RFC 9112 §9.3",
         post(SECOND, path=b"/files/small.txt").replace(b"POST", b"GET", 1) + get(b"/second?3"),
         (answers(FILES["small.txt"], b"3"),
          answered(FILES["small.txt"], end="close"), refused(400, 413)), needs="files"),
    Case("pipelined: nothing after close", "RFC 9112 §9.6",
         get(b"/hello") + get(b"/second?1", b"Connection: close\r\n") + get(b"/smuggled?@case"),
         Outcome((Reply((200,), b"hello"), Reply((200,), b"1")), "close")),
    Case("pipelined: nothing after a bad request", "RFC 9112 §2.2",
         get(b"/hello") + b"GET /second?1 HTTP/1.1\r\nHost : a\r\n\r\n" + get(b"/smuggled?@case"),
         Outcome((Reply((200,), b"hello"), Reply((400,))), "close")),
    Case("the head cut at every line", "RFC 9112 §2.2",
         (b"POST /echo HTTP/1.1\r", Pause(0.02), b"\nHost: a", Pause(0.02), b"\r\n",
          Pause(0.02), b"Content-Length: 5\r\n\r", Pause(0.02), b"\n", Pause(0.02), b"hello",
          Pause(0.02), SECOND), answers(b"hello", b"2")),
]

# Around the sizes of buffers.
SIZES = (1, 4095, 4096, 8191, 8192, 8193, 16_384, 65_535, 65_536, 65_537, 131_072, 1_000_000)
HEAD_SIZES = (4000, 4096, 8000, 8192, 16_384, 30_000)


def block(size):
    """No part of it is like another."""
    return b"".join(b"%07d\n" % number for number in range(size // 8 + 1))[:size]


def cut_anywhere(data, seed):
    """The same bytes in pieces, by chance, the same in every run."""
    chance = random.Random(seed)
    ends = sorted(chance.sample(range(1, len(data)), 12))
    pieces = [data[begin:end] for begin, end in zip([0, *ends], [*ends, len(data)])]
    return tuple(step for piece in pieces for step in (piece, Pause(chance.choice((0, 0, 0.003)))))


WHOLE_CASES = [
    *(Case(f"whole: a body of {size} bytes, {framing}", "RFC 9112 §6",
           make(block(size)) + SECOND + make(block(size)) + get(b"/second?3"),
           (answers(block(size), b"2", block(size), b"3"), answered(block(size), end="close")),
           answers(block(size), b"2", block(size), b"3"))
      for size in SIZES for framing, make in [("by length", post), ("in a chunk", chunked)]),
    *(Case(f"whole: a head of {size} bytes", "RFC 9110 §5.4",
           get(b"/hello", b"X: " + b"y" * (size - len(get(b"/hello", b"X: \r\n"))) + b"\r\n")
           + SECOND, (answers(b"hello", b"2"), refused(400, 413, 431)), answers(b"hello", b"2"))
      for size in HEAD_SIZES),
    *(Case(f"whole: cut anywhere, {seed}", "RFC 9112 §2.2", cut_anywhere(PIPELINE, seed), PIPELINED)
      for seed in range(16)),
    Case("whole: a thousand requests before the first answer is read", "RFC 9112 §9.3.2",
         (b"".join(get(b"/second?%d" % number) for number in range(1000)),),
         answers(*(b"%d" % number for number in range(1000)))),
    Case("whole: HEAD and GET in turns", "RFC 9110 §9.3.2",
         head(b"/hello") + SECOND + head(b"/stream") + get(b"/second?3") + head(b"/second?44"),
         (answers(b"", b"2", b"", b"3", b""),
          Outcome((Reply((200,), b""), Reply((200,), b"2"), Reply((200,), b"")), "close")),
         answers(b"", b"2", b"", b"3", b""), heads=(True, False, True, False, True)),
    Case("whole: HTTP/1.0, kept, with a body", "RFC 9112 §9.3",
         (b"POST /echo HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\nhello",
          Await(final=1), SECOND),
         (answers(b"hello", b"2"), answered(b"hello", end="close")), answers(b"hello", b"2")),
    Case("whole: trailers between two requests", "RFC 9112 §7.1.2",
         chunked(b"hello")[:-2] + b"X-Trailer: v\r\nY: z\r\n\r\n" + SECOND, answers(b"hello", b"2")),
]

EXPECT = b"Expect: 100-continue\r\n"
EXPECT_HEAD = b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n" + EXPECT + b"\r\n"

EXPECT_CASES = [
    Case("Expect: the body is asked for", "RFC 9110 §10.1.1",
         (EXPECT_HEAD, Await(interim=1), b"hello" + SECOND),
         Outcome((Reply((200,), b"hello", (continued,)), Reply((200,), b"2"))),
         choice="100 (Continue) is sent as soon as the head is in order, whether the application "
                "reads the body or not"),
    Case("Expect: in capitals", "RFC 9110 §10.1.1",
         (EXPECT_HEAD.replace(b"100-continue", b"100-Continue"), Await(interim=1), b"hello"),
         answered(b"hello", checks=[continued])),
    Case("Expect: a chunked body is asked for", "RFC 9110 §10.1.1",
         (b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n" + EXPECT + b"\r\n",
          Await(interim=1), b"5\r\nhello\r\n0\r\n\r\n" + SECOND),
         Outcome((Reply((200,), b"hello", (continued,)), Reply((200,), b"2")))),
    Case("Expect: the body is here already", "RFC 9110 §10.1.1", EXPECT_HEAD + b"hello" + SECOND,
         answers(b"hello", b"2")),
    Case("Expect: half of the body is here already", "RFC 9110 §10.1.1",
         (EXPECT_HEAD + b"he", Pause(0.2), b"llo" + SECOND), answers(b"hello", b"2")),
    Case("Expect: and close", "RFC 9110 §10.1.1",
         (EXPECT_HEAD.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"), Await(interim=1),
          b"hello"), answered(b"hello", end="close", checks=[continued])),
    Case("Expect: twice on a connection", "RFC 9110 §10.1.1",
         (EXPECT_HEAD, Await(interim=1), b"hello", Await(final=1), EXPECT_HEAD, Pause(0.3), b"again"),
         (Outcome((Reply((200,), b"hello", (continued,)), Reply((200,), b"again", (continued,)))),
          answered(b"hello", end="close"))),
    Case("Expect: no body", "RFC 9110 §10.1.1", get(b"/hello", EXPECT) + SECOND,
         answers(b"hello", b"2")),
    Case("Expect: an empty body", "RFC 9110 §10.1.1", post(b"", EXPECT) + SECOND,
         answers(b"", b"2")),
    Case("Expect: ignored in HTTP/1.0", "RFC 9110 §10.1.1",
         (b"POST /echo HTTP/1.0\r\nContent-Length: 5\r\n" + EXPECT + b"\r\n", Pause(0.2),
          b"hello"), answered(b"hello", end="close", checks=[no_interim])),
    Case("Expect: one that nobody knows", "RFC 9110 §10.1.1",
         post(b"hello", b"Expect: the-unexpected\r\n"),
         (answered(b"hello"), refused(417, end="any"))),
    Case("Expect: not asked for after an error", "RFC 9110 §10.1.1",
         (EXPECT_HEAD.replace(b"Host: a", b"Host: a\r\nX : y"), Await(final=1)),
         refused(400, end="any", checks=(no_interim,)), refused(400, checks=(no_interim,))),
    Case("Expect: nothing is asked for that is too long", "RFC 9110 §10.1.1",
         (b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n" % (BODY_LIMIT + 1) + EXPECT
          + b"\r\n", Await(final=1)),
         (refused(413, end="any"), Outcome((), "any")), refused(413, checks=(no_interim,)),
         needs="limit"),
    Case("Expect: the application does not read", "RFC 9110 §10.1.1",
         (EXPECT_HEAD.replace(b"/echo", b"/hello"), Await(interim=1), b"hello" + SECOND),
         (answers(b"hello", b"2"), answered(b"hello", end="close")), answers(b"hello", b"2")),
    Case("Expect: a body for a file", "RFC 9110 §10.1.1",
         (EXPECT_HEAD.replace(b"/echo", b"/files/small.txt"), Await(interim=1), b"hello" + SECOND),
         (Outcome((Reply((200, 405)), Reply((200,), b"2"))),
          Outcome((Reply((200, 405)),), "close")), needs="files"),
]

HEAD_CASES = [
    Case("HEAD: of the application", "RFC 9110 §9.3.2", head(b"/hello") + SECOND,
         Outcome((Reply((200,), b"", (field("content-length", "5"),)), Reply((200,), b"2"))),
         heads=(True,)),
    Case("HEAD: of a stream", "RFC 9110 §9.3.2", head(b"/stream") + SECOND,
         (answers(b"", b"2"), answered(b"", end="close")), answers(b"", b"2"), heads=(True,)),
    Case("HEAD: of a file", "RFC 9110 §9.3.2", head(b"/files/small.txt") + SECOND,
         Outcome((Reply((200,), b"", (field("content-length", "10"),)), Reply((200,), b"2"))),
         heads=(True,), needs="files"),
    Case("HEAD: of nothing", "RFC 9110 §9.3.2", head(b"/files/none.txt") + SECOND,
         Outcome((Reply((404,), b""), Reply((200,), b"2"))), heads=(True,), needs="files"),
    Case("HEAD: in HTTP/1.0", "RFC 9110 §9.3.2", head(b"/hello", version=b"1.0"),
         answered(b"", end="close"), heads=(True,)),
    Case("HEAD: a bad one", "RFC 9112 §2.2", head(b"/hello", b"X : y\r\n"),
         refused(400), heads=(True,)),
    Case("304: of a file", "RFC 9110 §15.4.5",
         get(b"/files/small.txt", b"If-Modified-Since: Fri, 31 Dec 2100 00:00:00 GMT\r\n") + SECOND,
         (Outcome((Reply((200, 304)), Reply((200,), b"2"))),),
         Outcome((Reply((304, 200)), Reply((200,), b"2"))), needs="files"),
    Case("Range of a file", "RFC 9110 §14.2", get(b"/files/small.txt", b"Range: bytes=2-4\r\n")
         + SECOND, (Outcome((Reply((206,), b"234"), Reply((200,), b"2"))),
                    answers(FILES["small.txt"], b"2")),
         Outcome((Reply((206,), b"234"), Reply((200,), b"2"))), needs="files"),
    *(Case(f"Date and length of {name}", "RFC 9110 §6.6.1", sent,
           Outcome((Reply(statuses, None, (field("date"), field("content-length"))),), "any"),
           needs=needs)
      for name, sent, statuses, needs in [
          ("an answer", get(b"/hello"), (200,), None),
          ("an echo", post(b"hello"), (200,), None),
          ("a file", get(b"/files/small.txt"), (200,), "files"),
          ("404", get(b"/files/none.txt"), (404,), "files"),
          ("400", get(b"/hello", b"X : y\r\n"), (400,), None),
          ("413", b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 999999999999\r\n\r\n",
           (413,), "limit"),
      ]),
]

HALF_CLOSE_CASES = [
    Case("half-closed: for a file", "RFC 9112 §9.6", (get(b"/files/small.txt"), HALF_CLOSE),
         answered(FILES["small.txt"], end="any"), needs="files", times=20),
    Case("half-closed: for a large file", "RFC 9112 §9.6", (get(b"/files/large.bin"), HALF_CLOSE),
         answered(FILES["large.bin"], end="any"), needs="files", times=20),
    Case("half-closed: for the application", "RFC 9112 §9.6", (get(b"/hello"), HALF_CLOSE),
         (answered(b"hello", end="any"), DROPPED), times=20,
         choice="a client which half-closes after its request has left, for the application; it "
                "still gets files"),
    Case("half-closed: while the application works", "RFC 9112 §9.6", (get(b"/slow?1"), HALF_CLOSE),
         (answered(b"1", end="any"), DROPPED)),
    Case("half-closed: after a body", "RFC 9112 §9.6", (post(b"hello"), HALF_CLOSE),
         (answered(b"hello", end="any"), DROPPED), times=20),
]


def whole_client_reads(server, sent):
    """A client that sends all of a body which is too long still reads its 413."""
    with Connection(server.address) as connection:
        connection.play(sent)
        connection.read_until(lambda: False, 5)
        responses = connection.reader.responses
        if [response.status for response in responses] != [413]:
            return f"statuses {[response.status for response in responses]}, reset " \
                   f"{connection.reset}, closed {connection.closed}"
        if connection.reset and not connection.closed or not responses[0].complete:
            return "the 413 was cut off"
    return None if connection.closed or not server.ours else "the connection is still open"


def read_slowly(server, request, expected):
    """What the client reads in small pieces, with pauses, is complete and right."""
    with Connection(server.address, receive_buffer=8192) as connection:
        connection.send(request + SECOND)
        deadline = time.monotonic() + 15
        while not connection.closed and len(connection.reader.finished()) < 2:
            if time.monotonic() > deadline:
                return f"only {connection.received} bytes in 15 s"
            connection.read(1)
            time.sleep(0.0005)
        bodies = [response.body for response in connection.reader.finished()]
        if bodies[:1] != [expected]:
            return f"not what was sent: {[short(one) for one in bodies]}"
        return None if bodies[1:] in ([b"2"], [] if not server.ours else [b"2"]) \
            else f"then {bodies[1:]}"


STREAMED = wsgi("""
    start_response("200 OK", TEXT)
    for number in range(20):
        yield b"".join(b"%07d\\n" % (number * 10_000 + line) for line in range(10_000))
""")


def stream_read_slowly(server):
    """1.6 MB of the application's, in chunks."""
    return read_slowly(server, STREAMED, block(1_600_000))


def length_read_slowly(server):
    """1.6 MB of the application's, of a known length."""
    return read_slowly(server, STREAMED.replace(b"TEXT", b"[(%22Content-Length%22,%221600000%22)]"),
                       block(1_600_000))


def file_read_slowly(server):
    """A file of 3 MB."""
    return read_slowly(server, get(b"/files/large.bin"), FILES["large.bin"])


def readable_in_spite_of_more(server, request, status):
    """The answer can be read although the client goes on sending what nobody wants."""
    with Connection(server.address) as connection:
        connection.send(request)
        connection.send(b"x" * (5 * 1024 * 1024))
        connection.read_until(lambda: connection.closed, PATIENCE)
        statuses = [response.status for response in connection.reader.finished()]
        return None if statuses == [status] else \
            f"statuses {statuses}, {'reset' if connection.reset else 'not reset'}"


def more_after_400(server):
    """A 400 can be read although the client goes on sending."""
    return readable_in_spite_of_more(server, get(b"/hello", b"X : y\r\n"), 400)


def more_after_close(server):
    """The last response can be read although the client goes on sending."""
    return readable_in_spite_of_more(server, get(b"/hello", b"Connection: close\r\n"), 200)


def announced_too_long(server):
    """413, though the client sends 30 MB before it reads."""
    body = b"x" * (30 * 1024 * 1024)
    return whole_client_reads(server, [
        b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(body), body])


def chunked_too_long(server):
    """413, though the client sends 30 MB of chunks before it reads."""
    chunk = b"100000\r\n" + b"x" * 0x100000 + b"\r\n"
    return whole_client_reads(server, [
        b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
        chunk * 30 + b"0\r\n\r\n"])


def just_short_enough(server):
    """A body of the limit is taken; waitress' limit is the first that is too long."""
    body = b"x" * (BODY_LIMIT - (server.name == "waitress"))
    with Connection(server.address) as connection:
        connection.send(post(body, path=b"/hello"))
        connection.read_until(connection.reader.finished, 10)
        statuses = [response.status for response in connection.reader.responses]
        return None if statuses == [200] else f"statuses {statuses}"


def a_hundred_on_one_connection(server):
    """A hundred requests, one after the other, on one connection."""
    with Connection(server.address) as connection:
        deadline = time.monotonic() + KEPT_MANY_SECONDS
        for number in range(MANY):
            connection.send(get(b"/second?%d" % number))
            connection.read_until(lambda: len(connection.reader.finished()) > number,
                                  deadline - time.monotonic())
            answers_so_far = connection.reader.finished()
            if len(answers_so_far) <= number:
                return f"only {number} answers"
            if answers_so_far[number].body != b"%d" % number:
                return f"answer {number} is {short(answers_so_far[number].body)}"
    return None


def early_disconnects(server):
    """Clients that leave at every point do no harm to the next one."""
    request = post(b"hello" * 100)
    for sent in [b"", request[:10], request[:60], request[:-200], request, get(b"/slow?1"),
                 get(b"/stream"), chunked(b"x" * 5000)[:-3000]]:
        for leave in (Connection.abort, lambda connection: connection.socket.close()):
            for _ in range(5):
                connection = Connection(server.address)
                connection.send(sent)
                leave(connection)
    time.sleep(0.5)
    for _ in range(10):
        with Connection(server.address) as connection:
            connection.send(PROBE)
            connection.read_until(connection.reader.finished, 5)
            if [response.body for response in connection.reader.responses] != [b"probe"]:
                return "the next client got no answer"
    return None if server.alive() else "the server has died"


def disconnects_while_reading(server):
    """Clients that leave in the middle of a large file do no harm to the next one."""
    for _ in range(20):
        connection = Connection(server.address, receive_buffer=4096)
        connection.send(get(b"/files/large.bin"))
        connection.read(2)
        connection.abort()
    return early_disconnects(server)


PROCEDURES = [
    Procedure("whole: a stream that is read slowly", "RFC 9112 §7.1", stream_read_slowly),
    Procedure("whole: a response that is read slowly", "RFC 9112 §6.2", length_read_slowly),
    Procedure("whole: a file that is read slowly", "RFC 9112 §6.2", file_read_slowly, "files"),
    Procedure("closing: 400 before bytes that nobody reads", "RFC 9112 §9.6", more_after_400,
              "lingering"),
    Procedure("closing: an answer before bytes that nobody reads", "RFC 9112 §9.6",
              more_after_close, "lingering"),
    Procedure("413: readable after a long body", "RFC 9110 §15.5.14", announced_too_long, "limit"),
    Procedure("413: readable after long chunks", "RFC 9110 §15.5.14", chunked_too_long, "limit"),
    Procedure("413: not for a body of just the limit", "RFC 9110 §15.5.14", just_short_enough,
              "limit"),
    Procedure("keep-alive: a hundred requests", "RFC 9112 §9.3", a_hundred_on_one_connection),
    Procedure("disconnects: at every point", "RFC 9112 §9.5", early_disconnects),
    Procedure("disconnects: in a large file", "RFC 9112 §9.5", disconnects_while_reading, "files"),
]

CASES = [*KEEP_ALIVE_CASES, *PIPELINE_CASES, *WHOLE_CASES, *EXPECT_CASES, *HEAD_CASES, *HALF_CLOSE_CASES,
         *PROCEDURES]

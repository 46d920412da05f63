"""What a request may look like: request line, fields, Host (RFC 9112 §2 to §5, RFC 9110 §5).

The form which is wrong stands alone in an otherwise good request, with another request behind
it: what is refused is refused with everything that follows.
"""

from case import (DROPPED, HTTP_09, PROBE, SMUGGLED, Case, Outcome, Reply, answered, answers,
                  environ, field, refused)
from wire import HALF_CLOSE, Pause

HOST = b"Host: a\r\n"
BAD = (refused(400), DROPPED)
# RFC 9112 §3.2 has this answered 400, and says nothing of what follows on the connection.
BAD_HOST = (refused(400), Outcome((Reply((400,)), Reply((200,), b"2"))))
BAD_VERSION = (refused(400, 505), DROPPED)
SECOND = b"GET /second?2 HTTP/1.1\r\nHost: a\r\n\r\n"


def request(line, fields=HOST):
    return line + b"\r\n" + fields + b"\r\n"


def target(path):
    return request(b"GET " + path + b" HTTP/1.1")


def header(line, path=b"/environ"):
    return request(b"GET " + path + b" HTTP/1.1", HOST + line + b"\r\n")


def host(value):
    return request(b"GET /hello HTTP/1.1", b"Host:" + value + b"\r\n")


def any_of(*statuses):
    """A final response with one of these, whatever becomes of the connection."""
    return Outcome((Reply(statuses),), "any")


REQUEST_LINES = [
    # name, line, permitted, ours
    ("two spaces before the target", b"GET  /hello HTTP/1.1", (*BAD, answered(b"hello")),
     refused(400)),
    ("two spaces before the version", b"GET /hello  HTTP/1.1", (*BAD, answered(b"hello")),
     refused(400)),
    ("tab before the target", b"GET\t/hello HTTP/1.1", (*BAD, answered(b"hello")), refused(400)),
    ("tab before the version", b"GET /hello\tHTTP/1.1", (*BAD, answered(b"hello")), refused(400)),
    ("vertical tab before the target", b"GET\x0b/hello HTTP/1.1", (*BAD, answered(b"hello")),
     refused(400)),
    ("form feed before the version", b"GET /hello\x0cHTTP/1.1", (*BAD, answered(b"hello")),
     refused(400)),
    ("bare CR before the target", b"GET\r/hello HTTP/1.1", (*BAD, answered(b"hello")),
     refused(400)),
    ("bare CR before the version", b"GET /hello\rHTTP/1.1", (*BAD, answered(b"hello")),
     refused(400)),
    ("space at the end", b"GET /hello HTTP/1.1 ", (*BAD, answered(b"hello")), refused(400)),
    ("bare CR at the end", b"GET /hello HTTP/1.1\r", (*BAD, answered(b"hello")), refused(400)),
    ("space at the beginning", b" GET /hello HTTP/1.1", (*BAD, answered(b"hello")), refused(400)),
    ("a fourth word", b"GET /hello HTTP/1.1 HTTP/1.1", BAD, refused(400)),
    ("space in the target", b"GET /he llo HTTP/1.1", BAD, refused(400)),
    ("no target", b"GET HTTP/1.1", BAD, refused(400)),
    ("no target, two spaces", b"GET  HTTP/1.1", BAD, refused(400)),
    ("no method", b"/hello HTTP/1.1", BAD, refused(400)),
    ("empty method", b" /hello HTTP/1.1", BAD, refused(400)),
    ("NUL behind the version", b"GET /hello HTTP/1.1\0", BAD, refused(400)),
    ("NUL before the method", b"\0GET /hello HTTP/1.1", BAD, refused(400)),
    ("byte order mark", b"\xef\xbb\xbfGET /hello HTTP/1.1", BAD, refused(400)),
]

VERSIONS = [
    ("HTTP/2.0", b"HTTP/2.0", BAD_VERSION, refused(505)),
    ("HTTP/3.1", b"HTTP/3.1", BAD_VERSION, refused(505)),
    ("HTTP/9.9", b"HTTP/9.9", BAD_VERSION, refused(505)),
    ("HTTP/0.9", b"HTTP/0.9", BAD_VERSION, refused(505)),
    ("HTTP/0.0", b"HTTP/0.0", BAD_VERSION, refused(505)),
    ("lower case", b"http/1.1", BAD_VERSION, refused(400)),
    ("mixed case", b"Http/1.1", BAD_VERSION, refused(400)),
    ("two digits behind", b"HTTP/1.10", BAD_VERSION, refused(400)),
    ("two digits before", b"HTTP/11.1", BAD_VERSION, refused(400)),
    ("leading zero", b"HTTP/01.1", BAD_VERSION, refused(400)),
    ("zero behind the point", b"HTTP/1.01", BAD_VERSION, refused(400)),
    ("no minor", b"HTTP/1", BAD_VERSION, refused(400)),
    ("empty minor", b"HTTP/1.", BAD_VERSION, refused(400)),
    ("no number", b"HTTP/", BAD_VERSION, refused(400)),
    ("comma", b"HTTP/1,1", BAD_VERSION, refused(400)),
    ("signed", b"HTTP/+1.1", BAD_VERSION, refused(400)),
    ("space inside", b"HTTP/ 1.1", BAD_VERSION, refused(400)),
    ("letter behind", b"HTTP/1.1x", BAD_VERSION, refused(400)),
    ("another protocol", b"ICAP/1.0", BAD_VERSION, refused(400)),
    ("misspelt", b"HTPP/1.1", BAD_VERSION, refused(400)),
    ("full-width digit", "HTTP/1.\uff11".encode(), BAD_VERSION, refused(400)),
]

LINE_CASES = [
    Case("a plain request", "RFC 9112 §3", target(b"/hello") + SECOND, answers(b"hello", b"2")),
    Case("one empty line before it", "RFC 9112 §2.2", b"\r\n" + target(b"/hello") + SECOND,
         answers(b"hello", b"2")),
    Case("an empty line between two", "RFC 9112 §2.2", target(b"/hello") + b"\r\n" + SECOND,
         answers(b"hello", b"2")),
    Case("an empty line behind a body", "RFC 9112 §2.2",
         b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello\r\n" + SECOND,
         answers(b"hello", b"2")),
    Case("ten thousand empty lines before it", "RFC 9112 §2.2",
         b"\r\n" * 10_000 + target(b"/hello"), (answered(b"hello"), refused(400, 431), DROPPED)),
    Case("bare LF ends every line", "RFC 9112 §2.2",
         b"GET /hello HTTP/1.1\nHost: a\n\n" + SECOND, (answers(b"hello", b"2"), *BAD),
         refused(400), choice="a bare LF ends no line: it is refused, as a bare CR is"),
    Case("bare LF ends the request line", "RFC 9112 §2.2",
         b"GET /hello HTTP/1.1\nHost: a\r\n\r\n" + SECOND, (answers(b"hello", b"2"), *BAD),
         refused(400)),
    Case("bare LF ends the head", "RFC 9112 §2.2",
         b"GET /hello HTTP/1.1\r\nHost: a\r\n\n" + SECOND, (answers(b"hello", b"2"), *BAD),
         refused(400)),
    Case("LF CR ends the head", "RFC 9112 §2.2",
         (b"GET /hello HTTP/1.1\r\nHost: a\r\n\n\r" + SMUGGLED, HALF_CLOSE),
         (*BAD, answered(b"hello", end="any"),
          Outcome((Reply((200,)), Reply((400,))), "close")), refused(400)),
    *(Case(f"request line: {name}", "RFC 9112 §3", request(line) + SMUGGLED
           if ours is permit else request(line), permit, ours)
      for name, line, permit, ours in REQUEST_LINES),
    *(Case(f"version: {name}", "RFC 9112 §2.3", request(b"GET /hello " + version), permit, ours)
      for name, version, permit, ours in VERSIONS),
    *(Case(f"version: {version.decode()} is served as 1.1", "RFC 9110 §2.5",
           request(b"GET /hello " + version), (answered(b"hello"), *BAD_VERSION),
           answered(b"hello"), choice="HTTP/1.2 to 1.9 are served as HTTP/1.1")
      for version in (b"HTTP/1.2", b"HTTP/1.9")),
    Case("version: HTTP/1.0", "RFC 9112 §2.3", request(b"GET /hello HTTP/1.0"),
         answered(b"hello", end="close")),
    Case("version: none, as in HTTP/0.9", "RFC 9112 §3", (b"GET /hello\r\n", HALF_CLOSE),
         (*BAD_VERSION, HTTP_09, answered(b"hello", end="close")), refused(400)),
    Case("version: none, with fields", "RFC 9112 §3", request(b"GET /hello"),
         (*BAD_VERSION, HTTP_09, answered(b"hello", end="close")), refused(400)),
]

# The head as such is in order, so the connection may be kept.
LATER = refused(400, end="any")

TARGETS = [
    # name, section, target, permitted, ours
    ("NUL", "RFC 9112 §3.2", b"/hello\0", BAD, refused(400)),
    ("control character", "RFC 9112 §3.2", b"/he\x01llo", BAD, refused(400)),
    ("DEL", "RFC 9112 §3.2", b"/he\x7fllo", BAD, refused(400)),
    ("escape", "RFC 9112 §3.2", b"/he\x1b[31mllo", BAD, refused(400)),
    ("control character in the query", "RFC 9112 §3.2", b"/hello?a=\x01", BAD, refused(400)),
    ("fragment", "RFC 9112 §3.2.1", b"/hello#part", (*BAD, answered(b"hello")), LATER),
    ("fragment in the query", "RFC 9112 §3.2.1", b"/second?a#b",
     (*BAD, answered(b"a"), answered(b"a#b")), LATER),
    ("no slash", "RFC 9112 §3.2.1", b"hello", (*BAD, any_of(404)), LATER),
    ("no slash, dots", "RFC 9112 §3.2.1", b"../hello", (*BAD, any_of(404)), LATER),
    ("only a query", "RFC 9112 §3.2.1", b"?a", (*BAD, any_of(200, 404)), LATER),
    ("authority for GET", "RFC 9112 §3.2.3", b"a:80", (*BAD, any_of(404)), LATER),
    ("asterisk for GET", "RFC 9112 §3.2.4", b"*", (*BAD, any_of(404, 405)), LATER),
    ("backslash first", "RFC 9112 §3.2.1", b"\\hello", (*BAD, any_of(404)), LATER),
    ("lone percent sign", "RFC 3986 §2.1", b"/hello%", (*BAD, any_of(200, 404)), LATER),
    ("percent sign, one digit", "RFC 3986 §2.1", b"/hello%4", (*BAD, any_of(200, 404)),
     LATER),
    ("percent sign, no digits", "RFC 3986 §2.1", b"/hello%zz", (*BAD, any_of(200, 404)),
     LATER),
    ("encoded NUL", "RFC 3986 §7.3", b"/hello%00", (*BAD, any_of(200, 404)), LATER),
    ("dots that leave the root", "RFC 3986 §5.2.4", b"/../../hello", (*BAD, any_of(200, 404)),
     LATER),
]
# RFC 3986 has these encoded, and some clients do not: refused, or taken as they are.
RAW = [("UTF-8", "/\u00e9".encode()), ("latin-1", b"/\xe9"), ("quotation mark", b'/a"b'),
       ("angle brackets", b"/<a>"), ("backslash", b"/a\\b"), ("caret", b"/a^b"),
       ("grave accent", b"/a`b"), ("curly brackets", b"/{a}"), ("vertical bar", b"/a|b"),
       ("square brackets", b"/a[b]")]

TARGET_CASES = [
    *(Case(f"target: {name}", section, target(path) + SMUGGLED if permit is BAD else target(path),
           permit, ours)
      for name, section, path, permit, ours in TARGETS),
    *(Case(f"target: raw {name}", "RFC 9112 §3.2", target(b"/environ/.." + path),
           (*BAD, answered(checks=[environ(PATH_INFO="/environ/.." + path.decode("latin-1"))]),
            answered(checks=[environ(PATH_INFO=path.decode("latin-1"))])))
      for name, path in RAW),
    Case("target: raw characters in the query", "RFC 9112 §3.2", target(b'/second?a=[b]|"{c}'),
         (*BAD, answered(b'a=[b]|"{c}'))),
    Case("target: 7000 bytes", "RFC 9112 §3", target(b"/second?" + b"a" * 7000),
         answered(b"a" * 7000)),
    Case("target: request line of 8000 bytes", "RFC 9112 §3",
         target(b"/second?" + b"a" * (8000 - len(b"GET /second? HTTP/1.1\r\n"))),
         answered(b"a" * (8000 - len(b"GET /second? HTTP/1.1\r\n")))),
    Case("target: 70 KB", "RFC 9112 §3", target(b"/hello?" + b"a" * 70_000),
         (refused(414), answered(b"hello")), refused(414)),
    Case("target: 1 MB", "RFC 9112 §3", target(b"/hello?" + b"a" * 1_000_000),
         (refused(414), answered(b"hello")), refused(414)),
    Case("target: 1 MB that never ends", "RFC 9112 §3", b"GET /" + b"a" * 1_000_000,
         refused(414)),
    Case("absolute form", "RFC 9112 §3.2.2", target(b"http://a/hello") + SECOND,
         answers(b"hello", b"2")),
    Case("absolute form: scheme in capitals", "RFC 3986 §3.1", target(b"HTTP://a/hello"),
         answered(b"hello")),
    Case("absolute form: with a port", "RFC 9112 §3.2.2", target(b"http://a:80/hello"),
         answered(b"hello")),
    Case("absolute form: no path", "RFC 9112 §3.2.1", target(b"http://a"),
         answered(checks=[environ(PATH_INFO="/")])),
    Case("absolute form: no path but a query", "RFC 9112 §3.2.1", target(b"http://a?b"),
         (answered(checks=[environ(PATH_INFO="/", QUERY_STRING="b")]), refused(400))),
    Case("absolute form: replaces Host", "RFC 9112 §3.2.2",
         request(b"GET http://shop.test/environ HTTP/1.1"),
         answered(checks=[environ(HTTP_HOST="shop.test", PATH_INFO="/environ")])),
    Case("absolute form: needs Host as well", "RFC 9112 §3.2",
         request(b"GET http://a/hello HTTP/1.1", b"") + SECOND, BAD_HOST, refused(400)),
    Case("absolute form: empty host", "RFC 9110 §4.2.1", target(b"http:///hello"), BAD, LATER),
    Case("absolute form: user and password", "RFC 9110 §4.2.4", target(b"http://u:p@a/hello"),
         (*BAD, answered(b"hello")), LATER,
         choice="a user name in an absolute target is refused"),
    Case("absolute form: bad host", "RFC 9112 §3.2", target(b"http://a b/hello"), BAD,
         refused(400)),
    Case("absolute form: bad port", "RFC 9112 §3.2", target(b"http://a:b/hello"),
         (*BAD, answered(b"hello")), LATER),
    Case("absolute form: another scheme", "RFC 9110 §4.2", target(b"ftp://a/hello"),
         (*BAD, any_of(200, 403, 404, 421, 501)), LATER),
    Case("OPTIONS *", "RFC 9110 §9.3.7", request(b"OPTIONS * HTTP/1.1") + SECOND,
         (Outcome((Reply((200, 204, 404, 405, 501)), Reply((200,), b"2"))),
          any_of(200, 204, 405, 501)),
         Outcome((Reply((200, 204)), Reply((200,), b"2")), "keep"),
         choice="OPTIONS * is answered by the server itself"),
    Case("OPTIONS of a path", "RFC 9110 §9.3.7", request(b"OPTIONS /environ HTTP/1.1"),
         answered(checks=[environ(REQUEST_METHOD="OPTIONS")])),
    Case("CONNECT", "RFC 9110 §9.3.6", request(b"CONNECT a:80 HTTP/1.1"),
         (any_of(200, 400, 403, 404, 405, 501), DROPPED), any_of(400, 405, 501),
         choice="CONNECT is refused"),
    Case("CONNECT with a path", "RFC 9112 §3.2.3", request(b"CONNECT /hello HTTP/1.1"),
         (any_of(200, 400, 403, 404, 405, 501), DROPPED), any_of(400, 405, 501)),
    Case("TRACE", "RFC 9110 §9.3.8", request(b"TRACE /environ HTTP/1.1", HOST + b"Cookie: a=b\r\n"),
         (any_of(200, 400, 403, 405, 501), DROPPED), any_of(405, 501),
         choice="TRACE is refused: it would show cookies to scripts"),
]

METHODS = [
    ("lower case", b"get"), ("mixed case", b"Get"), ("unknown", b"FOO"), ("a hyphen", b"M-SEARCH"),
    ("every token character", b"!#$%&'*+-.^_`|~09azAZ"),
]
NO_METHODS = [
    ("angle bracket", b"G<T"), ("NUL", b"G\0T"), ("round brackets", b"(GET)"), ("colon", b"GET:"),
    ("latin-1", b"G\xc9T"), ("control character", b"G\x01T"), ("comma", b"GET,"),
    ("slash", b"GET/"), ("quoted", b'"GET"'),
]
METHOD_CASES = [
    *(Case(f"method: {name}", "RFC 9110 §9.1", request(method + b" /environ HTTP/1.1"),
           (answered(checks=[environ(REQUEST_METHOD=method.decode())]),
            any_of(400, 405, 501), DROPPED),
           answered(checks=[environ(REQUEST_METHOD=method.decode())]),
           choice="a method nobody knows goes to the application, as it is written")
      for name, method in METHODS),
    *(Case(f"method: {name}", "RFC 9112 §3.1", request(method + b" /hello HTTP/1.1") + SMUGGLED,
           (refused(400, 405, 501), DROPPED), refused(400)) for name, method in NO_METHODS),
    Case("method: a thousand letters", "RFC 9112 §3", request(b"A" * 1000 + b" /hello HTTP/1.1"),
         (any_of(200, 400, 405, 414, 431, 501), DROPPED)),
    Case("method: 100 KB", "RFC 9112 §3", request(b"A" * 100_000 + b" /hello HTTP/1.1") + SECOND,
         (refused(400, 405, 414, 431, 501), DROPPED, answers(b"hello", b"2")),
         refused(400, 414, 431, 501)),
]

NAMES = [
    ("empty", b": x", BAD), ("space inside", b"X Y: z", BAD), ("tab inside", b"X\tY: z", BAD),
    ("round brackets", b"(X): y", BAD), ("NUL", b"X\0: y", BAD), ("latin-1", b"X\xe9: y", BAD),
    ("UTF-8", "X\u00e9: y".encode(), BAD), ("at sign", b"X@: y", BAD), ("slash", b"X/: y", BAD),
    ("square bracket", b"[X: y", BAD), ("curly bracket", b"X}: y", BAD), ("quoted", b'"X": y', BAD),
    ("comma", b"X,Y: z", BAD), ("semicolon", b"X;: y", BAD), ("equals", b"X=: y", BAD),
    ("DEL", b"X\x7f: y", BAD), ("control character", b"X\x01: y", BAD),
    ("bare CR inside", b"X\rY: z", BAD), ("bare CR behind", b"X\r: y", BAD),
    ("no colon", b"X", BAD), ("no colon, two words", b"X y", BAD),
]

FIELD_CASES = [
    *(Case(f"field name: {name}", "RFC 9110 §5.1", header(line) + SMUGGLED, permit, refused(400))
      for name, line, permit in NAMES),
    *(Case(f"field name: {name} before the colon", "RFC 9112 §5.1", header(line) + SMUGGLED,
           refused(400)) for name, line in [("space", b"X : y"), ("tab", b"X\t: y"),
                                            ("two spaces", b"X  : y")]),
    Case("field name: space before Host's colon", "RFC 9112 §5.1",
         request(b"GET /hello HTTP/1.1", b"Host : a\r\n") + SMUGGLED, refused(400)),
    Case("field name: every token character", "RFC 9110 §5.6.2",
         header(b"!#$%&'*+-.^_`|~09azAZ: y", b"/hello"), answered(b"hello")),
    Case("field name: white space before the first", "RFC 9112 §2.2",
         request(b"GET /environ HTTP/1.1", b" X: y\r\nHost: a\r\n"),
         (refused(400), DROPPED, answered(checks=[environ(HTTP_X=None)])), refused(400)),
    Case("field name: tab before the first", "RFC 9112 §2.2",
         request(b"GET /environ HTTP/1.1", b"\tX: y\r\nHost: a\r\n"),
         (refused(400), DROPPED, answered(checks=[environ(HTTP_X=None)])), refused(400)),
    Case("field value: empty", "RFC 9110 §5.5", header(b"X:"),
         answered(checks=[environ(HTTP_X="")])),
    Case("field value: only white space", "RFC 9110 §5.5", header(b"X: \t "),
         answered(checks=[environ(HTTP_X="")])),
    Case("field value: white space around", "RFC 9110 §5.5", header(b"X:\t  a b\t "),
         answered(checks=[environ(HTTP_X="a b")])),
    Case("field value: no white space", "RFC 9112 §5", header(b"X:a"),
         answered(checks=[environ(HTTP_X="a")])),
    Case("field value: tab inside", "RFC 9110 §5.5", header(b"X: a\tb"),
         answered(checks=[environ(HTTP_X="a\tb")])),
    Case("field value: colons", "RFC 9110 §5.5", header(b"X: a:b: c"),
         answered(checks=[environ(HTTP_X="a:b: c")])),
    Case("field value: bytes beyond ASCII", "RFC 9110 §5.5", header(b"X: \xe9\xff\xc3\xa9"),
         answered(checks=[environ(HTTP_X="\xe9\xff\xc3\xa9")])),
    Case("field value: white space that is none", "RFC 9110 §5.5", header(b"X: \xa0a\x85"),
         answered(checks=[environ(HTTP_X="\xa0a\x85")])),
    *(Case(f"field value: {name}", "RFC 9110 §5.5", header(b"X: a" + byte + b"b"),
           (refused(400), DROPPED, answered(checks=[environ(HTTP_X="a b")])), refused(400),
           choice="control characters in field values are refused, NUL, CR and LF as well as "
                  "those which a recipient may retain")
      for name, byte in [("NUL", b"\0"), ("bare CR", b"\r")]),
    *(Case(f"field value: {name}", "RFC 9110 §5.5", header(b"X: a" + byte + b"b"),
           (refused(400), DROPPED, answered()), refused(400))
      for name, byte in [("SOH", b"\x01"), ("backspace", b"\x08"), ("vertical tab", b"\x0b"),
                         ("form feed", b"\x0c"), ("escape", b"\x1b"), ("DEL", b"\x7f")]),
    Case("field value: bare LF", "RFC 9112 §2.2", header(b"X: a\nY: b"),
         (refused(400), DROPPED, answered(checks=[environ(HTTP_X="a", HTTP_Y="b")])),
         refused(400)),
    Case("field value: bare CR at the end", "RFC 9112 §2.2", header(b"X: a\r"),
         (refused(400), DROPPED, answered(checks=[environ(HTTP_X="a")])), refused(400)),
    Case("field value: bare CR, then a field", "RFC 9112 §2.2", header(b"X: a\rY: b"),
         (refused(400), DROPPED, answered(checks=[environ(HTTP_X="a Y: b", HTTP_Y=None)])),
         refused(400)),
    *(Case(f"field value: folded {name}", "RFC 9112 §5.2", header(line),
           (refused(400), answered(checks=[one_line])), refused(400),
           choice="a folded field (obs-fold) is refused; it may be unfolded")
      for name, line, one_line in [
          ("by a space", b"X: a\r\n b", environ(HTTP_X="a b")),
          ("by a tab", b"X: a\r\n\tb", environ(HTTP_X="a b")),
          ("to nothing", b"X: a\r\n ", environ(HTTP_X="a")),
          ("into what looks like a field", b"X: a\r\n Y: b", environ(HTTP_Y=None)),
      ]),
    Case("fields: ninety", "RFC 9110 §5.4", header(b"\r\n".join(
        b"X-%d: y" % number for number in range(90)), b"/hello"), answered(b"hello")),
    Case("fields: ten thousand", "RFC 6585 §5", header(b"\r\n".join(
        b"X-%d: y" % number for number in range(10_000)), b"/hello"),
         (refused(400, 413, 431), answered(b"hello")), refused(431)),
    Case("fields: one of 6000 bytes", "RFC 9110 §5.4",
         header(b"X: " + b"y" * 6000, b"/hello"), answered(b"hello")),
    Case("fields: one of 300 KB", "RFC 6585 §5", header(b"X: " + b"y" * 300_000, b"/hello"),
         (refused(400, 413, 431), answered(b"hello")), refused(431)),
    Case("fields: one of 2 MB that never ends", "RFC 6585 §5",
         b"GET /hello HTTP/1.1\r\nHost: a\r\nX: " + b"y" * 2_000_000,
         (refused(400, 413, 431), DROPPED), refused(431)),
    Case("fields: a name of 300 KB", "RFC 6585 §5", header(b"X" * 300_000 + b": y", b"/hello"),
         (refused(400, 413, 431), answered(b"hello")), refused(400, 431)),
    Case("fields: 300 KB in all", "RFC 6585 §5", header(b"\r\n".join(
        b"X-%d: " % number + b"y" * 3000 for number in range(100)), b"/hello"),
         (refused(400, 413, 431), answered(b"hello")), refused(431)),
]

BAD_HOSTS = [
    ("space", b" a b"), ("slash", b" a/b"), ("a whole URL", b" http://a/"), ("user", b" user@a"),
    ("port of letters", b" a:port"), ("two ports", b" a:1:2"), ("open bracket", b" [::1"),
    ("bracket only", b" ["), ("closing bracket", b" ::1]"), ("bare IPv6", b" ::1"),
    ("no IPv6 in brackets", b" [a.b]"), ("words behind the bracket", b" [::1]a"),
    ("latin-1", b" \xe9"), ("UTF-8", " \u00e9".encode()), ("question mark", b" a?b"),
    ("hash", b" a#b"), ("backslash", b" a\\b"), ("angle bracket", b" <a>"), ("quoted", b' "a"'),
    ("bad percent sign", b" a%zz"), ("signed port", b" a:-80"), ("space before the port", b" a :80"),
    ("caret", b" a^b"), ("bar", b" a|b"), ("NUL", b" a\0"), ("control character", b" a\x01"),
    ("two hosts in a list", b" a, b"),
]
GOOD_HOSTS = [
    ("a name", b" shop.test"), ("capitals", b" SHOP.Test"), ("a port", b" shop.test:8080"),
    ("an empty port", b" shop.test:"), ("a final dot", b" shop.test."),
    ("an underscore", b" my_shop.test"), ("IPv4", b" 127.0.0.1"), ("IPv6", b" [::1]"),
    ("IPv6 and a port", b" [2001:db8::1]:8080"), ("punycode", b" xn--bcher-kva.test"),
    ("a percent-encoded letter", b" %61.test"),
    ("sub-delims", b" a!$&'()*+;=b"),
]

HOST_CASES = [
    Case("Host: missing", "RFC 9112 §3.2", request(b"GET /hello HTTP/1.1", b"X: y\r\n") + SECOND,
         BAD_HOST, refused(400), choice="a missing, double or bad Host closes the connection"),
    Case("Host: no field at all", "RFC 9112 §3.2", request(b"GET /hello HTTP/1.1", b""),
         refused(400, end="any"), refused(400)),
    Case("Host: missing for HTTP/1.2", "RFC 9112 §3.2", request(b"GET /hello HTTP/1.2", b""),
         refused(400, 505, end="any"), refused(400)),
    Case("Host: missing in HTTP/1.0", "RFC 9112 §3.2", request(b"GET /hello HTTP/1.0", b""),
         answered(b"hello", end="close")),
    Case("Host: twice the same", "RFC 9112 §3.2", request(b"GET /hello HTTP/1.1", HOST + HOST)
         + SECOND, BAD_HOST, refused(400)),
    Case("Host: two different", "RFC 9112 §3.2",
         request(b"GET /hello HTTP/1.1", HOST + b"Host: b\r\n") + SECOND, BAD_HOST, refused(400)),
    Case("Host: twice in HTTP/1.0", "RFC 9112 §3.2",
         request(b"GET /hello HTTP/1.0", HOST + b"Host: b\r\n"), refused(400)),
    Case("Host: twice, one empty", "RFC 9112 §3.2",
         request(b"GET /hello HTTP/1.1", HOST + b"Host:\r\n") + SECOND, BAD_HOST, refused(400)),
    *(Case(f"Host: {name}", "RFC 9112 §3.2", host(value), refused(400, end="any"), refused(400))
      for name, value in BAD_HOSTS),
    *(Case(f"Host: {name}", "RFC 9110 §7.2",
           request(b"GET /environ HTTP/1.1", b"Host:" + value + b"\r\n"), answered(),
           answered(checks=[environ(HTTP_HOST=value.decode().strip())]))
      for name, value in GOOD_HOSTS),
    Case("Host: empty", "RFC 9110 §7.2", host(b""), (answered(b"hello"), refused(400, end="any"))),
    Case("Host: port beyond 65535", "RFC 9110 §7.2", host(b" a:99999"),
         (answered(b"hello"), refused(400, end="any"))),
    Case("Host: 300 bytes", "RFC 9110 §7.2", host(b" " + b"a" * 300),
         (answered(b"hello"), refused(400, end="any"))),
]

OTHER_PROTOCOLS = [
    ("TLS ClientHello", b"\x16\x03\x01\x00\xf8\x01\x00\x00\xf4\x03\x03" + bytes(range(240))),
    ("TLS ClientHello with an empty line inside", b"\x16\x03\x01\x00\xf8\x01\r\n\r\n" + b"x" * 200),
    ("SSLv2 hello", b"\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10" + b"x" * 40),
    ("SSH", b"SSH-2.0-OpenSSH_9.2\r\n\r\n"), ("SMTP", b"EHLO a\r\n\r\n"),
    ("NULs", bytes(5000)), ("high bytes", b"\xff" * 5000),
    ("a megabyte without a line's end", b"x" * 1_000_000),
    ("a response", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
    ("a JSON object", b'{"a": 1}\r\n\r\n'), ("a PROXY protocol line that nobody asked for",
                                           b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n"),
]
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
OTHER_CASES = [
    *(Case(f"no HTTP: {name}", "RFC 9112 §2.2", (sent, HALF_CLOSE),
           (refused(400, 414, 431, 405, 501, 505), DROPPED)) for name, sent in OTHER_PROTOCOLS),
    Case("no HTTP: only CRLF", "RFC 9112 §2.2", (b"\r\n", HALF_CLOSE), BAD, BAD),
    Case("no HTTP: nothing", "RFC 9112 §9.5", (HALF_CLOSE,), DROPPED),
    Case("HTTP/2 without TLS", "RFC 9113 §3.3", (PREFACE, HALF_CLOSE),
         (refused(400, 405, 501, 505), DROPPED, Outcome((), "close", raw=True)),
         (refused(400, 505), DROPPED)),
    Case("an Upgrade to HTTP/2 is ignored", "RFC 9110 §7.8", request(
        b"GET /hello HTTP/1.1", HOST + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
        b"HTTP2-Settings: AAMAAABkAAQAAP__\r\n"), answered(b"hello")),
    Case("an Upgrade to WebSocket is ignored", "RFC 9110 §7.8", request(
        b"GET /hello HTTP/1.1", HOST + b"Connection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"),
         answered(b"hello")),
    Case("the server goes on after all this", "RFC 9112 §9", (Pause(0.1), PROBE),
         answered(b"probe", checks=[field("content-length", "5")])),
]

CASES = [*LINE_CASES, *TARGET_CASES, *METHOD_CASES, *FIELD_CASES, *HOST_CASES, *OTHER_CASES]

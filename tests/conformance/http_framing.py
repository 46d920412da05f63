"""Where a request's body ends: Content-Length, Transfer-Encoding, chunks (RFC 9112 §6 and §7).

Every case that could be understood in two ways is followed by a request which only one of them
sees. It counts as smuggled, and must not be answered nor reach the application.
"""

from case import (DROPPED, SMUGGLED, Case, answered, answers, environ, refused)
from wire import HALF_CLOSE, Dribble, Pause

HEAD = b"POST /echo HTTP/1.1\r\nHost: a\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
HELLO = b"5\r\nhello\r\n0\r\n\r\n"
SECOND = b"GET /second?2 HTTP/1.1\r\nHost: a\r\n\r\n"

# RFC 9112 §2.2: a server "SHOULD respond with a 400 and close"; some only close.
BAD = (refused(400), DROPPED)
# RFC 9112 §6.1: "a transfer coding it does not understand SHOULD respond with 501".
BAD_CODING = (refused(400, 501), DROPPED)
# A length that no server takes: by its value, or by a limit.
TOO_LONG = (refused(400, 413), DROPPED)


def te_body(fields, then=SMUGGLED):
    """A chunked body; whoever takes the head for one without a body sees garbage next."""
    return HEAD + fields + b"\r\n" + HELLO + then


def te(value, name=b"Transfer-Encoding:", then=SMUGGLED):
    return te_body(name + value + b"\r\n", then)


def cl(value, name=b"Content-Length:"):
    return HEAD + name + value + b"\r\n\r\nhello" + SMUGGLED


def both(fields, body=HELLO):
    return HEAD + fields + b"\r\n" + body + SMUGGLED


def chunks(body):
    return HEAD + CHUNKED + b"\r\n" + body + SMUGGLED


def good_chunks(body):
    return HEAD + CHUNKED + b"\r\n" + body + SECOND


CODINGS = [
    # name, value with what is between it and the colon, permitted, ours
    ("xchunked", b" xchunked", BAD_CODING, refused(400)),
    ("chunkedx", b" chunkedx", BAD_CODING, refused(400)),
    ("chunk", b" chunk", BAD_CODING, refused(400)),
    ("identity", b" identity", BAD_CODING, refused(400)),
    ("gzip alone", b" gzip", BAD_CODING, refused(400)),
    ("chunked, gzip", b" chunked, gzip", BAD_CODING, refused(400)),
    ("chunked, identity", b" chunked, identity", BAD_CODING, refused(400)),
    ("chunked twice in a list", b" chunked, chunked", BAD_CODING, refused(400)),
    ("gzip, chunked", b" gzip, chunked", BAD_CODING, refused(501)),
    ("identity, chunked", b" identity, chunked", BAD_CODING, refused(501)),
    ("with a parameter", b" chunked;q=1", BAD_CODING, refused(400)),
    ("quoted", b' "chunked"', BAD_CODING, refused(400)),
    ("single-quoted", b" 'chunked'", BAD_CODING, refused(400)),
    ("vertical tab before", b" \x0bchunked", BAD_CODING, refused(400)),
    ("vertical tab after", b" chunked\x0b", BAD_CODING, refused(400)),
    ("form feed before", b" \x0cchunked", BAD_CODING, refused(400)),
    ("form feed after", b" chunked\x0c", BAD_CODING, refused(400)),
    ("NUL before", b" \0chunked", BAD_CODING, refused(400)),
    ("NUL after", b" chunked\0", BAD_CODING, refused(400)),
    ("non-breaking space before", b" \xa0chunked", BAD_CODING, refused(400)),
    ("non-breaking space after", b" chunked\xa0", BAD_CODING, refused(400)),
    ("two words", b" chunked chunked", BAD_CODING, refused(400)),
    ("inner tab", b" chun\tked", BAD_CODING, refused(400)),
    ("bare CR before", b" \rchunked", BAD_CODING, refused(400)),
    ("bare CR after", b" chunked\r", BAD_CODING, refused(400)),
    ("a letter that folds to k", " chun\u212aed".encode(), BAD_CODING, refused(400)),
]

TE_CASES = [
    Case("TE: chunked", "RFC 9112 §7.1", good_chunks(HELLO), answers(b"hello", b"2")),
    Case("TE: in capitals", "RFC 9112 §7", HEAD + b"TRANSFER-ENCODING: CHUNKED\r\n\r\n" + HELLO
         + SECOND, answers(b"hello", b"2")),
    Case("TE: no space after the colon", "RFC 9112 §5", HEAD + b"Transfer-Encoding:chunked\r\n\r\n"
         + HELLO + SECOND, answers(b"hello", b"2")),
    Case("TE: tabs and spaces around", "RFC 9112 §5", HEAD
         + b"Transfer-Encoding: \t chunked \t \r\n\r\n" + HELLO + SECOND, answers(b"hello", b"2")),
    *(Case(f"TE: {name}", "RFC 9112 §6.3", te(value), permit, ours)
      for name, value, permit, ours in CODINGS),
    *(Case(f"TE: {name}", "RFC 9110 §5.6.1.2", te(value, then=SECOND),
           (answers(b"hello", b"2"), *BAD_CODING), (answers(b"hello", b"2"), refused(400)))
      for name, value in [("empty element before", b" , chunked"),
                          ("empty element after", b" chunked,")]),
    Case("TE: empty", "RFC 9112 §6.3", te(b""), BAD_CODING, refused(400)),
    Case("TE: spaces only", "RFC 9112 §6.3", te(b"  "), BAD_CODING, refused(400)),
    Case("TE: space before the colon", "RFC 9112 §5.1", te(b" chunked", b"Transfer-Encoding :"),
         refused(400)),
    Case("TE: tab before the colon", "RFC 9112 §5.1", te(b" chunked", b"Transfer-Encoding\t:"),
         refused(400)),
    Case("TE: vertical tab before the colon", "RFC 9112 §5.1",
         te(b" chunked", b"Transfer-Encoding\x0b:"), BAD),
    Case("TE: NUL in the name", "RFC 9110 §5.1", te(b" chunked", b"Transfer\0-Encoding:"), BAD),
    Case("TE: space in the name", "RFC 9110 §5.1", te(b" chunked", b"Transfer Encoding:"), BAD),
    Case("TE: folded value", "RFC 9112 §5.2", te(b"\r\n chunked", then=SECOND),
         (refused(400), answers(b"hello", b"2")), refused(400)),
    Case("TE: folded value goes on", "RFC 9112 §5.2", te(b" chunked\r\n , gzip"), BAD_CODING, refused(400)),
    Case("TE: in another field's fold", "RFC 9112 §5.2", HEAD + b"Content-Length: 5\r\nX: y\r\n "
         b"Transfer-Encoding: chunked\r\n\r\nhello" + SECOND, (refused(400), answers(b"hello", b"2")),
         refused(400)),
    Case("TE: behind white space, as the first field", "RFC 9112 §2.2",
         b"POST /echo HTTP/1.1\r\n Transfer-Encoding: chunked\r\nHost: a\r\nContent-Length: 5"
         b"\r\n\r\nhello" + SECOND, (refused(400), answers(b"hello", b"2")), refused(400)),
    Case("TE: behind a bare CR", "RFC 9112 §2.2",
         HEAD + b"Content-Length: 5\r\nX: y\rTransfer-Encoding: chunked\r\n\r\nhello" + SECOND,
         (refused(400), answers(b"hello", b"2")), refused(400)),
    Case("TE: twice chunked", "RFC 9112 §6.1", te_body(CHUNKED + CHUNKED), BAD_CODING,
         refused(400)),
    Case("TE: chunked, then identity", "RFC 9112 §6.3",
         te_body(CHUNKED + b"Transfer-Encoding: identity\r\n"), BAD_CODING, refused(400)),
    Case("TE: identity, then chunked", "RFC 9112 §6.1",
         te_body(b"Transfer-Encoding: identity\r\n" + CHUNKED), BAD_CODING, refused(501)),
    Case("TE: gzip, then chunked", "RFC 9112 §6.1",
         te_body(b"Transfer-Encoding: gzip\r\n" + CHUNKED), BAD_CODING, refused(501)),
    Case("TE: an underscore in the name is another field", "RFC 9110 §5.1",
         HEAD + b"Transfer_Encoding: chunked\r\nContent-Length: 5\r\n\r\nhello" + SECOND,
         (answers(b"hello", b"2"), refused(400)), answers(b"hello", b"2")),
    Case("TE: the field TE frames nothing", "RFC 9110 §10.1.4", HEAD
         + b"TE: chunked\r\nContent-Length: 5\r\n\r\nhello" + SECOND, answers(b"hello", b"2")),
    Case("TE: Content-Encoding frames nothing", "RFC 9110 §8.4", HEAD
         + b"Content-Encoding: chunked\r\nContent-Length: 5\r\n\r\nhello" + SECOND,
         answers(b"hello", b"2")),
    Case("TE: chunked in HTTP/1.0", "RFC 9112 §6.1",
         b"POST /echo HTTP/1.0\r\nConnection: keep-alive\r\n" + CHUNKED + b"\r\n" + HELLO + SMUGGLED,
         (refused(400), answered(b"hello", end="close"), DROPPED), refused(400),
         choice="Transfer-Encoding in HTTP/1.0 is refused; it may be processed if the connection "
                "is closed"),
    Case("TE: chunked beside a length in HTTP/1.0", "RFC 9112 §6.1",
         b"POST /echo HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 15\r\n" + CHUNKED
         + b"\r\n" + HELLO + SMUGGLED,
         (refused(400), answered(b"hello", end="close"), DROPPED), refused(400)),
    Case("TE: GET with a chunked body", "RFC 9112 §6.3", b"GET /echo HTTP/1.1\r\nHost: a\r\n"
         + CHUNKED + b"\r\n" + HELLO + SECOND, answers(b"hello", b"2")),
]

# RFC 9112 §6.1: reject it, or process it by Transfer-Encoding alone; close in either case.
CL_AND_TE = (refused(400), answered(b"hello", end="close"), DROPPED)
BOTH_CHOICE = "a request with both Content-Length and Transfer-Encoding is refused; it may be " \
    "processed by Transfer-Encoding if the connection is closed"

BOTH_CASES = [
    Case(f"CL and TE: {name}", "RFC 9112 §6.1", both(fields, body), permit, refused(400),
         choice=BOTH_CHOICE)
    for name, fields, body, permit in [
        ("length first", b"Content-Length: 15\r\n" + CHUNKED, HELLO, CL_AND_TE),
        ("length last", CHUNKED + b"Content-Length: 15\r\n", HELLO, CL_AND_TE),
        ("length covers what follows", b"Content-Length: 200\r\n" + CHUNKED, HELLO, CL_AND_TE),
        ("length is shorter", b"Content-Length: 3\r\n" + CHUNKED, HELLO, CL_AND_TE),
        ("length is 0", b"Content-Length: 0\r\n" + CHUNKED, HELLO, CL_AND_TE),
        ("length is no number", b"Content-Length: x\r\n" + CHUNKED, HELLO, CL_AND_TE),
        ("length is negative", CHUNKED + b"Content-Length: -1\r\n", HELLO, CL_AND_TE),
        ("length is empty", CHUNKED + b"Content-Length:\r\n", HELLO, CL_AND_TE),
        ("two lengths", b"Content-Length: 3\r\n" + CHUNKED + b"Content-Length: 5\r\n", HELLO,
         CL_AND_TE),
        ("xchunked", b"Content-Length: 5\r\nTransfer-Encoding: xchunked\r\n", b"hello", BAD_CODING),
        ("identity", b"Content-Length: 5\r\nTransfer-Encoding: identity\r\n", b"hello", BAD_CODING),
        ("vertical tab", b"Content-Length: 5\r\nTransfer-Encoding: \x0bchunked\r\n", b"hello",
         BAD_CODING),
        ("empty coding", b"Content-Length: 5\r\nTransfer-Encoding:\r\n", b"hello", BAD_CODING),
        ("space before the colon", b"Content-Length: 5\r\nTransfer-Encoding : chunked\r\n",
         b"hello", refused(400)),
        ("bare LF between", b"Content-Length: 15\nTransfer-Encoding: chunked\r\n", HELLO,
         CL_AND_TE),
    ]
]

LENGTHS = [
    ("signed", b" +5"), ("negative", b" -5"), ("minus zero", b" -0"), ("plus zero", b" +0"),
    ("hexadecimal", b" 0x5"), ("inner space", b" 0 5"), ("two words", b" 5 5"),
    ("fraction", b" 5.0"), ("exponent", b" 5e0"), ("underscore", b" 0_5"), ("words", b" five"),
    ("letter behind", b" 5a"), ("empty", b""), ("spaces only", b"   "), ("quoted", b' "5"'),
    ("semicolon behind", b" 5;"), ("vertical tab before", b" \x0b5"),
    ("vertical tab behind", b" 5\x0b"), ("form feed behind", b" 5\x0c"), ("NUL behind", b" 5\0"),
    ("NUL before", b" \x005"), ("bare CR before", b" \r5"), ("bare CR behind", b" 5\r"),
    ("full-width digit", " \uff15".encode()), ("Arabic digit", " \u0665".encode()),
    ("superscript", b" \xb2"), ("non-breaking space", b" 5\xa0"),
    ("folded digits", b" 5\r\n 0"), ("unequal list", b" 5, 6"), ("unequal list, last equal",
     b" 6, 5"), ("list with a word", b" 5, x"), ("list with a negative", b" 5, -5"),
]

CL_CASES = [
    *(Case(f"CL: {name}", "RFC 9112 §6.3", cl(value), refused(400))
      for name, value in LENGTHS),
    Case("CL: plain", "RFC 9112 §6.2", HEAD + b"Content-Length: 5\r\n\r\nhello" + SECOND,
         answers(b"hello", b"2")),
    Case("CL: no space after the colon", "RFC 9112 §5",
         HEAD + b"Content-Length:5\r\n\r\nhello" + SECOND, answers(b"hello", b"2")),
    Case("CL: tabs and spaces around", "RFC 9112 §5",
         HEAD + b"Content-Length: \t5 \t\r\n\r\nhello" + SECOND, answers(b"hello", b"2")),
    Case("CL: zero", "RFC 9112 §6.2", HEAD + b"Content-Length: 0\r\n\r\n" + SECOND,
         answers(b"", b"2")),
    Case("CL: leading zeros", "RFC 9110 §8.6", HEAD + b"Content-Length: 0005\r\n\r\nhello" + SECOND,
         answers(b"hello", b"2")),
    Case("CL: thirty digits of value 5", "RFC 9110 §8.6",
         HEAD + b"Content-Length: " + b"5".zfill(30) + b"\r\n\r\nhello" + SECOND,
         (answers(b"hello", b"2"), refused(400, 413))),
    Case("CL: the same twice", "RFC 9112 §6.3",
         HEAD + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello" + SECOND,
         (answers(b"hello", b"2"), refused(400)), refused(400),
         choice="two Content-Length of the same value, in two fields or one list, are refused; "
                "they may be taken for one"),
    Case("CL: a list of the same", "RFC 9112 §6.3",
         HEAD + b"Content-Length: 5, 5\r\n\r\nhello" + SECOND,
         (answers(b"hello", b"2"), refused(400)), refused(400)),
    Case("CL: a list with an empty element", "RFC 9112 §6.3",
         HEAD + b"Content-Length: 5,\r\n\r\nhello" + SECOND,
         (answers(b"hello", b"2"), refused(400)), refused(400)),
    Case("CL: two different", "RFC 9112 §6.3",
         HEAD + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello" + SMUGGLED, refused(400)),
    Case("CL: two different, longer first", "RFC 9112 §6.3",
         HEAD + b"Content-Length: 60\r\nContent-Length: 5\r\n\r\nhello" + SMUGGLED, refused(400)),
    Case("CL: two, one of them empty", "RFC 9112 §6.3",
         HEAD + b"Content-Length: 5\r\nContent-Length:\r\n\r\nhello" + SMUGGLED, refused(400)),
    *(Case(f"CL: {name}", "RFC 9110 §8.6", (cl(value), HALF_CLOSE), TOO_LONG, refused(400, 413))
      for name, value in [
          ("2^64", b" 18446744073709551616"),
          ("2^64 + 5", b" 18446744073709551621"),
          ("a hundred digits", b" " + b"9" * 100),
      ]),
    # A number that some type cannot hold is still a number: a server without a limit waits for
    # the body, which then ends too early.
    *(Case(f"CL: {name}", "RFC 9110 §8.6", (cl(value), HALF_CLOSE), (*TOO_LONG, refused(500)),
           refused(413)) for name, value in [
               ("2^32 + 5", b" 4294967301"), ("2^31 + 5", b" 2147483653"),
               ("2^63 + 5", b" 9223372036854775813")]),
    Case("CL: space before the colon", "RFC 9112 §5.1", cl(b" 5", b"Content-Length :"),
         refused(400)),
    Case("CL: an underscore in the name is another field", "RFC 9110 §5.1",
         HEAD + b"Content_Length: 45\r\n\r\n" + SECOND, (answers(b"", b"2"), refused(400)),
         answers(b"", b"2")),
    Case("CL: none, and no body", "RFC 9112 §6.3", HEAD + b"\r\n" + SECOND,
         (answers(b"", b"2"), refused(411)), answers(b"", b"2")),
    Case("CL: GET with a body", "RFC 9110 §9.3.1", b"GET /echo HTTP/1.1\r\nHost: a\r\n"
         b"Content-Length: 5\r\n\r\nhello" + SECOND, answers(b"hello", b"2")),
    Case("CL: DELETE with a body", "RFC 9110 §9.3.5", b"DELETE /echo HTTP/1.1\r\nHost: a\r\n"
         b"Content-Length: 5\r\n\r\nhello" + SECOND, answers(b"hello", b"2")),
    Case("CL: a request as the body", "RFC 9112 §6.2", HEAD + b"Content-Length: 50\r\n\r\n"
         + SMUGGLED.ljust(50, b"x") + SECOND, answers(None, b"2")),
]

# What follows `5` in a chunk's size line, or stands for it.
SIZES = [
    ("no size", b"\r\n"), ("extension without a size", b";a=b\r\n"), ("letter g", b"g\r\n"),
    ("negative", b"-5\r\n"), ("signed", b"+5\r\n"), ("0x", b"0x5\r\n"), ("h behind", b"5h\r\n"),
    ("leading space", b" 5\r\n"), ("leading tab", b"\t5\r\n"), ("underscore", b"0_5\r\n"),
    ("NUL behind", b"5\0\r\n"), ("NUL before", b"\x005\r\n"), ("vertical tab behind", b"5\x0b\r\n"),
    ("comma", b"5,5\r\n"), ("fraction", b"5.0\r\n"), ("full-width digit", "\uff15\r\n".encode()),
    ("two words", b"5 5\r\n"), ("word behind a space", b"5 a\r\n"), ("bare CR", b"5\r"),
    ("bare CR, then CRLF", b"5\r\r\n"), ("bare LF", b"5\n"), ("LF CR", b"5\n\r"),
    ("bare LF in an extension", b"5;a\n"), ("bare CR in an extension", b"5;a\rb\r\n"),
    ("bare LF in a quoted extension", b'5;a="\n"\r\n'),
]

CHUNK_CASES = [
    Case("chunks: several", "RFC 9112 §7.1", good_chunks(b"1\r\nh\r\n3\r\nell\r\n1\r\no\r\n0\r\n\r\n"),
         answers(b"hello", b"2")),
    Case("chunks: none", "RFC 9112 §7.1", good_chunks(b"0\r\n\r\n"), answers(b"", b"2")),
    Case("chunks: hex digits in both cases", "RFC 9112 §7.1",
         good_chunks(b"A\r\n" + b"x" * 10 + b"\r\nb\r\n" + b"y" * 11 + b"\r\n0\r\n\r\n"),
         answers(b"x" * 10 + b"y" * 11, b"2")),
    Case("chunks: leading zeros", "RFC 9112 §7.1", good_chunks(b"0005\r\nhello\r\n000\r\n\r\n"),
         answers(b"hello", b"2")),
    Case("chunks: forty digits of value 5", "RFC 9112 §7.1",
         good_chunks(b"5".zfill(40) + b"\r\nhello\r\n0\r\n\r\n"),
         (answers(b"hello", b"2"), refused(400, 413)), (answers(b"hello", b"2"), refused(400))),
    Case("chunks: CR and LF as content", "RFC 9112 §7.1",
         good_chunks(b"5\r\n\r\n0\r\n\r\n0\r\n\r\n"), answers(b"\r\n0\r\n", b"2")),
    Case("chunks: a request as content", "RFC 9112 §7.1", good_chunks(
         b"%x\r\n" % len(SMUGGLED) + SMUGGLED + b"\r\n0\r\n\r\n"), answers(None, b"2")),
    Case("chunks: unknown extensions are ignored", "RFC 9112 §7.1.1",
         good_chunks(b'5;a=b;c;d="e;f"\r\nhello\r\n0;g\r\n\r\n'), answers(b"hello", b"2")),
    Case("chunks: white space around an extension", "RFC 9110 §5.6.3",
         good_chunks(b"5 ;\ta = b\r\nhello\r\n0\r\n\r\n"),
         (answers(b"hello", b"2"), refused(400))),
    Case("chunks: space behind the size", "RFC 9112 §7.1",
         good_chunks(b"5 \r\nhello\r\n0\r\n\r\n"), (answers(b"hello", b"2"), refused(400)),
         refused(400), choice="white space between a chunk's size and the line's end is refused"),
    *(Case(f"chunks: size: {name}", "RFC 9112 §7.1", chunks(line + b"hello\r\n0\r\n\r\n"), BAD,
           refused(400)) for name, line in SIZES),
    *(Case(f"chunks: size: {name}", "RFC 9112 §7.1",
           (chunks(size + b"\r\nhello\r\n0\r\n\r\n"), HALF_CLOSE), (*TOO_LONG, refused(500)),
           refused(400, 413))
      for name, size in [
          ("2^32 + 5", b"100000005"), ("2^31 + 5", b"80000005"), ("2^63 + 5", b"8000000000000005"),
          ("2^64 - 1", b"ffffffffffffffff"), ("2^64 + 5", b"10000000000000005"),
          ("2^64", b"10000000000000000"), ("a hundred digits", b"f" * 100),
          ("minus one by overflow", b"fffffffffffffffe")]),
    *(Case(f"chunks: end: {name}", "RFC 9112 §7.1", chunks(body), BAD, refused(400))
      for name, body in [
          ("no CRLF after a chunk", b"5\r\nhello0\r\n\r\n"),
          ("longer than its size", b"5\r\nhelloo\r\n0\r\n\r\n"),
          ("only LF after a chunk", b"5\r\nhello\n0\r\n\r\n"),
          ("only CR after a chunk", b"5\r\nhello\r0\r\n\r\n"),
          ("CR CR after a chunk", b"5\r\nhello\r\r0\r\n\r\n"),
          ("two bytes that are no CRLF", b"5\r\nhelloab0\r\n\r\n"),
          ("LF CR after a chunk", b"5\r\nhello\n\r0\r\n\r\n"),
          ("only LF after the size of the last", b"5\r\nhello\r\n0\n\r\n"),
          ("bare CR in place of the final CRLF", b"5\r\nhello\r\n0\r\n\rX"),
      ]),
    Case("chunks: only LF at the very end", "RFC 9112 §7.1", good_chunks(b"5\r\nhello\r\n0\r\n\n"),
         (*BAD, answers(b"hello", b"2")), refused(400)),
    Case("chunks: NUL in an extension", "RFC 9112 §7.1.1",
         good_chunks(b"5;a=\0\r\nhello\r\n0\r\n\r\n"), (answers(b"hello", b"2"), *BAD),
         refused(400)),
    Case("chunks: one huge extension", "RFC 9112 §7.1.1",
         good_chunks(b"5;a=" + b"b" * 1_000_000 + b"\r\nhello\r\n0\r\n\r\n"),
         (answers(b"hello", b"2"), refused(400, 413, 431), DROPPED), refused(400, 413, 431)),
    Case("chunks: extensions that never end", "RFC 9112 §7.1.1",
         good_chunks((b"1;a=" + b"b" * 4000 + b"\r\nx\r\n") * 500 + b"0\r\n\r\n"),
         (answers(b"x" * 500, b"2"), refused(400, 413, 431), DROPPED), refused(400, 413, 431),
         choice="chunk extensions beyond some kilobytes a request are refused"),
    Case("chunks: two thousand of one byte", "RFC 9112 §7.1",
         good_chunks(b"1\r\nx\r\n" * 2000 + b"0\r\n\r\n"), answers(b"x" * 2000, b"2")),
    Case("chunks: byte by byte", "RFC 9112 §7.1",
         (HEAD + CHUNKED + b"\r\n", Dribble(b"5;a=b\r\nhello\r\n0\r\nX: y\r\n\r\n"), SECOND),
         answers(b"hello", b"2")),
    Case("chunks: size and CRLF apart", "RFC 9112 §7.1",
         (HEAD + CHUNKED + b"\r\n5\r", Pause(0.05), b"\nhello\r", Pause(0.05), b"\n0\r\n\r",
          Pause(0.05), b"\n" + SECOND), answers(b"hello", b"2")),
]

JSON_HEAD = b"POST /environ HTTP/1.1\r\nHost: a\r\n" + CHUNKED + b"\r\n5\r\nhello\r\n0\r\n"


def trailer(lines, then=b""):
    return JSON_HEAD + lines + b"\r\n" + then


TRAILER_CASES = [
    Case("trailers: are not header fields", "RFC 9110 §6.5.1", trailer(b"X-Trailer: v\r\n"),
         answered(checks=[environ(HTTP_X_TRAILER=None)])),
    Case("trailers: replace no header field", "RFC 9110 §6.5.1",
         JSON_HEAD.replace(b"Host: a", b"Host: a\r\nX-Role: guest") + b"X-Role: admin\r\n\r\n",
         answered(checks=[environ(HTTP_X_ROLE="guest")])),
    *(Case(f"trailers: {name} is dropped", "RFC 9110 §6.5.1", trailer(line + b"\r\n"),
           (answered(checks=[environ(**{key: value})]), refused(400)),
           answered(checks=[environ(**{key: value})]))
      for name, line, key, value in [
          ("Host", b"Host: evil", "HTTP_HOST", "a"),
          ("Authorization", b"Authorization: Basic YTpi", "HTTP_AUTHORIZATION", None),
          ("Cookie", b"Cookie: a=b", "HTTP_COOKIE", None),
          ("Content-Type", b"Content-Type: text/evil", "CONTENT_TYPE", None),
          ("X-Forwarded-For", b"X-Forwarded-For: 1.2.3.4", "HTTP_X_FORWARDED_FOR", None),
      ]),
    Case("trailers: Content-Length frames nothing", "RFC 9110 §6.5.1",
         good_chunks(b"5\r\nhello\r\n0\r\nContent-Length: 40\r\n\r\n"),
         (answers(b"hello", b"2"), refused(400)), answers(b"hello", b"2")),
    Case("trailers: Transfer-Encoding frames nothing", "RFC 9110 §6.5.1",
         good_chunks(b"5\r\nhello\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n"),
         (answers(b"hello", b"2"), refused(400)), answers(b"hello", b"2")),
    *(Case(f"trailers: {name}", section, trailer(line), (answered(), *BAD), refused(400),
           choice="trailers must have the form of header fields, though they are dropped")
      for name, section, line in [
          ("space before the colon", "RFC 9112 §5.1", b"X : y\r\n"),
          ("no colon", "RFC 9112 §5", b"X-Trailer\r\n"),
          ("empty name", "RFC 9112 §5", b": y\r\n"),
          ("NUL", "RFC 9110 §5.5", b"X: \0\r\n"),
          ("bare CR", "RFC 9112 §2.2", b"X: a\rb\r\n"),
          ("folded", "RFC 9112 §5.2", b"X: a\r\n b\r\n"),
          ("bare LF", "RFC 9112 §2.2", b"X: a\nY: b\r\n"),
      ]),
    Case("trailers: a request in their place", "RFC 9112 §7.1.2",
         HEAD + CHUNKED + b"\r\n5\r\nhello\r\n0\r\n" + SMUGGLED,
         (*BAD, answered(b"hello", end="any")), refused(400)),
    Case("trailers: a megabyte of them", "RFC 9112 §7.1.2", trailer(
        (b"X: " + b"y" * 1000 + b"\r\n") * 1000), (answered(), refused(400, 413, 431), DROPPED),
         refused(400, 413, 431)),
]

TRUNCATED_CASES = [
    Case(f"cut off: {name}", "RFC 9112 §8", (sent, HALF_CLOSE),
         (refused(400, 408), DROPPED), (refused(400), DROPPED))
    for name, sent in [
        ("in a body by length", HEAD + b"Content-Length: 10\r\n\r\nhello"),
        ("before a body by length", HEAD + b"Content-Length: 10\r\n\r\n"),
        ("in a chunk", HEAD + CHUNKED + b"\r\n5\r\nhel"),
        ("between chunks", HEAD + CHUNKED + b"\r\n5\r\nhello\r\n"),
        ("before the last chunk's end", HEAD + CHUNKED + b"\r\n5\r\nhello\r\n0\r\n"),
        ("in the last CRLF", HEAD + CHUNKED + b"\r\n5\r\nhello\r\n0\r\n\r"),
        ("in a chunk's size", HEAD + CHUNKED + b"\r\n5"),
        ("in the trailers", HEAD + CHUNKED + b"\r\n5\r\nhello\r\n0\r\nX: y\r\n"),
        ("in the head", HEAD + b"Content-Le"),
        ("in the request line", b"POST /ec"),
        ("before the head's end", HEAD),
    ]
]

CASES = [*TE_CASES, *BOTH_CASES, *CL_CASES, *CHUNK_CASES, *TRAILER_CASES, *TRUNCATED_CASES]

"""What the tables of WSGI responses share: the sections' names, the usual outcomes, and the
functions that make a case of an application's code.
"""

from case import DROPPED, Case, Outcome, Reply, refused, wsgi

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


def case(name, section, code, permit, ours=None, notes=None, choice="", heads=(), needs=None,
         **more):
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

"""What a case is, and how it is judged.

A case sends bytes and lists the outcomes that its RFC or PEP section permits. Where the section
leaves a choice, `ours` lists the outcomes that appliance has chosen; it is judged by those, and
by `strictness`, and the peers by all that are permitted.
"""

import dataclasses
import email.utils
import json
import textwrap
import time
import urllib.parse

from wire import Connection

# How long a server may take for what it has to do. Reached only by cases which fail.
PATIENCE = 5.0
# How long is looked for something that must not come.
QUIET = 0.2

PROBE = b"GET /probe HTTP/1.1\r\nHost: a\r\n\r\n"
# A request which hides in another's body or head: it must never reach the application.
SMUGGLED = b"GET /smuggled?@case HTTP/1.1\r\nHost: a\r\n\r\n"
# Wherever it stands in a case's bytes, the case's number is put in: five digits.
NUMBER = b"@case"


@dataclasses.dataclass(frozen=True)
class Reply:
    """What a response must be like."""

    statuses: tuple
    body: bytes | None = None
    checks: tuple = ()
    cut: bool = False  # it must be seen to be incomplete

    def objections(self, response):
        if response.complete == self.cut:
            yield "complete, as if nothing were missing" if self.cut else "cut off"
        if response.status not in self.statuses:
            yield f"status {response.status}"
        if self.body is not None and response.body != self.body:
            yield f"body {short(response.body)}"
        for check in self.checks:
            objection = check(response)
            if objection:
                yield objection

    def __str__(self):
        text = "/".join(map(str, self.statuses)) if len(self.statuses) < 20 else "any status"
        if self.body is not None:
            text += f" with {short(self.body)}"
        if self.cut:
            text += ", cut off"
        return text + "".join(f", {check.__name__}" for check in self.checks)


@dataclasses.dataclass(frozen=True)
class Outcome:
    """Responses, and what becomes of the connection: `close`, `keep` (it answers another
    request), `any`, or `usual` (a peer may do either, appliance keeps it)."""

    replies: tuple
    end: str = "usual"
    raw: bool = False  # bytes without a head, as HTTP/0.9 had it

    def __str__(self):
        if self.raw:
            return "an HTTP/0.9 response"
        text = " then ".join(map(str, self.replies)) or "no response"
        return text + {"close": ", then closed", "keep": ", then kept"}.get(self.end, "")


def refused(*statuses, end="close", checks=()):
    """One error response, and nothing after it."""
    return Outcome((Reply(statuses or (400,), checks=checks),), end)


def answered(body=None, status=200, end="usual", checks=()):
    statuses = status if isinstance(status, tuple) else (status,)
    return Outcome((Reply(statuses, body, tuple(checks)),), end)


def cut(body, status=200):
    """A response which the client can tell is incomplete, and the end of the connection."""
    return Outcome((Reply((status,), body, cut=True),), "close")


def answers(*bodies, end="usual"):
    """Several responses, in this order."""
    return Outcome(tuple(Reply((200,), body) for body in bodies), end)


DROPPED = Outcome((), "close")
HTTP_09 = Outcome((), "close", raw=True)


def field(name, *values):
    """The response has the field exactly once, with one of these values (any, if none given)."""
    def check(response):
        found = response.all(name)
        if len(found) != 1 or values and found[0] not in values:
            return f"{name}: {found}"
        return None
    check.__name__ = f"{name}: {' or '.join(values) or 'once'}"
    return check


def must(name, holds):
    """A condition of its own, with the name that it has in a report."""
    def check(response):
        return None if holds(response) else f"not {name}"
    check.__name__ = name
    return check


def without(*names):
    def check(response):
        found = [name for name in names if response.all(name)]
        return f"has {', '.join(found)}" if found else None
    check.__name__ = f"no {', '.join(names)}"
    return check


def no_interim(response):
    return f"{response.interim[0].status} before it" if response.interim else None


def continued(response):
    """Exactly one 100 came before it."""
    statuses = [interim.status for interim in response.interim]
    return None if statuses == [100] else f"interim responses {statuses}"


# PEP 3333, "environ Variables": these "may be empty or absent".
MAY_BE_EMPTY = ("SCRIPT_NAME", "QUERY_STRING", "CONTENT_TYPE", "CONTENT_LENGTH")


def environ(**expected):
    """The environ that the application got, by keys; None: it has no such key. Double underscores
    stand for dots, as in wsgi__version."""
    def check(response):
        try:
            found = json.loads(response.body)
        except ValueError:
            return f"body {short(response.body)}"
        for key, value in expected.items():
            key = key.replace("__", ".")
            if value is None and key in MAY_BE_EMPTY and found.get(key) == "":
                continue
            if found.get(key) != value:
                return f"{key} = {found.get(key)!r}, not {value!r}"
        return None
    check.__name__ = " ".join(f"{key}={value!r}" for key, value in expected.items())
    return check


@dataclasses.dataclass(frozen=True)
class Case:
    name: str
    section: str
    send: bytes | tuple
    permit: Outcome | tuple
    ours: Outcome | tuple | None = None
    needs: str | None = None  # what a server must have for the case to apply: servers.HAS
    alone = False
    heads: tuple = ()  # which of its requests are HEAD
    notes: tuple | None = None  # what its application must have noted at the end, no more
    times: int = 1  # how often it must come out right, for what depends on timing
    choice: str = ""  # why `ours` is what it is, for the documentation
    group: str = ""
    number: int = 0

    def steps(self):
        steps = self.send if isinstance(self.send, tuple) else (self.send,)
        number = b"%05d" % self.number
        for step in steps:
            if isinstance(step, bytes):
                step = step.replace(NUMBER, number)
            elif hasattr(step, "data"):
                step = dataclasses.replace(step, data=step.data.replace(NUMBER, number))
            yield step

    def outcomes(self, ours):
        chosen = self.ours if ours and self.ours is not None else self.permit
        return chosen if isinstance(chosen, tuple) else (chosen,)

    def run(self, server):
        """None, or what was wrong."""
        problems = (self.once(server) for _ in range(self.times))
        return next(filter(None, problems), None)

    def once(self, server):
        outcomes = self.outcomes(server.ours)
        with Connection(server.address, self.heads) as connection:
            connection.play(self.steps())
            kept = watch(connection, outcomes, server.ours)
            problem = judge(connection, outcomes, kept, server.ours)
            if problem is None and server.ours and self.must_say_close(connection):
                problem = describe(connection, kept) + "; no `Connection: close` (RFC 9112 §9.6)"
        if problem is None and self.notes is not None:
            problem = noted(server, f"{self.number:05}", self.notes)
        if server.events(f"smuggled-{self.number:05}"):
            problem = f"the smuggled request reached the application; {problem}"
        return problem

    def must_say_close(self, connection):
        """Appliance closed of its own accord, and its last response did not say so."""
        responses = connection.reader.responses
        old = any(b" HTTP/1.0\r\n" in step for step in self.steps() if isinstance(step, bytes))
        return connection.closed and connection.writable and not old and responses \
            and responses[-1].complete and "close" not in responses[-1].options()

    def expected(self, ours):
        return " | ".join(map(str, self.outcomes(ours)))


@dataclasses.dataclass(frozen=True)
class Procedure:
    """A case that no table can hold: a function which gives None, or what was wrong."""

    name: str
    section: str
    run_on: object
    needs: str | None = None
    alone: bool = False  # on a server of its own, while nothing else runs
    choice: str = ""
    group: str = ""
    number: int = 0

    def run(self, server):
        return self.run_on(server)

    def steps(self):
        return ()

    def expected(self, ours):
        return " ".join((self.run_on.__doc__ or "").split())


def begun(server, name, *_):
    """Waits until the application has noted something."""
    deadline = time.monotonic() + PATIENCE
    while not server.events(name) and time.monotonic() < deadline:
        time.sleep(0.01)
    return bool(server.events(name))


def noted(server, name, expected):
    """Waits until the application has noted what it should, and a little for more than that."""
    deadline = time.monotonic() + PATIENCE
    while (found := server.events(name)) != list(expected) and time.monotonic() < deadline:
        time.sleep(0.02)
    time.sleep(QUIET)
    found = server.events(name)
    return None if found == list(expected) else f"noted {found}, not {list(expected)}"


def wsgi(code, method=b"GET", body=None, chunked=False, fields=b"", version=b"1.1", name=NUMBER):
    """A request which has the server's application do this: the body of a Python function
    `application(environ, start_response)`, with what tests/conformance/app.py lays beside it."""
    source = urllib.parse.quote(textwrap.dedent(code).strip("\n")).encode()
    head = method + b" /run?" + name + b" HTTP/" + version + b"\r\nHost: a\r\nX-Run: " + source \
        + b"\r\n" + fields
    if chunked:
        sizes = [body[at:at + 30_000] for at in range(0, len(body or b""), 30_000)]
        chunks = b"".join(b"%x\r\n" % len(part) + part + b"\r\n" for part in sizes)
        return head + b"Transfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n"
    if body is not None:
        return head + b"Content-Length: %d\r\n\r\n" % len(body) + body
    return head + b"\r\n"


def possible(outcomes, responses):
    """The outcomes which these first responses do not rule out."""
    return [outcome for outcome in outcomes if len(outcome.replies) >= len(responses)
            and not any(list(reply.objections(response))
                        for reply, response in zip(outcome.replies, responses))]


def watch(connection, outcomes, ours):
    """Reads until it is clear which outcome it is. Returns whether the connection still answers,
    None if nobody asked."""
    reader = connection.reader
    wanted = min(len(outcome.replies) for outcome in outcomes)
    deadline = time.monotonic() + PATIENCE
    while not connection.closed and time.monotonic() < deadline:
        finished = reader.finished()
        left = possible(outcomes, finished)
        if reader.garbage is not None or not left:
            deadline = min(deadline, time.monotonic() + QUIET)
        elif len(finished) >= wanted and reader.between():
            ends = {end_for(outcome, ours) for outcome in left
                    if len(outcome.replies) == len(finished)}
            if "keep" in ends and connection.writable:
                return probe(connection)
            if "any" in ends or "keep" in ends:
                deadline = min(deadline, time.monotonic() + QUIET)
        connection.read(deadline - time.monotonic())
    return None


def end_for(outcome, ours):
    if outcome.end != "usual":
        return outcome.end
    return "keep" if ours else "any"


def probe(connection):
    """Whether the connection answers a further request, correctly."""
    reader = connection.reader
    before = len(reader.responses)
    connection.send(PROBE)
    connection.read_until(lambda: len(reader.finished()) > before, PATIENCE)
    after = reader.responses[before:]
    del reader.responses[before:]
    return [(one.status, one.body) for one in after] == [(200, b"probe")]


def judge(connection, outcomes, kept, ours):
    reader = connection.reader
    if any(outcome.raw for outcome in outcomes) and reader.garbage and not reader.responses:
        return None
    problems = [f"unreadable: {reader.garbage}: {short(reader.buffer)}"] if reader.garbage else []
    for response in reader.responses + reader.interim:
        problems += response.faults
        if ours and response.status >= 200:
            problems += strictness(response, kept)
    if problems:
        return describe(connection, kept) + "; " + ", ".join(problems)
    for outcome in possible(outcomes, reader.responses):
        if len(outcome.replies) != len(reader.responses):
            continue
        end = end_for(outcome, ours)
        if end == "any" or end == "close" and connection.closed or end == "keep" and kept:
            return None
    objections = [objection for reply, response in zip(outcomes[0].replies, reader.responses)
                  for objection in reply.objections(response)]
    return "; ".join([describe(connection, kept), *objections])


def strictness(response, kept):
    """What appliance promises beyond the musts, for each of its responses."""
    if len(response.all("date")) != 1:
        yield f"Date {len(response.all('date'))} times (RFC 9110 §6.6.1)"
    elif not fresh(response.all("date")[0]):
        yield f"Date: {response.all('date')[0]}"
    if len(response.all("server")) > 1:
        yield "more than one Server"
    if kept and "close" in response.options():
        yield "Connection: close, but it stays open (RFC 9112 §9.6)"


def fresh(date):
    try:
        when = email.utils.parsedate_to_datetime(date).timestamp()
    except ValueError:
        return False
    usual = email.utils.formatdate(when, usegmt=True)
    return usual == date and abs(when - time.time()) < 60


def describe(connection, kept):
    reader = connection.reader
    parts = []
    for response in reader.responses:
        parts += [str(interim.status) for interim in response.interim]
        parts.append(f"{response.status} {short(response.body, 300)}" if response.body
                     else str(response.status))
    parts += [str(interim.status) for interim in reader.interim]
    end = "reset" if connection.reset else "closed" if connection.closed else \
        "kept" if kept else "no answer to a further request" if kept is False else "still open"
    return " then ".join(parts or ["no response"]) + ", " + end


def short(data, most=120):
    text = repr(bytes(data[:most]))[1:]
    return text if len(data) <= most else f"{text}… ({len(data)} bytes)"

"""Does the same with `wsgi.input` and with `io.BytesIO` on the same bytes, and tells the first
difference. `/body?seed=&size=` gives the bytes to send, `/compare?seed=&size=` expects them."""
import io
import random
from urllib.parse import parse_qsl


def some_bytes(seed, size):
    numbers = random.Random(seed)
    # Lines of all lengths: some seeds give few, long ones, some many, short ones.
    breaks = numbers.choice([0, 1, 5, 60])
    alphabet = b"\n" * breaks + bytes(range(256)) * numbers.choice([1, 8])
    return bytes(numbers.choices(alphabet, k=size))


def operations(seed, size):
    numbers = random.Random(-seed - 1)
    amounts = [0, 1, 2, 7, size // 3, size, size + 1, 2 * size + 10, -1, -7, None]
    for _ in range(numbers.choice([1, 4, 40, 400])):
        name = numbers.choice(["read", "readline", "readlines", "next", "for"])
        small = numbers.random() < 0.7  # or the first `read()` would end nearly every sequence
        arguments = (
            (numbers.randrange(1, 200),) if small
            else numbers.choice([(), (numbers.choice(amounts),)])
        )
        yield name, arguments
    yield "read", ()
    for name in ["read", "readline", "readlines", "next", "for"]:
        yield name, numbers.choice([(), (0,), (5,), (-1,), (None,)])


def apply(stream, name, arguments):
    if name == "next":
        return next(stream, "the end")
    if name == "for":
        lines = []
        for line in stream:
            lines.append(line)
            if len(lines) == (arguments or (3,))[0]:
                break
        return lines
    return getattr(stream, name)(*arguments)


def compare(stream, seed, size):
    reference = io.BytesIO(some_bytes(seed, size))
    for number, (name, arguments) in enumerate(operations(seed, size)):
        at = reference.tell()
        expected = apply(reference, name, arguments)
        found = apply(stream, name, arguments)
        if found != expected or type(found) is not type(expected):
            return "operation %d, %s%r at %d: %.200r, expected %.200r" % (
                number, name, arguments, at, found, expected,
            )
    return "the same"


def application(environ, start_response):
    query = dict(parse_qsl(environ["QUERY_STRING"]))
    seed, size = int(query["seed"]), int(query["size"])
    if environ["PATH_INFO"] == "/body":
        answer = some_bytes(seed, size)
    else:
        answer = compare(environ["wsgi.input"], seed, size).encode()
    start_response("200 OK", [("Content-Type", "application/octet-stream")])
    return [answer]

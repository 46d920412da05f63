"""Bodies of all shapes: a function for each path."""


def _start(start_response, status="200 OK", **headers):
    return start_response(
        status, [(name.replace("_", "-"), value) for name, value in headers.items()]
    )


def one(start_response):
    _start(start_response)
    return [b"one body"]


def tuple_(start_response):
    _start(start_response)
    return (b"one body",)


def many(start_response):
    _start(start_response)
    return [b"one", b"", b" ", b"body", b""]


def generator(start_response):
    _start(start_response)
    yield b""
    yield b"one "
    yield b""
    yield b"body"
    yield b""


def counted_generator(start_response):
    _start(start_response, Content_Length="8")
    yield b"one "
    yield b"body"


def subclass(start_response):
    class Bytes(bytes):
        pass

    _start(start_response)
    return [Bytes(b"one "), Bytes(b"body")]


class Sequence:
    def __getitem__(self, at):
        return [b"one ", b"body"][at]


def sequence(start_response):
    _start(start_response)
    return Sequence()


def counted_then_raising(start_response):
    _start(start_response, Content_Length="20")
    yield b"one body"
    raise ValueError("at once")


def empty_list(start_response):
    _start(start_response)
    return []


def empty_generator(start_response):
    _start(start_response)
    yield from ()


def empty_chunks(start_response):
    _start(start_response)
    return [b"", b""]


def too_many(start_response):
    _start(start_response, Content_Length="8")
    return [b"one ", b"body and more", b"and more"]


def too_many_at_once(start_response):
    _start(start_response, Content_Length="8")
    return [b"one body and more"]


def too_many_written(start_response):
    write = _start(start_response, Content_Length="8")
    write(b"one body and")
    write(b" more")
    return [b"and more"]


def too_few(start_response):
    _start(start_response, Content_Length="20")
    return [b"one ", b"body"]


def too_few_generated(start_response):
    _start(start_response, Content_Length="20")
    yield b"one body"


def none_of_twenty(start_response):
    _start(start_response, Content_Length="20")
    return []


def no_content(start_response):
    _start(start_response, "204 No Content")
    return []


def no_content_with_body(start_response):
    _start(start_response, "204 No Content")
    return [b"must not be sent"]


def not_modified(start_response):
    _start(start_response, "304 Not Modified", ETag='"1"')
    return []


def not_modified_with_length(start_response):
    _start(start_response, "304 Not Modified", Content_Length="8")
    return []


def not_modified_with_body(start_response):
    _start(start_response, "304 Not Modified")
    yield b"must not"
    yield b"be sent"


def length_alone(start_response):
    # What frameworks answer to HEAD.
    _start(start_response, Content_Length="1234")
    return []


def endless(start_response):
    _start(start_response)
    while True:
        yield b"x" * 10000


def application(environ, start_response):
    name = environ["PATH_INFO"][1:].replace("-", "_")
    return (globals().get(name + "_") or globals()[name])(start_response)

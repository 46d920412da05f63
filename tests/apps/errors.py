"""Ways to fail: a function for each path."""
import os
import sys

TEXT = [("Content-Type", "text/plain")]


def deep():
    raise ValueError("the message")


def before_the_head(environ, start_response):
    deep()


def after_start_response(environ, start_response):
    start_response("200 OK", TEXT)
    deep()


def chained(environ, start_response):
    try:
        deep()
    except ValueError as error:
        raise RuntimeError("the consequence") from error


def in_generator(environ, start_response):
    start_response("200 OK", TEXT)
    yield b""
    deep()


def exit_(environ, start_response):
    sys.exit("leaving")


def interrupt(environ, start_response):
    raise KeyboardInterrupt


def recursion(environ, start_response):
    recursion(environ, start_response)


def two_lines(environ, start_response):
    raise ValueError("one\ntwo")


class Unprintable(Exception):
    def __str__(self):
        raise ValueError("cannot say")


def unprintable(environ, start_response):
    raise Unprintable


def while_sending(environ, start_response):
    start_response("200 OK", TEXT)
    yield b"begun"
    deep()


def while_sending_counted(environ, start_response):
    start_response("200 OK", [("Content-Length", "100")])
    yield b"begun"
    deep()


def process_exit_while_sending(environ, start_response):
    start_response("200 OK", TEXT)
    yield b"begun"
    # Until the client has it, and says so.
    while not os.path.exists("received"):
        yield b""
    os._exit(3)


def process_exit(environ, start_response):
    os._exit(3)


def process_abort(environ, start_response):
    os.abort()


def fine(environ, start_response):
    start_response("200 OK", TEXT)
    return [b"fine"]


def errors(environ, start_response):
    stream = environ["wsgi.errors"]
    print("a line of the application", file=stream)
    stream.write("two lines,\nin one write\n")
    stream.write("in two ")
    stream.write("writes\n")
    stream.writelines(["with ", "writelines\n"])
    stream.write("without its end")
    stream.flush()
    stream.write("caf\u00e9 \u20ac \udcff\n")
    return fine(environ, start_response)


def unfinished_line(environ, start_response):
    environ["wsgi.errors"].write("a line that is never finished")
    return fine(environ, start_response)


def application(environ, start_response):
    name = environ["PATH_INFO"][1:].replace("-", "_")
    return (globals().get(name + "_") or globals()[name])(environ, start_response)

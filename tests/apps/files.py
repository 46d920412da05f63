"""Files by `wsgi.file_wrapper`: a function for each path."""
import gzip
import io
import os
import tempfile

CONTENT = b"0123456789"


def _open():
    return open("small.txt", "rb")


def whole(wrap, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return wrap(_open())


def own_block_size(wrap, start_response):
    start_response("200 OK", [])
    return wrap(io.BytesIO(CONTENT), 3)


def compressed(wrap, start_response):
    with gzip.open("packed.gz", "wb") as file:
        file.write(CONTENT)
    start_response("200 OK", [])
    return wrap(gzip.open("packed.gz"))


def temporary(wrap, start_response):
    file = tempfile.NamedTemporaryFile()
    file.write(CONTENT)
    file.seek(0)
    start_response("200 OK", [])
    return wrap(file)


def from_offset(wrap, start_response):
    file = _open()
    file.seek(4)
    start_response("200 OK", [])
    return wrap(file, 8192)


def after_read(wrap, start_response):
    file = _open()
    file.readline(4)  # the file's own buffer is further: what counts is `tell()`
    start_response("200 OK", [])
    return wrap(file)


def counted(wrap, start_response):
    start_response("200 OK", [("Content-Length", "10")])
    return wrap(_open())


def part(wrap, start_response):
    file = _open()
    file.seek(2)
    start_response("206 Partial Content", [("Content-Length", "3")])
    return wrap(file)


def past_the_end(wrap, start_response):
    file = _open()
    file.seek(100)
    start_response("200 OK", [])
    return wrap(file)


def empty(wrap, start_response):
    start_response("200 OK", [])
    return wrap(open(os.devnull, "rb"))


def promised_too_much(wrap, start_response):
    start_response("200 OK", [("Content-Length", "20")])
    return wrap(_open())


def after_write(wrap, start_response):
    start_response("200 OK", [])(b"written ")
    return wrap(_open())


def memory(wrap, start_response):
    start_response("200 OK", [])
    return wrap(io.BytesIO(CONTENT))


def pipe(wrap, start_response):
    reader, writer = os.pipe()
    os.write(writer, CONTENT)
    os.close(writer)
    start_response("200 OK", [])
    return wrap(os.fdopen(reader, "rb"))


class Bare:
    def __init__(self):
        self.blocks = [b"01234", b"56789", b""]

    def read(self, size):
        return self.blocks.pop(0)


def bare(wrap, start_response):
    start_response("200 OK", [])
    return wrap(Bare())


def deleted(wrap, start_response):
    with open("deleted.txt", "wb") as file:
        file.write(CONTENT)
    file = open("deleted.txt", "rb")
    os.unlink("deleted.txt")
    start_response("200 OK", [])
    return wrap(file)


def middleware(wrap, start_response):
    start_response("200 OK", [])
    return (block for block in wrap(_open()))


def text_file(wrap, start_response):
    start_response("200 OK", [])
    return wrap(io.StringIO("text"))


def large(wrap, start_response):
    start_response("200 OK", [("Content-Type", "application/octet-stream")])
    return wrap(open("large.bin", "rb"))


def hello(wrap, start_response):
    start_response("200 OK", [])
    return [b"hello"]


def application(environ, start_response):
    name = environ["PATH_INFO"][1:].replace("-", "_")
    return globals()[name](environ["wsgi.file_wrapper"], start_response)

"""Calls `start_response` with what the request's body says, in Python: a tuple of arguments."""


def application(environ, start_response):
    start_response(*eval(environ["wsgi.input"].read()))
    return [b"body"]

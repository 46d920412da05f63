"""Answers with its environ as JSON: what is plain as it is, and the type of everything."""
import json


def application(environ, start_response):
    answer = {
        name: value
        for name, value in environ.items()
        if type(value) in (str, bool, int, tuple)
    }
    answer["types"] = {name: type(value).__name__ for name, value in environ.items()}
    answer["environ"] = type(environ).__name__
    environ["left.behind"] = "by another request"
    body = json.dumps(answer).encode()
    start_response("200 OK", [("Content-Type", "application/json")])
    return [body]

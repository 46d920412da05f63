"""The groups of cases, in the order of the table."""

import dataclasses

import hostile
import http_connection
import http_framing
import http_syntax
import wsgi_body
import wsgi_close
import wsgi_environ
import wsgi_files
import wsgi_input
import wsgi_start

TABLES = {
    "http-framing": http_framing.CASES,
    "http-syntax": http_syntax.CASES,
    "http-connection": http_connection.CASES,
    "wsgi-environ": wsgi_environ.CASES,
    "wsgi-input": wsgi_input.CASES,
    "wsgi-response": [*wsgi_start.CASES, *wsgi_body.CASES, *wsgi_close.CASES, *wsgi_files.CASES],
    "hostile": hostile.CASES,
}
NAMES = list(TABLES)


def all_cases():
    """Every case, with its group and a number of its own."""
    number = 0
    cases = []
    for group, table in TABLES.items():
        names = [case.name for case in table]
        twice = {name for name in names if names.count(name) > 1}
        assert not twice, f"{group} has two cases named {twice}"
        for case in table:
            number += 1
            cases.append(dataclasses.replace(case, group=group, number=number))
    return cases

"""What the application is told (PEP 3333, "environ Variables"; RFC 3875 for what that takes from
CGI): complete, truthful, of the right types, and not to be forged by a client.
"""

import json

import servers
from case import Case, Outcome, Procedure, Reply, answered, environ, refused, wsgi
from wire import Connection

SECTION = "PEP 3333, environ Variables"
CGI = "RFC 3875 §4.1"
HOST = b"Host: shop.test\r\n"


def get(path, fields=b"", method=b"GET", version=b"1.1"):
    return method + b" " + path + b" HTTP/" + version + b"\r\n" + HOST + fields + b"\r\n"


def post(body, fields=b"", path=b"/environ"):
    return get(path, b"Content-Length: %d\r\n" % len(body) + fields, b"POST") + body


def is_told(**values):
    return answered(checks=[environ(**values)])


def told(name, sent, permit, ours=None, section=SECTION, choice=""):
    return Case(name, section, sent, permit, ours, choice=choice)


def holds(name, expression, section=SECTION, ours=None, **more):
    """An expression over `environ` which must be true."""
    code = f"return text(start_response, repr(bool({expression})).encode())"
    return Case(name, section, wsgi(code, **more), answered(b"True"), ours)


PATHS = [
    ("/environ", "/environ"), ("/environ/", "/environ/"), ("/environ/a%20b", "/environ/a b"),
    ("/environ/a+b", "/environ/a+b"), ("/environ/%C3%A9", "/environ/\xc3\xa9"),
    ("/environ/%c3%a9", "/environ/\xc3\xa9"), ("/environ/%E9", "/environ/\xe9"),
    ("/environ/%FF%80", "/environ/\xff\x80"), ("/environ/%25", "/environ/%"),
    ("/environ/%2541", "/environ/%41"), ("/environ/%3Fa", "/environ/?a"),
    ("/environ/%23a", "/environ/#a"), ("/environ/a;b=c", "/environ/a;b=c"),
    ("/environ/a:b@c", "/environ/a:b@c"), ("/environ/%7E~", "/environ/~~"),
    ("/environ/a&b='c'", "/environ/a&b='c'"), ("/environ/%2F", "/environ//"),
    ("/environ/a%2Fb", "/environ/a/b"), ("/%65nviron", "/environ"),
]
# A server "may have modified the client's originally requested URL to place it in a canonical
# form" (PEP 3333, "URL Reconstruction").
CANONICAL = [
    ("/environ//a", ("/environ//a", "/environ/a")), ("//environ/a", ("//environ/a", "/environ/a")),
    ("/environ/%2Fa%2F%2F", ("/environ//a//", "/environ/a/")),
    ("/environ/./a", ("/environ/./a", "/environ/a")),
    ("/environ/a/../b", ("/environ/a/../b", "/environ/b")),
    ("/environ/a/..", ("/environ/a/..", "/environ/", "/environ")),
]
QUERIES = ["a=b", "a=%20%2F%3D&b=+", "a=b&a=c", "?", "a=/b?c", "", "=", "a", "&&", "a=%zz", "%",
           "a;b", "a=%00", "a=\u00e9".encode().decode("latin-1")]

URL_CASES = [
    *(told(f"PATH_INFO of {path}", get(path.encode()), is_told(PATH_INFO=decoded))
      for path, decoded in PATHS if path != "/environ/%2F"),
    told("PATH_INFO of /environ/%2F", get(b"/environ/%2F"),
         (is_told(PATH_INFO="/environ//"), is_told(PATH_INFO="/environ/")),
         is_told(PATH_INFO="/environ//")),
    *(told(f"PATH_INFO of {path}", get(path.encode()),
           tuple(is_told(PATH_INFO=decoded) for decoded in possible),
           is_told(PATH_INFO=possible[0]), "PEP 3333, URL Reconstruction",
           "PATH_INFO is what was asked for, decoded: slashes and dots are not tidied up")
      for path, possible in CANONICAL),
    *(told(f"QUERY_STRING {query!r}", get(b"/environ?" + query.encode("latin-1")),
           (is_told(QUERY_STRING=query), refused(400, end="any")) if not query.isascii()
           else is_told(QUERY_STRING=query or None)) for query in QUERIES),
    told("no QUERY_STRING", get(b"/environ"), is_told(QUERY_STRING=None)),
    told("no QUERY_STRING: as an empty one", get(b"/environ"), is_told(QUERY_STRING=None),
         is_told(QUERY_STRING="")),
    told("SCRIPT_NAME of the root", get(b"/environ"), is_told(SCRIPT_NAME=None),
         is_told(SCRIPT_NAME="")),
    told("REQUEST_URI as it was sent", get(b"/environ/%2F/../a?b=%20"), answered(),
         is_told(REQUEST_URI="/environ/%2F/../a?b=%20")),
    holds("the URL can be put together again", """
        __import__("urllib.parse").parse.quote(environ.get("SCRIPT_NAME", "")
        + environ["PATH_INFO"], encoding="latin-1") == "/run" and environ["QUERY_STRING"]
    """.strip().replace("\n", " "), "PEP 3333, URL Reconstruction"),
]

TYPES = [
    holds("environ is a dict", "type(environ) is dict"),
    holds("environ can be changed", "environ.update({'a.b': 1}) or environ.pop('wsgi.input')"),
    holds("every key is a str", "all(type(key) is str for key in environ)"),
    holds("every CGI variable is a str",
          "all(type(value) is str for key, value in environ.items() if '.' not in key)"),
    holds("every str is latin-1", "all(max(map(ord, value), default=0) < 256 "
          "for value in environ.values() if type(value) is str)",
          fields="X-Bytes: \u00e9\u20ac".encode() + b"\r\n"),
    holds("the same for a body", "all(type(value) is str for key, value in environ.items() "
          "if '.' not in key)", method=b"POST", body=b"hello"),
    holds("the same for chunks", "all(type(value) is str for key, value in environ.items() "
          "if '.' not in key)", method=b"POST", body=b"hello", chunked=True),
    holds("wsgi.version", "environ['wsgi.version'] == (1, 0) and "
          "type(environ['wsgi.version']) is tuple"),
    holds("wsgi.url_scheme", "environ['wsgi.url_scheme'] == 'http' and "
          "type(environ['wsgi.url_scheme']) is str"),
    holds("wsgi.run_once", "not environ['wsgi.run_once']"),
    holds("wsgi.input has every method", "all(callable(getattr(environ['wsgi.input'], name)) "
          "for name in ('read', 'readline', 'readlines', '__iter__'))"),
    holds("wsgi.errors has every method", "all(callable(getattr(environ['wsgi.errors'], name)) "
          "for name in ('flush', 'write', 'writelines'))"),
    holds("wsgi.file_wrapper can be called, if there is one",
          "'wsgi.file_wrapper' not in environ or callable(environ['wsgi.file_wrapper'])",
          "PEP 3333, Optional Platform-Specific File Handling"),
    Case("wsgi.input_terminated", SECTION, get(b"/environ"), answered(),
         is_told(wsgi__input_terminated=True),
         choice="`wsgi.input` ends where the body does, chunked or not, and "
                "`wsgi.input_terminated` says so"),
    holds("start_response is given positionally, and may be called so",
          "callable(start_response)"),
    holds("every variable that must not be missing", "all(environ[name] for name in "
          "('REQUEST_METHOD', 'SERVER_NAME', 'SERVER_PORT', 'SERVER_PROTOCOL')) and "
          "{'wsgi.version', 'wsgi.url_scheme', 'wsgi.input', 'wsgi.errors', 'wsgi.multithread', "
          "'wsgi.multiprocess', 'wsgi.run_once'} <= set(environ)"),
    holds("no variable is None", "None not in environ.values()"),
    holds("SERVER_SOFTWARE, if it is told, is a name",
          "type(environ.get('SERVER_SOFTWARE', 'none')) is str and "
          "environ.get('SERVER_SOFTWARE', 'none')", CGI),
]

REQUEST_CASES = [
    *(told(f"REQUEST_METHOD {method}", get(b"/environ", method=method.encode()),
           is_told(REQUEST_METHOD=method)) for method in
      ("GET", "PUT", "DELETE", "PATCH", "OPTIONS", "PROPFIND")),
    told("REQUEST_METHOD POST", post(b"hello"), is_told(REQUEST_METHOD="POST")),
    told("SERVER_PROTOCOL of 1.1", get(b"/environ"), is_told(SERVER_PROTOCOL="HTTP/1.1")),
    told("SERVER_PROTOCOL of 1.0", get(b"/environ", version=b"1.0"),
         answered(end="close", checks=[environ(SERVER_PROTOCOL="HTTP/1.0")])),
    told("REMOTE_ADDR", get(b"/environ"), is_told(REMOTE_ADDR="127.0.0.1"), section=CGI),
    told("CONTENT_LENGTH", post(b"hello"), is_told(CONTENT_LENGTH="5")),
    told("CONTENT_LENGTH of an empty body", post(b""),
         (is_told(CONTENT_LENGTH="0"), is_told(CONTENT_LENGTH=None)), is_told(CONTENT_LENGTH="0")),
    told("CONTENT_LENGTH of no body", get(b"/environ"), is_told(CONTENT_LENGTH=None)),
    told("CONTENT_LENGTH of chunks", get(b"/environ", b"Transfer-Encoding: chunked\r\n", b"POST")
         + b"2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
         (is_told(CONTENT_LENGTH="5"), is_told(CONTENT_LENGTH=None)), is_told(CONTENT_LENGTH="5"),
         choice="a chunked body is received first: CONTENT_LENGTH is its length"),
    told("CONTENT_TYPE", post(b"{}", b"Content-Type: application/json; charset=utf-8\r\n"),
         is_told(CONTENT_TYPE="application/json; charset=utf-8")),
    told("CONTENT_TYPE without a body", get(b"/environ", b"Content-Type: text/x\r\n"),
         is_told(CONTENT_TYPE="text/x")),
    told("no CONTENT_TYPE", post(b"{}"), is_told(CONTENT_TYPE=None)),
    told("Content-Type and Content-Length only once", post(b"{}", b"Content-Type: text/x\r\n"),
         answered(), is_told(HTTP_CONTENT_TYPE=None, HTTP_CONTENT_LENGTH=None), CGI + ".18",
         "Content-Type and Content-Length appear without `HTTP_` only"),
    told("HTTP_HOST", get(b"/environ"), is_told(HTTP_HOST="shop.test")),
    told("HTTP_HOST with its port", b"GET /environ HTTP/1.1\r\nHost: Shop.test:81\r\n\r\n",
         is_told(HTTP_HOST="Shop.test:81")),
    told("no HTTP_HOST", b"GET /environ HTTP/1.0\r\n\r\n",
         answered(end="close", checks=[environ(HTTP_HOST=None)])),
]

FIELDS = [
    # name, fields, what must be told, what appliance tells beyond that, section
    ("a field", b"X-One: 1\r\n", {"HTTP_X_ONE": "1"}, None, CGI + ".18"),
    ("a field in lower case", b"x-one: 1\r\n", {"HTTP_X_ONE": "1"}, None, CGI + ".18"),
    ("a field in mixed case", b"x-OnE: aBc\r\n", {"HTTP_X_ONE": "aBc"}, None, CGI + ".18"),
    ("an empty field", b"X-One:\r\n", {"HTTP_X_ONE": ""}, None, CGI + ".18"),
    ("digits and dots in a name", b"X-1.2: 1\r\n", {}, {"HTTP_X_1.2": "1"}, CGI + ".18"),
    ("bytes as latin-1", b"X-One: \xe9\xc3\xa9\r\n", {"HTTP_X_ONE": "\xe9\xc3\xa9"}, None,
     "PEP 3333, Unicode Issues"),
    ("usual fields", b"User-Agent: u\r\nAccept: */*\r\nAccept-Encoding: gzip\r\n"
     b"Authorization: Basic YTpi\r\nReferer: http://r/\r\nIf-None-Match: \"e\"\r\nRange: bytes=0-\r\n",
     {"HTTP_USER_AGENT": "u", "HTTP_ACCEPT": "*/*", "HTTP_ACCEPT_ENCODING": "gzip",
      "HTTP_AUTHORIZATION": "Basic YTpi", "HTTP_REFERER": "http://r/", "HTTP_IF_NONE_MATCH": '"e"',
      "HTTP_RANGE": "bytes=0-"}, None, SECTION),
    ("one cookie", b"Cookie: a=b; c=d\r\n", {"HTTP_COOKIE": "a=b; c=d"}, None, SECTION),
    ("a field that is no forwarding proxy's affair", b"X-Forwarded-For: 9.9.9.9\r\n",
     {"REMOTE_ADDR": "127.0.0.1"}, {"HTTP_X_FORWARDED_FOR": None}, CGI + ".8"),
    ("a scheme from outside", b"X-Forwarded-Proto: https\r\nX-Forwarded-Ssl: on\r\n", {},
     {"wsgi.url_scheme": "http", "HTTPS": None}, SECTION),
    ("a user from outside", b"Remote-User: admin\r\n", {"REMOTE_USER": None}, None, CGI + ".11"),
    ("a port from outside", b"X-Forwarded-Port: 443\r\nX-Forwarded-Host: evil.test\r\n",
     {"HTTP_HOST": "shop.test"}, None, SECTION),
    ("HTTPS from outside", b"HTTPS: on\r\nSsl-Protocol: TLSv1.3\r\n",
     {"HTTPS": None, "SSL_PROTOCOL": None}, None, SECTION),
    ("a variable of WSGI from outside", b"wsgi.url_scheme: https\r\nwsgi.input: x\r\n",
     {"wsgi.url_scheme": "http"}, None, SECTION),
    ("CGI variables from outside", b"Path-Info: /evil\r\nRequest-Method: EVIL\r\n"
     b"Server-Name: evil\r\nQuery-String: evil\r\n",
     {"PATH_INFO": "/environ", "REQUEST_METHOD": "GET"}, {"QUERY_STRING": ""}, SECTION),
    ("a script name from outside", b"Script-Name: /evil\r\n", {"SCRIPT_NAME": None}, None, SECTION),
    ("an underscore against a hyphen", b"X-Role: guest\r\nX_Role: admin\r\n",
     {"HTTP_X_ROLE": "guest"}, None, SECTION),
    ("an underscore before a hyphen", b"X_Role: admin\r\nX-Role: guest\r\n",
     {"HTTP_X_ROLE": "guest"}, None, SECTION),
    ("an underscore alone", b"X_Role: admin\r\n", {}, {"HTTP_X_ROLE": None}, SECTION),
    ("an underscore for Content-Type", b"Content_Type: text/evil\r\n", {"CONTENT_TYPE": None},
     None, SECTION),
    ("an underscore for Host", b"HTTP_HOST: evil\r\nHost_: evil\r\n", {"HTTP_HOST": "shop.test"},
     None, SECTION),
    ("an underscore for the path", b"PATH_INFO: /evil\r\n", {"PATH_INFO": "/environ"},
     {"SCRIPT_NAME": ""}, SECTION),
    ("Proxy, which would become HTTP_PROXY", b"Proxy: http://evil/\r\n", {},
     {"HTTP_PROXY": None}, "RFC 3875 §4.1.18 (httpoxy)"),
    ("fields of the connection", b"TE: trailers\r\nTrailer: X\r\nKeep-Alive: 5\r\n", {},
     {"HTTP_TE": None, "HTTP_TRAILER": None, "HTTP_KEEP_ALIVE": None},
     "PEP 3333, Other HTTP Features"),
]


def keyed(expected):
    return is_told(**{key.replace(".", "__") if key.startswith("wsgi") else key: value
                      for key, value in expected.items()})


# RFC 3875 §4.1.18: several fields of a name become "a single value having the same semantics".
JOINED = (is_told(HTTP_X_ONE="a, b, a"), is_told(HTTP_X_ONE="a,b,a"))
COOKIES = tuple(is_told(HTTP_COOKIE=f"a=b{separator}c=d") for separator in ("; ", ", ", ","))

FIELD_CASES = [
    *(told(name, get(b"/environ", fields), keyed(musts),
           None if more is None else keyed({**musts, **more}), section)
      for name, fields, musts, more, section in FIELDS),
    told("several fields of one name", get(b"/environ", b"X-One: a\r\nY: c\r\nX-One: b\r\n"
                                           b"x-one: a\r\n"), JOINED, JOINED[0], CGI + ".18"),
    told("several cookies", get(b"/environ", b"Cookie: a=b\r\nCookie: c=d\r\n"), COOKIES,
         COOKIES[0], CGI + ".18", "several Cookie fields are joined by `; `"),
    told("Transfer-Encoding is undone", get(b"/environ", b"Transfer-Encoding: chunked\r\n",
                                            b"POST") + b"2\r\nhi\r\n0\r\n\r\n", answered(),
         is_told(HTTP_TRANSFER_ENCODING=None), "PEP 3333, Other HTTP Features",
         "fields of the connection (TE, Trailer, Keep-Alive, Transfer-Encoding) are not passed on"),
    told("an absolute target", b"GET http://shop.test:81/environ?a HTTP/1.1\r\nHost: evil\r\n\r\n",
         is_told(HTTP_HOST="shop.test:81", PATH_INFO="/environ", QUERY_STRING="a"),
         section="RFC 9112 §3.2.2"),
    told("an environ of its own for each request",
         wsgi("environ['left.behind'] = 'yes'\nenviron['HTTP_X_LEFT'] = 'yes'\n"
              "return text(start_response, b'')") + get(b"/environ") * 8,
         Outcome((Reply((200,), b""),) + (Reply((200,), None, (environ(
             left__behind=None, HTTP_X_LEFT=None),)),) * 8)),
]


def variables(server, fields=b""):
    with Connection(server.address) as connection:
        port = connection.socket.getsockname()[1]
        connection.send(get(b"/environ", fields))
        connection.read_until(connection.reader.finished, 5)
        return port, json.loads(connection.reader.responses[0].body)


def addresses(server):
    """SERVER_PORT is the port connected to, REMOTE_PORT (if told) the client's."""
    port, told_ = variables(server)
    if told_["SERVER_PORT"] != str(server.address[1]):
        return f"SERVER_PORT {told_['SERVER_PORT']}, not {server.address[1]}"
    if told_.get("REMOTE_PORT", str(port)) != str(port) or server.ours and "REMOTE_PORT" not in told_:
        return f"REMOTE_PORT {told_.get('REMOTE_PORT')}, not {port}"
    return None


def concurrency(server):
    """wsgi.multithread and wsgi.multiprocess tell the truth."""
    _, told_ = variables(server)
    # waitress has one process, whatever it is told.
    truth = (server.place.threads > 1, server.place.processes > 1 and server.name != "waitress")
    found = tuple(bool(told_[f"wsgi.multi{what}"]) for what in ("thread", "process"))
    return None if found == truth else f"multithread, multiprocess: {found}, not {truth}"


def concurrency_of_one(server):
    """wsgi.multithread and wsgi.multiprocess tell the truth, with one process and one thread."""
    with servers.serve(server.name, server.place.binary, processes=1, threads=1) as alone:
        return concurrency(alone)


PROCEDURES = [
    Procedure("SERVER_PORT and REMOTE_PORT", SECTION, addresses),
    Procedure("multithread, multiprocess", SECTION, concurrency),
    Procedure("multithread, multiprocess: one of each", SECTION, concurrency_of_one),
]

CASES = [*URL_CASES, *TYPES, *REQUEST_CASES, *FIELD_CASES, *PROCEDURES]

"""The servers compared, each at the settings that serve it best, all from the same files and apps.

Everyone gets two processes, one CPython (the benchmark's virtualenv), no access log, port on
127.0.0.1. `files` is where a server mounts the folder of files, none when it serves no files.
"""

import contextlib
import dataclasses
import os
import pathlib
import socket
import time

import load
import prepare
import process

PROCESSES = 2


# What is served where, as nginx and as project.toml say it.
LOCATIONS = f"""\
        root {prepare.FILES};
        location / {{ try_files $uri $uri/ /index.html; }}
        location /wsgi {{ include /etc/nginx/uwsgi_params; uwsgi_pass application; }}
"""
ROUTES = f"""\
"/" = {{ files = "{prepare.FILES}", fallback = "/index.html" }}
"/wsgi" = {{ wsgi = true }}
"""


@dataclasses.dataclass(frozen=True)
class App:
    """A WSGI application: its folder, module and virtualenv, and a path it answers with 200."""

    module: str
    path: str
    chdir: pathlib.Path = prepare.APPS
    virtualenv: pathlib.Path = prepare.VENV
    locations: str = LOCATIONS
    routes: str = ROUTES
    preload: bool = False


PLAIN = App("plain", "/wsgi")
DJANGO = App("shop.wsgi", "/wsgi/item/7")


class Server:
    """A running server. `url(path)` is where it serves a file or a view; `answered_ms` the time
    from its start to its first 200 for each path waited for."""

    def __init__(self, name, roots, port, files, log):
        self.name, self.roots, self.port, self.log = name, roots, port, log
        self.files, self.answered_ms = files, {}

    def url(self, path):
        return f"http://127.0.0.1:{self.port}{self.path(path)}"

    def path(self, path):
        return (self.files or "") + path if path in prepare.SIZES else path

    def alive(self):
        return all(root.poll() is None for root in self.roots)

    def pids(self):
        return process.tree([root.pid for root in self.roots])

    def tail(self):
        return "".join(self.log.read_text(errors="replace").splitlines(True)[-20:])


@contextlib.contextmanager
def serve(name, app, threads, binary=None):
    """Starts the named server, waits until it answers, and ends it whatever happens."""
    port = free_port()
    folder = prepare.WORK / f"{name}-{port}"
    folder.mkdir()
    kind = name.removesuffix("-4")
    commands, files = MAKERS[kind](folder, port, app, threads, binary)
    log = folder / "log"
    env = prepare.environment()
    roots = []
    began = time.monotonic()
    try:
        for command in commands:
            roots.append(process.start(command, log, cwd=app.chdir, env=env))
        server = Server(name, roots, port, files, log)
        wait(server, app, began)
        yield server
    finally:
        process.stop(roots)


def wait(server, app, began):
    paths = [app.path] if server.files is None else [prepare.SMALL, app.path]
    try:
        for path in paths:
            load.first_200(server.url(path), server.alive, 20)
            server.answered_ms[path] = (time.monotonic() - began) * 1000
    except RuntimeError as error:
        raise RuntimeError(f"{server.name}: {error}\n{server.tail()}") from error


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def pair(folder, port, app, threads, _binary):
    (folder / "nginx.conf").write_text(NGINX.format(
        user="user root;" if os.geteuid() == 0 else "", folder=folder, port=port,
        locations=app.locations, processes=PROCESSES))
    nginx = ["nginx", "-p", folder, "-e", folder / "log", "-c", folder / "nginx.conf"]
    return [uwsgi_command(app, threads, ["--socket", folder / "uwsgi.sock"]), nginx], ""


def uwsgi(_folder, port, app, threads, _binary):
    # http11-socket: the workers speak HTTP with keep-alive themselves, one hop less than --http.
    return [uwsgi_command(app, threads, ["--http11-socket", f"127.0.0.1:{port}"])], None


def uwsgi_command(app, threads, listen):
    return ["uwsgi", "--plugin", "python3", "--master", "--die-on-term", "--need-app",
            "--processes", PROCESSES, *(["--threads", threads] if threads > 1 else []),
            "--thunder-lock", "--listen", 1024, "--disable-logging", "--single-interpreter",
            "--virtualenv", app.virtualenv, "--chdir", app.chdir,
            "--module", f"{app.module}:application", *listen]


def granian(_folder, port, app, threads, _binary):
    return [[prepare.VENV / "bin/granian", "--interface", "wsgi", "--host", "127.0.0.1",
             "--port", port, "--workers", PROCESSES, "--blocking-threads", threads,
             # Otherwise it holds 512 connections a worker and lets the rest wait.
             "--backlog", 4096, "--backpressure", 4096,
             "--http", "1", "--no-ws", "--no-access-log", "--log-level", "warn",
             "--static-path-mount", prepare.FILES, f"{app.module}:application"]], "/static"


def bjoern(_folder, port, app, _threads, _binary):
    return [[prepare.VENV / "bin/python", prepare.APPS / "bjoern_serve.py", app.module, port,
             PROCESSES]], None


def floor(_folder, port, _app, _threads, _binary):
    return [[prepare.FLOOR, port, PROCESSES, prepare.FILES]], ""


def appliance(folder, port, app, threads, binary):
    (folder / "project.toml").write_text(PROJECT.format(
        app=app, port=port, processes=PROCESSES, threads=threads,
        # Older binaries, which may be measured beside this one, do not know it.
        preload="preload = true\n" if app.preload else ""))
    return [[binary, "serve", folder / "project.toml"]], ""


MAKERS = {"pair": pair, "uwsgi": uwsgi, "granian": granian, "bjoern": bjoern,
          "floor": floor, "appliance": appliance}
LABELS = {
    "pair": "nginx + uWSGI",
    "uwsgi": "uWSGI alone",
    "granian": "Granian",
    "bjoern": "bjoern",
    "floor": "the kernel alone",
    "appliance": "appliance",
}


def label(name, threads):
    kind = name.removesuffix("-4")
    return LABELS[kind] if kind == "bjoern" or threads is None else f"{LABELS[kind]}, {threads}T"


# `reuseport` spreads the connections evenly; without it one worker takes most of them and the
# other's CPU stays idle.
NGINX = """\
{user}
daemon off;
pid {folder}/nginx.pid;
worker_processes {processes};
worker_rlimit_nofile 16384;
error_log stderr warn;
events {{ worker_connections 8192; }}
http {{
    include /etc/nginx/mime.types;
    default_type application/octet-stream;
    access_log off;
    sendfile on;
    tcp_nopush on;
    tcp_nodelay on;
    keepalive_timeout 600s;
    keepalive_requests 100000000;
    open_file_cache max=1000 inactive=60s;
    open_file_cache_valid 30s;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    scgi_temp_path {folder}/scgi;
    uwsgi_temp_path {folder}/uwsgi;
    upstream application {{ server unix:{folder}/uwsgi.sock; }}
    server {{
        listen 127.0.0.1:{port} reuseport backlog=1024;
{locations}    }}
}}
"""

PROJECT = """\
[server]
log_level = "warn"

[python]
chdir = "{app.chdir}"
module = "{app.module}"
virtualenv = "{app.virtualenv}"
processes = {processes}
threads = {threads}
{preload}
[[site]]
listen = ["127.0.0.1:{port}"]

[site.routes]
{app.routes}"""

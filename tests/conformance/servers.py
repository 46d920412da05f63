"""The servers that the cases are put to, each as its users run it: two processes, four threads,
one CPython, on 127.0.0.1. Settings differ from the defaults only where a case needs it.
"""

import contextlib
import dataclasses
import hashlib
import http.client
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
TARGET = ROOT / "target" / "conformance"
VENV = TARGET / "venv"

# Debian's own interpreter: uWSGI's plugin is linked against it.
PYTHON = "/usr/bin/python3"
PACKAGES = ["nginx-light", "uwsgi-core", "uwsgi-plugin-python3", "python3-venv"]

BODY_LIMIT = 20 * 1024 * 1024
FILES = {"small.txt": b"0123456789", "page.html": b"<!doctype html>page\n",
         "large.bin": bytes(range(256)) * 12288}

START_SECONDS = 30
STOP_SECONDS = 10
WELL_SECONDS = 2


@dataclasses.dataclass
class Server:
    name: str
    address: tuple
    folder: pathlib.Path
    processes: list
    has: tuple
    ours: bool
    place: "Place"

    def events(self, case):
        """What the application noted for a case."""
        try:
            return (self.folder / "events" / case).read_text().splitlines()
        except FileNotFoundError:
            return []

    def log(self):
        return (self.folder / "log").read_text(errors="replace")

    def alive(self):
        return all(process.poll() is None for process in self.processes)

    def well(self):
        """It lives and answers."""
        return self.alive() and answers(self.address, "/probe", WELL_SECONDS)


@contextlib.contextmanager
def serve(name, binary=None, processes=2, threads=4):
    """Starts a server, waits until it answers, and ends it whatever happens."""
    with tempfile.TemporaryDirectory(prefix=f"conformance-{name}-") as folder:
        folder = pathlib.Path(folder)
        (folder / "events").mkdir()
        (folder / "files").mkdir()
        (folder / "spool").mkdir()
        for file, content in FILES.items():
            path = folder / "files" / file
            path.write_bytes(content)
            # What has just been written is not yet worth keeping in memory: some servers know.
            os.utime(path, (1e9, 1e9))
        place = Place(folder, free_port(), processes, threads, binary)
        commands = MAKERS[name](place)
        env = {**os.environ, "CONFORMANCE_EVENTS": str(folder / "events"),
               "CONFORMANCE_FILES": str(folder / "files"), "PYTHONPATH": str(HERE),
               "PYTHONDONTWRITEBYTECODE": "1"}
        running = []
        try:
            with open(folder / "log", "ab") as log:
                for command in commands:
                    running.append(subprocess.Popen(
                        [str(part) for part in command], cwd=folder, env=env,
                        stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                        start_new_session=True))
            server = Server(name, ("127.0.0.1", place.port), folder, running, HAS[name],
                            name == "appliance", place)
            wait(server)
            yield server
        finally:
            stop(running)


@dataclasses.dataclass(frozen=True)
class Place:
    folder: pathlib.Path
    port: int
    processes: int
    threads: int
    binary: str | None

    @property
    def user(self):
        """nginx's workers give up root; the folder of a test is root's alone."""
        return "user root;" if os.geteuid() == 0 else ""


def wait(server):
    deadline = time.monotonic() + START_SECONDS
    while server.alive() and time.monotonic() < deadline:
        if answers(server.address, "/hello", 5):
            return
        time.sleep(0.05)
    sys.exit(f"error: {server.name} did not start:\n{server.log()[-3000:]}")


def answers(address, path, seconds):
    client = http.client.HTTPConnection(*address, timeout=seconds)
    try:
        client.request("GET", path)
        return client.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        client.close()


def stop(processes):
    for process in reversed(processes):
        process.send_signal(signal.SIGTERM)
    for process in processes:
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        # A worker which a case has driven mad may outlive its master: it is of the same group.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def free_port():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return unused.getsockname()[1]


def appliance(place):
    (place.folder / "project.toml").write_text(PROJECT.format(
        here=HERE, python=sys.executable, place=place, limit=BODY_LIMIT))
    return [[place.binary, "serve", place.folder / "project.toml"]]


def nginx(place):
    (place.folder / "nginx.conf").write_text(NGINX.format(place=place, limit=BODY_LIMIT))
    uwsgi = ["uwsgi", "--plugin", "python3", "--master", "--die-on-term", "--need-app",
             "--processes", place.processes, "--threads", place.threads,
             # Its default, 4 KB for a request's head, is known to be raised by everybody.
             "--buffer-size", 32768, "--disable-logging", "--virtualenv", VENV,
             "--chdir", HERE, "--module", "app:application",
             "--socket", place.folder / "uwsgi.sock"]
    return [uwsgi, ["nginx", "-p", place.folder, "-e", place.folder / "log",
                    "-c", place.folder / "nginx.conf"]]


def gunicorn(place):
    # gthread: its default worker, sync, keeps no connection alive.
    return [[VENV / "bin/gunicorn", "--worker-class", "gthread", "--workers", place.processes,
             "--threads", place.threads, "--bind", f"127.0.0.1:{place.port}", "app:application"]]


def granian(place):
    return [[VENV / "bin/granian", "--interface", "wsgi", "--host", "127.0.0.1",
             "--port", place.port, "--workers", place.processes,
             "--blocking-threads", place.threads, "--no-ws", "--log-level", "warn",
             "--static-path-route", "/files", "--static-path-mount", place.folder / "files",
             "app:application"]]


def waitress(place):
    return [[VENV / "bin/waitress-serve", "--listen", f"127.0.0.1:{place.port}",
             "--threads", place.threads, "--max-request-body-size", BODY_LIMIT,
             "app:application"]]


MAKERS = {"appliance": appliance, "nginx": nginx, "gunicorn": gunicorn, "granian": granian,
          "waitress": waitress}
LABELS = {"appliance": "appliance", "nginx": "nginx + uWSGI", "gunicorn": "gunicorn",
          "granian": "Granian", "waitress": "waitress"}
# What only some have: static files, a limit for bodies, processes whose memory is looked at,
# a promise to close in stages (which RFC 9112 §9.6 describes and does not demand).
HAS = {"appliance": ("files", "limit", "processes", "lingering"),
       "nginx": ("files", "limit", "processes"),
       "gunicorn": (), "granian": ("files",), "waitress": ("limit",)}

PROJECT = """\
[python]
chdir = "{here}"
module = "app"
interpreter = "{python}"
processes = {place.processes}
threads = {place.threads}
spool = "{place.folder}/spool"

[[site]]
listen = ["127.0.0.1:{place.port}"]
body_limit = {limit}

[site.routes]
"/" = {{ wsgi = true }}
"/files/" = {{ files = "{place.folder}/files" }}
"""

NGINX = """\
{place.user}
daemon off;
pid {place.folder}/nginx.pid;
worker_processes {place.processes};
error_log stderr warn;
events {{ worker_connections 4096; }}
http {{
    include /etc/nginx/mime.types;
    access_log off;
    sendfile on;
    client_max_body_size {limit};
    client_body_temp_path {place.folder}/body;
    proxy_temp_path {place.folder}/proxy;
    fastcgi_temp_path {place.folder}/fastcgi;
    scgi_temp_path {place.folder}/scgi;
    uwsgi_temp_path {place.folder}/uwsgi;
    server {{
        listen 127.0.0.1:{place.port};
        server_name localhost;
        location / {{
            include /etc/nginx/uwsgi_params;
            uwsgi_pass unix:{place.folder}/uwsgi.sock;
        }}
        location /files/ {{ root {place.folder}; }}
    }}
}}
"""


def prepare_peers():
    """Packages and virtualenv of the peers, whichever are missing."""
    present = shutil.which("nginx") and shutil.which("uwsgi") \
        and list(pathlib.Path("/usr/lib/uwsgi/plugins").glob("python3*_plugin.so"))
    if not present:
        sudo = [] if os.geteuid() == 0 else ["sudo"]
        # RUNLEVEL=1 keeps the package from starting its own nginx on port 80.
        env = ["env", "DEBIAN_FRONTEND=noninteractive", "RUNLEVEL=1"]
        checked(sudo + ["apt-get", "update", "-q"], 300)
        checked(sudo + env + ["apt-get", "install", "-qy", "--no-install-recommends",
                              *PACKAGES], 600)
    requirements = HERE / "requirements.txt"
    wanted = hashlib.sha256(requirements.read_bytes()).hexdigest()
    stamp = VENV / "requirements.sha256"
    if stamp.exists() and stamp.read_text() == wanted:
        return
    shutil.rmtree(VENV, ignore_errors=True)
    checked([PYTHON, "-m", "venv", VENV], 120)
    checked([VENV / "bin/pip", "install", "-q", "--disable-pip-version-check",
             "-r", requirements], 600)
    stamp.write_text(wanted)


def checked(command, seconds):
    done = subprocess.run([str(part) for part in command], timeout=seconds,
                          stdout=sys.stderr.fileno())
    if done.returncode:
        sys.exit(f"error: `{' '.join(map(str, command))}` exited with {done.returncode}")

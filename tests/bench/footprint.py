"""The demo at idle: memory of all processes, and the time from start to the first 200.

A copy of config/demo is prepared once (virtualenv on Debian's interpreter, hooks run), so that
both servers start the same application and nothing but the start is timed: the project file
which is measured has neither requirements nor hooks. The bare interpreter beside them imports
the same module and calls it once, since Django imports much of itself at its first request.
"""

import dataclasses
import json
import shutil
import statistics
import subprocess
import time
import tomllib

import load
import prepare
import process
import servers

STARTS = 3
PATH = "/api/notes"
COPY = prepare.TARGET / "demo"


@dataclasses.dataclass(frozen=True)
class Demo:
    """Starts each server a few times and looks at the last one's memory."""

    key: str
    title: str
    threads: dict
    settle: float = 2.0

    def run(self, plan):
        app = demo()
        figures = {"bare": bare(app)}
        for name, threads in self.threads.items():
            if name in plan.names:
                figures[name] = {"label": servers.LABELS[name],
                                 **self.once(name, app, threads, plan)}
        return figures

    def once(self, name, app, threads, plan):
        page, answer = [], []
        for last in [False] * (STARTS - 1) + [True]:
            with servers.serve(name, app, threads, plan.binary) as server:
                page.append(server.answered_ms[prepare.SMALL])
                answer.append(server.answered_ms[app.path])
                figures = self.memory(server, app) if last else {}
        return {**figures, "page_ms": statistics.median(page),
                "answer_ms": statistics.median(answer)}

    def memory(self, server, app):
        time.sleep(self.settle)
        roots = [root.pid for root in server.roots]
        pids = server.pids()
        workers = [process.memory([pid]) for pid in pids if pid not in roots]
        figures = {"processes": len(pids), "pss_start_kb": process.memory(pids)[0]}
        if server.name == "appliance":
            figures["supervisor_rss_kb"] = process.memory(roots)[1]
            figures["worker_pss_kb"] = max(pss for pss, _ in workers)
            figures["worker_rss_kb"] = max(rss for _, rss in workers)
        for _ in range(200):
            status, _ = load.fetch(server.url(app.path))
            if status != 200:
                raise RuntimeError(f"{server.name}: {app.path} gave {status}\n{server.tail()}")
        time.sleep(self.settle)
        return {**figures, "pss_used_kb": process.memory(server.pids())[0]}


def demo():
    """The copy, ready to start, as both servers' configuration sees it."""
    source = prepare.ROOT / "config/demo"
    dist = source / "frontend/dist/index.html"
    if not dist.exists():
        raise RuntimeError(f"`{dist.relative_to(prepare.ROOT)}` is missing: the demo's front is "
                           "not built")
    # The virtualenv outlives the copy of the sources: filling it takes longer than a run.
    for old in COPY.iterdir() if COPY.exists() else []:
        if old.name != ".venv":
            shutil.rmtree(old) if old.is_dir() else old.unlink()
    ignored = shutil.ignore_patterns("node_modules", ".venv", "data", "__pycache__")
    shutil.copytree(source, COPY, ignore=ignored, dirs_exist_ok=True)
    project = tomllib.loads((COPY / "project.toml").read_text())
    python, routes = project["python"], project["site"][0]["routes"]
    app = servers.App(module=python["module"], path=PATH, chdir=COPY / python["chdir"],
                      virtualenv=COPY / ".venv", locations=locations(routes),
                      routes=toml_routes(routes), preload=python.get("preload", False))
    if not (app.virtualenv / "bin/pip").exists():
        prepare.run([prepare.PYTHON, "-m", "venv", app.virtualenv], 120)
    prepare.run([app.virtualenv / "bin/pip", "install", "-q", "--disable-pip-version-check",
                 "-r", COPY / python["requirements"]], 600)
    env = {**prepare.environment(), "PYTHONPATH": ""}
    env["PATH"] = f"{app.virtualenv}/bin:{env['PATH']}"
    for hook in project.get("hooks", {}).get("before_start", []):
        prepare.run(["sh", "-c", hook], 120, cwd=app.chdir, env=env, stdout=subprocess.DEVNULL)
    return app


def locations(routes):
    """The routes as nginx locations."""
    text = ""
    for prefix, target in routes.items():
        if target.get("wsgi"):
            inside = "include /etc/nginx/uwsgi_params; uwsgi_pass application;"
        elif prefix == "/":
            inside = f"root {COPY / target['files']}; try_files $uri $uri/ {target['fallback']};"
        else:
            inside = f"alias {COPY / target['files']}/;"
        text += f"        location {prefix} {{ {inside} }}\n"
    return text


def toml_routes(routes):
    """The routes again, folders absolute."""
    text = ""
    for prefix, target in routes.items():
        if "files" in target:
            target = {**target, "files": str(COPY / target["files"])}
        pairs = ", ".join(f"{key} = {json.dumps(value)}" for key, value in target.items())
        text += f'"{prefix}" = {{ {pairs} }}\n'
    return text


# Imports, says so, waits for a line, calls the application once, says so, waits again.
BARE = """
import importlib, io, sys
application = importlib.import_module(sys.argv[1]).application
print("imported", flush=True)
sys.stdin.readline()
environ = {"REQUEST_METHOD": "GET", "PATH_INFO": sys.argv[2], "SCRIPT_NAME": "",
           "QUERY_STRING": "", "SERVER_NAME": "127.0.0.1", "SERVER_PORT": "80",
           "HTTP_HOST": "127.0.0.1", "SERVER_PROTOCOL": "HTTP/1.1", "wsgi.version": (1, 0),
           "wsgi.url_scheme": "http", "wsgi.input": io.BytesIO(), "wsgi.errors": sys.stderr,
           "wsgi.multithread": True, "wsgi.multiprocess": True, "wsgi.run_once": False}
def start_response(status, headers, exc_info=None):
    assert status.startswith("200"), status
reply = application(environ, start_response)
b"".join(reply)
reply.close()
print("called", flush=True)
sys.stdin.readline()
"""


def bare(app):
    """The same interpreter with the same application and no server around it."""
    runs = [bare_once(app) for _ in range(STARTS)]
    return {"label": "bare interpreter", "processes": 1,
            **{key: statistics.median(run[key] for run in runs) for key in runs[0]}}


def bare_once(app):
    env = {**prepare.environment(), "PYTHONPATH": ""}
    began = time.monotonic()
    with subprocess.Popen([app.virtualenv / "bin/python", "-c", BARE, app.module, app.path],
                          cwd=app.chdir, env=env, text=True, stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE) as running:
        try:
            expect(running, "imported")
            imported = time.monotonic() - began
            print("", file=running.stdin, flush=True)
            expect(running, "called")
            called = time.monotonic() - began
            pss, rss = process.memory([running.pid])
        finally:
            running.kill()
    return {"page_ms": imported * 1000, "answer_ms": called * 1000, "worker_rss_kb": rss,
            "worker_pss_kb": pss}


def expect(running, word):
    line = running.stdout.readline().strip()
    if line != word:
        raise RuntimeError(f"the bare interpreter did not get to `{word}`: {line!r}")

"""The scenarios: what is asked of whom. Each returns its figures, per server one dict."""

import contextlib
import dataclasses
import json
import os
import statistics
import subprocess
import sys
import time

import features
import footprint
import idle
import load
import prepare
import process
import servers


@dataclasses.dataclass(frozen=True)
class Plan:
    """What the command line decided."""

    rounds: int
    seconds: float
    names: tuple
    binary: object


@dataclasses.dataclass(frozen=True)
class Throughput:
    """wrk with `connections` against one path; Python threads per process by server."""

    key: str
    title: str
    path: str
    app: servers.App
    connections: int
    threads: dict
    # Client and server on CPUs of their own. With one connection the scheduler may put both on
    # one CPU or not, and a request takes 13 us or 85 accordingly, by chance.
    apart: bool = False

    def run(self, plan):
        with fleet(self.threads, self.app, plan) as running:
            agree(running, self.path)
            cpu = separate(running) if self.apart else None
            for server in running:  # warm-up, not counted
                measure(server, self.path, self.connections, max(1, plan.seconds // 2), cpu)
            rounds = {server.name: [] for server in running}
            for _ in range(plan.rounds):
                for server in running:  # A B C A B C
                    rounds[server.name].append(
                        measure(server, self.path, self.connections, plan.seconds, cpu))
        return {name: {"label": servers.label(name, self.threads[name]), **summary(values)}
                for name, values in rounds.items()}


@dataclasses.dataclass(frozen=True)
class Busy:
    """A paced client reads a file while every Python thread burns CPU."""

    key: str
    title: str
    threads: dict
    rate: int = 200
    burners: int = 32

    def run(self, plan):
        # The 99th percentile of 200 requests/s needs seconds to have values behind it.
        seconds = plan.seconds * 2
        with fleet(self.threads, servers.PLAIN, plan) as running:
            rounds = {server.name: [] for server in running}
            for _ in range(plan.rounds):
                for server in running:
                    rounds[server.name].append(self.once(server, seconds))
        return {name: {"label": servers.label(name, self.threads[name]), "rounds": values,
                       "errors": sum(one["errors"] for one in values),
                       **{key: statistics.median(one[key] for one in values)
                          for key in ("p50_ms", "p99_ms", "max_ms", "views_s", "late_ms")}}
                for name, values in rounds.items()}

    def once(self, server, seconds):
        view = server.url("/wsgi/burn")
        with load.Wrk(view, self.burners, int(seconds) + 2) as burning:
            time.sleep(1)  # until every thread is taken and the queue is full
            command = [sys.executable, prepare.HERE / "paced.py", "127.0.0.1", server.port,
                       server.path(prepare.SMALL), self.rate, seconds, 8]
            done = subprocess.run([str(part) for part in command], capture_output=True,
                                  text=True, timeout=seconds + 30,
                                  start_new_session=True)
            if done.returncode:
                raise RuntimeError(f"paced.py: {done.stderr}")
            figures = json.loads(done.stdout)
            views = burning.result()
        if done.stderr:
            prepare.say(f"{server.name}: {done.stderr.splitlines()[0]}")
        return {**figures, "errors": figures["failed"] + views["failed"] + views["status"],
                "views_s": views["requests"] / (views["us"] / 1e6)}


@contextlib.contextmanager
def fleet(threads, app, plan):
    """Every server asked for, running side by side: an idle one costs the others nothing."""
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(servers.serve(name, app, count or 1, plan.binary))
               for name, count in threads.items() if name in plan.names]


def agree(running, path):
    """All answer the same bytes, else their speeds do not compare."""
    wanted = (prepare.FILES / path[1:]).read_bytes() if path in prepare.SIZES else None
    for server in running:
        status, body = load.fetch(server.url(path))
        wanted = body if wanted is None else wanted
        if status != 200 or body != wanted:
            raise RuntimeError(f"{server.name}: {path} gave {status} and {len(body)} bytes, "
                               f"not the {len(wanted)} that the others give")


def separate(running):
    """The servers to all CPUs but the first, which is returned for wrk."""
    first, *others = sorted(os.sched_getaffinity(0))
    if not others:
        prepare.say("one CPU: client and server share it")
        return None
    for server in running:
        process.pin(server.pids(), others)
    return first


def measure(server, path, connections, seconds, cpu=None):
    pids = server.pids()
    before = process.cpu_seconds(pids)
    with load.Wrk(server.url(path), connections, max(1, int(seconds)), cpu) as running:
        figures = running.result()
    cpu = process.cpu_seconds(sorted(set(pids) | set(server.pids()))) - before
    # Of large files several are under way when the time is up: count their parts as well.
    size = prepare.SIZES.get(path, 0)
    count = figures["bytes"] / size if size > 1 << 20 else figures["requests"]
    return {"rps": count / (figures["us"] / 1e6), "cpu_us": cpu / max(count, 1e-9) * 1e6,
            "cpus": cpu / (figures["us"] / 1e6), "p50_ms": figures["p50_us"] / 1e3,
            "p99_ms": figures["p99_us"] / 1e3, "errors": figures["failed"] + figures["status"]}


def summary(rounds):
    middle = {key: statistics.median(one[key] for one in rounds)
              for key in ("rps", "cpu_us", "cpus", "p50_ms", "p99_ms")}
    return {**middle, "cpu_us_min": min(one["cpu_us"] for one in rounds),
            "cpu_us_max": max(one["cpu_us"] for one in rounds),
            "errors": sum(one["errors"] for one in rounds), "rounds": rounds}


# None: the threads do not matter to the scenario or the server has none.
STATIC = {"pair": None, "granian": None, "appliance": None}
SMALLER = {**STATIC, "floor": None}
ONE_AND_FOUR = {"pair": 1, "pair-4": 4, "granian": 1, "granian-4": 4, "bjoern": None,
                "appliance": 1, "appliance-4": 4}

SCENARIOS = [
    Throughput("index", "index.html, 3 KB, 64 connections", prepare.SMALL, servers.PLAIN, 64,
               SMALLER),
    Throughput("script", "script, 60 KB, 64 connections", prepare.SCRIPT, servers.PLAIN, 64,
               SMALLER),
    Throughput("large", "file, 20 MB, 4 connections", prepare.LARGE, servers.PLAIN, 4, STATIC),
    Throughput("wsgi", "trivial WSGI view, 64 connections", servers.PLAIN.path, servers.PLAIN,
               64, ONE_AND_FOUR),
    Throughput("latency", "trivial WSGI view, one connection", servers.PLAIN.path,
               servers.PLAIN, 1, {"pair": 1, "uwsgi": 1, "granian": 1, "bjoern": None,
                                  "appliance": 1, "appliance-4": 4}, apart=True),
    Throughput("django", "Django view with one SQLite query, 64 connections",
               servers.DJANGO.path, servers.DJANGO, 64, ONE_AND_FOUR),
    Busy("busy", "index.html at 200 requests/s while 32 connections keep every Python thread in "
         "a 50 ms view", {"pair-4": 4, "granian-4": 4, "appliance-4": 4}),
    idle.Idle("idle", "2,000 idle keep-alive connections after one request each",
              {"pair": 4, "granian": 4, "bjoern": None, "appliance": 4}),
    footprint.Demo("demo", "the demo: memory at idle and time to start, 2 processes of 4 threads",
                   {"pair": 4, "appliance": 4}),
    features.Features("features", "what a feature costs, CPU µs/request, 64 connections",
                      {"appliance": 1}),
]

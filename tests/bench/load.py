"""Requests: wrk for load, a plain fetch to see that a server answers what the others answer."""

import json
import subprocess
import time
import urllib.error
import urllib.request

import prepare

# wrk's own summary rounds; its Lua hook has the exact figures. Only `done` is defined, so the
# requests themselves never enter Lua.
HOOK = """
done = function(summary, latency, requests)
  local e = summary.errors
  io.write(string.format(
    'BENCH {"requests":%d,"bytes":%d,"us":%d,"failed":%d,"status":%d,"p50_us":%d,"p99_us":%d}\\n',
    summary.requests, summary.bytes, summary.duration,
    e.connect + e.read + e.write + e.timeout, e.status,
    latency:percentile(50), latency:percentile(99)))
end
"""


class Wrk:
    """One run of wrk in the background: `with` it, or call `result()`."""

    def __init__(self, url, connections, seconds, cpu=None):
        hook = prepare.WORK / "wrk.lua"
        if not hook.exists():
            hook.write_text(HOOK)
        self.seconds = seconds
        # Two threads from two connections on: with one thread wrk itself would be the limit.
        threads = min(2, connections)
        there = [] if cpu is None else ["taskset", "-c", str(cpu)]
        self.process = subprocess.Popen(
            [*there, "wrk", "-t", str(threads), "-c", str(connections), "-d", f"{seconds}s",
             "--timeout", "10s", "-s", str(hook), url],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True)

    def result(self):
        try:
            text, _ = self.process.communicate(timeout=self.seconds + 30)
        finally:
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait()
        for line in text.splitlines():
            if line.startswith("BENCH "):
                return json.loads(line[6:])
        raise RuntimeError(f"wrk gave no figures: {text.strip()}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()


def fetch(url, seconds=5):
    """Status and body; connection errors pass through."""
    try:
        with urllib.request.urlopen(url, timeout=seconds) as reply:
            return reply.status, reply.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def first_200(url, alive, seconds, pause=0.003):
    """Waits until `url` answers 200; `alive` says whether there is still someone to wait for."""
    deadline = time.monotonic() + seconds
    last = "nothing listens"
    while time.monotonic() < deadline:
        try:
            status, _ = fetch(url, 2)
            if status == 200:
                return
            last = f"status {status}"
        except OSError as error:
            last = str(error)
        if not alive():
            raise RuntimeError(f"the server ended before it answered {url}")
        time.sleep(pause)
    raise RuntimeError(f"no 200 from {url} within {seconds} s: {last}")

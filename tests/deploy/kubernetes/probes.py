"""The demo, run with what the Deployment and the Job say, without a cluster: the Job's command and then
the pod's; its probes and Prometheus ask; it is told to stop.

    probes.py BINARY FOLDER      in FOLDER: production.yaml
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

import yaml
from checks import DEPLOY, environment, seconds, templates

ROOT = Path(__file__).parents[3]
# Longer than anything takes on a loaded machine; a bound, not a wait.
PATIENCE = 120


def scaffold(folder, project):
    """The demo's folder as its image has it, but with the tests' Python and no pip."""
    ignored = shutil.ignore_patterns("node_modules", ".venv", "data", "__pycache__", "static_root")
    shutil.copytree(ROOT / "config/demo", folder, ignore=ignored, dirs_exist_ok=True)
    virtualenv = Path(os.environ["APPLIANCE_TEST_PYTHON"]).parent.parent
    text, count = re.subn(r"^requirements = .*$", "", project, flags=re.M)
    assert count == 1, "project.toml has no requirements"
    text = text.replace('".venv"', json.dumps(str(virtualenv)))
    (folder / "project.toml").write_text(text)


def variables(container, folder):
    """The container's variables, with the secrets as the cluster would have put them."""
    secret = folder / "secret-key"
    secret.write_text("of this test, and nobody else's; long enough for Django")
    own = {"DATABASE_URL": "", "DEMO_SECRET_KEY_FILE": str(secret), "DEMO_DATA": str(folder / "data")}
    said = {entry["name"]: entry["value"] for entry in container["env"] if "value" in entry}
    return environment() | said | own | {"XDG_RUNTIME_DIR": str(folder)}


def get(url):
    try:
        with urllib.request.urlopen(url, timeout=20) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def wait_for(log, server, phrase):
    deadline = time.monotonic() + PATIENCE
    while True:
        found = re.search(phrase, log.read_text())
        if found:
            return found
        assert server.poll() is None and time.monotonic() < deadline, f"no `{phrase}` in:\n{log.read_text()}"
        time.sleep(0.05)


def ask(container, admin, site):
    """The probes, a page, the application, and the metrics that the adapter's rules read."""
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        path = container[probe]["httpGet"]["path"]
        assert get(admin + path)[0] == 200, f"{probe}: {get(admin + path)}"
    assert '<div id="app">' in get(site + "/deep/link")[1]
    assert '"notes"' in get(site + "/api/notes")[1]
    exported = get(admin + "/metrics")[1]
    rules = yaml.safe_load((DEPLOY / "prometheus-adapter.yaml").read_text())["rules"]["custom"]
    wanted = {name for rule in rules for name in re.findall(r"appliance_\w+(?=\{)", str(rule))}
    assert wanted, "the adapter's rules name no metric"
    for name in wanted:
        assert re.search(rf"^{name}[{{ ]", exported, re.M), f"`{name}` is not exported"
    print(f"probes, site and application answer; exported: {', '.join(sorted(wanted))}")


def main(binary, folder):
    documents = [d for d in yaml.safe_load_all(Path(folder, "production.yaml").read_text()) if d]
    project = next(d for d in documents if d["kind"] == "ConfigMap")["data"]["project.toml"]
    pods = {document["kind"]: spec for document, _, spec in templates(documents)}
    job, container = pods["Job"]["containers"][0], pods["Deployment"]["containers"][0]
    anywhere = ["--set", "site.0.listen=127.0.0.1:0", "--set", "server.admin=127.0.0.1:0"]
    with tempfile.TemporaryDirectory(prefix="appliance-test-") as name:
        folder = Path(name)
        scaffold(folder, project)
        run = [binary, *job["args"], *anywhere]
        done = subprocess.run(
            run, cwd=folder, env=variables(job, folder), capture_output=True, text=True, timeout=PATIENCE
        )
        assert done.returncode == 0, f"the Job fails: {done.stdout}{done.stderr}"
        log = folder / "log"
        with log.open("w") as file:
            run = [binary, *container["args"], *anywhere]
            server = subprocess.Popen(run, cwd=folder, env=variables(container, folder), stderr=file)
        try:
            admin = wait_for(log, server, r"status on (http://[0-9.:]+)")[1]
            wait_for(log, server, "ready in ")
            site = wait_for(log, server, r"listening on (http://[0-9.:]+)")[1]
            ask(container, admin, site)
            assert "migrate" not in log.read_text(), "the pod migrates"
            before = time.monotonic()
            server.send_signal(signal.SIGTERM)
            status = server.wait(PATIENCE)
            took = time.monotonic() - before
        finally:
            server.kill()
        assert status == 0, f"exit status {status} of a stop:\n{log.read_text()}"
        waits = container["lifecycle"]["preStop"]["sleep"]["seconds"]
        grace = pods["Deployment"]["terminationGracePeriodSeconds"]
        assert waits + took < grace, f"it took {took} s to stop"
        print(f"stopped in {took:.1f} s; with preStop and stop_timeout at most", end=" ")
        stop = re.search(r'^stop_timeout = "(\w+)"', project, re.M)[1]
        print(f"{waits + seconds(stop)} s of the grace of {grace} s")


if __name__ == "__main__":
    main(*sys.argv[1:])

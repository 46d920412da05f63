"""What a run needs before its first server starts: packages, the virtualenv, the files served.

Everything lands in `target/bench`; a second run finds it there and starts at once.
"""

import ctypes.util
import fcntl
import hashlib
import os
import pathlib
import random
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
TARGET = ROOT / "target" / "bench"
WORK = TARGET / "work"
VENV = TARGET / "venv"
APPS = HERE / "apps"
FLOOR = TARGET / "floor"
DATABASE = WORK / "shop.sqlite3"
FILES = WORK / "files"
SMALL, SCRIPT, LARGE = "/index.html", "/app.js", "/large.bin"
SIZES = {SMALL: 3 * 1024, SCRIPT: 60 * 1024, LARGE: 20 * 1024 * 1024}

# Debian's own interpreter: uWSGI's plugin is linked against it, so it is the one CPython which
# all servers can share.
PYTHON = "/usr/bin/python3"
PACKAGES = ["nginx-light", "uwsgi-core", "uwsgi-plugin-python3", "wrk", "gcc", "libev-dev",
            "python3-dev", "python3-venv"]


def everything():
    """Packages, virtualenv, the floor, database and files, whichever are missing."""
    TARGET.mkdir(parents=True, exist_ok=True)
    alone()
    packages()
    virtualenv()
    run(["gcc", "-O2", "-o", FLOOR, APPS / "floor.c"], 60)
    folder()


def alone():
    """Two runs would share the work folder and, worse, the CPUs. Held until this process ends."""
    lock = os.open(TARGET / "lock", os.O_CREAT | os.O_RDWR)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        sys.exit("error: another run of the benchmark is under way: wait for it to end")


def packages():
    present = all(shutil.which(name) for name in ("nginx", "uwsgi", "wrk", "gcc")) \
        and pathlib.Path("/usr/include/ev.h").exists() and ctypes.util.find_library("ev") \
        and list(pathlib.Path("/usr/include").glob("python3*/Python.h")) \
        and list(pathlib.Path("/usr/lib/uwsgi/plugins").glob("python3*_plugin.so"))
    if present:
        return
    say("installing " + " ".join(PACKAGES))
    sudo = [] if os.geteuid() == 0 else ["sudo"]
    # RUNLEVEL=1 keeps the package from starting its own nginx on port 80.
    env = ["env", "DEBIAN_FRONTEND=noninteractive", "RUNLEVEL=1"]
    run(sudo + ["apt-get", "update", "-q"], 300)
    run(sudo + env + ["apt-get", "install", "-qy", "--no-install-recommends", *PACKAGES], 600)


def virtualenv():
    wanted = hashlib.sha256((HERE / "requirements.txt").read_bytes()).hexdigest()
    stamp = VENV / "requirements.sha256"
    if stamp.exists() and stamp.read_text() == wanted:
        return
    say(f"creating {VENV.relative_to(ROOT)}")
    shutil.rmtree(VENV, ignore_errors=True)
    run([PYTHON, "-m", "venv", VENV], 120)
    pip = [VENV / "bin/pip", "install", "-q", "--disable-pip-version-check"]
    run(pip + ["wheel"], 300)  # bjoern comes as source only
    run(pip + ["-r", HERE / "requirements.txt"], 600)
    stamp.write_text(wanted)


def folder():
    """The work folder, made anew: old sockets and logs would hide a server that did not start."""
    shutil.rmtree(WORK, ignore_errors=True)
    FILES.mkdir(parents=True)
    noise = random.Random(1)
    for path, size in SIZES.items():
        (FILES / path[1:]).write_bytes(noise.randbytes(size // 2).hex().encode())
    run([VENV / "bin/python", APPS / "fill.py"], 60, env=environment(), cwd=APPS)


def environment():
    """What the applications' processes get on top of this one's environment."""
    return {**os.environ, "BENCH_DATABASE": str(DATABASE), "PYTHONPATH": str(APPS)}


def appliance(given):
    """The binary to measure: the one given, or a fresh release build."""
    if given:
        path = pathlib.Path(given).resolve()
        if not path.exists():
            sys.exit(f"error: `{given}` does not exist: build it, or leave out --appliance")
        return path
    say("cargo build --release -p appliance")
    run(["cargo", "build", "--release", "-p", "appliance"], 3600, cwd=ROOT)
    base = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    return base / "release" / "appliance"


def run(command, seconds, **more):
    done = subprocess.run([str(part) for part in command], timeout=seconds, **more)
    if done.returncode:
        sys.exit(f"error: `{' '.join(map(str, command))}` exited with {done.returncode}")


def say(text):
    print(text, file=sys.stderr, flush=True)

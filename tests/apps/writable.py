"""What an ordinary site writes, and what it should not."""

import multiprocessing
import os
import sqlite3
import subprocess
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))


def database(journal):
    connection = sqlite3.connect(os.path.join(HERE, "data", f"{journal}.sqlite3"))
    with connection:
        connection.execute(f"PRAGMA journal_mode = {journal}")
        connection.execute("CREATE TABLE IF NOT EXISTS hits (path TEXT)")
        connection.execute("INSERT INTO hits VALUES (?)", (journal,))
    found = connection.execute("SELECT count(*) FROM hits").fetchone()[0]
    connection.close()
    return found > 0


def upload(environ):
    """As Django keeps a large one: a temporary file, moved to where it belongs."""
    body = environ["wsgi.input"].read()
    with tempfile.NamedTemporaryFile(dir=os.environ.get("UPLOADS"), delete=False) as file:
        file.write(body)
    kept = os.path.join(HERE, "media", "kept.bin")
    os.rename(file.name, kept)
    os.chmod(kept, 0o644)
    return os.path.getsize(kept) == len(body)


def by_program():
    """What a worker starts is held to the same."""
    command = ["/bin/sh", "-c", "echo x > media/by-program && ! echo x > by-program"]
    return subprocess.run(command, cwd=HERE, stderr=subprocess.DEVNULL).returncode == 0


def ordinary(environ):
    os.makedirs(os.path.join(HERE, "media", "a", "b"), exist_ok=True)
    with open("/dev/null", "w") as null:
        null.write("x")
    multiprocessing.Lock()
    return {
        "delete": database("DELETE"),
        "wal": database("WAL"),
        "upload": upload(environ),
        "program": by_program(),
        "read": open("/etc/passwd").readline() != "",
    }


def outside(path):
    with open(os.path.join(HERE, path), "w") as file:
        file.write("x")


def application(environ, start_response):
    path = environ["PATH_INFO"]
    if path.startswith("/outside/"):
        outside(path.removeprefix("/outside/"))
    elif path == "/removes":
        os.remove(os.path.join(HERE, "kept.txt"))
    elif path == "/moves":
        os.rename(os.path.join(HERE, "kept.txt"), os.path.join(HERE, "media", "stolen.txt"))
    elif path == "/truncates":
        os.truncate(os.path.join(HERE, "kept.txt"), 0)
    wrong = [name for name, holds in ordinary(environ).items() if not holds]
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [repr(wrong).encode()]

"""The check-up: reads every file on the shelf again and reports while it goes.

A streamed response: each line leaves as soon as it is known, so the page can show it while the
next file is still being read.
"""

import hashlib
import json
import time

from django.db import connection
from django.http import StreamingHttpResponse
from django.views.decorators.http import require_safe

from .models import File, Note

# A small board is checked in a blink. A little pause after each line lets a person watch it.
PAUSE_SECONDS = 0.25
CHUNK_BYTES = 1024 * 1024


@require_safe
def checkup(request):
    lines = (json.dumps(line) + "\n" for line in report())
    return StreamingHttpResponse(lines, content_type="application/x-ndjson")


def report():
    started = time.monotonic()
    faults = 0
    for line in steps():
        faults += not line["ok"]
        yield line
        time.sleep(PAUSE_SECONDS)
    took = time.monotonic() - started
    verdict = f"{faults} to look at" if faults else "everything is in order"
    yield {"ok": not faults, "text": f"Done in {took:.1f} s", "detail": verdict, "last": True}


def steps():
    yield check_database()
    yield {"ok": True, "text": "Notes on the board", "detail": str(Note.objects.count())}
    for file in File.objects.order_by("name"):
        yield check_file(file)


def check_database():
    with connection.cursor() as cursor:
        verdict = cursor.execute("PRAGMA quick_check(1)").fetchone()[0]
    return {"ok": verdict == "ok", "text": "Database", "detail": verdict}


def check_file(file):
    try:
        found = digest(file)
    except FileNotFoundError:
        return {"ok": False, "text": file.name, "detail": "missing from the shelf"}
    if found != file.sha256:
        return {"ok": False, "text": file.name, "detail": "not the file that was put there"}
    return {"ok": True, "text": file.name, "detail": f"sha-256 {found[:12]}…"}


def digest(file):
    hash = hashlib.sha256()
    with file.content.open("rb") as content:
        while chunk := content.read(CHUNK_BYTES):
            hash.update(chunk)
    return hash.hexdigest()

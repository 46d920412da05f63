"""The site's secret key: made once, kept in the data folder, never in the source."""

import os
import secrets
import tempfile


def secret_key(path):
    """Return the key in the file at `path`; the first caller makes it.

    Several processes may start at once: each writes a key of its own beside the file, and only
    one of them gets to link it there, so nobody ever reads half a key or a second one.
    """
    try:
        return path.read_text()
    except FileNotFoundError:
        pass
    handle, draft = tempfile.mkstemp(dir=path.parent)
    try:
        with os.fdopen(handle, "w") as file:
            file.write(secrets.token_urlsafe(50))
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        os.unlink(draft)
    return path.read_text()

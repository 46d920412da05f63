"""Which database: SQLite in the data folder, or the PostgreSQL that `DATABASE_URL` names."""

from urllib.parse import unquote, urlsplit


def database(url, folder):
    """Return Django's settings for a URL like `postgresql://user:password@host:5432/name`."""
    # Each Python thread keeps its connection: opening one costs more than most queries.
    settings = {"CONN_MAX_AGE": None}
    if not url:
        return settings | {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": folder / "board.sqlite3",
            "OPTIONS": {
                # A transaction which first reads and then writes would otherwise fail at once
                # when another one wrote in between, whatever the timeout.
                "transaction_mode": "IMMEDIATE",
                "timeout": 20,
                "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
            },
        }
    parts = urlsplit(url)
    if parts.scheme not in ("postgres", "postgresql"):
        raise ValueError(f"DATABASE_URL: no `{parts.scheme}` here, but `postgresql://…` or nothing")
    return settings | {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": parts.path.removeprefix("/"),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": parts.hostname or "",
        "PORT": parts.port or "",
        # A kept connection does not outlive a restart of the database.
        "CONN_HEALTH_CHECKS": True,
    }

import functools
import importlib
import json
import sys


def weak(key, shortest):
    key = key.decode("latin-1") if isinstance(key, bytes) else str(key or "")
    words = ("insecure", "changeme", "change-me", "secret", "dev", "example", "password", "test")
    return len(key) < shortest or key.startswith("django-insecure-") or key.lower() in words


def most_connections(connection):
    query = {"postgresql": "SHOW max_connections", "mysql": "SELECT @@max_connections"}[connection.vendor]
    if connection.vendor == "postgresql":
        connection.settings_dict.setdefault("OPTIONS", {})["connect_timeout"] = 3
    with connection.cursor() as cursor:
        cursor.execute(query)
        return int(cursor.fetchone()[0])


def databases():
    from django.db import connections

    for alias in connections:
        connection = connections[alias]
        about = {"vendor": connection.vendor, "alias": alias}
        try:
            about["most"] = most_connections(connection)
        except BaseException:
            about["most"] = None
        yield about


def django(settings):
    return {
        "debug": bool(settings.DEBUG),
        "weak_key": weak(settings.SECRET_KEY, 32),
        "hosts": [str(host) for host in settings.ALLOWED_HOSTS],
        "staticfiles": "django.contrib.staticfiles" in settings.INSTALLED_APPS,
        "static_root": str(settings.STATIC_ROOT or ""),
        "static_url": str(settings.STATIC_URL or ""),
        "middleware": [str(name) for name in settings.MIDDLEWARE],
        "databases": list(databases()),
    }


def look(module, callable_):
    found = {"version": list(sys.version_info[:2])}
    try:
        application = functools.reduce(getattr, callable_.split("."), importlib.import_module(module))
    except BaseException as error:
        found["error"] = "%s: %s" % (type(error).__name__, error)
        return found
    conf = sys.modules.get("django.conf")
    if conf is not None and conf.settings.configured:
        found["django"] = django(conf.settings)
    elif type(application).__module__.startswith("flask"):
        key = application.secret_key
        found["flask"] = {
            "debug": bool(application.debug),
            "weak_key": key is not None and weak(key, 16),
        }
    return found


print("\nappliance-doctor " + json.dumps(look(sys.argv[1], sys.argv[2])), flush=True)

"""The engine room: who answered, and how fast."""

import os
import platform
import threading

import django
from django.http import JsonResponse
from django.views.decorators.http import require_safe


@require_safe
def ping(request):
    """The least a Django view can do: the page times it."""
    return JsonResponse({"pid": os.getpid(), "thread": threading.get_native_id()})


@require_safe
def engine(request):
    environ = request.META
    return JsonResponse(
        {
            "server": environ.get("SERVER_SOFTWARE", ""),
            "protocol": environ.get("SERVER_PROTOCOL", ""),
            "python": f"{platform.python_implementation()} {platform.python_version()}",
            "django": django.get_version(),
            "pid": os.getpid(),
            "thread": threading.current_thread().name,
            "processes": "several" if environ["wsgi.multiprocess"] else "one",
            "threads": "several" if environ["wsgi.multithread"] else "one",
        }
    )

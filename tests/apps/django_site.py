"""A Django project in one file."""
import hashlib
import io
import os
from pathlib import Path

import django
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import FileResponse, HttpResponse, JsonResponse, StreamingHttpResponse
from django.middleware.csrf import get_token
from django.urls import path

FOLDER = Path(__file__).parent

settings.configure(
    ALLOWED_HOSTS=["test"],
    SECRET_KEY="only for tests",
    ROOT_URLCONF=__name__,
    MIDDLEWARE=[
        "django.middleware.security.SecurityMiddleware",
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.common.CommonMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
    ],
    SESSION_ENGINE="django.contrib.sessions.backends.signed_cookies",
    # Larger uploads than this go to a file.
    FILE_UPLOAD_MAX_MEMORY_SIZE=1_000_000,
    LOGGING_CONFIG=None,
)


def page(request):
    return HttpResponse("<h1>Grüße, %s</h1>" % request.GET.get("name", "?"))


def form(request):
    if request.method == "POST":
        return HttpResponse("%s from %s" % (request.POST["text"], request.get_host()))
    return HttpResponse(get_token(request))


def upload(request):
    file = request.FILES["file"]
    digest = hashlib.sha256()
    for chunk in file.chunks():
        digest.update(chunk)
    return JsonResponse({
        "name": file.name,
        "type": file.content_type,
        "size": file.size,
        "sha256": digest.hexdigest(),
        "note": request.POST["note"],
        "kept": type(file).__name__,
    })


upload.csrf_exempt = True


def stream(request):
    return StreamingHttpResponse(("line %d\n" % number for number in range(1000)))


def file(request):
    return FileResponse(open(FOLDER / "data.bin", "rb"), as_attachment=True, filename="naïve.bin")


def memory(request):
    return FileResponse(io.BytesIO(b"from memory"))


def count(request):
    request.session["count"] = request.session.get("count", 0) + 1
    return HttpResponse(str(request.session["count"]))


def fail(request):
    raise ValueError("in a view")


urlpatterns = [
    path("page/<str:name>", lambda request, name: HttpResponse(name)),
    path("page", page),
    path("form", form),
    path("upload", upload),
    path("stream", stream),
    path("file", file),
    path("memory", memory),
    path("count", count),
    path("fail", fail),
]

application = get_wsgi_application()

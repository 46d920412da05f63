"""The shelf: files for everybody, as large as the site's `body_limit` lets them be."""

import uuid

from django.http import FileResponse, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404
from django.views.decorators.http import require_http_methods, require_safe

from .errors import error
from .models import File
from .session import forget, owns, remember


@require_http_methods(["GET", "HEAD", "POST"])
def files(request):
    if request.method == "POST":
        return store(request)
    return JsonResponse({"files": [as_json(request, file) for file in File.objects.all()[:200]]})


def store(request):
    upload = request.FILES.get("file")
    if upload is None:
        return error(400, "The form has no field `file`.")
    file = File(name=upload.name[-200:], size=upload.size, sha256=upload.sha256)
    file.content.save(uuid.uuid4().hex, upload)
    remember(request, "files", file.pk)
    return JsonResponse(as_json(request, file), status=201)


@require_http_methods(["DELETE"])
def file(request, pk):
    file = get_object_or_404(File, pk=pk)
    if not owns(request, "files", pk):
        return error(403, "Only the neighbour who put it there can take it away.")
    file.delete()
    forget(request, "files", pk)
    return HttpResponse(status=204)


@require_safe
def download(request, pk):
    """`FileResponse` hands the open file to the server (`wsgi.file_wrapper`), which sends it.

    Always as an attachment: what a neighbour uploaded must not run as a page of this site.
    """
    file = get_object_or_404(File, pk=pk)
    try:
        return FileResponse(file.content.open("rb"), as_attachment=True, filename=file.name)
    except FileNotFoundError:
        return error(410, "This file is no longer on the shelf.")


def as_json(request, file):
    return {
        "id": file.pk,
        "name": file.name,
        "size": file.size,
        "sha256": file.sha256,
        "created": file.created,
        "mine": owns(request, "files", file.pk),
    }

"""The board: read notes, pin one, say thanks, take your own down."""

import json

from django.db.models import Count, F, Q
from django.http import Http404, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404
from django.views.decorators.csrf import ensure_csrf_cookie
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from .errors import error
from .forms import NoteForm
from .models import Note
from .session import forget, owns, remember


@require_safe
@ensure_csrf_cookie
def session(request):
    """Called once by the page: sets the CSRF cookie and says who we think you are."""
    return JsonResponse({"author": request.session.get("author", "")})


@require_http_methods(["GET", "HEAD", "POST"])
def notes(request):
    return pin(request) if request.method == "POST" else board(request)


def board(request):
    counts = Note.objects.order_by().values_list("kind").annotate(Count("id"))
    found = Note.objects.all()
    if kind := request.GET.get("kind"):
        found = found.filter(kind=kind)
    if words := request.GET.get("q", "").strip():
        found = found.filter(
            Q(title__icontains=words) | Q(body__icontains=words) | Q(author__icontains=words)
        )
    return JsonResponse(
        {"notes": [as_json(request, note) for note in found[:100]], "counts": dict(counts)}
    )


def pin(request):
    try:
        fields = json.loads(request.body)
    except ValueError:
        return error(400, "This is not JSON.")
    form = NoteForm(fields if isinstance(fields, dict) else {})
    if not form.is_valid():
        errors = {name: messages[0] for name, messages in form.errors.items()}
        return error(400, "Something is missing.", fields=errors)
    note = form.save()
    remember(request, "notes", note.pk)
    request.session["author"] = note.author
    return JsonResponse(as_json(request, note), status=201)


@require_http_methods(["GET", "HEAD", "DELETE"])
def note(request, pk):
    note = get_object_or_404(Note, pk=pk)
    if request.method != "DELETE":
        return JsonResponse(as_json(request, note))
    if not owns(request, "notes", pk):
        return error(403, "Only the neighbour who pinned it can take it down.")
    note.delete()
    forget(request, "notes", pk)
    return HttpResponse(status=204)


@require_POST
def thanks(request, pk):
    """Once for each visitor; the database adds, so that no two thanks become one."""
    if not owns(request, "thanked", pk):
        if not Note.objects.filter(pk=pk).update(thanks=F("thanks") + 1):
            raise Http404
        remember(request, "thanked", pk)
    return JsonResponse(as_json(request, get_object_or_404(Note, pk=pk)))


def as_json(request, note):
    return {
        "id": note.pk,
        "kind": note.kind,
        "title": note.title,
        "body": note.body,
        "author": note.author,
        "created": note.created,
        "thanks": note.thanks,
        "thanked": owns(request, "thanked", note.pk),
        "mine": owns(request, "notes", note.pk),
    }

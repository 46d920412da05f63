"""Errors of the API are JSON, as its answers are."""

from django.http import JsonResponse
from django.views import csrf, defaults


def error(status, message, **more):
    """The body of every refusal: a sentence for people, fields for the form."""
    return JsonResponse({"error": message, **more}, status=status)


def is_api(request):
    return request.path.startswith("/api/")


def not_found(request, exception):
    if is_api(request):
        return error(404, "There is nothing here.")
    return defaults.page_not_found(request, exception)


def server_error(request):
    if is_api(request):
        return error(500, "Something broke on our side.")
    return defaults.server_error(request)


def csrf_failure(request, reason=""):
    if is_api(request):
        return error(403, "The page is too old. Reload it and try again.")
    return csrf.csrf_failure(request, reason)

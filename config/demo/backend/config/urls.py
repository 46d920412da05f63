"""What Django answers: the admin and the API. The front is not its business."""

from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("admin/", admin.site.urls),
    path("api/", include("board.urls")),
]

handler404 = "board.errors.not_found"
handler500 = "board.errors.server_error"

from django.urls import path

from . import checkup, engine, files, notes

urlpatterns = [
    path("session", notes.session),
    path("notes", notes.notes),
    path("notes/<int:pk>", notes.note),
    path("notes/<int:pk>/thanks", notes.thanks),
    path("files", files.files),
    path("files/<int:pk>", files.file),
    path("files/<int:pk>/download", files.download),
    path("checkup", checkup.checkup),
    path("engine", engine.engine),
    path("ping", engine.ping),
]

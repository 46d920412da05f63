"""The caretaker's side of the board."""

from django.contrib import admin

from .models import File, Note

admin.site.site_header = "Lantern Lane"
admin.site.site_title = "Lantern Lane"
admin.site.index_title = "The caretaker's desk"


@admin.register(Note)
class NoteAdmin(admin.ModelAdmin):
    list_display = ["title", "kind", "author", "created", "thanks"]
    list_filter = ["kind", "created"]
    search_fields = ["title", "body", "author"]
    date_hierarchy = "created"


@admin.register(File)
class FileAdmin(admin.ModelAdmin):
    list_display = ["name", "size", "created"]
    search_fields = ["name"]
    readonly_fields = ["content", "size", "sha256", "created"]

    def has_add_permission(self, request):
        # Files arrive through the shelf, which measures and hashes them on the way.
        return False

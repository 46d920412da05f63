"""`python manage.py seed`: the demo's first content and its well-known administrator."""

import json
from datetime import timedelta
from hashlib import sha256
from pathlib import Path

from django.contrib.auth import get_user_model
from django.core.files.base import ContentFile
from django.core.management.base import BaseCommand
from django.db import transaction
from django.utils import timezone

from board.models import File, Note

SEED = Path(__file__).resolve().parents[2] / "seed"
# Printed in the README and on the page: good for a demo on this machine, for nothing else.
LOGIN, PASSWORD = "admin", "appliance"


class Command(BaseCommand):
    help = "Fills an empty demo and makes its admin user; touches nothing that exists."

    @transaction.atomic
    def handle(self, *args, **options):
        self.user()
        self.notes()
        self.files()

    def user(self):
        users = get_user_model().objects
        if not users.filter(username=LOGIN).exists():
            users.create_superuser(LOGIN, "", PASSWORD)
            self.stdout.write(f"demo: log into /admin/ as {LOGIN} / {PASSWORD}")

    def notes(self):
        if Note.objects.exists():
            return
        now = timezone.now()
        for fields in json.loads((SEED / "notes.json").read_text(encoding="utf-8")):
            created = now - timedelta(hours=fields.pop("hours"))
            Note.objects.create(created=created, **fields)
        self.stdout.write(f"demo: {Note.objects.count()} notes pinned")

    def files(self):
        if File.objects.exists():
            return
        for path in sorted(SEED.iterdir()):
            if path.name != "notes.json":
                content = path.read_bytes()
                digest = sha256(content).hexdigest()
                file = File(name=path.name, size=len(content), sha256=digest)
                file.content.save(digest[:32], ContentFile(content))
        self.stdout.write(f"demo: {File.objects.count()} files put on the shelf")

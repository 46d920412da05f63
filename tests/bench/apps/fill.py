"""Creates the table of `shop` and a hundred rows. Run once, before any server starts."""

import os

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")
django.setup()

from django.db import connection  # noqa: E402: Django wants its settings first

from shop.models import Item  # noqa: E402

with connection.schema_editor() as schema:
    schema.create_model(Item)
Item.objects.bulk_create(Item(name=f"item {n}", price=n) for n in range(1, 101))

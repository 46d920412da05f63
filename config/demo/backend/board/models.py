"""What the street keeps: notes on its board and files on its shelf."""

from django.db import models, transaction
from django.db.models.signals import post_delete
from django.dispatch import receiver
from django.utils import timezone


class Note(models.Model):
    class Kind(models.TextChoices):
        NEWS = "news", "News"
        EVENT = "event", "Event"
        LEND = "lend", "To lend"
        LOST = "lost", "Lost & found"
        ASK = "ask", "Asking"

    kind = models.CharField(max_length=8, choices=Kind.choices, default=Kind.NEWS)
    title = models.CharField(max_length=80)
    body = models.TextField(max_length=4000)
    author = models.CharField(max_length=40)
    created = models.DateTimeField(default=timezone.now, db_index=True)
    thanks = models.PositiveIntegerField(default=0)

    class Meta:
        ordering = ["-created", "-id"]

    def __str__(self):
        return self.title


class File(models.Model):
    # The name a neighbour gave it. On disk it has one of our own, so that no name can collide
    # with another or lead out of the folder.
    name = models.CharField(max_length=200)
    content = models.FileField(max_length=200)
    size = models.PositiveBigIntegerField()
    sha256 = models.CharField(max_length=64)
    created = models.DateTimeField(default=timezone.now, db_index=True)

    class Meta:
        ordering = ["-created", "-id"]

    def __str__(self):
        return self.name


@receiver(post_delete, sender=File)
def remove_content(instance, **kwargs):
    """Whoever deletes the row, page or admin, the bytes go after it; never before it is sure."""
    transaction.on_commit(lambda: instance.content.delete(save=False))

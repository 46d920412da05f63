"""What a note must be like."""

from django import forms

from .models import Note


class NoteForm(forms.ModelForm):
    class Meta:
        model = Note
        fields = ["kind", "title", "body", "author"]

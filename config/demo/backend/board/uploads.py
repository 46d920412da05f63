"""Uploads: on disk and hashed as they arrive."""

import hashlib

from django.core.files.uploadhandler import TemporaryFileUploadHandler


class HashingUploadHandler(TemporaryFileUploadHandler):
    """Writes each part to a temporary file, and knows its SHA-256 when the last chunk is in."""

    def new_file(self, *args, **kwargs):
        super().new_file(*args, **kwargs)
        self.hash = hashlib.sha256()

    def receive_data_chunk(self, raw_data, start):
        self.hash.update(raw_data)
        super().receive_data_chunk(raw_data, start)

    def file_complete(self, file_size):
        file = super().file_complete(file_size)
        file.sha256 = self.hash.hexdigest()
        return file

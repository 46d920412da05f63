"""Serves `served.application`, under the eyes of wsgiref's validator if the client wishes."""
import warnings
from wsgiref.validate import WSGIWarning, validator

from served import application as bare

# What the validator only frowns upon is an error here as well.
warnings.simplefilter("error", WSGIWarning)
validated = validator(bare)


def application(environ, start_response):
    if environ.get("HTTP_X_VALIDATE") == "yes":
        return validated(environ, start_response)
    return bare(environ, start_response)

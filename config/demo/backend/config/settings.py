"""Django's settings for the demo. Everything it writes goes to the data folder."""

import os
from pathlib import Path

from .database import database
from .secret import secret_key

BACKEND = Path(__file__).resolve().parent.parent
DATA = Path(os.environ.get("DEMO_DATA", BACKEND.parent / "data"))
DATA.mkdir(parents=True, exist_ok=True)

# For a site that is served by https alone: browsers keep the cookies from everything else.
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = os.environ.get("DEMO_HTTPS") == "1"

# Several machines need one key: a file that all of them are given.
SECRET_KEY = secret_key(Path(os.environ.get("DEMO_SECRET_KEY_FILE", DATA / "secret_key")))
DEBUG = False
ALLOWED_HOSTS = ["localhost", "127.0.0.1", "[::1]", *os.environ.get("DEMO_HOSTS", "").split()]

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "board",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
CSRF_FAILURE_VIEW = "board.errors.csrf_failure"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BACKEND / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

DATABASES = {"default": database(os.environ.get("DATABASE_URL"), DATA)}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

STATIC_URL = "/static/"
STATIC_ROOT = BACKEND / "static_root"

# Uploads go to a file as they arrive, beside the folder which keeps them, so that keeping one
# is a rename and the size of a file never shows in the memory of a worker.
MEDIA_ROOT = DATA / "files"
MEDIA_ROOT.mkdir(exist_ok=True)
FILE_UPLOAD_TEMP_DIR = MEDIA_ROOT
FILE_UPLOAD_HANDLERS = ["board.uploads.HashingUploadHandler"]

LANGUAGE_CODE = "en-gb"
TIME_ZONE = "UTC"
USE_TZ = True

# Without this a Django with DEBUG = False would mail its tracebacks to nobody.
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"stderr": {"class": "logging.StreamHandler"}},
    "loggers": {"django": {"handlers": ["stderr"], "level": "ERROR", "propagate": False}},
}

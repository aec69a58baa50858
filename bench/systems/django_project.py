"""The settings of the scratch Django project that the queues for Django run in.

Everything comes from the environment that bench/systems/django_mailers.py sets. The database is set as
Mailweir sets its own: SQLite with WAL and synchronous=FULL, or PostgreSQL as it is.
"""

from __future__ import annotations

import os

import dj_database_url

SECRET_KEY = "scratch"
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
INSTALLED_APPS = ["django.contrib.contenttypes", "django.contrib.auth", os.environ["BENCH_APP"]]
DATABASES = {"default": dict(dj_database_url.parse(os.environ["DATABASE_URL"]))}
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    DATABASES["default"]["OPTIONS"] = {
        "timeout": 60,
        "transaction_mode": "IMMEDIATE",
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL",
    }

EMAIL_HOST = os.environ["BENCH_SINK_HOST"]
EMAIL_PORT = int(os.environ["BENCH_SINK_PORT"])
TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates"}]

# django-post_office at its best: large batches, as many threads as the others have sessions.
POST_OFFICE = {
    "BACKENDS": {"default": "django.core.mail.backends.smtp.EmailBackend"},
    "BATCH_SIZE": 5000,
    "THREADS_PER_PROCESS": int(os.environ["BENCH_THREADS"]),
}
MAILER_EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
MAILER_USE_FILE_LOCK = False

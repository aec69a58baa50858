"""Where Mailweir lives and how it speaks."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from queueapp.conf.places import database, redis
from queueapp.conf.setting import setting
from queueapp.conf.texts import folder, language_code, one_of


@dataclass(frozen=True)
class Home:
    home: Path = setting(
        "MAILWEIR_HOME",
        folder,
        "./var",
        "folder",
        "Database, Valkey socket and data, secret key, journal, logs.",
    )
    database_url: str = setting(
        "DATABASE_URL", database, "", "URL", "The database; empty is SQLite in MAILWEIR_HOME."
    )
    redis_url: str = setting("REDIS_URL", redis, "", "URL", "Redis or Valkey; empty is the embedded Valkey.")
    language: str = setting(
        "MAILWEIR_LANGUAGE",
        language_code,
        "en",
        "language",
        "The language of the pages: a folder in locale/; what it lacks is said in English.",
    )
    log: str = setting("MAILWEIR_LOG", one_of("text", "json"), "text", "text|json", "The form of log lines.")

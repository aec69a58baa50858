"""Who may do what, for how long, and how long that is remembered."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from queueapp.conf.setting import setting
from queueapp.conf.texts import names, no_less_than, path, text

ROLES = ("viewer", "campaigns", "operator", "administrator")
"""The names of roles; what each may do is in access/roles.py."""


def roles(value: str) -> tuple[str, ...]:
    found = names(value)
    if not set(found) <= set(ROLES):
        raise ValueError("some of " + ", ".join(ROLES) + ", by commas")
    return found


@dataclass(frozen=True)
class People:
    admin_password: str = setting(
        "MAILWEIR_ADMIN_PASSWORD", text, "", "text", "Password of the first administrator; empty makes one."
    )
    session_idle: timedelta = setting(
        "MAILWEIR_SESSION_IDLE",
        no_less_than("1m"),
        "1d",
        "time",
        "A person who did nothing for so long has to log in again; watching an open page is nothing.",
    )
    session_age: timedelta = setting(
        "MAILWEIR_SESSION_AGE",
        no_less_than("1m"),
        "14d",
        "time",
        "A person has to log in again after so long, whatever they did.",
    )
    totp_for: tuple[str, ...] = setting(
        "MAILWEIR_TOTP_FOR",
        roles,
        "",
        "role,…",
        "Roles that must have a second factor: viewer, campaigns, operator, administrator.",
    )
    audit_retention: timedelta = setting(
        "MAILWEIR_AUDIT_RETENTION",
        no_less_than("30d"),
        "365d",
        "time",
        "How long the audit is kept before `prune`; 30d is the least.",
    )
    secret_key: str = setting(
        "MAILWEIR_SECRET_KEY", text, "", "text", "Django's secret; empty is one kept in MAILWEIR_HOME."
    )
    secret_key_file: Path | None = setting(
        "MAILWEIR_SECRET_KEY_FILE", path, "", "file", "A file that holds it."
    )

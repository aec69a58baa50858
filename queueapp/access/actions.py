"""Make and revoke API keys and SMTP logins.

Promises: the row and its AuditEvent are written in one transaction; the secret is returned once
and is kept nowhere; a name is used once for ever, so that an audit row can't come to mean another
key. Never prints and never logs a secret. What can't be done is an AccessError that says why.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from django.db import IntegrityError, transaction
from django.utils import timezone

from queueapp.models import SCOPES, ApiKey, AuditEvent, SmtpLogin
from queueapp.models.access import digest, new_secret

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,99}")


class AccessError(ValueError):
    """A key or login that can't be made or revoked; the text is for people."""


def create_api_key(name: str, scopes: Sequence[str], *, actor: str, origin: str = "") -> tuple[ApiKey, str]:
    """The new key's row and its secret, which nobody can read again."""
    _check_name(name)
    wanted = _known_scopes(scopes)
    secret = new_secret("mw")
    try:
        with transaction.atomic():
            key = ApiKey.objects.create(name=name, digest=digest(secret), scopes=wanted)
            audit("apikey.create", name, actor, origin, {"scopes": wanted})
    except IntegrityError:
        raise AccessError(_taken("an API key", name)) from None
    return key, secret


def revoke_api_key(name: str, *, actor: str, origin: str = "") -> None:
    """From now on every request with this key is refused as `key_revoked`."""
    _revoke(ApiKey, "API key", "apikey.revoke", name, actor, origin)


def create_smtp_login(name: str, *, actor: str, origin: str = "") -> tuple[SmtpLogin, str]:
    """The new login's row and its password, which nobody can read again."""
    _check_name(name)
    secret = new_secret("ms")
    try:
        with transaction.atomic():
            login = SmtpLogin.objects.create(name=name, digest=digest(secret))
            audit("smtplogin.create", name, actor, origin, {})
    except IntegrityError:
        raise AccessError(_taken("an SMTP login", name)) from None
    return login, secret


def revoke_smtp_login(name: str, *, actor: str, origin: str = "") -> None:
    _revoke(SmtpLogin, "SMTP login", "smtplogin.revoke", name, actor, origin)


def _revoke(
    model: type[ApiKey] | type[SmtpLogin], noun: str, action: str, name: str, actor: str, origin: str
) -> None:
    with transaction.atomic():
        rows = model._default_manager.filter(name=name)
        if rows.filter(revoked_at__isnull=True).update(revoked_at=timezone.now()):
            audit(action, name, actor, origin, {})
            return
        is_known = rows.exists()
    if is_known:
        raise AccessError(f"The {noun} {name[:100]!r} is revoked already.")
    raise AccessError(f"There is no {noun} named {name[:100]!r}; `list` shows those that there are.")


def audit(action: str, name: str, actor: str, origin: str, detail: dict[str, object]) -> None:
    """A row of who did what; called in the transaction that does it."""
    AuditEvent.objects.create(
        actor=actor[:150], origin=origin[:64], action=action, target=name[:255], n=1, detail=detail
    )


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise AccessError(
            f"{name[:100]!r} is no usable name: 1 to 100 letters, digits and . _ @ + -, "
            "a letter or digit first."
        )


def _known_scopes(scopes: Sequence[str]) -> list[str]:
    wrong = [scope for scope in scopes if scope not in SCOPES]
    if wrong or not scopes:
        named = ", ".join(repr(scope[:40]) for scope in wrong) or "an empty list"
        raise AccessError(f"There is no scope {named}; there are {', '.join(SCOPES)}.")
    return [scope for scope in SCOPES if scope in scopes]


def _taken(noun: str, name: str) -> str:
    return f"There is or was {noun} named {name!r}; take another name, a revoked one is not used again."

"""Make and revoke API keys and SMTP logins.

Promises: the row and its AuditEvent are written in one transaction; the secret is returned once
and is kept nowhere; a name is used once for ever, so that an audit row can't come to mean another
key. Never prints and never logs a secret. What can't be done is an AccessError that says why.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime

from django.db import IntegrityError
from django.utils import timezone

from queueapp.access.change import AccessError, Actor, Missing, Taken, Wrong, audited
from queueapp.models import SCOPES, ApiKey, SmtpLogin
from queueapp.models.access import digest, new_secret

__all__ = ["AccessError", "create_api_key", "create_smtp_login", "revoke_api_key", "revoke_smtp_login"]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,99}")


def create_api_key(
    name: str, scopes: Sequence[str], *, actor: Actor, expires_at: datetime | None = None
) -> tuple[ApiKey, str]:
    """The new key's row and its secret, which nobody can read again. Raises AccessError."""
    secret = new_secret("mw")
    try:
        with audited(actor, "admin", "apikey.create", name) as detail:
            _check_name(name)
            _check_expiry(expires_at)
            wanted = _known_scopes(scopes)
            key = ApiKey.objects.create(
                name=name, digest=digest(secret), scopes=wanted, expires_at=expires_at, made_by=actor.name
            )
            detail |= {"scopes": wanted, "expires_at": expires_at.isoformat() if expires_at else None}
    except IntegrityError:
        raise Taken(_taken("an API key", name)) from None
    return key, secret


def revoke_api_key(name: str, *, actor: Actor) -> None:
    """From now on every request with this key is refused as `key_revoked`. Raises AccessError."""
    _revoke(ApiKey, "API key", "apikey.revoke", name, actor)


def create_smtp_login(name: str, *, actor: Actor) -> tuple[SmtpLogin, str]:
    """The new login's row and its password, which nobody can read again. Raises AccessError."""
    secret = new_secret("ms")
    try:
        with audited(actor, "admin", "smtplogin.create", name):
            _check_name(name)
            login = SmtpLogin.objects.create(name=name, digest=digest(secret), made_by=actor.name)
    except IntegrityError:
        raise Taken(_taken("an SMTP login", name)) from None
    return login, secret


def revoke_smtp_login(name: str, *, actor: Actor) -> None:
    _revoke(SmtpLogin, "SMTP login", "smtplogin.revoke", name, actor)


def _revoke(model: type[ApiKey] | type[SmtpLogin], noun: str, action: str, name: str, actor: Actor) -> None:
    with audited(actor, "admin", action, name):
        rows = (
            model._default_manager.filter(name=name) if name.isprintable() else model._default_manager.none()
        )
        if rows.filter(revoked_at__isnull=True).update(revoked_at=timezone.now()):
            return
        if rows.exists():
            raise Taken(f"The {noun} {name[:100]!r} is revoked already.")
        raise Missing(f"There is no {noun} named {name[:100]!r}; `list` shows those that there are.")


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise Wrong(
            "name",
            f"{name[:100]!r} is no usable name: 1 to 100 letters, digits and . _ @ + -, "
            "a letter or digit first.",
        )


def _check_expiry(at: datetime | None) -> None:
    if at is not None and (timezone.is_naive(at) or at <= timezone.now()):
        raise Wrong("expires_at", f"{at.isoformat()} is not a time to come, with its zone.")


def _known_scopes(scopes: Sequence[str]) -> list[str]:
    wrong = [scope for scope in scopes if scope not in SCOPES]
    if wrong or not scopes:
        named = ", ".join(repr(scope[:40]) for scope in wrong) or "an empty list"
        raise Wrong("scopes", f"There is no scope {named}; there are {', '.join(SCOPES)}.")
    return [scope for scope in SCOPES if scope in scopes]


def _taken(noun: str, name: str) -> str:
    return f"There is or was {noun} named {name!r}; take another name, a revoked one is not used again."

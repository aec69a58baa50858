"""Whom to tell of a login or key, and how much it may send before that is a flood."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from queueapp.access.change import Actor, Missing, Wrong, audited
from queueapp.mail.address import AddressError, parse_address
from queueapp.models import ApiKey, SmtpLogin

_MOST = 1_000_000_000


def change(
    actor: Actor, model: type[ApiKey | SmtpLogin], name: str, changes: Mapping[str, Any]
) -> ApiKey | SmtpLogin:
    """`owner`: an address, "" for who made it; `allowance`: mails an hour, None: as is usual. Raises
    AccessError."""
    with audited(actor, "admin", f"{model.__name__.lower()}.change", name) as detail:
        found = model._default_manager.filter(name=name).first() if name.isprintable() else None
        if found is None:
            raise Missing(f"There is no {name[:100]!r}; `list` shows those that there are.")
        if "owner" in changes:
            found.owner = _address(str(changes["owner"] or "").strip())
        if "allowance" in changes:
            found.allowance = _number(changes["allowance"])
        found.save(update_fields=["owner", "allowance"])
        detail |= {"owner": found.owner, "allowance": found.allowance}
    return found


def _address(text: str) -> str:
    if not text:
        return ""
    try:
        return str(parse_address(text, max_len=320))
    except AddressError as error:
        raise Wrong("owner", str(error)) from None


def _number(value: Any) -> int | None:
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= _MOST:
        raise Wrong("allowance", f"allowance {str(value)[:40]!r} is not a whole number from 1 to {_MOST:,}")
    return value

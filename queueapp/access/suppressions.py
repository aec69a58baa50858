"""Addresses that must not be written to: added and lifted by people; failures add them by themselves
(engine/outcome.py).

Promises: the row and its AuditEvent are written in one transaction. A lifted address is written
to again from the next submission on; what was refused meanwhile stays refused.
"""

from __future__ import annotations

from django.db import IntegrityError
from django.utils import timezone

from queueapp.access.change import AccessError, Actor, Missing, Taken, audited
from queueapp.mail.address import AddressError, parse_address
from queueapp.models import Suppression


def suppress(address: str, reason: str, *, actor: Actor) -> Suppression:
    """Refuse mail to this address from now on. Raises AccessError."""
    known = address
    try:
        with audited(actor, "operate", "suppression.add", address) as detail:
            detail["target"] = known = _key(address)
            row = Suppression.objects.create(
                address=known, reply_class="suppressed", reason=reason[:255], created_at=timezone.now()
            )
            detail["reason"] = reason[:255]
    except IntegrityError:
        raise Taken(f"{known} is suppressed already; `list` shows why.") from None
    return row


def lift(address: str, *, actor: Actor) -> None:
    """Take mail to this address again. Raises AccessError where it was not suppressed."""
    with audited(actor, "operate", "suppression.lift", address) as detail:
        detail["target"] = known = _key(address)
        row = Suppression.objects.select_for_update().filter(address=known).first()
        if row is None:
            raise Missing(f"{known} is not suppressed; `list` shows those that are.")
        detail |= {"reason": row.reason, "evidence": row.evidence}
        row.delete()


def _key(address: str) -> str:
    try:
        return str(parse_address(address)).lower()
    except AddressError as error:
        raise AccessError(str(error)) from None

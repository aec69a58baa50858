"""Addresses that must not be written to: added and lifted by people; failures add them by themselves
(engine/outcome.py).

Promises: the row and its AuditEvent are written in one transaction. A lifted address is written
to again from the next submission on; what was refused meanwhile stays refused.
"""

from __future__ import annotations

from django.db import IntegrityError, transaction
from django.utils import timezone

from queueapp.access.actions import AccessError, audit
from queueapp.mail.address import AddressError, parse_address
from queueapp.models import Suppression


def suppress(address: str, reason: str, *, actor: str, origin: str = "") -> Suppression:
    """Refuse mail to this address from now on. Raises AccessError."""
    known = _key(address)
    try:
        with transaction.atomic():
            row = Suppression.objects.create(
                address=known, reply_class="suppressed", reason=reason[:255], created_at=timezone.now()
            )
            audit("suppression.add", known, actor, origin, {"reason": reason[:255]})
    except IntegrityError:
        raise AccessError(f"{known} is suppressed already; `list` shows why.") from None
    return row


def lift(address: str, *, actor: str, origin: str = "") -> None:
    """Take mail to this address again. Raises AccessError where it was not suppressed."""
    known = _key(address)
    with transaction.atomic():
        row = Suppression.objects.select_for_update().filter(address=known).first()
        if row is None:
            raise AccessError(f"{known} is not suppressed; `list` shows those that are.")
        audit("suppression.lift", known, actor, origin, {"reason": row.reason, "evidence": row.evidence})
        row.delete()


def _key(address: str) -> str:
    try:
        return str(parse_address(address)).lower()
    except AddressError as error:
        raise AccessError(str(error)) from None

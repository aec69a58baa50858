"""Rules that hold mail which comes in from now on. What waits already is not touched by them, and what a
rule has held stays held when the rule ends: a person releases it.
"""

from __future__ import annotations

from datetime import datetime

from django.db import IntegrityError
from django.utils import timezone

from queueapp.access.change import Actor, Missing, Taken, Wrong, change, known
from queueapp.mail.address import AddressError, parse_address
from queueapp.models import HoldRule

Kind = HoldRule.Kind


def hold(actor: Actor, kind: str, value: str, reason: str, until: datetime | None = None) -> HoldRule:
    """Hold what comes in from this sender, from or to this domain, or with this tag."""
    with change(actor, "admin", "hold.create", f"{kind} {value}"[:255]) as detail:
        if kind not in Kind.values:
            raise Wrong("kind", f"kind {kind[:40]!r} is not one of {', '.join(Kind.values)}")
        if not reason.strip() or len(reason) > 200 or not reason.isprintable():
            raise Wrong("reason", "a reason of 1 to 200 printable characters is needed: people will ask")
        now = timezone.now()
        if until is not None and (timezone.is_naive(until) or until <= now):
            raise Wrong("until", f"until {until.isoformat()} is not a time to come, with its zone")
        known = normal(kind, value)
        HoldRule.objects.filter(kind=kind, value=known, until__lte=now).delete()
        try:
            made = HoldRule.objects.create(
                kind=kind, value=known, reason=reason.strip(), since=now, until=until, made_by=actor.name
            )
        except IntegrityError:
            raise Taken(f"There is a rule for {kind} {known!r} already.") from None
        detail |= {"reason": made.reason, "until": until.isoformat() if until else None}
    return made


def lift(actor: Actor, pk: int) -> None:
    """Mail that comes in from now on is not held by this rule."""
    with change(actor, "admin", "hold.delete", f"rule {pk}") as detail:
        row = HoldRule.objects.filter(pk=known(pk)).first()
        if row is None:
            raise Missing(f"There is no hold rule {pk}.")
        detail |= {"target": f"{row.kind} {row.value}"[:255], "reason": row.reason}
        row.delete()


def normal(kind: str, value: str) -> str:
    """As mail has it: addresses and domains as A-labels, all in lower case. Raises Wrong."""
    try:
        if kind == Kind.SENDER:
            return str(parse_address(value)).lower()
        if kind in (Kind.SENDER_DOMAIN, Kind.RECIPIENT_DOMAIN):
            return parse_address(f"x@{value.removeprefix('@')}").domain.lower()
    except AddressError as error:
        raise Wrong("value", str(error)) from None
    if kind == Kind.LOGIN and value and len(value) <= 150 and value.isprintable():
        return value.lower()
    if not value or len(value) > 64 or not value.isprintable():
        raise Wrong("value", f"a {kind} is 1 to 64 printable characters")
    return value.lower()

"""Send a mail again: to the same recipient, or to an address that is corrected.

Each makes a new delivery of the same message, so that what became of the old one stays to be read. A
corrected address closes the old delivery, where it is still open, without a report to the sender: the
mail goes on. Promises: scope, audit row and change together; nothing goes to an address that is
suppressed, or that this message goes to already.
"""

from __future__ import annotations

from django.utils import timezone

from queueapp.access.change import Actor, Missing, Taken, Wrong, audited, known
from queueapp.engine import again, domains
from queueapp.engine.counters import Changes
from queueapp.mail.address import Address, AddressError, parse_address
from queueapp.models import FINAL, Delivery, State, Suppression
from queueapp.operations.asked import SCOPE

_MOST_REASON = 200
_FAILED = (State.BOUNCED, State.EXPIRED)


def send_again(actor: Actor, pk: int, reason: str) -> Delivery:
    """A new delivery to the same address; the old one stays as it is. Raises AccessError."""
    with audited(actor, SCOPE, "delivery.again", f"delivery {pk}") as detail:
        old, why = _old(pk), _reason(reason)
        if old.state not in FINAL or old.state == State.DELETED:
            raise Taken(f"Delivery {pk} is {old.state}: only what is over can be sent again.")
        address = _address(old.recipient)
        _check_free(old, address, also_final=False)
        made = _made(old, address, close=False, why=why)
        detail |= {"target": f"delivery {pk} to {old.recipient}", "reason": why, "new": made.pk}
    return made


def readdress(actor: Actor, pk: int, address: str, reason: str) -> Delivery:
    """A new delivery to `address`; the old one is closed, where it is open. Raises AccessError."""
    with audited(actor, SCOPE, "delivery.readdress", f"delivery {pk}") as detail:
        old, why, new = _old(pk), _reason(reason), _address(address)
        if old.state not in (*again.OPEN_TO_PEOPLE, *_FAILED):
            raise Taken(f"Delivery {pk} is {old.state}: its address can't be corrected now.")
        if str(new) == old.recipient:
            raise Wrong("address", f"{new} is the address that it has: correct it, or send it again")
        _check_free(old, new, also_final=True)
        text = f"the address was corrected to {new} by {actor.name}: {why}"
        made = _made(old, new, close=old.state not in _FAILED, why=text)
        detail |= {
            "target": f"delivery {pk} to {old.recipient}", "address": str(new), "reason": why, "new": made.pk,
        }  # fmt: skip
    return made


def _made(old: Delivery, address: Address, *, close: bool, why: str) -> Delivery:
    now, changes = timezone.now(), Changes()
    domain_id = domains.ids_of([address.domain])[address.domain]
    if close and not again.close(old, why, now, changes):
        raise Taken(f"Delivery {old.pk} is being worked on right now: look again, and try once more.")
    made = again.add(old, str(address), domain_id, now, changes)
    again.settle(changes, made, now)
    return made


def _old(pk: int) -> Delivery:
    row = Delivery.objects.select_related("message").filter(pk=known(pk)).first()
    if row is None:
        raise Missing(f"There is no delivery {pk}.")
    return row


def _reason(reason: str) -> str:
    text = reason.strip()
    if not 0 < len(text) <= _MOST_REASON or not text.isprintable():
        raise Wrong("reason", f"a reason of 1 to {_MOST_REASON} printable characters is needed")
    return text


def _address(text: str) -> Address:
    try:
        return parse_address(text.strip())
    except AddressError as error:
        raise Wrong("address", str(error)) from None


def _check_free(old: Delivery, address: Address, *, also_final: bool) -> None:
    """Neither suppressed, nor on its way there already."""
    if address.needs_smtputf8 and not old.message.needs_utf8:
        raise Wrong("address", f"{address} needs SMTPUTF8, which this mail was not submitted with")
    listed = Suppression.objects.filter(address=str(address).lower()).first()
    if listed:
        raise Taken(f"{address} is suppressed ({listed.reason}): lift that first, if it no longer holds.")
    others = Delivery.objects.filter(message_id=old.message_id, recipient=str(address)).exclude(pk=old.pk)
    if not also_final:
        others = others.exclude(state__in=FINAL)
    other = others.order_by("-id").first()
    if other:
        raise Taken(f"This message goes to {address} already: delivery {other.pk} is {other.state}.")

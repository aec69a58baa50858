"""Acknowledging all alerts of one cause at once: they are told by one mail, so one person looks after them.

One statement, whatever their number, and one audit row. Later ones of the same cause are told of anew.
"""

from __future__ import annotations

from django.db.models.functions import Coalesce
from django.utils import timezone

from queueapp import events
from queueapp.access.alerts import printable
from queueapp.access.change import Actor, Missing, Taken, audited, known
from queueapp.models import Alert, AlertGroup, AlertState


def acknowledge(actor: Actor, pk: int, note: str = "") -> int:
    """Returns how many alerts. Raises Missing, Taken where none of them is left to acknowledge."""
    with audited(actor, "operate", "alert.acknowledge", f"alerts of group {pk}") as detail:
        group = AlertGroup.objects.filter(pk=known(pk)).first()
        if group is None:
            raise Missing(f"There is no group of alerts {pk}.")
        said, now = printable(note, "note", 500), timezone.now()
        alerts = Alert.objects.live().filter(group=group, state__in=(AlertState.PENDING, AlertState.FIRING))
        n = alerts.update(
            state=AlertState.ACKNOWLEDGED,
            acknowledged_at=now,
            acknowledged_by=actor.name[:150],
            note=said,
            fired_at=Coalesce("fired_at", now),
        )
        if not n:
            raise Taken(f"No alert of {group.title!r} is left to acknowledge: they are over, or it was done.")
        detail |= {"target": group.title[:255], "group": group.pk, "note": said, "n": n}
        events.publish("alerts")
    return n

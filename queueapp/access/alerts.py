"""What people do about alerts: acknowledge them and silence them.

An acknowledged alert is still shown, and ends by one mail as any other; only its reminders stop. A silence
stops all mail of what it covers, until it ends.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from django.utils import timezone

from queueapp import events
from queueapp.access.change import Actor, Missing, Taken, Wrong, audited, known
from queueapp.models import Alert, AlertRule, AlertScope, AlertState, Severity, Silence

LONGEST = timedelta(days=90)
"""A silence that never ends is a rule that should be switched off."""
_SHOWN = 20


def acknowledge(actor: Actor, pk: int, note: str = "") -> Alert:
    """Somebody looks after it. Raises Missing, Taken where it is over or was acknowledged before."""
    with audited(actor, "operate", "alert.acknowledge", f"alert {pk}") as detail:
        alert = Alert.objects.select_for_update().filter(pk=known(pk)).first()
        if alert is None:
            raise Missing(f"There is no alert {pk}.")
        if alert.resolved_at is not None:
            raise Taken(f"Alert {pk} ended at {alert.resolved_at:%Y-%m-%d %H:%M} UTC.")
        if alert.state == AlertState.ACKNOWLEDGED:
            raise Taken(f"{alert.acknowledged_by} has acknowledged alert {pk} already.")
        alert.note = printable(note, "note", 500)
        alert.state, alert.acknowledged_at, alert.acknowledged_by = (
            AlertState.ACKNOWLEDGED, timezone.now(), actor.name,
        )  # fmt: skip
        if alert.fired_at is None:
            alert.fired_at = alert.acknowledged_at
        alert.save(update_fields=["state", "acknowledged_at", "acknowledged_by", "note", "fired_at"])
        detail |= {"target": alert.title[:255], "alert": alert.pk, "note": alert.note}
        events.publish("alerts")
    return alert


def drafted(
    *, rule: int | None = None, severity: str = "", scope: str = "", only: str = "", reason: str = "-",
    until: datetime | None = None,
) -> Silence:  # fmt: skip
    """A silence that is not stored: for its preview, and for the one that is made. Raises Wrong, Missing."""
    now = timezone.now()
    until = until or now + timedelta(hours=1)
    if severity and severity not in Severity.values:
        raise Wrong("severity", f"severity {severity[:40]!r} is not one of {', '.join(Severity.values)}")
    if scope and scope not in AlertScope.values:
        raise Wrong("scope", f"scope {scope[:40]!r} is not one of {', '.join(AlertScope.values)}")
    if timezone.is_naive(until) or until <= now:
        raise Wrong("until", f"until {until.isoformat()} is not a time to come, with its zone")
    if until > now + LONGEST:
        raise Wrong("until", f"a silence lasts {LONGEST.days} days at most: switch the rule off instead")
    row = None
    if rule is not None:
        row = AlertRule.objects.filter(pk=known(rule)).first()
        if row is None:
            raise Missing(f"There is no alert rule {rule}.")
    if not reason.strip():
        raise Wrong("reason", "a reason is needed: people will ask why it was quiet")
    return Silence(
        rule=row, severity=severity, scope=scope, only=printable(only, "only", 560),
        reason=printable(reason, "reason", 200), since=now, until=until,
    )  # fmt: skip


def covered(silence: Silence) -> tuple[int, list[Alert]]:
    """How many of the alerts that hold now it covers, and the first of them."""
    found = [row for row in Alert.objects.open() if silence.covers(row)]
    return len(found), found[:_SHOWN]


def silence(
    actor: Actor, *, reason: str, until: datetime, rule: int | None = None, severity: str = "",
    scope: str = "", only: str = "",
) -> Silence:  # fmt: skip
    """Nobody is told of what it covers until then; without any matcher that is everything."""
    with audited(actor, "operate", "silence.create", only[:200] or "all alerts") as detail:
        made = drafted(rule=rule, severity=severity, scope=scope, only=only, reason=reason, until=until)
        made.made_by = actor.name[:150]
        made.save()
        detail |= {
            "silence": made.pk, "rule": made.rule.name if made.rule else "", "severity": severity,
            "scope": scope, "only": made.only, "until": until.isoformat(), "reason": made.reason,
            "n": covered(made)[0],
        }  # fmt: skip
        events.publish("alerts")
    return made


def lift(actor: Actor, pk: int) -> Silence:
    """What holds and was not told of is told now. Raises Missing, Taken where it is over."""
    with audited(actor, "operate", "silence.lift", f"silence {pk}") as detail:
        row = Silence.objects.select_for_update().filter(pk=known(pk)).first()
        if row is None:
            raise Missing(f"There is no silence {pk}.")
        now = timezone.now()
        if row.lifted_at is not None or row.until <= now:
            raise Taken(f"Silence {pk} is over already.")
        row.lifted_at, row.lifted_by = now, actor.name[:150]
        row.save(update_fields=["lifted_at", "lifted_by"])
        detail |= {"reason": row.reason, "only": row.only}
        events.publish("alerts")
    return row


def printable(text: str, field: str, longest: int) -> str:
    """One line of so many characters at most. Raises Wrong."""
    text = text.strip()
    if len(text) > longest or (text and not text.isprintable()):
        raise Wrong(field, f"{field} must be one line of at most {longest} printable characters")
    return text

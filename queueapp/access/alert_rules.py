"""What people change of alert rules. A shipped rule can be switched off and set anew, never deleted.

A search is checked by the one parser and by what a rule may have (watch/alerts/searches.py): GrammarError
says where the mistake is, on page, API and command.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.db import IntegrityError, transaction

from queueapp import events
from queueapp.access.alerts import printable
from queueapp.access.change import Actor, Missing, Taken, Wrong, audited, known
from queueapp.mail.address import AddressError, parse_address
from queueapp.models import AlertRule, AlertScope, Severity, revision
from queueapp.watch.alerts import searches
from queueapp.watch.alerts.conditions import BY_NAME

REVISION = "alerts"
LONGEST = timedelta(days=7)
MAX_RECIPIENTS = 20
FIELDS = (
    "name", "about", "condition", "query", "is_enabled", "severity", "threshold", "scope", "only",
    "holds_for", "clear_for", "remind_every", "recipients",
)  # fmt: skip


def change(actor: Actor, pk: int, **values: Any) -> AlertRule:
    """Raises Missing, Taken for a name that another has, Wrong with the field, GrammarError."""
    with audited(actor, "admin", "alert_rule.change", f"alert rule {pk}") as detail:
        row = _row(pk)
        if row.is_shipped and values.get("condition", row.condition) != row.condition:
            raise Wrong("condition", "a shipped rule keeps its condition: make one of your own beside it")
        was = {field: getattr(row, field) for field in values if field in FIELDS}
        _fill(row, values)
        _save(row)
        detail |= {
            "target": row.name,
            "changed": {
                field: [str(old), str(getattr(row, field))]
                for field, old in was.items()
                if old != getattr(row, field)
            },
        }
    return row


def add(actor: Actor, **values: Any) -> AlertRule:
    """A rule of one's own: `name` and `condition` are needed. Raises as `change`."""
    with audited(actor, "admin", "alert_rule.create", str(values.get("name", ""))[:100]) as detail:
        row = drafted(values)
        row.made_by = actor.name[:150]
        _save(row)
        detail |= {"condition": row.condition, "threshold": row.threshold, "only": row.only}
        detail |= {"query": row.query} if row.query else {}
    return row


def drafted(values: dict[str, Any]) -> AlertRule:
    """A rule that is not stored. Raises Wrong, GrammarError."""
    row = AlertRule()
    for needed in ("name", "condition"):
        if not str(values.get(needed, "")).strip():
            raise Wrong(needed, f"{needed} is needed")
    _fill(row, values)
    return row


def remove(actor: Actor, pk: int) -> None:
    """One of one's own. What it raised is over at the watch's next look."""
    with audited(actor, "admin", "alert_rule.delete", f"alert rule {pk}") as detail:
        row = _row(pk)
        if row.is_shipped:
            raise Taken(f"{row.name!r} comes with Mailweir: switch it off instead.")
        detail |= {"target": row.name}
        row.delete()
        revision.bump(REVISION)
        events.publish("alerts")


def _row(pk: int) -> AlertRule:
    row = AlertRule.objects.select_for_update().filter(pk=known(pk)).first()
    if row is None:
        raise Missing(f"There is no alert rule {pk}.")
    return row


def _save(row: AlertRule) -> None:
    try:
        with transaction.atomic():
            row.save()
    except IntegrityError:
        raise Taken(f"There is an alert rule {row.name!r} already.") from None
    revision.bump(REVISION)
    events.publish("alerts")


def _fill(row: AlertRule, values: dict[str, Any]) -> None:
    for field, value in values.items():
        if field not in FIELDS:
            raise Wrong(field, f"an alert rule has no {field[:40]!r}")
        setattr(row, field, _checked(field, value))
    condition = BY_NAME.get(row.condition)
    if condition is not None and condition.has_search:
        _check_search(row)
    elif row.query:
        raise Wrong("query", "only a rule with the condition 'search' has a search")
    elif condition is not None and row.scope not in condition.scopes:
        if "scope" in values:
            allowed = ", ".join(condition.scopes)
            raise Wrong("scope", f"scope {row.scope!r} is none of {row.condition!r}: one of {allowed}")
        row.scope = condition.scopes[0]


def _check_search(row: AlertRule) -> None:
    row.query = str(searches.checked(row.query))
    if row.threshold is None:
        raise Wrong("threshold", "threshold is needed: how many may match before people are told")
    if row.only:
        raise Wrong("only", "a rule with a search says in the search what it is about")
    row.scope = AlertScope.ALL
    if row.is_enabled:
        others = AlertRule.objects.filter(condition=row.condition, is_enabled=True).exclude(pk=row.pk)
        if others.count() >= searches.MOST_RULES:
            raise Wrong(
                "condition", f"{searches.MOST_RULES} rules with a search are on: switch one off first"
            )


def _checked(field: str, value: Any) -> Any:
    if field == "query":
        return str(value).strip()
    if field in ("name", "about", "only", "condition"):
        longest = {"name": 100, "about": 500, "only": 560, "condition": 32}[field]
        text = printable(str(value), field, longest)
        if not text and field in ("name", "condition"):
            raise Wrong(field, f"{field} is needed")
        if field == "condition" and text not in BY_NAME:
            raise Wrong(field, f"condition {text[:40]!r} is not one of {', '.join(BY_NAME)}")
        return text
    if field == "severity" and value not in Severity.values:
        raise Wrong(field, f"severity {str(value)[:40]!r} is not one of {', '.join(Severity.values)}")
    if field == "scope" and value not in AlertScope.values:
        raise Wrong(field, f"scope {str(value)[:40]!r} is not one of {', '.join(AlertScope.values)}")
    if field == "threshold" and value is not None and not 0 <= value < 1e12:
        raise Wrong(field, f"threshold {value!r} is not a number from 0")
    if field in ("holds_for", "clear_for", "remind_every"):
        return _span(field, value)
    return _addresses(value) if field == "recipients" else value


def _span(field: str, value: timedelta | None) -> timedelta | None:
    if value is None and field == "remind_every":
        return None
    least = timedelta(minutes=5) if field == "remind_every" else timedelta(0)
    if value is None or not least <= value <= LONGEST:
        raise Wrong(field, f"{field} must be between {least} and {LONGEST.days} days")
    return value


def _addresses(value: list[str]) -> list[str]:
    if len(value) > MAX_RECIPIENTS:
        raise Wrong("recipients", f"{len(value)} recipients: {MAX_RECIPIENTS} at most")
    try:
        return [str(parse_address(each)) for each in value]
    except AddressError as error:
        raise Wrong("recipients", str(error)) from None

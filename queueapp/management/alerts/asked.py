"""From options of `manage.py alerts` to what the actions take. A wrong value is WrongUsage, with its name."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from django.utils import timezone
from django.utils.dateparse import parse_datetime

from queueapp import conf
from queueapp.management.base import WrongUsage


def silence(options: dict[str, Any]) -> dict[str, Any]:
    """The values of access/alerts.silence. One that covers everything has to be meant."""
    values = {name: options[name] for name in ("rule", "severity", "scope", "only", "reason")}
    if not options["all"] and not any(values[name] for name in ("rule", "severity", "scope", "only")):
        raise WrongUsage(
            "It would cover every alert: say what with --rule, --severity, --scope or --only, or --all."
        )
    return {**values, "until": _end(options["for"], options["until"])}


def _end(span: str | None, until: str | None) -> datetime:
    if bool(span) == bool(until):
        raise WrongUsage("Say how long: either --for 2h or --until 2027-01-31T18:00 (UTC).")
    if span:
        return timezone.now() + a_span("--for", span)
    try:
        at = parse_datetime(until or "")
    except ValueError:
        at = None
    if at is None:
        raise WrongUsage(f"--until {str(until)[:40]!r} is not a time such as 2027-01-31T18:00")
    return at.replace(tzinfo=UTC) if timezone.is_naive(at) else at


def a_span(option: str, text: str) -> timedelta:
    """ "90s", "10m", "2h", "1d"; "0" is none."""
    if text == "0":
        return timedelta(0)
    try:
        return conf.duration(text)
    except ValueError as error:
        raise WrongUsage(f"{option} {text[:40]!r} is not {error}") from None

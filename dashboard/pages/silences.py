"""Silences: made with an end and a look at what they cover before they count; lifted before it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.views.decorators.http import require_http_methods, require_POST

from dashboard.auth.actors import actor
from dashboard.auth.gate import needs
from dashboard.pages.alert_words import SCOPES, told
from queueapp.access import alerts
from queueapp.access.change import AccessError, Missing, NotAllowed, Wrong
from queueapp.models import AlertRule, Severity, Silence

MOST = 100
_SPANS = {
    "30m": ("half an hour", timedelta(minutes=30)),
    "1h": ("an hour", timedelta(hours=1)),
    "4h": ("four hours", timedelta(hours=4)),
    "12h": ("twelve hours", timedelta(hours=12)),
    "1d": ("a day", timedelta(days=1)),
    "7d": ("a week", timedelta(days=7)),
    "30d": ("thirty days", timedelta(days=30)),
}
_FIELDS = ("rule", "severity", "scope", "only", "reason", "for", "until")


@require_http_methods(["GET", "HEAD", "POST"])
def page(request: HttpRequest) -> HttpResponse:
    """GET with `preview` shows what the silence would cover; POST makes it."""
    given = request.POST if request.method == "POST" else request.GET
    asked = {name: given.get(name, "").strip()[:600] for name in _FIELDS}
    context: dict[str, Any] = {"asked": asked}
    try:
        if request.method == "POST":
            made = alerts.silence(actor(request), **_values(asked))
            messages.success(request, f"Silent until {made.until.astimezone(UTC):%Y-%m-%d %H:%M} UTC.")
            return redirect("silences")
        if "preview" in given:
            context["preview"] = _preview(asked)
    except NotAllowed:
        raise
    except AccessError as error:
        context |= {"mistake": str(error), "wrong": error.field if isinstance(error, Wrong) else ""}
    return render(
        request, "silences/page.html", context | _lists(), status=422 if "mistake" in context else 200
    )


def _lists() -> dict[str, Any]:
    now = timezone.now()
    rows = Silence.objects.select_related("rule").order_by("-until", "-pk")
    return {
        "now": now,
        "in_force": rows.filter(until__gt=now, lifted_at=None)[:MOST],
        "over": rows.exclude(until__gt=now, lifted_at=None)[:20],
        "rules": AlertRule.objects.order_by("name")[:500],
        "severities": Severity.values,
        "scopes": SCOPES,
        "spans": [(name, words) for name, (words, _) in _SPANS.items()],
    }


def _values(asked: dict[str, str]) -> dict[str, Any]:
    """Raises Wrong."""
    rule = asked["rule"]
    if rule and not (rule.isascii() and rule.isdigit() and len(rule) < 19):
        raise Wrong("rule", f"rule {rule[:40]!r} is not a number")
    return {
        **{name: asked[name] for name in ("severity", "scope", "only", "reason")},
        "rule": int(rule) if rule else None,
        "until": _end(asked),
    }


def _end(asked: dict[str, str]) -> datetime:
    """A span, or a time in UTC. Raises Wrong."""
    if asked["until"]:
        try:
            at = parse_datetime(asked["until"])
        except ValueError:
            at = None
        if at is None:
            raise Wrong("until", f"{asked['until'][:40]!r} is not a time such as 2027-01-31T18:00")
        return at.replace(tzinfo=UTC) if timezone.is_naive(at) else at
    if asked["for"] not in _SPANS:
        raise Wrong("for", f"say how long: {', '.join(_SPANS)}")
    return timezone.now() + _SPANS[asked["for"]][1]


def _preview(asked: dict[str, str]) -> dict[str, Any]:
    values = _values(asked)
    draft = alerts.drafted(**values)
    n, found = alerts.covered(draft)
    now = timezone.now()
    return {
        "n": n,
        "rows": [told(alert, now) for alert in found],
        "until": draft.until,
        "is_all": not (values["rule"] or asked["severity"] or asked["scope"] or asked["only"]),
    }


@needs("operate")
@require_POST
def lift(request: HttpRequest, pk: int) -> HttpResponse:
    try:
        alerts.lift(actor(request), pk)
        messages.success(request, "Lifted: what holds and was not told of is told now.")
    except NotAllowed:
        raise
    except Missing as error:
        raise Http404(str(error)) from None
    except AccessError as error:
        messages.error(request, str(error))
    return redirect("silences")

"""Alerts: what holds now, what was, and what was said to whom. One with its timeline; acknowledging."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from dashboard.auth.actors import actor
from dashboard.auth.gate import needs
from dashboard.pages import alert_timeline
from dashboard.pages.alert_words import quiet_because, sent, told
from dashboard.snapshot.alerts import counts, worst_first
from queueapp import conf
from queueapp.access import alert_groups, alerts
from queueapp.access.change import AccessError, Missing, NotAllowed
from queueapp.models import Alert, AlertState, Notice, Silence
from queueapp.watch import pulse

MOST = 200
_IN_GROUP = 5
HISTORY = 50
NOTICES = 20


@require_safe
def page(request: HttpRequest) -> HttpResponse:
    now, before = timezone.now(), request.GET.get("before", "")
    found = list(worst_first()[: MOST + 1])
    over = list(_over(before)[: HISTORY + 1])
    context = {
        "groups": _groups(found[:MOST]),
        "n": counts(),
        "is_cut": len(found) > MOST,
        "most": MOST,
        "history": [told(alert, now) for alert in over[:HISTORY]],
        "before": over[HISTORY - 1].pk if len(over) > HISTORY else None,
        "is_continued": bool(before),
        "silences": Silence.objects.in_force(now).select_related("rule").order_by("until")[:NOTICES],
        "notices": [sent(row) for row in Notice.objects.select_related("group").order_by("-pk")[:NOTICES]],
        "recipients": conf.current().alert_to,
        "watched_at": pulse.last(),
        "is_silent": pulse.is_silent(now),
    }
    is_part = request.htmx and not request.htmx.history_restore_request  # type: ignore[attr-defined]
    response = render(request, "alerts/_list.html" if is_part else "alerts/page.html", context)
    response["Vary"] = "HX-Request"
    return response


def _over(before: str) -> Any:
    """Newest first by number: what a page ends with begins the next."""
    rows = Alert.objects.over().select_related("group")
    if before.isascii() and before.isdigit() and len(before) < 19:
        last = Alert.objects.filter(pk=int(before)).first()
        if last and last.resolved_at:
            rows = rows.filter(resolved_at__lte=last.resolved_at).exclude(
                pk__gte=last.pk, resolved_at=last.resolved_at
            )
    return rows


def _groups(found: list[Alert]) -> list[dict[str, Any]]:
    """What has one cause together, in the order of the first of each."""
    now = timezone.now()
    groups: dict[Any, list[Alert]] = {}
    for alert in found:
        key = alert.group_id or f"alert-{alert.pk}"
        groups.setdefault(key, []).append(alert)
    return [
        {
            "group": rows[0].group,
            "title": rows[0].group.title if rows[0].group else rows[0].title,
            "severity": rows[0].severity,
            "since": min(row.since for row in rows),
            "first": told(rows[0], now),
            "rows": [told(row, now) for row in rows[:_IN_GROUP]],
            "n_more": max(0, len(rows) - _IN_GROUP),
            "n": len(rows),
            "n_firing": sum(row.state == AlertState.FIRING for row in rows),
            "quiet": quiet_because(rows[0]),
        }
        for rows in groups.values()
    ]


@require_safe
def one(request: HttpRequest, pk: int) -> HttpResponse:
    alert = _named(pk)
    now = timezone.now()
    mates = (
        Alert.objects.live().filter(group=alert.group).exclude(pk=pk)
        if alert.group_id
        else Alert.objects.none()
    )
    context = {
        **told(alert, now),
        "timeline": alert_timeline.of(alert),
        "mates": mates.order_by("-fired_at", "-pk")[:_IN_GROUP],
        "n_mates": mates.count(),
        "is_open": alert.resolved_at is None,
        "may_acknowledge": alert.resolved_at is None and alert.state != AlertState.ACKNOWLEDGED,
    }
    return render(request, "alerts/one.html", context)


@needs("operate")
@require_POST
def acknowledge(request: HttpRequest, pk: int) -> HttpResponse:
    return _done(request, pk, lambda note: alerts.acknowledge(actor(request), pk, note).title)


@needs("operate")
@require_POST
def acknowledge_group(request: HttpRequest, pk: int) -> HttpResponse:
    return _done(request, 0, lambda note: f"{alert_groups.acknowledge(actor(request), pk, note)} alerts")


def _done(request: HttpRequest, pk: int, act: Any) -> HttpResponse:
    try:
        what = act(request.POST.get("note", ""))
        messages.success(request, f"Acknowledged: {what}. Reminders stop; it is told when it is over.")
    except NotAllowed:
        raise
    except Missing as error:
        raise Http404(str(error)) from None
    except AccessError as error:
        messages.error(request, str(error))
    return redirect("alert", pk) if pk and request.POST.get("back") == "alert" else redirect("alerts")


def _named(pk: int) -> Alert:
    alert = Alert.objects.select_related("group", "rule").filter(pk=pk).first()
    if alert is None:
        raise Http404(f"there is no alert {pk}")
    return alert

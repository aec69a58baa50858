"""`/metrics`: figures for Prometheus, from the database, so that every process tells the same.

Labels are states and metrics only: their number never grows with the traffic. From this machine
no key is needed (like SMTP submission); from elsewhere one with the scope `read`.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

from django.db import InterfaceError, OperationalError
from django.db.models import Sum
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from dashboard.api.errors import ApiError, answer, database_away, from_access
from dashboard.api.keys import Needs
from dashboard.auth.gate import public
from queueapp import stats
from queueapp.access.change import NotAllowed
from queueapp.models import EVERY_DOMAIN, Minute, Runner

_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@public
@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    registry = CollectorRegistry()
    try:
        if not _is_local(request):
            Needs("read")(request)
        registry.register(_Queue())
        return HttpResponse(generate_latest(registry), content_type=_TYPE)
    except ApiError as error:
        return answer(error.status, error.code, error.detail)
    except NotAllowed as error:
        return from_access(error)
    except (OperationalError, InterfaceError) as error:
        return database_away(error)


def _is_local(request: HttpRequest) -> bool:
    """A proxy on this machine names whom it speaks for; then that one counts as the asker."""
    if "Forwarded" in request.headers or "X-Forwarded-For" in request.headers:
        return False
    try:
        return ipaddress.ip_address(request.META.get("REMOTE_ADDR", "")).is_loopback
    except ValueError:
        return False


class _Queue(Collector):
    def describe(self) -> list[Metric]:
        return []

    def collect(self) -> Iterator[Metric]:
        yield _depth()
        yield from _totals()
        yield _gauge(
            "oldest_due_seconds", "How long the oldest due delivery has waited.", stats.oldest_due() or 0
        )
        yield _gauge("retries_due_next_hour", "Deferred deliveries due within an hour.", stats.retries_due())
        alive = Runner.objects.alive()
        yield _gauge("runners", "Queue runners at work.", alive.count())
        sessions = alive.aggregate(n=Sum("n_sessions"))["n"] or 0
        yield _gauge("sessions", "SMTP sessions that they hold.", sessions)


def _depth() -> Metric:
    family = GaugeMetricFamily("mailweir_deliveries", "Deliveries by state.", labels=["state"])
    for state, n in stats.depth().items():
        family.add_metric([state], n)
    return family


def _totals() -> Iterator[Metric]:
    sums = Minute.objects.filter(domain_id=EVERY_DOMAIN).aggregate(
        **{metric: Sum(f"n_{metric}") for metric in stats.METRICS}
    )
    family = CounterMetricFamily("mailweir_events", "What happened to deliveries.", labels=["event"])
    for metric in stats.METRICS:
        family.add_metric([metric], sums[metric] or 0)
    yield family


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"mailweir_{name}", text, value=value)

"""Rounds of the alerts at times of the test's own, over real rows."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from queueapp.models import Alert, AlertRule, Diagnosis, DomainFigures, Notice, RecipientDomain, Site
from queueapp.watch.alerts import look, shipped
from queueapp.watch.alerts.looking import Looking

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)


class Rounds:
    """`only`: the keys of the shipped rules that are on."""

    def __init__(self, *only: str) -> None:
        self.began = self.now = timezone.now()
        self._looking = Looking()
        shipped.sync()
        AlertRule.objects.exclude(key__in=only).update(is_enabled=False)

    def one(self, after: timedelta = timedelta(0)) -> int:
        self.now += after
        return look.one(self.now, self._looking, at=(self.now - self.began).total_seconds())

    def until(self, after: timedelta, step: timedelta = 30 * SECOND) -> None:
        """A round each step."""
        end = self.now + after
        while self.now < end:
            self.one(step)


def stuck(n: int, cause: str = "receiver_down", waiting: int = 500, name: str = "stuck{}.test") -> None:
    """So many domains with one cause, nothing delivered there."""
    now = timezone.now()
    sites = Site.objects.bulk_create(
        [Site(key=f"mx:{name.format(i)}", name=f"mx.{name.format(i)}", route="mx") for i in range(n)]
    )
    domains = RecipientDomain.objects.bulk_create(
        [RecipientDomain(name=name.format(i), n_deferred=waiting, site=site) for i, site in enumerate(sites)]
    )
    DomainFigures.objects.bulk_create(
        DomainFigures(domain=each, error_class="connection", error_reply="timed out", tried_at=now)
        for each in domains
    )
    Diagnosis.objects.bulk_create(
        Diagnosis(
            kind="domain", key=each.name, name=each.name, cause=cause, place=0, n=waiting, share=1.0,
            since=now, seen_at=now,
        )
        for each in domains
    )  # fmt: skip


def well(**fields: Any) -> None:
    """All of it went."""
    RecipientDomain.objects.update(n_deferred=0, n_queued=0, due_at=None)
    Diagnosis.objects.all().delete()


def told() -> list[tuple[str, str]]:
    return list(Notice.objects.order_by("pk").values_list("kind", "subject"))


def states() -> dict[str, str]:
    return dict(Alert.objects.values_list("key", "state"))


def at(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M}"

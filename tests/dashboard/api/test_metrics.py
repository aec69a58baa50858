"""`/metrics`: figures that are right, labels that traffic can't raise, an answer while things are away."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families

from dashboard.api.figures import queue, sites
from queueapp import conf
from queueapp.models import (
    EVERY_DOMAIN,
    Bookmark,
    EgressSource,
    Minute,
    OutcomeSlot,
    RecipientDomain,
    Site,
    SiteFigures,
    Suspension,
    of_site,
)
from queueapp.models.minute import TOTALS_AT
from queueapp.stats import outcomes
from tests.dashboard.api.asking import is_error, key
from tests.dashboard.rows import a_runner, a_site
from tests.models.rows import delivery
from tests.valkey import ValkeyServer

pytestmark = pytest.mark.django_db

Found = dict[tuple[str, ...], float]


def metrics(client: Client | None = None, **headers: str) -> Found:
    """(name, label values in the order of the labels' names…) to value."""
    response = (client or Client()).get("/metrics", headers=headers)
    assert response.status_code == 200, response.content
    assert response["Content-Type"].startswith("text/plain; version=0.0.4")
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(response.content.decode())
        for sample in family.samples
    }


def site_of(name: str, **domain: Any) -> Site:
    site = a_site(name)
    RecipientDomain.objects.create(name=f"of-{name}", site=site, **domain)
    return site


# ── The queue ─────────────────────────────────────────────────────────────────────────────────


def test_it_works() -> None:
    delivery("a@example.net", state="deferred", next_attempt_at=timezone.now() - timedelta(seconds=90))
    for minutes, n in ((1, 3), (100_000, 4)):
        at = timezone.now() - timedelta(minutes=minutes)
        Minute.objects.create(at=at, domain_id=EVERY_DOMAIN, n_delivered=n)
    found = metrics()
    assert found["mailweir_deliveries", "deferred"] == 1
    assert found["mailweir_deliveries", "queued"] == 0
    assert found["mailweir_events_total", "delivered"] == 7
    assert 89 < found["mailweir_oldest_due_seconds",] < 200
    assert found["mailweir_retries_due_next_hour",] == 1
    assert found["mailweir_operations", "waiting"] == 0


def test_it_counts_what_is_due_up_to_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue, "MOST", 2)
    for n in range(3):
        delivery(f"{n}@example.net", state="deferred", next_attempt_at=timezone.now())
    assert metrics()["mailweir_retries_due_next_hour",] == 2


def test_it_tells_attempts_and_how_long_deliveries_took() -> None:
    """Buckets of the figures are two an octave; every other one is told, and none is lost."""
    data = {
        "classes": {"delivered": 6, "busy": 2},
        "times": {"0": 1, "3": 2, "40": 2, "48": 1},
        "seconds": 9.5,
    }
    Bookmark.objects.create(pk=outcomes.NAME, at=timezone.now(), data=data)
    found = metrics()
    assert found["mailweir_attempts_total", "busy"] == 2
    assert found["mailweir_attempts_total", "tls"] == 0
    name = "mailweir_delivery_duration_seconds"
    assert found[f"{name}_bucket", "0.1"] == found[f"{name}_bucket", "0.2"] == 1
    assert found[f"{name}_bucket", "0.4"] == 3
    assert found[f"{name}_bucket", "104858"] == 5
    assert found[f"{name}_bucket", "+Inf"] == found[f"{name}_count",] == 6
    assert found[f"{name}_sum",] == 9.5


# ── Sites ─────────────────────────────────────────────────────────────────────────────────────


def test_the_deepest_sites_are_named_and_the_rest_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sites, "TOP", 2)
    big, _, middle = (site_of(name, n_queued=n) for name, n in (("big", 9), ("small", 1), ("middle", 5)))
    RecipientDomain.objects.create(name="has-no-site.test", n_queued=4)
    found = metrics()
    name = "mailweir_site_deliveries"
    assert found[name, "big", str(big.pk), "queued"] == 9
    assert found[name, "middle", str(middle.pk), "queued"] == 5
    assert found[name, "other", "", "queued"] == 5
    assert sum(n for key, n in found.items() if key[0] == name) == sum(
        n for key, n in found.items() if key[0] == "mailweir_deliveries"
    )


def test_where_nothing_waits_the_busiest_are_named() -> None:
    busy, idle = site_of("busy"), site_of("idle")
    SiteFigures.objects.create(site=busy, per_minute=3)
    found = metrics()
    assert found["mailweir_site_deliveries", "busy", str(busy.pk), "queued"] == 0
    assert ("mailweir_site_deliveries", "idle", str(idle.pk), "queued") not in found


def test_sites_of_one_name_stay_apart() -> None:
    first = site_of("twice", n_queued=1)
    second = Site.objects.create(key="mx:other", name="twice", route="mx")
    RecipientDomain.objects.create(name="second.test", site=second, n_queued=2)
    OutcomeSlot.objects.create(scope=of_site(second.pk), at=TOTALS_AT, classes={"busy": 8})
    found = metrics()
    assert found["mailweir_site_deliveries", "twice", str(first.pk), "queued"] == 1
    assert found["mailweir_site_deliveries", "twice", str(second.pk), "queued"] == 2
    assert found["mailweir_site_attempts_total", "busy", "twice", str(second.pk)] == 8


def test_it_tells_how_long_a_site_was_not_taken_up() -> None:
    late = site_of("late", n_queued=1, due_at=timezone.now() - timedelta(seconds=500))
    soon = site_of("soon", n_queued=1, due_at=timezone.now() + timedelta(seconds=500))
    Site.objects.filter(pk=late.pk).update(backoff_until=timezone.now() + timedelta(minutes=5))
    found = metrics()
    assert 499 < found["mailweir_site_due_seconds", "late", str(late.pk)] < 700
    assert found["mailweir_site_due_seconds", "soon", str(soon.pk)] == 0
    assert found["mailweir_sites_backing_off",] == 1


def test_the_number_of_labels_and_of_queries_is_bounded() -> None:
    def cost() -> tuple[int, int]:
        with CaptureQueriesContext(connection) as told:
            return len(metrics()), len(told)

    for n in range(sites.TOP):
        site_of(f"{n}.example", n_queued=5)
    before = cost()
    for n in range(30):
        delivery(f"x@{n}.example", state="bounced", last_class="other")
        site_of(f"more{n}.example", n_queued=1)
    assert cost() == before


def test_a_hostile_name_stays_in_its_label() -> None:
    name = 'x"} 1\nmailweir_deliveries{state="queued'
    site = site_of(name, n_queued=1)
    found = metrics()
    assert found["mailweir_site_deliveries", name, str(site.pk), "queued"] == 1
    assert found["mailweir_deliveries", "queued"] == 1


# ── Sources ───────────────────────────────────────────────────────────────────────────────────


def test_a_source_has_its_name_and_who_blocks_it() -> None:
    source = EgressSource.objects.create(name="news", address="192.0.2.1", ehlo_name="news.example")
    EgressSource.objects.create(name="old", address="192.0.2.2", ehlo_name="old.example", is_active=False)
    sent = {"192.0.2.1": {"delivered": 5}, "192.0.2.9": {"bounced": 1}, "": {"deferred": 2}}
    Bookmark.objects.create(pk=outcomes.NAME, data={"sources": sent})
    now = timezone.now()
    held = {"reply_class": "blocklisted", "since": now, "until": now + timedelta(hours=1)}
    Suspension.objects.create(source=source, site=a_site("a"), **held)
    Suspension.objects.create(source=source, site=a_site("b"), **{**held, "until": now})
    Suspension.objects.create(source=None, site=a_site("c"), **held)
    found = metrics()
    assert found["mailweir_source_attempts_total", "delivered", "news"] == 5
    assert found["mailweir_source_attempts_total", "bounced", "192.0.2.9"] == 1
    assert found["mailweir_source_attempts_total", "deferred", "system"] == 2
    assert (found["mailweir_source_active", "news"], found["mailweir_source_active", "old"]) == (1, 0)
    assert [found["mailweir_suspensions", name] for name in ("news", "old", "system")] == [1, 0, 1]


# ── Machines ──────────────────────────────────────────────────────────────────────────────────


def test_it_tells_what_runs(valkey: ValkeyServer, tmp_path: Path) -> None:
    a_runner(n_sessions=7)
    a_runner(n_sessions=4, ended_at=timezone.now())
    parts = [{"name": "web", "state": "running"}, {"name": "smtpd", "state": "restarting", "n_restarts": 3}]
    (tmp_path / "parts.json").write_text(json.dumps({"parts": parts}))
    with conf.override(home=tmp_path, sessions=50, workers=3, redis_url=conf.current().redis):
        found = metrics()
    assert (found["mailweir_runners",], found["mailweir_sessions",]) == (1, 7)
    assert found["mailweir_sessions_limit",] == 150
    assert (found["mailweir_part_up", "web"], found["mailweir_part_up", "smtpd"]) == (1, 0)
    assert found["mailweir_part_restarts_total", "smtpd"] == 3
    assert (found["mailweir_redis_up",], found["mailweir_database_up",]) == (1, 1)
    assert 0 < found["mailweir_scrape_duration_seconds",] < 60
    assert [key[1:] for key in found if key[0] == "mailweir_build_info"][0][0] == connection.vendor


def test_it_answers_while_redis_is_away(tmp_path: Path) -> None:
    with conf.override(redis_url=f"unix://{tmp_path}/no.sock"):
        found = metrics()
    assert (found["mailweir_redis_up",], found["mailweir_database_up",]) == (0, 1)


def test_it_answers_while_the_database_is_away() -> None:
    """All figures of it are gaps: a 0 would be a lie."""

    def away(*_: Any) -> None:
        raise OperationalError("the connection was refused")

    with connection.execute_wrapper(away):
        found = metrics()
    assert found["mailweir_database_up",] == 0
    assert ("mailweir_build_info") in {name for name, *_ in found}
    assert not [name for name, *_ in found if "deliveries" in name or "events" in name]


# ── Who may ask ───────────────────────────────────────────────────────────────────────────────


def test_it_gives_figures_to_strangers_with_a_key_only() -> None:
    stranger = Client(REMOTE_ADDR="192.0.2.7")
    is_error(stranger.get("/metrics"), 401, "key_missing")
    is_error(Client().get("/metrics", headers={"X-Forwarded-For": "192.0.2.7"}), 401, "key_missing")
    assert metrics(stranger, Authorization=f"Bearer {key('read')}")

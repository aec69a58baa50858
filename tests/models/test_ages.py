"""Ages of what waits, by domain: right, and without reading what waits elsewhere."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from queueapp.models import RecipientDomain
from queueapp.models.ages import AGES, waiting_by_age
from tests.models.rows import delivery

pytestmark = pytest.mark.django_db


def test_it_counts_what_waits_by_domain_and_age() -> None:
    now = timezone.now()
    for minutes, state in ((1, "queued"), (7, "deferred"), (8, "queued"), (99999, "deferred"), (1, "held")):
        delivery("a@one.example", state=state, accepted_at=now - timedelta(minutes=minutes))
    delivery("b@two.example", state="delivered", accepted_at=now)
    ids = dict(RecipientDomain.objects.values_list("name", "id"))
    found = waiting_by_age([ids["one.example"], ids["two.example"]], now)
    assert found == {ids["one.example"]: [1, 2, *[0] * (len(AGES) - 2), 1]}
    assert waiting_by_age([], now) == {}


@pytest.mark.skipif(connection.vendor != "sqlite", reason="SQLite takes the wrong index by itself")
def test_sqlite_reads_these_domains_and_not_all_that_waits() -> None:
    with CaptureQueriesContext(connection) as queries, connection.cursor() as cursor:
        waiting_by_age(list(range(500)), timezone.now())
        cursor.execute("EXPLAIN QUERY PLAN " + queries.captured_queries[0]["sql"])
        plan = " ".join(row[3] for row in cursor.fetchall())
    assert "INDEX delivery_claim (domain_id=?)" in plan, plan

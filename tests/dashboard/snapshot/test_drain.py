from __future__ import annotations

from datetime import timedelta

import pytest

from dashboard.snapshot.drain import drain
from queueapp import stats
from tests.dashboard.rows import now

pytestmark = pytest.mark.django_db


def told(n: int, **happened: int) -> dict[str, object]:
    """`happened` in one minute a little while ago."""
    at = now()
    tally = stats.Tally({(1, metric): count for metric, count in happened.items()})
    stats.record(tally, at - timedelta(minutes=5))
    return drain({"queued": n, "sending": 0, "deferred": 0}, at)


def test_it_tells_when_the_queue_will_be_empty() -> None:
    found = told(1000, accepted=100, delivered=1500, bounced=100)
    assert found["trend"] == "drains"
    # 1,500 less in 15 to 16 minutes: a thousand need some ten.
    assert 540 < float(str(found["in_s"])) < 700
    assert "Empty in about 1" in str(found["text"])


def test_it_tells_that_it_grows() -> None:
    found = told(1000, accepted=1500, delivered=10)
    assert (found["trend"], found["in_s"]) == ("grows", None)
    assert str(found["text"]).startswith("It grows by ")


def test_it_promises_nothing_where_nothing_moves() -> None:
    assert told(0, accepted=5)["trend"] == "empty"
    assert told(7)["trend"] == "grows"  # what came before counts still


def test_it_is_steady_or_still() -> None:
    assert told(5, accepted=100, delivered=101)["trend"] == "steady"


def test_it_says_that_nothing_happened() -> None:
    assert told(5)["trend"] == "still"

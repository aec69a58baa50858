from __future__ import annotations

from datetime import UTC, datetime

import pytest

from dashboard.templatetags.times import duration, grouped, moment, octets

AT = datetime(2026, 11, 22, 14, 3, 7, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (None, "–"), (0, "0 s"), (-5, "0 s"), (42.9, "42 s"), (60, "1 min"), (200, "3 min"), (3600, "1 h"),
        (7500, "2 h 5 min"), (43200, "12 h"), (356400, "4 d 3 h"), (8640000, "100 d"),
    ],
)  # fmt: skip
def test_it_says_durations(seconds: float | None, said: str) -> None:
    assert duration(seconds) == said


@pytest.mark.parametrize(
    ("n", "said"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1200, "1.2 KB"),
        (52_000, "52 KB"),
        (52_000_000, "52 MB"),
        (10**13, "10000 GB"),
    ],
)
def test_it_says_sizes(n: int, said: str) -> None:
    assert octets(n) == said


@pytest.mark.parametrize(
    ("n", "said"), [(12431, "12,431"), (0, "0"), (8.4, "8.4"), (244.6, "245"), (3.0, "3")]
)
def test_it_groups_numbers(n: float, said: str) -> None:
    assert grouped(n) == said


def test_it_keeps_utc_at_hand() -> None:
    said = moment(AT)
    assert 'datetime="2026-11-22T14:03:07+00:00"' in said
    assert 'title="2026-11-22 14:03:07 UTC"' in said
    assert moment(None) == ""
    assert moment(AT.isoformat()) == said

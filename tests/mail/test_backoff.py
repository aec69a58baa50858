"""The retry schedule: 5 minutes, doubling, four hours at most, spread."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from queueapp.mail.backoff import retry_in


def test_it_doubles_up_to_the_cap() -> None:
    waits = [retry_in(n, first=300, cap=14_400, rand=lambda: 0.5) for n in range(1, 9)]
    assert waits == [300, 600, 1_200, 2_400, 4_800, 9_600, 14_400, 14_400]


def test_it_spreads_by_the_jitter_and_no_more() -> None:
    assert retry_in(1, first=300, cap=14_400, rand=lambda: 0.0) == pytest.approx(270)
    assert retry_in(1, first=300, cap=14_400, rand=lambda: 1.0) == pytest.approx(330)
    assert len({retry_in(1, first=300, cap=14_400) for _ in range(50)}) > 1


def test_it_stays_a_number_after_very_many_attempts() -> None:
    assert retry_in(10**9, first=300, cap=14_400, rand=lambda: 0.5) == 14_400
    assert retry_in(0, first=300, cap=14_400, rand=lambda: 0.5) == 300


@pytest.mark.parametrize("wrong", [{"first": 0}, {"cap": -1}, {"jitter": 1.0}, {"jitter": -0.1}])
def test_it_refuses_a_schedule_that_makes_no_sense(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must be above 0"):
        retry_in(1, **{"first": 300.0, "cap": 14_400.0, **wrong})


@given(st.integers(-5, 10_000), st.floats(0.001, 1e6), st.floats(0.001, 1e6), st.floats(0, 0.99))
def test_it_is_always_above_zero_and_near_the_cap_at_most(
    n: int, first: float, cap: float, jitter: float
) -> None:
    assert 0 < retry_in(n, first=first, cap=cap, jitter=jitter) <= cap * (1 + jitter) * 1.000001

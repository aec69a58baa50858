"""The accounting of limits: slots of a rate, and what Redis grants to several runners."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.exceptions import RedisError

from queueapp import conf
from queueapp.conf import Rate, rate_or_none
from queueapp.engine import tokens
from queueapp.engine.limits import Pace, Share, grace_of, in_hand, interval_of
from queueapp.engine.tokens import Lost, Tokens

T = TypeVar("T")
RATES = st.builds(Rate, st.integers(1, 5000), st.sampled_from([1, 60, 3600, 86400]))

# ── A pace, without Redis ─────────────────────────────────────────────────────────────────────


@given(RATES)
def test_no_stretch_of_a_rates_time_holds_more_even_if_slots_are_used_late(rate: Rate) -> None:
    """The first of a stretch used at its latest, all others at once: that is the worst."""
    slots = (rate.per + grace_of(rate)) / interval_of(rate)
    assert slots <= rate.n + 1e-6
    assert interval_of(rate) * rate.n <= rate.per * 1.05 + 1e-6


@given(RATES, st.lists(st.floats(0, 3), max_size=30))
def test_a_pace_never_gives_more_than_the_slots_that_have_come(rate: Rate, pauses: list[float]) -> None:
    pace, now, used = Pace("k", rate), 0.0, 0
    pace.got(50, 50, 0.0, 0, 0.0)
    for pause in pauses:
        now += pause
        n = pace.ready(now)
        used += n
        if n:
            assert pace.use(n, now) >= now - 1e-6
        assert used <= min(50, now / interval_of(rate) + 1 + 1e-6)


def test_a_slot_that_is_not_used_in_time_is_forfeited() -> None:
    pace = Pace("k", Rate(10, 1))
    pace.got(5, 5, 100.0, 0, 100.0)
    assert pace.ready(100.0) == 1
    assert pace.ready(100.02) == 1
    assert pace.next_slot(100.0) == 100.0
    assert pace.ready(100.06) == 0
    assert pace.next_slot(100.06) == pytest.approx(100.105)
    assert pace.ready(200.0) == 0
    assert pace.next_slot(200.0) is None


def test_blocks_grow_while_all_is_used_and_are_asked_for_one_at_a_time() -> None:
    pace, asked = Pace("k", Rate(1000, 1)), []
    for _ in range(5):
        n = pace.ask(10_000, 0.0)
        asked.append(n)
        pace.is_asking = True
        assert pace.ask(10_000, 0.0) == 0
        pace.got(n, n, 0.0, 0, 0.0)
        pace.blocks.clear()
    assert asked == [1, 2, 4, 8, 16]
    pace.got(0, 32, 0.0, 5.0, 0.0)
    assert pace.ask(10, 4.0) == 0
    assert pace.ask(10, 5.0) == 10


def test_a_share_counts_what_idles() -> None:
    share = Share(1, limit=3, max_mails=10, granted=2, n_busy=1, n_kept=1)
    assert not share.has_room
    share.granted = 1
    assert share.is_over
    share.wanted = 9
    assert share.want == 3


@pytest.mark.parametrize("text", ["", "none", "5/s", "600/m", "1000/h", "20000/d"])
def test_a_rate_is_read_and_written(text: str) -> None:
    rate = rate_or_none(text)
    assert (str(rate) if rate else "") == ("" if text == "none" else text)


@pytest.mark.parametrize("text", ["5", "0/s", "5/w", "-1/s", "1.5/s", "5/s/s"])
def test_a_wrong_rate_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="such as 5/s"):
        rate_or_none(text)


def test_a_slow_rate_keeps_one_mail_in_hand() -> None:
    assert (in_hand(Rate(10, 3600)), in_hand(Rate(100, 1))) == (1, 500)


# ── Redis ─────────────────────────────────────────────────────────────────────────────────────


def runners(n: int, work: Callable[..., Awaitable[T]], *, is_new: bool = True) -> T:
    """`work(one, two, …)` with runners that share a Redis which begins anew."""
    epoch = tokens.begin({pk: {} for pk in range(1, n + 1)}, may_start=is_new)

    async def main() -> T:
        made = [Tokens(pk) for pk in range(1, n + 1)]
        for each in made:
            each.epoch = epoch
        try:
            return await work(*made)
        finally:
            for each in made:
                await each._redis.aclose()

    return asyncio.run(main())


pytestmark = pytest.mark.usefixtures("valkey")


def test_sessions_are_granted_once() -> None:
    async def work(one: Tokens, two: Tokens) -> None:
        assert await one.share({7: (0, 3, 4)}) == {7: 3}
        assert await two.share({7: (0, 3, 4), 8: (0, 2, 4)}) == {7: 1, 8: 2}
        assert tokens.in_use([7, 8]) == {7: 4, 8: 2}
        # The first one gives back what the other has too little of, as far as it can.
        assert await one.share({7: (3, 3, 4)}) == {7: 2}
        assert await two.share({7: (1, 3, 4)}) == {7: 1}
        assert await one.share({7: (2, 3, 4)}) == {7: 2}
        assert await two.share({7: (1, 3, 4)}) == {7: 2}

    runners(2, work)


def test_a_lowered_limit_asks_back_what_is_too_much() -> None:
    async def work(one: Tokens, two: Tokens) -> None:
        await one.share({7: (0, 3, 6)})
        await two.share({7: (0, 3, 6)})
        assert await one.share({7: (3, 3, 2)}) == {7: 0}
        assert await two.share({7: (3, 3, 2)}) == {7: 0}
        assert await one.share({7: (0, 3, 2)}) == {7: 0}
        assert await two.share({7: (0, 1, 2)}) == {7: 1}

    runners(2, work)


def test_a_dead_runners_sessions_are_free() -> None:
    async def work(one: Tokens, two: Tokens) -> None:
        await one.share({7: (0, 4, 4)})
        assert await two.share({7: (0, 4, 4)}) == {7: 0}
        tokens.forget(1)
        assert await two.share({7: (0, 4, 4)}) == {7: 4}

    runners(2, work)


def test_an_emptied_redis_grants_nothing() -> None:
    async def work(one: Tokens) -> None:
        await one.share({7: (0, 1, 4)})
        await one._redis.flushall()
        for asking in (one.share({7: (0, 1, 4)}), one.take([("s1", 0.1, 1)]), one.tell({2: {7: 1}})):
            with pytest.raises(Lost):
                await asking

    runners(1, work)
    with pytest.raises(Lost):
        tokens.begin({1: {}}, may_start=False)


def test_who_can_not_reach_redis_is_spoken_for() -> None:
    async def work(one: Tokens) -> None:
        await one.tell({99: {7: 3}})
        assert await one.share({7: (0, 4, 4)}) == {7: 1}

    runners(1, work)


def test_slots_are_taken_once_and_no_further_ahead_than_half_a_second() -> None:
    async def work(one: Tokens, two: Tokens) -> None:
        taken = [await each.take([("s1", 0.01, 20)]) for each in (one, two)]
        assert [n for [(n, _, _)] in taken] == [20, 20]
        starts = [start for [(_, start, _)] in taken]
        assert starts[1] > starts[0]
        [(n, _, wait)] = await one.take([("s1", 0.01, 1000)])
        assert n <= 52
        assert wait > 0
        [(n, _, wait)] = await two.take([("s1", 0.01, 5)])
        assert n <= 2

    runners(2, work)


def test_a_slow_rate_has_one_slot_and_says_when_the_next_one_is() -> None:
    async def work(one: Tokens) -> None:
        [(first, _, _)] = await one.take([("s1", 360.0, 5)])
        if not first:
            # In the first two seconds of a new memory a rate counts as just used.
            await asyncio.sleep(2.0)
            [(first, _, _)] = await one.take([("s1", 360.0, 5)])
        assert first == 1
        [(n, _, wait)] = await one.take([("s1", 360.0, 5)])
        assert n == 0
        assert 350 < wait < 361

    runners(1, work)


def test_redis_away_is_an_error_within_a_moment() -> None:
    async def work() -> None:
        with pytest.raises(RedisError):
            await Tokens(1).share({})

    with conf.override(redis_url="unix:///nowhere/at/all.sock"):
        asyncio.run(work())

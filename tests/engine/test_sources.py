"""Mail leaves by the source that it should: pools, rules, weights, drains, blocks and warm-ups, as the
receiver sees them. Sources are addresses of the loopback network."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.utils import timezone

from queueapp import conf
from queueapp.access import egress, limits
from queueapp.access.change import COMMAND
from queueapp.engine import sources, suspensions
from queueapp.engine.rules import resuming
from queueapp.engine.rules.ruleset import RuleSet, of_file
from queueapp.engine.sources import Book, Pool, Source
from queueapp.engine.suspensions import Cause
from queueapp.models import (
    Attempt,
    Delivery,
    EgressPool,
    EgressSource,
    RecipientDomain,
    Route,
    Site,
    SourceDay,
    Suppression,
    Suspension,
)
from queueapp.transports.base import Outcome
from tests.counting_sink import CountingSink
from tests.engine.queue import n_wrong_counters, put, run_once, states
from tests.valkey import ValkeyServer

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("valkey")]
A, B = "127.0.0.11", "127.0.0.12"
BLOCKED = "554 5.7.1 Service unavailable; Client host blocked using zen.spamhaus.org"


@pytest.fixture(autouse=True)
def home(tmp_path: Path) -> Iterator[Path]:
    with conf.override(home=tmp_path):
        yield tmp_path


def to(sink: CountingSink, **values: object) -> None:
    Route.objects.create(pattern="*", kind="relay", host=sink.host, port=sink.port, tls="none", **values)


def source(address: str, **values: object) -> EgressSource:
    name = f"s{address.rpartition('.')[2]}"
    basis = {"name": name, "address": address, "ehlo_name": f"{name}.example.com"}
    return egress.create_source(COMMAND, basis | values)


def pool(name: str = "main", **weights: int) -> EgressPool:
    """`pool(s11=2, s12=1)`: sources by name."""
    ids = dict(EgressSource.objects.values_list("name", "pk"))
    return egress.create_pool(COMMAND, name, [(ids[each], weight) for each, weight in weights.items()])


def turns_away(*peers: str, reply: str = BLOCKED, at: str = "MAIL") -> Callable[[str, str], str | None]:
    def answer(verb: str, line: str) -> str | None:
        return reply if verb == at and line.split()[0] in peers else None

    return answer


def again() -> None:
    """What waits is due now."""
    now = timezone.now()
    Delivery.objects.waiting().update(next_attempt_at=now)
    RecipientDomain.objects.filter(n_deferred__gt=0).update(due_at=now)


# ── Pools and rules ───────────────────────────────────────────────────────────────────────────


@pytest.mark.once
def test_a_source_binds_its_address_and_says_its_name() -> None:
    with CountingSink() as sink:
        to(sink, source=source(A))
        put("a@x.test")
        run_once()
    assert sink.names == {A: {"s11.example.com"}}
    assert Attempt.objects.get().source == A


@pytest.mark.once
def test_a_pool_shares_mail_by_weight() -> None:
    source(A), source(B)
    with CountingSink() as sink:
        to(sink, pool=pool(s11=3, s12=1))
        for n in range(200):
            put(f"u{n}@x.test", name=str(n))
        run_once()
    assert set(states().values()) == {"delivered"}
    # Wide enough for chance: the source changes every ten mails of a session.
    assert 0.4 < sink.by_peer[A] / 200 < 0.98
    assert sink.most_at_once <= conf.current().site_sessions


def test_rules_choose_the_pool_by_login_sender_domain_and_tag_in_their_order() -> None:
    source(A), source(B)
    one, two = pool("one", s11=1), pool("two", s12=1)
    egress.create_rule(COMMAND, "tag", "news", two.pk, position=1)
    egress.create_rule(COMMAND, "login", "shop", one.pk, position=2)
    egress.create_rule(COMMAND, "sender_domain", "bulk.example.com", two.pk, position=3)
    came: dict[str, str] = {}

    def note(verb: str, line: str) -> None:
        if verb == "RCPT":
            came[line.partition("<")[2].partition("@")[0]] = line.split()[0]

    with CountingSink(answer=note) as sink:
        to(sink)
        put("tag@x.test", tags=("News",), login="shop")
        put("login@x.test", login="Shop")
        put("sender@x.test", sender="a@bulk.example.com")
        put("none@x.test")
        run_once()
    assert came == {"tag": B, "login": A, "sender": B, "none": "127.0.0.1"}


def test_a_drained_source_takes_nothing_and_its_mail_waits_with_the_reason() -> None:
    row = source(A)
    with CountingSink() as sink:
        to(sink, source=row)
        egress.change_source(COMMAND, row.pk, {"is_active": False})
        put("a@x.test")
        run_once()
        assert sink.n_connections == 0
        found = Delivery.objects.get()
        assert (found.state, found.n_attempts) == ("deferred", 0)
        assert "no source of the pool s11 is active" in found.last_text
        egress.change_source(COMMAND, row.pk, {"is_active": True})
        again()
        run_once()
    assert states() == {"a@x.test": "delivered"}


@pytest.mark.once
def test_a_reserve_is_used_where_nothing_else_is_left() -> None:
    first, reserve = Source(1, "a", A), Source(2, "b", B)
    book = Book()
    both = Pool("pool:1", "p", ((first, 1), (reserve, 0)))
    assert book.usable(both, 1, lambda *_: 0) == [(first, 1)]
    drained = Pool("pool:1", "p", ((Source(1, "a", A, is_active=False), 1), (reserve, 0)))
    assert book.usable(drained, 1, lambda *_: 0) == [(reserve, 1)]


@pytest.mark.once
def test_sources_fit_the_family_of_the_receivers_addresses() -> None:
    four, six = Source(1, "four", A), Source(2, "six", "::1")
    both = Pool("pool:1", "p", ((four, 1), (six, 1)))
    assert Book().usable(both, 1, lambda *_: 0, {4}) == [(four, 1)]
    assert Book().usable(both, 1, lambda *_: 0, {6}) == [(six, 1)]


@pytest.mark.once
def test_a_pool_of_both_families_reaches_a_receiver_of_one() -> None:
    source(A)
    egress.create_source(COMMAND, {"name": "six", "address": "::1", "ehlo_name": "six.example.com"})
    with CountingSink() as sink:
        to(sink, pool=pool(s11=1, six=50))
        for n in range(10):
            put(f"u{n}@x.test", name=str(n))
        run_once()
    assert set(states().values()) == {"delivered"}
    assert set(sink.by_peer) == {A}


@pytest.mark.once
def test_mail_of_a_source_on_another_machine_is_left_to_that_machine() -> None:
    source("192.0.2.77")
    with CountingSink() as sink:
        to(sink, pool=pool(s77=1))
        put("a@x.test")
        run_once()
    row = Delivery.objects.get()
    assert (row.state, row.n_attempts) == ("queued", 0)
    assert sink.n_connections == 0


# ── Blocks ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("reply", [BLOCKED, "450 4.7.1 Client host blocked using zen.spamhaus.org"])
@pytest.mark.parametrize("at", ["CONNECT", "MAIL", "RCPT"])
def test_a_blocked_source_is_suspended_and_its_mail_goes_another_way(reply: str, at: str) -> None:
    row = source(A)
    source(B)
    with CountingSink(answer=turns_away(A, reply=reply, at=at)) as sink:
        to(sink, pool=pool(s11=1, s12=0))
        for n in range(10):
            put(f"u{n}@x.test", name=str(n))
        run_once(linger=0.5)
    assert set(states().values()) == {"delivered"}
    found = Suspension.objects.get()
    assert (found.source, found.n, found.reply_class) == (row, 1, "blocklisted")
    assert "spamhaus" in found.reply
    assert 10 < (found.until - found.since).total_seconds() / 60 < 20
    assert not Suppression.objects.exists()
    assert n_wrong_counters() == 0


def test_without_another_way_mail_waits_and_neither_bounces_nor_suppresses() -> None:
    reply = "421 4.7.1 Client host blocked using zen.spamhaus.org"
    with CountingSink(answer=turns_away("127.0.0.1", reply=reply)) as sink:
        to(sink)
        for n in range(30):
            put(f"u{n}@x.test", name=str(n))
        run_once()
        n_tries = len(sink.mails)
        put("later@x.test")
        run_once()
        assert len(sink.mails) == n_tries, "a suspended way was used"
    assert set(states().values()) == {"deferred"}
    found = Suspension.objects.get()
    assert found.source is None
    rows = Delivery.objects.all()
    assert {row.last_class for row in rows} == {"blocklisted"}
    assert all(found.until <= row.next_attempt_at for row in rows)
    assert not Suppression.objects.exists()


def test_a_lifted_suspension_lets_the_mail_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resuming, "HEAD_START", 0.0)  # the second runner begins after the lift
    with CountingSink() as sink:
        to(sink)
        sink.answer = turns_away("127.0.0.1", reply="450 4.7.1 blocked using zen.spamhaus.org")
        put("a@x.test")
        run_once()
        sink.answer = None
        assert limits.lift_suspension(COMMAND, Suspension.objects.get().pk) == 1
        run_once()
    assert states() == {"a@x.test": "delivered"}


def test_a_block_that_comes_again_lasts_longer_and_one_that_was_lifted_does_not() -> None:
    site = Site.objects.create(key="mx:1", name="x", route="mx")
    reply = Cause("blocklisted", "450 4.7.1 blocked")
    minutes = []
    for _ in range(3):
        suspensions.hold(0, site.pk, reply)
        row = Suspension.objects.get()
        minutes.append(round((row.until - row.since).total_seconds() / 60))
        Suspension.objects.update(until=timezone.now())
    assert minutes == [15, 30, 60]
    suspensions.hold(0, site.pk, reply)
    limits.lift_site(COMMAND, site.pk)
    suspensions.hold(0, site.pk, reply)
    row, is_new = suspensions.hold(0, site.pk, reply)
    assert (row.n, is_new) == (1, False)
    assert row.until == Suspension.objects.get().until


@pytest.mark.once
@pytest.mark.parametrize(
    ("reply_class", "rule", "code", "is_one"),
    [
        ("blocklisted", "pattern:spamhaus", 554, True),
        ("rate_limited", "pattern:yahoo_deferred", 421, True),
        ("rate_limited", "pattern:rate_limit", 450, False),
        ("content", "pattern:spam", 550, False),
        ("blocklisted", "", None, False),
    ],
)
def test_what_counts_as_a_block(reply_class: str, rule: str, code: int | None, is_one: bool) -> None:
    rules = RuleSet(of_file())
    assert rules.is_block(Outcome("deferred", reply_class, code, rule=rule), "example.net") is is_one


@pytest.mark.once
def test_a_named_time_about_us_holds_for_the_whole_site() -> None:
    reply = "450 4.7.1 rate limit exceeded, try again in 10 minutes"
    with CountingSink(answer=turns_away("127.0.0.1", reply=reply)) as sink:
        to(sink)
        for n in range(60):
            put(f"u{n}@x.test", name=str(n))
        run_once()
        assert len(sink.mails) < 30, "it went on although it was told to wait"
    site = Site.objects.get()
    assert site.backoff_class == "rate_limited"
    assert 590 <= (site.backoff_until - timezone.now()).total_seconds() + 10 <= 620
    assert set(states().values()) == {"deferred"}


# ── Warm-up ───────────────────────────────────────────────────────────────────────────────────


def warming(address: str, first: int = 5, days: int = 0) -> EgressSource:
    start = timezone.now().date() - timedelta(days=days)
    return source(address, warmup_from=start, warmup_first=first, warmup_factor=2.0)


@pytest.mark.once
def test_the_cap_grows_by_the_day_until_the_source_is_warm() -> None:
    row = EgressSource(
        warmup_from=datetime(2026, 1, 1, tzinfo=UTC).date(), warmup_first=50, warmup_factor=1.5
    )
    day = timedelta(days=1)
    caps = [row.daily_cap(row.warmup_from + n * day) for n in (-1, 0, 1, 2, 10)]  # type: ignore[operator]
    assert caps == [0, 50, 75, 112, 2883]
    row.warmup_until = row.warmup_from + 2 * day  # type: ignore[operator]
    assert row.daily_cap(row.warmup_until) is None


def test_mail_above_the_cap_goes_by_warm_sources() -> None:
    warming(A, days=1)
    source(B)
    with CountingSink() as sink:
        to(sink, pool=pool(s11=100, s12=1))
        for n in range(60):
            put(f"u{n}@x.test", name=str(n))
        run_once(linger=0.5)
        assert sink.by_peer[A] == 10
        put("more@x.test")
        run_once()
    assert set(states().values()) == {"delivered"}
    assert sink.by_peer[A] == 10
    assert SourceDay.objects.get().n == 10


def test_without_a_warm_source_the_rest_waits_for_tomorrow(valkey: ValkeyServer) -> None:
    warming(A)
    with CountingSink() as sink:
        to(sink, pool=pool(s11=1))
        for n in range(8):
            put(f"u{n}@x.test", name=str(n))
        run_once(linger=0.5)
    assert sorted(states().values()) == ["deferred"] * 3 + ["delivered"] * 5
    waiting = Delivery.objects.filter(state="deferred")
    midnight = datetime.combine(timezone.now().date() + timedelta(days=1), datetime.min.time(), UTC)
    assert all(row.next_attempt_at >= midnight and "warm-up" in row.last_text for row in waiting)


@pytest.mark.once
def test_what_a_runner_did_not_use_of_a_cap_is_there_for_the_next() -> None:
    warming(A, first=30)
    with CountingSink() as sink:
        to(sink, pool=pool(s11=1))
        put("a@x.test")
        run_once()
        assert SourceDay.objects.get().n == 1


def test_the_book_knows_what_the_rows_say() -> None:
    row = source(A)
    made = pool(s11=4)
    book = sources.load()
    assert book.pools[made.pk].members[0][1] == 4
    assert book.singles[row.pk].members[0][0].address == A
    assert book.pool_for(None, row.pk, "", "", []).name == "s11"
    assert book.renewed(Pool("pool:999", "gone", ())).members == ()

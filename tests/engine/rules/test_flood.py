"""Floods: who is stopped, who is not, and what becomes of the mail."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from django.contrib.auth import get_user_model
from django.utils import timezone

from queueapp import conf
from queueapp.access import effects as access
from queueapp.access.change import COMMAND
from queueapp.engine.claim import claim, release
from queueapp.engine.enqueue import NewDelivery, NewMessage
from queueapp.engine.rules import flood, gathering, shipped
from queueapp.engine.rules.owners import of
from queueapp.ingest.arrivals import Arrivals, arrivals, write
from queueapp.models import (
    ApiKey,
    BackoffRule,
    Delivery,
    Effect,
    HoldRule,
    Message,
    SenderMinute,
    SenderUsual,
    SmtpLogin,
)
from tests.engine.queue import claimed, n_wrong_counters, put, states

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("valkey")]


@pytest.fixture(autouse=True)
def home(tmp_path: Path) -> Iterator[Path]:
    shipped.sync()
    BackoffRule.objects.filter(condition="flood").update(n_hits=50)
    arrivals._next = arrivals._ask_at = 0.0
    arrivals._counts.clear()
    with conf.override(home=tmp_path):
        yield tmp_path


def flooded(n: int = 100, login: str = "shop", **values: str) -> None:
    """So many deliveries of one login, ten a mail, counted and written."""
    for number in range(n // 10):
        put(*(f"u{each}@x.test" for each in range(10)), name=f"{login}{number}", login=login, **values)
    tell()


def tell() -> None:
    """What was counted since the last second."""
    arrivals._next = 0.0
    write(arrivals.count([]))


def minutes(login: str, n: int, ago: timedelta = timedelta(0)) -> None:
    at = (timezone.now() - ago).replace(second=0, microsecond=0)
    SenderMinute.objects.create(key=f"login:{login}", at=at, n=n)


def test_a_flood_is_held_the_queue_too_and_nobody_else() -> None:
    """Show 6, small: the same code at a tenth of a percent of its size."""
    put("before@y.test", login="printer", name="before")
    flooded()
    assert set(states().values()) == {"queued"}
    assert flood.look() == 1
    put("new@x.test", login="Shop", name="new")
    put("other@y.test", login="printer", name="other")
    found = Effect.objects.get()
    assert (found.action, found.key, found.until, found.n_hits) == ("stop_sender", "login:shop", None, 100)
    assert found.reply == "100 deliveries within a minute; nothing near is usual for it"
    assert gathering.gather() == 100
    assert states()["other@y.test"] == states()["before@y.test"] == "queued"
    held = Delivery.objects.filter(state="held")
    assert held.count() == 101
    assert held.matching("login:shop").count() == 101
    assert all(row.hold_reason.startswith("A login that floods") for row in held)
    assert HoldRule.objects.get().until is None
    assert n_wrong_counters() == 0
    assert flood.look() == 0, "it is stopped already"
    assert {row.recipient for row in claim(1, 100)} == {"before@y.test", "other@y.test"}


def test_what_was_being_sent_is_held_when_it_comes_back() -> None:
    flooded()
    runner, rows = claimed(30)
    flood.look()
    assert gathering.gather() == 70
    release(runner, rows)
    assert gathering.gather() == 30
    Effect.objects.update(since=timezone.now() - timedelta(minutes=2))
    gathering.gather()
    found = Effect.objects.get()
    assert (found.below, found.n_held) == (None, 100)


@pytest.mark.once
def test_slices_are_bounded_and_go_on_where_they_were(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gathering, "SLICE", 10)
    monkeypatch.setattr(gathering, "AT_MOST", 0.0)
    flooded()
    flood.look()
    effect = Effect.objects.get()
    assert gathering._slice(effect) == 10
    effect.refresh_from_db()
    assert (effect.n_held, Delivery.objects.filter(state="held").count()) == (10, 10)


@pytest.mark.once
@pytest.mark.parametrize(
    ("usual", "n", "is_one"), [(0, 49, False), (0, 50, True), (30, 149, False), (30, 151, True)]
)
def test_the_floor_and_five_times_the_usual_must_be_passed(usual: int, n: int, is_one: bool) -> None:
    minutes("shop", n)
    SenderUsual.objects.create(key="login:shop", most_minute=usual, most_hour=usual, seen_at=timezone.now())
    assert flood.look() == is_one


@pytest.mark.once
@pytest.mark.parametrize("model", [SmtpLogin, ApiKey])
def test_an_allowance_lets_a_newsletter_through_up_to_its_number(model: type[SmtpLogin | ApiKey]) -> None:
    model._default_manager.create(name="Shop", digest="x", allowance=1000)
    minutes("shop", 600)
    assert flood.look() == 0
    minutes("shop", 500, timedelta(minutes=3))
    assert flood.look() == 1
    assert Effect.objects.get().reply == "1,100 deliveries within an hour; its allowance is 1,000"


@pytest.mark.once
def test_a_flood_does_not_make_itself_usual_and_what_a_person_lets_go_does() -> None:
    minutes("shop", 400, timedelta(minutes=12))
    minutes("list", 400, timedelta(minutes=12))
    minutes("slow", 49, timedelta(minutes=2))  # it begins late in a minute
    minutes("shop", 400)
    assert flood.look() == 1
    assert flood.learn() == 1
    assert SenderUsual.objects.get().key == "login:list"
    access.lift(COMMAND, Effect.objects.get().pk)
    assert flood.look() == 0, "whoever was let go is left alone"
    assert flood.learn() == 2
    Effect.objects.update(lifted_at=timezone.now() - timedelta(hours=2))
    SenderMinute.objects.filter(key="login:shop").update(n=1500)
    assert flood.look() == 0, "400 a minute are usual now"


@pytest.mark.once
def test_what_is_usual_fades_slowly_enough_for_a_newsletter_a_month() -> None:
    now = timezone.now()
    SenderUsual.objects.create(
        key="login:x", most_minute=400, most_hour=9000, seen_at=now - timedelta(days=30)
    )
    assert round(flood.usual_of("login:x", timedelta(minutes=1), now)) == 200
    assert round(flood.usual_of("login:x", timedelta(hours=1), now)) == 4500


@pytest.mark.once
def test_the_owner_is_the_logins_or_who_made_it() -> None:
    get_user_model().objects.create_user("ann", "ann@example.com")
    SmtpLogin.objects.create(name="shop", digest="x", owner="it@example.com", made_by="user:ann")
    ApiKey.objects.create(name="app", digest="y", made_by="user:ann")
    SmtpLogin.objects.create(name="old", digest="z", made_by="command")
    assert [of("login", name) for name in ("Shop", "app", "old", "gone")] == [
        "it@example.com", "ann@example.com", "", "",
    ]  # fmt: skip
    flooded()
    flood.look()
    assert Effect.objects.get().owner_to == "it@example.com"


@pytest.mark.once
def test_a_switch_that_is_off_stops_nobody() -> None:
    BackoffRule.objects.filter(key="flood").update(is_enabled=False)
    minutes("shop", 5000)
    assert flood.look() == 0


def test_several_processes_add_up_and_write_once_a_second() -> None:
    one, two = Arrivals(), Arrivals()

    def mail(login: str, n: int) -> NewMessage:
        to = [NewDelivery(f"{each}@x.test", "x.test") for each in range(n)]
        return NewMessage(Message(login=login), b"", to)

    write(one.count([mail("Shop", 3), mail("", 9)]))
    assert one.count([mail("shop", 4)]) == [], "not within the same second"
    write(two.count([mail("shop", 5)]))
    one._next = 0.0
    write(one.count([]))
    assert [(row.key, row.n) for row in SenderMinute.objects.all()] == [("login:shop", 12)]


@pytest.mark.once
def test_what_could_not_be_accepted_is_not_counted() -> None:
    counter = Arrivals()
    mail = NewMessage(Message(login="shop"), b"", [NewDelivery("a@x.test", "x.test")])
    rows = counter.count([mail])
    counter.undo([mail], rows)
    counter._next = 0.0
    assert counter.count([]) == []


@pytest.mark.once
def test_senders_without_a_login_are_counted_only_where_a_rule_asks() -> None:
    put("a@x.test")
    tell()
    assert not SenderMinute.objects.exists()
    BackoffRule.objects.filter(key="flood_sender").update(is_enabled=True)
    arrivals._ask_at = 0.0
    for number in range(60):
        put("a@x.test", name=str(number))
    tell()
    assert flood.look() == 1
    found = Effect.objects.get()
    assert (found.key, found.owner_to) == ("sender:ann@example.com", "ann@example.com")
    put("b@x.test", name="more")
    assert states()["b@x.test"] == "held"

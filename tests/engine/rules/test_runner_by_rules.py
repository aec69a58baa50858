"""Rules at work in a real runner, against receivers that refuse: what stops, what goes on, what is seen."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from queueapp import conf
from queueapp.access import effects as access
from queueapp.access import egress
from queueapp.access.change import COMMAND
from queueapp.engine.rules import effects, resuming, ruleset, shipped, slowing
from queueapp.models import (
    BackoffRule,
    Delivery,
    Effect,
    EgressSource,
    HoldRule,
    RecipientDomain,
    Route,
    Site,
    SiteFigures,
    Suppression,
    Suspension,
)
from tests.counting_sink import CountingSink
from tests.engine.queue import n_wrong_counters, put, run_once, states

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("valkey")]
A, B = "127.0.0.11", "127.0.0.12"
BLOCKED = "554 5.7.1 Service unavailable; Client host blocked using zen.spamhaus.org"
STUFFED = "451 4.3.2 System is stuffed"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    # Each runner here begins after what was lifted, and so knows of it.
    monkeypatch.setattr(resuming, "HEAD_START", 0.0)
    with conf.override(home=tmp_path):
        yield tmp_path


def rule(**values: Any) -> BackoffRule:
    basis: dict[str, Any] = {"name": "mine", "texts": ["stuffed"], "scope": "site", "action": "suspend",
                             "lasts": timedelta(minutes=10), "position": 1}  # fmt: skip
    return BackoffRule.objects.create(**basis | values)


def to(sink: CountingSink, **values: object) -> None:
    Route.objects.create(pattern="*", kind="relay", host=sink.host, port=sink.port, tls="none", **values)


def says(reply: str, *peers: str, to: str = "", at: str = "RCPT") -> Callable[[str, str], str | None]:
    """Only to those peers, and only for recipients with `to` in them, where these are given."""

    def answer(verb: str, line: str) -> str | None:
        is_meant = (not peers or line.split()[0] in peers) and to in line
        return reply if verb == at and is_meant else None

    return answer


def pool_of_two() -> Any:
    for address, name in ((A, "s11"), (B, "s12")):
        egress.create_source(COMMAND, {"name": name, "address": address, "ehlo_name": f"{name}.example.com"})
    ids = list(EgressSource.objects.order_by("name").values_list("pk", flat=True))
    return egress.create_pool(COMMAND, "main", [(ids[0], 1), (ids[1], 0)])


def letters(n: int, domain: str = "x.test", **values: Any) -> None:
    for number in range(n):
        put(f"u{number}@{domain}", name=f"{domain}{number}", **values)


def test_a_blocked_source_is_gone_round_within_one_batch_and_seen() -> None:
    """Show 5: nothing bounces, nobody is suppressed, the effect tells why, and lifting it ends both."""
    with CountingSink(answer=says(BLOCKED, A, at="MAIL")) as sink:
        to(sink, pool=pool_of_two())
        letters(60)
        run_once(linger=0.5)
        assert sink.by_peer[A] <= 20, "it went on with a source that is blocked"
    assert set(states().values()) == {"delivered"}
    assert not Suppression.objects.exists()
    found, block = Effect.objects.get(), Suspension.objects.get()
    assert (found.rule_name, found.action, found.scope) == ("Blocked", "suspend", "pair")
    assert (found.label, found.since, found.until) == (f"s11 at {found.site}", block.since, block.until)
    assert "spamhaus" in found.reply
    assert found.rule is not None
    assert n_wrong_counters() == 0
    access.lift(COMMAND, found.pk)
    found.refresh_from_db()
    assert found.lifted_by == "command"
    assert Suspension.objects.get().lifted_by == "command"
    assert not Effect.objects.open(timezone.now()).exists()


def test_without_its_rule_a_block_is_a_refusal_like_any_other() -> None:
    shipped.sync()
    BackoffRule.objects.filter(key="blocked").update(is_enabled=False)
    with CountingSink(answer=says(BLOCKED, A, at="MAIL")) as sink:
        to(sink, pool=pool_of_two())
        put("a@x.test")
        run_once()
    assert states()["a@x.test"] == "bounced"
    assert not Suspension.objects.exists()


@pytest.mark.once
def test_another_source_is_preferred_but_the_only_one_is_used() -> None:
    rule(texts=["stuffed"], scope="pair", action="other_source")
    with CountingSink(answer=says(STUFFED, A)) as sink:
        to(sink, pool=pool_of_two())
        letters(5)
        run_once(linger=0.5)
        assert set(states().values()) == {"delivered"}
        assert Suspension.objects.get().is_soft
        sink.answer = None
        EgressSource.objects.filter(name="s12").update(is_active=False)
        put("later@x.test", name="later")
        run_once()
    assert states()["later@x.test"] == "delivered"


def test_a_site_is_suspended_and_what_waits_has_the_cause() -> None:
    rule()
    with CountingSink(answer=says(STUFFED)) as sink:
        to(sink)
        letters(30)
        run_once()
        n_tries = len(sink.mails)
        put("later@x.test", name="later")
        run_once()
        assert len(sink.mails) == n_tries, "a suspended site was tried"
        found, site = Effect.objects.get(), Site.objects.get()
        assert site.backoff_until == found.until
        assert site.n_failures == 0
        row = Delivery.objects.get(recipient="later@x.test")
        assert (row.state, row.n_attempts) == ("deferred", 0)
        assert "stuffed" in row.last_text
        # What waits for it sets nothing off, however often it is put off.
        assert Effect.objects.count() == 1
        sink.answer = None
        assert access.lift(COMMAND, found.pk) == 31
        run_once(linger=0.5)
    assert set(states().values()) == {"delivered"}
    site.refresh_from_db()
    assert (site.backoff_until, site.backoff_class) == (None, "")


@pytest.mark.once
def test_a_domain_alone_is_suspended_where_the_rule_says_so() -> None:
    rule(scope="domain")
    with CountingSink(answer=says(STUFFED, to="bad.test")) as sink:
        to(sink)
        letters(5, "bad.test")
        letters(5, "good.test")
        run_once()
    row = RecipientDomain.objects.get(name="bad.test")
    assert row.is_suspended(timezone.now())
    assert row.suspended_reason.startswith("mine: 451 4.3.2 System is stuffed")
    assert {state for to, state in states().items() if to.endswith("good.test")} == {"delivered"}
    Effect.objects.update(until=timezone.now())
    RecipientDomain.objects.filter(pk=row.pk).update(suspended_until=Effect.objects.get().until)
    assert effects.expire() == 1
    row.refresh_from_db()
    assert not row.is_suspended(timezone.now())


@pytest.mark.once
def test_a_site_is_slowed_down_to_a_share_and_runs_on() -> None:
    rule(action="slow", share=50, rate="30/m")
    with CountingSink(answer=says(STUFFED, to="u0@")) as sink:
        to(sink)
        letters(1)
        run_once()
        found, site = Effect.objects.get(), Site.objects.get()
        assert (site.slow_rate, site.slow_until) == ("30/m", found.until)
        assert (site.rate, site.backoff_until) == ("", None), "what is set stays as it is"
        letters(20, "y.test")
        run_once(lifetime=1.5)
        assert len(sink.mails) < 15, "the slower rate is not kept"
        access.lift(COMMAND, found.pk)
        site.refresh_from_db()
        assert (site.slow_rate, site.slow_until) == ("", None)


@pytest.mark.once
def test_a_share_is_of_what_went_and_a_lower_rate_stays_lower() -> None:
    site = Site.objects.create(key="mx:1", name="x", route="mx")
    SiteFigures.objects.create(site=site, per_minute=400)
    asked = ruleset.of(BackoffRule(name="x", scope="site", action="slow", share=50, rate="30/m"))
    effect = Effect(scope="site", site_id=site.pk)
    assert slowing.rate_for(asked, effect, site) == "200/m"
    site.rate = "60/m"
    assert slowing.rate_for(asked, effect, site) == "60/m"
    SiteFigures.objects.update(per_minute=1)
    assert slowing.rate_for(asked, effect, site) == "30/m"


def test_a_threshold_is_crossed_by_what_several_runners_saw_together() -> None:
    rule(n_hits=5, per=timedelta(minutes=10))
    with CountingSink(answer=says(STUFFED)) as sink:
        to(sink)
        letters(3)
        run_once()
        assert not Effect.objects.exists()
        letters(3, "y.test")
        run_once()
    found = Effect.objects.get()
    assert (found.n_hits, found.n) == (6, 1)


@pytest.mark.once
def test_one_reply_to_many_recipients_of_a_mail_is_one() -> None:
    rule(n_hits=5, per=timedelta(minutes=10))
    with CountingSink(answer=says(STUFFED, at="MAIL")) as sink:
        to(sink)
        put(*(f"u{n}@x.test" for n in range(50)))
        run_once()
    assert not Effect.objects.exists()


@pytest.mark.once
def test_a_login_with_a_bad_list_is_stopped_and_its_campaign_held() -> None:
    rule(name="lists", texts=["stuffed"], scope="login", action="stop_sender", n_hits=3, lasts=None)
    with CountingSink(answer=says(STUFFED)) as sink:
        to(sink)
        letters(4, login="Shop", tags=("campaign:spring",))
        run_once()
        put("new@x.test", login="shop", name="new")
        put("other@x.test", login="else", name="other")
    found = Effect.objects.get()
    assert (found.key, found.until) == ("login:shop", None)
    assert HoldRule.objects.get().kind == "login"
    assert states()["new@x.test"] == "held"
    assert states()["other@x.test"] == "queued"
    access.lift(COMMAND, found.pk)
    assert not HoldRule.objects.exists()
    assert states()["new@x.test"] == "held", "who lifts a stop has not released the mail"


@pytest.mark.once
def test_what_is_lifted_goes_slice_by_slice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resuming, "FIRST", 3)
    rule()
    with CountingSink(answer=says(STUFFED)) as sink:
        to(sink)
        letters(20)
        run_once()
    found, now = Effect.objects.get(), timezone.now()
    assert Delivery.objects.filter(next_attempt_at__lte=now).count() == 0
    assert access.lift(COMMAND, found.pk) == 3
    due = [Delivery.objects.filter(next_attempt_at__lte=timezone.now()).count()]
    while resuming.step():
        due.append(Delivery.objects.filter(next_attempt_at__lte=timezone.now()).count())
    assert due == [3, 9, 20]
    assert Site.objects.get().resume_before is None
    assert n_wrong_counters() == 0


@pytest.mark.once
def test_a_slice_waits_until_every_runner_knows_of_the_lift(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that still has the block in its memory would put the mail off again, for as long as that was."""
    monkeypatch.setattr(resuming, "FIRST", 3)
    monkeypatch.setattr(resuming, "HEAD_START", 30.0)
    rule()
    with CountingSink(answer=says(STUFFED)) as sink:
        to(sink)
        letters(9)
        run_once()
    access.lift(COMMAND, Effect.objects.get().pk)
    now = timezone.now()
    assert Delivery.objects.filter(next_attempt_at__lte=now).count() == 0
    soon = Delivery.objects.filter(next_attempt_at__lte=now + timedelta(seconds=30))
    assert (soon.count(), resuming.step(), soon.count()) == (3, 6, 3)
    assert Delivery.objects.filter(next_attempt_at__lte=timezone.now() + timedelta(seconds=30)).count() == 9


@pytest.mark.once
def test_the_rest_stays_where_the_site_backs_off_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resuming, "FIRST", 3)
    rule()
    with CountingSink(answer=says(STUFFED)) as sink:
        to(sink)
        letters(20)
        run_once()
        access.lift(COMMAND, Effect.objects.get().pk)
        run_once()
    again = Effect.objects.order_by("-id")[0]
    assert (Effect.objects.count(), again.n) == (2, 1), "after a lift it is the first time again"
    assert resuming.step() == 0
    assert Site.objects.get().resume_before is None

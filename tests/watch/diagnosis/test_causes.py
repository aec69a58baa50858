"""Each cause is told from rows of the queue, first and with its proof; its neighbour is not."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from queueapp.models import (
    Attempt,
    Delivery,
    Diagnosis,
    HoldRule,
    Message,
    RecipientDomain,
    Site,
    Suspension,
)
from queueapp.watch.diagnosis import ask, look, store
from queueapp.watch.diagnosis.told import acts, sentence
from tests.watch.diagnosis.queue import (
    MINUTE,
    SECOND,
    a_domain,
    a_runner,
    bounced,
    deferred,
    figures,
    looked,
    named,
    some,
)

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("valkey")]

REPLIES = [
    ("greylisting", "450 4.7.1 Greylisted, try again in 58 seconds", "greylisted"),
    ("rate_limit", "421 4.7.28 Our system has detected an unusual rate of mail", "rate_limited"),
    ("too_many_connections", "421 4.7.0 too many connections from 192.0.2.7", "busy"),
    ("receiver_down", "451 4.3.2 System is overloaded, load average 51", "busy"),
    ("receiver_down", "connecting to 192.0.2.1 port 25 timed out after 30 s", "connection"),
    ("mailbox_full", "452 4.2.2 The mailbox is full", "mailbox_full"),
    ("blocklist", "421 4.7.1 Client host [192.0.2.7] blocked using zen.example.org", "blocklisted"),
    ("authentication", "421 4.7.26 SPF check failed", "authentication"),
    ("content", "451 4.7.1 Message looks like spam", "content"),
    ("reverse_dns", "450 4.7.25 Client host rejected: cannot find your reverse hostname", "policy"),
    ("policy", "450 4.7.1 Helo command rejected: Host not found", "policy"),
    ("tls", "the handshake failed: certificate verify failed", "tls"),
    ("dns", "looking up the MX records of broken.test failed: SERVFAIL", "dns"),
    ("disk", "the journal can't be written: No space left on device", "other"),
    ("other", "450 4.0.0 Come again", "other"),
]


@pytest.mark.parametrize(("cause", "reply", "reply_class"), REPLIES)
def test_it_names_what_receivers_say(cause: str, reply: str, reply_class: str) -> None:
    made = deferred(3, reply, reply_class)
    [row] = looked()
    assert (row.cause, row.n, row.share, row.is_estimate) == (cause, 3, 1.0, False)
    [group] = row.evidence["replies"]
    assert group["n"] == 3
    assert {each["id"] for each in group["examples"]} == {each.pk for each in made}
    assert Delivery.objects.matching(group["q"]).count() == 3
    assert list(Diagnosis.objects.filter(kind="domain").values_list("key", "cause")) == [
        ("example.net", cause)
    ]


def test_the_fullest_cause_comes_first_and_each_delivery_counts_once() -> None:
    deferred(5, "452 4.2.2 The mailbox is full", "mailbox_full", "a.example")
    deferred(9, "450 4.7.1 Greylisted", "greylisted", "b.example")
    deferred(2, "450 4.7.1 Greylisted", "greylisted", "a.example")
    some(4, "c.example", "held", hold_reason="Legal looks at it")
    assert [(row.cause, row.n) for row in looked()] == [("greylisting", 11), ("mailbox_full", 5), ("held", 4)]
    assert named("domain", "a.example") == ["mailbox_full", "greylisting"]
    assert named("sender", "ann@example.com") == ["greylisting", "mailbox_full", "held"]


# ── People and rules ──────────────────────────────────────────────────────────────────────────


def test_what_a_person_stopped_is_no_receivers_fault() -> None:
    then = timezone.now() - timedelta(hours=3)
    deferred(
        4, "450 4.7.1 Greylisted", "greylisted", of_domain={"suspended_at": then, "suspended_reason": "Pause"}
    )
    some(3, "example.net")
    [row] = looked()
    assert (row.cause, row.n, row.since) == ("suspended", 7, then)
    assert [(act.verb, act.key) for act in acts(row)] == [("resume", "example.net"), ("open", "")]


def test_a_suspension_that_is_over_is_none() -> None:
    past = timezone.now() - MINUTE
    deferred(
        2, "450 4.7.1 Greylisted", "greylisted", of_domain={"suspended_at": past, "suspended_until": past}
    )
    assert named() == ["greylisting"]


def test_held_mail_is_told_with_the_reason_of_the_rule() -> None:
    HoldRule.objects.create(kind="tag", value="x", reason="Legal", since=timezone.now(), made_by="ann")
    some(3, state="held", hold_reason="Legal (rule 1: tag x)")
    [row] = looked()
    assert row.cause == "held"
    assert "Legal" in row.evidence["replies"][0]["text"]
    assert acts(row)[0].q == "state:held"


def test_a_rate_of_ours_is_ours() -> None:
    some(5, of_domain={"next_at": timezone.now() + MINUTE, "rate": "1/m"})
    a_runner()
    assert named() == ["own_limit"]


def test_a_back_off_holds_what_is_queued_too() -> None:
    until, since = timezone.now() + MINUTE, timezone.now() - 2 * MINUTE
    stop = {"site_backoff_class": "connection", "site_backoff_reply": "refused", "site_backoff_since": since}
    some(4, of_domain={**stop, "site_backoff_until": until, "site_n_failures": 2})
    a_runner()
    [row] = looked()
    assert (row.cause, row.n, row.since) == ("receiver_down", 4, since)
    assert acts(row)[0].verb == "lift"


def test_a_blocked_address_holds_only_while_nothing_gets_through() -> None:
    some(4)
    a_runner()
    since = timezone.now() - 2 * MINUTE
    Suspension.objects.create(
        site=Site.objects.get(), reply_class="blocklisted", reply="554 blocked using bl.example", since=since,
        until=timezone.now() + MINUTE,
    )  # fmt: skip
    assert named() == ["blocklist"]
    figures("example.net", delivered_at=timezone.now())
    assert named() == ["flowing"]


# ── What stops everything ─────────────────────────────────────────────────────────────────────


def test_nobody_works_and_that_stands_above_what_receivers_say() -> None:
    some(3)
    deferred(8, "450 4.7.1 Greylisted", "greylisted", "b.example")
    rows = looked()
    assert [(row.cause, row.n) for row in rows] == [("no_workers", 11), ("greylisting", 8)]
    assert ["RQ workers", "0"] in rows[0].evidence["lines"]


@pytest.mark.parametrize("why", ["a runner", "not due", "suspended"])
def test_somebody_works_or_nothing_may_be_tried(why: str) -> None:
    some(3)
    if why == "a runner":
        a_runner()
    elif why == "not due":
        RecipientDomain.objects.update(due_at=timezone.now() + MINUTE)
    else:
        RecipientDomain.objects.update(suspended_at=timezone.now())
    assert "no_workers" not in named()


def test_runners_that_try_nothing_stand_still() -> None:
    [row, *_] = some(3, accepted_at=timezone.now() - 10 * MINUTE)
    a_runner()
    Attempt.objects.create(
        delivery=row, at=timezone.now() - 5 * MINUTE, result="deferred", reply_class="busy"
    )
    assert named()[0] == "stalled"
    Attempt.objects.create(delivery=row, at=timezone.now(), result="deferred", reply_class="busy")
    assert named() == ["late"]


def test_redis_away_is_told_by_name(valkey: object) -> None:
    some(2)
    valkey.stop()  # type: ignore[attr-defined]
    try:
        assert named() == ["redis"]
    finally:
        valkey.start()  # type: ignore[attr-defined]


def _silent_sites(n: int) -> None:
    since = timezone.now() - MINUTE
    for number in range(n):
        reply = f"connecting to 192.0.2.{number} port 25 timed out after 30 s"
        site = {"site_backoff_class": "connection", "site_backoff_reply": reply, "site_n_failures": 1}
        deferred(
            2, reply, "connection", f"d{number}.example", of_domain={**site, "site_backoff_since": since}
        )


def test_many_sites_that_do_not_answer_are_our_line() -> None:
    _silent_sites(6)
    [row] = looked()
    assert (row.cause, row.n) == ("port25", 12)
    assert "6: " in row.evidence["lines"][0][1]


@pytest.mark.parametrize("but", ["few", "one got through", "refused"])
def test_it_is_not_our_line_where(but: str) -> None:
    _silent_sites(3 if but == "few" else 6)
    if but == "one got through":
        figures("d0.example", delivered_at=timezone.now())
    elif but == "refused":
        Site.objects.update(backoff_reply="connecting to 192.0.2.1 port 25 failed: Connection refused")
    assert named() == ["receiver_down"]


def test_many_domains_that_cannot_be_looked_up_are_our_name_servers() -> None:
    for number in range(6):
        deferred(
            1,
            f"looking up the MX of d{number}.example failed: no answer within 5 s",
            "dns",
            f"d{number}.example",
        )
        figures(f"d{number}.example", error_class="dns", error_reply="no answer within 5 s")
    assert named() == ["name_servers"]
    RecipientDomain.objects.filter(name__gt="d1.example").update(n_deferred=0)
    assert named() == ["dns"]


# ── Who fills the queue ───────────────────────────────────────────────────────────────────────


def _recent(n: int, **values: object) -> None:
    some(n, accepted_at=timezone.now() - 30 * SECOND, **values)


def test_one_account_that_floods() -> None:
    a_runner()
    _recent(300, login="web", sender="stolen@corp.example")
    _recent(20, sender="ann@example.com")
    [row] = looked()
    assert (row.cause, row.n) == ("flood", 300)
    assert "web" in sentence(row)
    assert [(act.verb, act.q) for act in acts(row)][0] == (
        "hold",
        "from:stolen@corp.example state:queued state:deferred",
    )


def test_a_flood_takes_over_what_receivers_make_of_it() -> None:
    a_runner()
    values = {"sender": "stolen@corp.example", "accepted_at": timezone.now() - 30 * SECOND}
    deferred(300, "421 4.7.0 Too much mail", "rate_limited", **values)
    assert named() == ["flood"]


@pytest.mark.parametrize("but", ["usual", "campaign", "gone", "few"])
def test_it_is_no_flood_where(but: str) -> None:
    a_runner()
    sender = "news@shop.example"
    if but == "usual":
        some(300, state="delivered", sender=sender, accepted_at=timezone.now() - 15 * MINUTE)
    tags = ["campaign:spring"] if but == "campaign" else []
    state = "delivered" if but == "gone" else "queued"
    _recent(100 if but == "few" else 300, sender=sender, tags=tags, state=state)
    assert "flood" not in named()


def test_one_campaign_that_fills_the_queue() -> None:
    a_runner()
    _recent(250, tags=["campaign:spring"], sender="news@shop.example")
    _recent(50, sender="ann@example.com")
    [row] = looked()
    assert (row.cause, row.n) == ("campaign", 250)
    assert named("campaign", "spring") == ["campaign"]
    assert acts(row)[0].q == "campaign:spring state:queued state:deferred"


@pytest.mark.parametrize("but", ["few", "others", "new"])
def test_it_is_no_campaign_where(but: str) -> None:
    a_runner()
    at = timezone.now() - (5 if but == "new" else 30) * SECOND
    some(50 if but == "few" else 210, tags=["campaign:spring"], accepted_at=at)
    some(400 if but == "others" else 1, sender="ann@example.com", accepted_at=at)
    assert "campaign" not in named()


def test_a_bad_list() -> None:
    bounced(30, "550 5.1.1 No such user", "no_such_user", sender="list@shop.example")
    some(40, state="delivered")
    [row] = looked()
    assert (row.cause, row.n, row.n_failed) == ("bad_list", 0, 30)
    assert [each.cause for each in looked("sender", "list@shop.example")] == ["bad_list"]


@pytest.mark.parametrize("but", ["few", "of many", "reports"])
def test_it_is_no_bad_list_where(but: str) -> None:
    sender = "" if but == "reports" else "ann@example.com"
    bounced(5 if but == "few" else 25, "550 5.1.1 No such user", "no_such_user", sender=sender)
    some(600 if but == "of many" else 1, state="delivered")
    assert named() == ["flowing"]


def test_what_bounced_for_our_fault_counts() -> None:
    bounced(6, "554 5.7.1 blocked using zen.example.org", "blocklisted")
    [row] = looked()
    assert (row.cause, row.n, row.n_failed) == ("blocklist", 0, 6)
    assert Delivery.objects.matching(acts(row)[0].q).count() == 6


# ── The round ─────────────────────────────────────────────────────────────────────────────────


def test_nothing_is_stuck() -> None:
    some(5, state="delivered")
    [row] = looked()
    assert (row.cause, row.n) == ("flowing", 0)


def test_a_slow_receiver_holds_what_is_in_a_runners_hands() -> None:
    rows = some(5, state="sending", accepted_at=timezone.now() - MINUTE, runner_id=a_runner().pk)
    assert named() == ["receiver_down"]
    Attempt.objects.create(
        delivery=rows[0], at=timezone.now(), result="delivered", reply_class="", took_ms=40
    )
    figures("example.net", tried_at=timezone.now())
    assert named() == ["flowing"]


def test_since_and_the_first_reply_stay_while_the_cause_holds() -> None:
    first = deferred(1, "450 4.7.1 Greylisted", "greylisted")[0]
    [before] = looked()
    Delivery.objects.filter(pk=first.pk).update(last_attempt_at=timezone.now() + MINUTE)
    deferred(1, "450 4.7.1 Greylisted", "greylisted")
    [row] = looked()
    assert (row.pk, row.since, row.n) == (before.pk, before.since, 2)
    assert row.evidence["replies"][0]["first_at"] == before.evidence["replies"][0]["first_at"]
    Delivery.objects.all().update(state="delivered")
    RecipientDomain.objects.update(n_deferred=0)
    assert named() == ["flowing"]


def test_a_round_comes_no_sooner_than_it_may() -> None:
    assert look.look() == 1
    deferred(1, "450 4.7.1 Greylisted", "greylisted")
    assert look.look(timezone.now() + SECOND) == 0
    assert look.look(timezone.now() + look.LONGEST) > 0  # however long the first one took


def test_many_domains_are_told_in_groups_and_counted_exactly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("queueapp.watch.diagnosis.gather.parts.__defaults__", (2,))
    for number in range(6):
        deferred(2 + (number < 2), "450 4.7.1 Greylisted", "greylisted", f"d{number}.example")
        figures(f"d{number}.example", error_class="greylisted", error_reply="450 4.7.1 Greylisted")
    deferred(1, "421 4.7.0 too many connections", "busy", "e.example")
    figures("e.example", error_class="busy", error_reply="421 4.7.0 too many connections")
    assert [(row.cause, row.n) for row in looked()] == [("greylisting", 14), ("too_many_connections", 1)]


def test_a_scope_that_the_round_left_out_is_looked_up(django_assert_max_num_queries: object) -> None:
    made = deferred(3, "452 4.2.2 The mailbox is full", "mailbox_full")
    now, site = timezone.now(), made[0].domain.site_id
    for kind, key in (("domain", "example.net"), ("site", str(site)), ("sender", "ann@example.com")):
        with django_assert_max_num_queries(30):  # type: ignore[operator]  # limits of time are queries, too
            [row] = ask.ask(kind, key, now)
        assert (row.cause, row.n, row.pk) == ("mailbox_full", 3, None)
    assert ask.ask("domain", "nobody.example", now) == []
    assert not Diagnosis.objects.exists()


def test_hostile_texts_stay_texts() -> None:
    reply = '<script>alert(1)</script> "; DROP TABLE \x1b[31m\u202e'
    deferred(2, f"450 4.0.0 {reply}", "other", sender='"a b"@example.com')
    [row] = looked()
    assert Delivery.objects.matching(row.evidence["replies"][0]["q"]).count() == 2
    assert Message.objects.count() == 2
    assert store.looked_at() is not None
    assert a_domain("example.net").name == "example.net"

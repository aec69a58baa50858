"""Receivers that name a list: evidence for the address the mail left from, once each, and a check at once."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from queueapp import conf
from queueapp.models import Listing, ListingChange
from queueapp.watch.blocklists import replies, run
from tests.dashboard.rows import a_delivery, a_message, an_attempt
from tests.watch.blocklists.zones import OURS, a_source, asking, checked, one

pytestmark = pytest.mark.django_db
REPLY = f"Service unavailable; Client host [{OURS}] blocked using zen.spamhaus.org"


def refused(text: str = REPLY, source: str = OURS, sender: str = "weir.org", **values: object) -> None:
    message = a_message(sender=f"a@{sender}", sender_domain=sender)
    an_attempt(
        a_delivery(message), text=text, source=source,
        **{"reply_class": "blocklisted", "code": 554, "result": "bounced", **values},
    )  # fmt: skip


def test_it_works() -> None:
    for _ in range(3):
        refused()
    assert replies.look() == 1
    row = one("spamhaus-zen")
    assert (row.target, row.kind, row.n_named, row.named_by) == (OURS, "ip4", 3, "mx1.example.com")
    assert row.named_reply == REPLY
    assert (row.state, row.is_confirmed, row.next_check_at) == ("unknown", False, None)
    assert not Listing.objects.confirmed()
    assert list(Listing.objects.hurting(timezone.now())) == [row]
    assert ListingChange.objects.get().state == "named"


def test_it_counts_each_refusal_once_and_notes_the_first() -> None:
    refused()
    replies.look()
    assert replies.look() == 0
    refused()
    refused()
    replies.look()
    assert one().n_named == 3
    assert ListingChange.objects.count() == 1


def test_it_counts_anew_after_a_day_without() -> None:
    refused()
    replies.look()
    Listing.objects.update(named_at=timezone.now() - timedelta(days=2))
    assert not Listing.objects.hurting(timezone.now())
    refused()
    replies.look()
    assert one().n_named == 1
    assert ListingChange.objects.count() == 2


def test_it_makes_a_check_due_at_once_and_no_more_than_that() -> None:
    a_source()
    now = timezone.now()
    with asking("spamhaus-zen"):
        checked(now - timedelta(minutes=20))
        assert run.batch(timezone.now()) == 0
        refused()
        replies.look()
        assert run.batch(timezone.now()) == 1
        assert one().state == "clean"
        refused()
        replies.look()
        assert run.batch(timezone.now()) == 0


@pytest.mark.parametrize(
    "values",
    [
        {"reply_class": "content"},
        {"text": "blocked: <bob@spamcop.net>, by our own list"},
        {"code": None},  # our own text, not a reply
        {"text": "Your message looks like spam"},
        {"source": ""},
        {"source": "127.0.0.1", "text": "blocked using zen.spamhaus.org"},  # the sandbox
        {"source": "not an address", "text": "blocked using zen.spamhaus.org"},
        {"text": "weir.example listed in dbl.spamhaus.org", "sender": "weir.example"},
    ],
)
def test_it_takes_nothing_else_for_evidence(values: dict[str, str]) -> None:
    refused(**values)
    assert replies.look() == 0
    assert not Listing.objects.exists()


def test_a_list_of_domains_is_held_against_the_senders_domain() -> None:
    refused("550 Sender domain listed in DBL.spamhaus.org, see https://x.test")
    replies.look()
    row = one("spamhaus-dbl")
    assert (row.target, row.kind) == ("weir.org", "domain")


def test_behind_a_nat_the_reply_tells_our_address() -> None:
    with conf.override(blocklist_targets=(OURS,)):
        refused(source="192.168.3.4")
        refused("8.8.4.4 is listed by SpamCop", source="192.168.3.4")
        replies.look()
    assert one("spamhaus-zen").target == OURS
    assert one("spamcop").target == "192.168.3.4"  # 8.8.4.4 is none of ours: a stranger can write anything


def test_it_stays_visible_for_a_day_where_no_list_is_asked() -> None:
    refused()
    replies.look()
    run.arrange()
    assert one().is_current
    Listing.objects.update(named_at=timezone.now() - timedelta(days=2))
    run.arrange()
    assert not one().is_current

"""What of ours is asked about, what is not and why, and rows that come and go with it."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from queueapp import conf
from queueapp.access import dkim
from queueapp.models import Bookmark, EgressSource, Listing, ListingChange
from queueapp.watch.blocklists import due, run, senders, targets
from tests.access.by import by
from tests.dashboard.rows import a_delivery, a_message, an_attempt
from tests.watch.blocklists.zones import OURS, OURS6, a_source, asking, checked

pytestmark = pytest.mark.django_db
NOW = timezone.now()


def test_it_works() -> None:
    a_source(OURS, "MX1.weir.org")
    a_source(OURS6, "mx1.weir.org", is_active=False)
    a_message(sender_domain="shop.org")
    dkim.create("weir.org", actor=by())
    senders.look()
    with conf.override(blocklist_targets=("45.67.89.99", "Other.ORG."), hostname="mail.weir.org"):
        found = targets.current().found
    assert {(each.name, each.kind): each.what for each in found.values()} == {
        (OURS, "ip4"): [f"egress source mx-{OURS}"],
        (OURS6, "ip6"): [f"egress source mx-{OURS6} (drained)"],
        ("45.67.89.99", "ip4"): ["MAILWEIR_BLOCKLIST_TARGETS"],
        ("other.org", "domain"): ["MAILWEIR_BLOCKLIST_TARGETS"],
        ("mx1.weir.org", "domain"): [f"EHLO name of mx-{OURS6}", f"EHLO name of mx-{OURS}"][::-1],
        ("mail.weir.org", "domain"): ["EHLO name of this machine"],
        ("weir.org", "domain"): ["DKIM domain"],
        ("shop.org", "domain"): ["sender domain"],
    }


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("192.168.1.2", "private"), ("10.0.0.1", "private"), ("100.64.0.1", "private"), ("::1", "private"),
        ("127.0.0.1", "private"), ("192.0.2.1", "reserved"), ("fe80::1", "private"), ("fd00::1", "private"),
        ("2001:db8::1", "reserved"), ("224.0.0.5", "reserved"), ("localhost", "not a public"),
        ("mail", "not a public"), ("mx.example.com", "reserved"), ("shop.test", "reserved"),
        ("a b.org", "not a public"), ("x" * 64 + ".org", "not a public"), ("<script>.org", "not a public"),
        ("weir.123", "not a public"),
    ],
)  # fmt: skip
def test_it_leaves_out_what_no_list_knows(name: str, why: str) -> None:
    found = targets.Targets()
    found.add(name, "test")
    assert not found.found
    assert why in found.skipped[0].why


def test_it_learns_the_address_that_the_system_chose() -> None:
    a_source("45.67.89.11", is_active=False)
    for source in (OURS, "45.67.89.11", "127.0.0.1", "192.168.3.4", "", "nonsense"):
        an_attempt(a_delivery(), source=source)
    found = targets.current()
    assert found.found[OURS].what == ["address that mail left from"]
    assert found.found["45.67.89.11"].what == ["egress source mx-45.67.89.11 (drained)"]
    assert {each.name for each in found.skipped} == {"localhost", "192.168.3.4"}


def test_sender_domains_are_those_of_the_last_days() -> None:
    a_message(sender_domain="")
    a_message(sender_domain="new.org")
    assert senders.look() == 1
    a_message(sender_domain="newer.org")
    a_message(sender_domain="old.org", accepted_at=NOW - timedelta(days=9))
    assert senders.look() == 2
    assert senders.recent(10) == ["new.org", "newer.org"]
    assert senders.recent(1) == ["new.org"]


def test_sender_domains_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(senders, "MOST", 3)
    monkeypatch.setattr(senders, "STEP", 6)
    for n in range(10):
        a_message(sender_domain=f"d{n}.org", accepted_at=NOW - timedelta(minutes=10 - n))
    senders.look()
    assert set(Bookmark.objects.get(pk=senders.NAME).data) == {"d7.org", "d8.org", "d9.org"}


def test_rows_come_and_go_with_what_is_ours() -> None:
    a_source()
    with asking("psbl", "spamcop"):
        run.arrange()
        assert Listing.objects.current().count() == 2
        EgressSource.objects.update(address="45.67.89.11")
        run.arrange()
        assert set(Listing.objects.current().values_list("target", flat=True)) == {"45.67.89.11"}
        EgressSource.objects.update(address=OURS)
        run.arrange()
        assert set(Listing.objects.current().values_list("target", flat=True)) == {OURS}
        assert Listing.objects.count() == 4


def test_off_and_on_again_asks_nothing_anew() -> None:
    a_source()
    with asking("psbl") as server:
        checked(NOW)
        with conf.override(blocklists=("no",)):
            run.arrange()
            assert not Listing.objects.current()
        run.arrange()
        row = Listing.objects.current().get()
        assert (row.state, row.next_check_at) == ("clean", NOW + timedelta(hours=1))
        assert run.batch(NOW + timedelta(minutes=30)) == 0
        assert server.count("10.89.67.45.psbl.surriel.com", "A") == 1


def test_what_is_gone_for_long_is_removed_with_its_history() -> None:
    row = Listing.objects.create(target=OURS, list_name="psbl", kind="ip4", since=NOW - timedelta(days=31))
    ListingChange.objects.create(listing=row, at=NOW, was="clean", state="listed")
    due.arrange((), (), NOW)
    due.arrange((), (), NOW)
    assert not Listing.objects.exists()
    assert not ListingChange.objects.exists()


def test_a_pair_is_claimed_once() -> None:
    a_source()
    with asking("psbl"):
        run.arrange()
        Listing.objects.update(next_check_at=NOW)
        assert len(due.claim(NOW, 10)) == 1
        assert due.claim(NOW, 10) == []
        assert len(due.claim(NOW + due.LEASE, 10)) == 1  # whoever had it died


def test_a_clock_that_was_set_back_does_not_stop_the_checks() -> None:
    a_source()
    with asking("psbl"):
        run.arrange()
        Listing.objects.update(next_check_at=NOW + timedelta(days=300))
        assert len(due.claim(NOW, 10)) == 1

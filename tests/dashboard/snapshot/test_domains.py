from __future__ import annotations

from datetime import timedelta

import pytest

from dashboard.snapshot.domains import TOP, busiest
from queueapp.models import RecipientDomain
from tests.dashboard.rows import a_delivery, a_domain, a_site, now

pytestmark = pytest.mark.django_db
SOON = timedelta(minutes=5)


def states() -> dict[str, str]:
    return {row["name"]: row["state"] for row in busiest(now())}


def test_it_works() -> None:
    a_delivery(
        state="deferred", last_class="mailbox_full", last_code=452, last_enhanced="4.2.2", last_text="Full"
    )
    RecipientDomain.objects.update(due_at=now() + SOON)
    (row,) = busiest(now())
    assert row["name"] == "example.com"
    assert row["state"] == "waiting"
    assert row["n_open"] == row["n_deferred"] == 1
    assert row["cause"] == "The recipient's mailbox is full."
    assert row["reply"] == "452 4.2.2 Full"
    assert row["next_at"] is not None
    assert row["url"].startswith("/deliveries?q=domain%3Aexample.com+state%3Aqueued")


def test_it_tells_each_state() -> None:
    backing_off = a_site(backoff_until=now() + SOON, backoff_class="busy", backoff_reply="421 Too many")
    a_domain("flowing.test", n_sending=1)
    a_domain("due.test", n_queued=1, due_at=now() - SOON)
    a_domain("waiting.test", n_deferred=1, due_at=now() + SOON)
    a_domain("held.test", n_held=1)
    a_domain("back.test", n_deferred=1, site=backing_off)
    a_domain("suspended.test", n_queued=1, suspended_at=now() - SOON)
    assert states() == {
        "flowing.test": "flowing", "due.test": "flowing", "waiting.test": "waiting", "held.test": "held",
        "back.test": "backing_off", "suspended.test": "suspended",
    }  # fmt: skip


def test_it_tells_why_a_site_is_backed_off_from() -> None:
    a_domain(
        "back.test",
        n_deferred=1,
        site=a_site(backoff_until=now() + SOON, backoff_class="busy", backoff_reply="421 Too many"),
    )
    (row,) = busiest(now())
    assert row["cause"] == "The receiving server is overloaded or has too many connections open."
    assert row["reply"] == "421 Too many"


def test_it_forgets_what_is_over() -> None:
    over = a_site(backoff_until=now() - SOON, backoff_class="busy")
    a_domain("back.test", n_deferred=1, site=over, due_at=now() + SOON)
    a_domain(
        "resumed.test",
        n_deferred=1,
        due_at=now() + SOON,
        suspended_at=now() - 2 * SOON,
        suspended_until=now() - SOON,
    )
    assert set(states().values()) == {"waiting"}


def test_it_leaves_out_domains_without_open_mail() -> None:
    a_domain("done.test", n_delivered=100)
    assert busiest(now()) == []


def test_it_shows_the_fullest_first_and_no_more_than_twenty() -> None:
    for n in range(TOP + 5):
        a_domain(f"d{n}.test", n_queued=n + 1)
    found = [row["n_open"] for row in busiest(now())]
    assert found == sorted(found, reverse=True)
    assert len(found) == TOP
    assert found[0] == TOP + 5

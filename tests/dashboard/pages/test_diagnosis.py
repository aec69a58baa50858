"""The pages of causes: what is stuck stands first, with its proof and what to press."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from queueapp.models import Bookmark, Diagnosis
from tests.dashboard.people import as_role
from tests.dashboard.rows import HOSTILE
from tests.watch.diagnosis.queue import deferred, looked, some

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("valkey")]


@pytest.fixture
def client() -> Client:
    return as_role("operator")


def _text(client: Client, path: str) -> str:
    answer = client.get(path)
    assert answer.status_code == 200
    return " ".join(answer.content.decode().split())


def test_the_overview_names_the_cause_before_all_else(client: Client) -> None:
    deferred(3, "421 4.7.28 unusual rate of mail", "rate_limited")
    looked()
    page = _text(client, "/")
    assert page.index("The receiver limits our rate") < page.index('id="headline"')
    assert "3 deliveries wait" in page
    assert "/limits" in page


def test_it_has_proof_remedy_and_buttons(client: Client) -> None:
    made = deferred(3, "421 4.7.28 unusual rate of mail", "rate_limited")
    looked()
    page = _text(client, "/diagnosis")
    for expected in (
        "421 4.7.28 unusual rate of mail",
        "What to do",
        f"#delivery-{made[0].pk}",
        "See the mail",
    ):
        assert expected in page
    assert "Limits of" not in page  # an operator may not
    assert "Limits of" in _text(as_role("administrator", name="root"), "/diagnosis")


@pytest.mark.parametrize(
    "scope", ["domain&key=example.net", "sender&key=ann@example.com", "campaign&key=spring"]
)
def test_each_scope_has_its_page(client: Client, scope: str) -> None:
    deferred(3, "452 4.2.2 full", "mailbox_full", tags=["campaign:spring"])
    looked()
    kind, _, key = scope.partition("&key=")
    assert key in _text(client, f"/diagnosis?scope={kind}")
    assert "Mailboxes are full" in _text(client, f"/diagnosis?scope={scope}")


def test_domain_and_site_say_why_and_what_holds_all(client: Client) -> None:
    [row, *_] = deferred(3, "452 4.2.2 full", "mailbox_full")
    some(2, "b.example")
    looked()
    for path in ("/domains/example.net", f"/sites/{row.domain.site_id}"):
        page = _text(client, path)
        assert "Mailboxes are full" in page
        assert "No queue runner is at work" in page


def test_an_empty_table_is_health_only_while_somebody_looks(client: Client) -> None:
    assert "Nobody has looked yet" in _text(client, "/diagnosis")
    assert 'id="why" aria-labelledby="why-title" hidden' in _text(client, "/")  # and nothing waits
    looked()
    assert "The queue is flowing" in _text(client, "/diagnosis")
    then = timezone.now() - timedelta(minutes=2)
    Bookmark.objects.filter(pk="diagnosis").update(at=then)
    Diagnosis.objects.update(seen_at=then)
    page = _text(client, "/diagnosis")
    assert "Nobody has looked since" in page
    assert "The queue is flowing" not in page
    assert "has not looked for more than a minute" in _text(client, "/")


def test_what_is_not_there_is_not_found(client: Client) -> None:
    for query in ("scope=what", "scope=domain&key=none.example", "scope=site&key=x", "scope=site&key=999"):
        assert client.get(f"/diagnosis?{query}").status_code == 404


def test_hostile_texts_are_escaped_everywhere(client: Client) -> None:
    deferred(2, f"450 4.0.0 {HOSTILE}", "other", sender=f"{HOSTILE}@x.example", tags=[f"campaign:{HOSTILE}"])
    looked()
    for path in (
        "/",
        "/diagnosis",
        "/diagnosis?scope=sender",
        "/diagnosis?scope=campaign",
        "/domains/example.net",
    ):
        assert "<script>alert(1)" not in _text(client, path)


def test_every_cause_is_explained(client: Client) -> None:
    page = _text(client, "/diagnosis/help")
    assert 'id="port25"' in page
    assert "Reverse DNS is missing" in page

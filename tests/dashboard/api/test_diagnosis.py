"""GET /api/v1/diagnosis tells what the page shows."""

from __future__ import annotations

import pytest
from django.test import Client

from queueapp.models import Delivery, Diagnosis
from tests.dashboard.api.asking import key, with_key
from tests.watch.diagnosis.queue import deferred, looked

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("valkey")]
ROUTE = "/api/v1/diagnosis"


@pytest.fixture
def client() -> Client:
    return with_key(key("read"))


def test_it_has_the_cause_with_its_proof(client: Client) -> None:
    made = deferred(3, "452 4.2.2 The mailbox is full", "mailbox_full")
    looked()
    found = client.get(ROUTE).json()
    assert (found["is_stale"], found["scope"], found["forecast"]["trend"]) == (False, "all", "still")
    [cause] = found["causes"]
    assert (cause["cause"], cause["n"], cause["share"]) == ("mailbox_full", 3, 1.0)
    [reply] = cause["replies"]
    assert reply["class"] == "mailbox_full"
    assert {each["id"] for each in reply["examples"]} == {each.pk for each in made}
    assert Delivery.objects.matching(reply["q"]).count() == 3
    assert [act["verb"] for act in cause["actions"]] == ["open"]


def test_each_scope_alone_and_the_fullest_of_a_kind(client: Client) -> None:
    [row, *_] = deferred(3, "452 4.2.2 full", "mailbox_full")
    looked()
    assert [each["key"] for each in client.get(f"{ROUTE}?scope=domain").json()["scopes"]] == ["example.net"]
    for scope, name in (
        ("domain", "example.net"),
        ("site", row.domain.site_id),
        ("sender", "ann@example.com"),
    ):
        found = client.get(f"{ROUTE}?scope={scope}&key={name}").json()
        assert [each["cause"] for each in found["causes"]] == ["mailbox_full"]
        Diagnosis.objects.filter(kind=scope).delete()
        assert client.get(f"{ROUTE}?scope={scope}&key={name}").json()["causes"][0]["n"] == 3


def test_an_empty_answer_says_whether_anybody_looked(client: Client) -> None:
    found = client.get(ROUTE).json()
    assert (found["causes"], found["looked_at"], found["is_stale"]) == ([], None, True)
    looked()
    found = client.get(ROUTE).json()
    assert (found["causes"], found["is_stale"]) == ([], False)


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("scope=what", 422),
        ("scope=all&key=x", 422),
        ("scope=domain&key=none.example", 404),
        ("scope=site&key=x", 404),
    ],
)
def test_what_cannot_be_is_refused(client: Client, query: str, status: int) -> None:
    assert client.get(f"{ROUTE}?{query}").status_code == status

"""The dialog of a bulk action as the server draws it, and what confirming does."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client

from queueapp.models import AuditEvent, Delivery, Operation, RecipientDomain, Route
from queueapp.models.sealed import seal
from tests.dashboard.people import as_role
from tests.dashboard.rows import HOSTILE, a_delivery, a_message

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("valkey")]


def some(n: int, state: str = "deferred", domain: str = "example.com") -> list[Delivery]:
    message = a_message(subject="Invoice")
    return [a_delivery(message, domain, recipient=f"r{each}@{domain}", state=state) for each in range(n)]


def ask(client: Client, action: str, **more: Any) -> str:
    return client.post("/bulk/ask", {"action": action, **more}).text


def ids(rows: list[Delivery]) -> str:
    return " ".join(str(row.pk) for row in rows)


def test_it_works(admin_client: Client) -> None:
    some(2)
    some(1, domain="other.example")
    some(3, "delivered")
    dialog = ask(admin_client, "delete", q="")
    assert '<h2 id="ask-title">Delete 3 deliveries</h2>' in dialog
    assert "Delete 3 deliveries</button>" in dialog
    assert "3 of 6 are left alone:" in dialog
    for text in ("other.example", "r0@example.com", "Invoice", 'name="expect" value="6"', "Reason"):
        assert text in dialog
    asked = {"action": "delete", "q": "", "expect": "6", "touched": "3", "reason": "Old", "token": "a"}
    answer = admin_client.post("/bulk/start", asked)
    assert answer.status_code == 202
    told = answer.json()
    assert (told["action"], told["matched"], told["reason"]) == ("delete", 6, "Old")
    assert Operation.objects.get().pk == told["id"]
    assert AuditEvent.objects.get(action="operation.create").n == 6


@pytest.mark.parametrize(
    ("role", "acts", "says_why"),
    [
        ("viewer", set(), True),
        ("campaigns", {"export"}, True),
        ("operator", {"retry", "hold", "release", "priority", "export", "bounce", "delete"}, False),
        (
            "administrator",
            {"retry", "hold", "release", "priority", "reroute", "export", "bounce", "delete"},
            False,
        ),
    ],
)
def test_the_bar_offers_what_the_role_may_and_says_why_not_the_rest(
    role: str, acts: set[str], says_why: bool
) -> None:
    some(1)
    page = as_role(role).get("/deliveries").text
    found = set(re.findall(r'data-action="(\w+)"', page)) | ({"export"} if "data-export" in page else set())
    assert found == acts
    assert ("give you the permission" in page) is says_why


def test_reroute_asks_which_way_and_tells_what_there_is(admin_client: Client) -> None:
    rows = some(2)
    assert "add one" in ask(admin_client, "reroute", ids=ids(rows))
    Route.objects.create(name="backup", kind="relay", host="b.test", port=587, sealed=seal(b"s3cret"))
    Route.objects.create(pattern="*", kind="mx")
    dialog = ask(admin_client, "reroute", ids=ids(rows))
    assert '<option value="backup">backup: b.test:587</option>' in dialog
    assert dialog.count("<option") == 3  # one to choose, the route, no way of their own
    assert "s3cret" not in dialog
    asked = {"action": "reroute", "ids": ids(rows), "expect": "2", "touched": "2", "route": "nowhere"}
    answer = admin_client.post("/bulk/start", asked)
    assert (answer.status_code, Operation.objects.count()) == (422, 0)
    assert "there is no route" in answer.text
    assert 'aria-describedby="ask-route-error"' in answer.text
    answer = admin_client.post("/bulk/start", {**asked, "route": ""})
    assert "Choose the way that they take." in answer.text
    answer = admin_client.post("/bulk/start", {**asked, "route": "backup"})
    assert answer.json()["arguments"] == {"route": "backup"}
    assert "Reroute 2 deliveries" in admin_client.get(f"/operations/{answer.json()['id']}").text


def test_the_same_click_twice_is_one_operation(admin_client: Client) -> None:
    asked = {"action": "hold", "ids": ids(some(2)), "expect": "2", "touched": "2", "token": "one-click"}
    told = [admin_client.post("/bulk/start", asked).json()["id"] for _ in range(2)]
    assert told[0] == told[1]
    assert Operation.objects.count() == 1


def test_it_asks_again_where_the_number_differs(admin_client: Client) -> None:
    some(2)
    asked = {"action": "hold", "q": "state:deferred", "expect": "3", "touched": "3", "reason": "Slow"}
    answer = admin_client.post("/bulk/start", asked)
    assert answer.status_code == 409
    assert "2 match now" in answer.text
    assert 'name="expect" value="2"' in answer.text
    assert 'value="Slow"' in answer.text
    assert not Operation.objects.exists()


@pytest.mark.parametrize("action", ["delete", "bounce"])
def test_what_destroys_needs_a_reason(admin_client: Client, action: str) -> None:
    asked = {"action": action, "ids": ids(some(1)), "expect": "1", "touched": "1", "reason": "  "}
    answer = admin_client.post("/bulk/start", asked)
    assert answer.status_code == 422
    assert "Say why" in answer.text
    assert not Operation.objects.exists()


@pytest.mark.parametrize(("typed", "status"), [("", 422), ("1000", 422), ("1,001", 202), ("1001", 202)])
def test_a_large_number_is_typed(admin_client: Client, typed: str, status: int) -> None:
    row = some(1)[0]
    Delivery.objects.bulk_create(
        Delivery(
            message=row.message, recipient=f"m{each}@example.com", domain=row.domain, state="deferred",
            accepted_at=row.accepted_at, expires_at=row.expires_at,
        )
        for each in range(1000)
    )  # fmt: skip
    RecipientDomain.objects.update(n_deferred=1001)
    asked = {"action": "hold", "q": "state:deferred", "expect": "1001", "touched": "1001", "typed": typed}
    answer = admin_client.post("/bulk/start", asked)
    assert answer.status_code == status
    assert ("Type 1,001 to go on" in answer.text) == (status == 422)


def test_it_says_so_where_nothing_can_be_touched(admin_client: Client) -> None:
    some(1, "delivered")
    dialog = ask(admin_client, "release", q="")
    assert "None of these can be released: none is held." in dialog
    assert 'type="submit"' not in dialog


def test_it_foretells_a_retry(admin_client: Client) -> None:
    some(40)
    RecipientDomain.objects.update(rate="120/m")
    assert "40 to example.com at 120 a minute: about 20 s" in ask(admin_client, "retry", q="")


def test_a_priority_is_chosen(admin_client: Client) -> None:
    rows = some(1)
    dialog = ask(admin_client, "priority", ids=ids(rows))
    assert '<option value="5" selected>5</option>' in dialog
    asked = {"action": "priority", "ids": ids(rows), "expect": "1", "touched": "1", "priority": "8"}
    assert admin_client.post("/bulk/start", asked).status_code == 202
    assert Operation.objects.get().arguments == {"priority": 8}


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"action": "burn", "q": ""}, "There is no action &#x27;burn&#x27;"),
        ({"action": "hold", "ids": "1 x"}, "&#x27;x&#x27; is no number of a delivery"),
        ({"action": "hold", "ids": "9" * 19}, "is no number of a delivery"),
        ({"action": "hold", "ids": ""}, "from 1 to"),
        ({"action": "hold", "q": "state:nonsense"}, "nonsense"),
        ({"action": "priority", "q": "", "priority": "11"}, "a priority from 0 to 9"),
        ({"action": "hold"}, "q"),
        ({"action": "hold", "q": "", "expect": "many"}, "is no whole number"),
    ],
)
def test_it_says_what_is_wrong(admin_client: Client, asked: dict[str, str], said: str) -> None:
    for path in ("/bulk/ask", "/bulk/start"):
        answer = admin_client.post(path, asked)
        assert answer.status_code == 422
        assert said in answer.text
    assert not Operation.objects.exists()


def test_who_may_not_is_told_so(client: Client, django_user_model: Any) -> None:
    client.force_login(
        django_user_model.objects.create_user("ada"), "django.contrib.auth.backends.ModelBackend"
    )
    asked = {"action": "hold", "ids": ids(some(1)), "expect": "1"}
    for path in ("/bulk/ask", "/bulk/start"):
        answer = client.post(path, asked)
        assert answer.status_code == 403
        assert "scope" in answer.text
    assert AuditEvent.objects.filter(is_refused=True).exists()


def test_nobody_is_sent_to_the_log_in(client: Client) -> None:
    assert client.post("/bulk/start", {"action": "hold", "q": ""}).status_code == 302
    assert not Operation.objects.exists()


def test_another_site_can_do_nothing(admin_user: Any) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(admin_user, "django.contrib.auth.backends.ModelBackend")
    assert strict.post("/bulk/start", {"action": "hold", "q": "", "expect": "0"}).status_code == 403
    assert not Operation.objects.exists()


def test_it_escapes_what_strangers_write(admin_client: Client) -> None:
    a_delivery(a_message(subject=HOSTILE), recipient=HOSTILE)
    for text in (ask(admin_client, "hold", q=""), ask(admin_client, "hold", q=f'subject:"{HOSTILE}')):
        assert "<script>alert" not in text
        assert "<img src=x" not in text


def test_it_counts_what_is_new(admin_client: Client) -> None:
    first = some(1)[0]
    some(2)
    some(1, "queued")
    asked = {"q": "state:deferred", "after": str(first.pk)}
    assert admin_client.get("/deliveries/new", asked).json() == {"n": 2, "is_exact": True}


@pytest.mark.parametrize("asked", [{"after": "x"}, {}, {"after": "1" * 19}, {"after": "1", "q": "state:x"}])
def test_it_refuses_to_count_by_nonsense(admin_client: Client, asked: dict[str, str]) -> None:
    assert admin_client.get("/deliveries/new", asked).status_code == 400

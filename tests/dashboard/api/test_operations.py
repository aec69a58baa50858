from __future__ import annotations

import json
from typing import Any

import pytest
from django.test import Client

from queueapp.models import AuditEvent, Delivery, Operation
from queueapp.operations import run
from tests.dashboard.api.asking import is_error, key, with_key
from tests.models.rows import delivery

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("valkey")]
URL = "/api/v1/operations"


@pytest.fixture
def client() -> Client:
    return with_key(key("read", "operate"))


def post(client: Client, url: str = URL, **body: Any) -> Any:
    return client.post(url, json.dumps(body), content_type="application/json")


def three() -> list[int]:
    return [delivery(f"{name}@x.test", state="deferred").pk for name in "abc"]


def test_it_works(client: Client) -> None:
    three()
    made = post(client, action="hold", q="domain:x.test", expect=3, reason="look")
    assert made.status_code == 202
    told = made.json()
    assert (told["state"], told["matched"], told["can_cancel"], told["can_undo"]) == (
        "waiting",
        3,
        True,
        False,
    )
    run.work()
    told = client.get(f"{URL}/{told['id']}").json()
    assert (told["state"], told["done"], told["can_undo"], told["reason"]) == ("done", 3, True, "look")
    assert told["actor"] == "shop"
    undone = post(client, f"{URL}/{told['id']}/undo")
    assert (undone.status_code, undone.json()["undo_of"]) == (202, told["id"])
    run.work()
    assert set(Delivery.objects.values_list("state", flat=True)) == {"deferred"}
    listed = client.get(URL, {"limit": 1}).json()
    assert ([each["id"] for each in listed["items"]], listed["count"]) == ([undone.json()["id"]], 2)
    more = client.get(URL, {"limit": 1, "cursor": listed["next"]}).json()
    assert ([each["id"] for each in more["items"]], more["next"]) == ([told["id"]], None)


def test_reroute_takes_the_name_of_a_route() -> None:
    ids, client = three(), with_key(key("admin"))
    assert post(client, "/api/v1/routes", name="backup", kind="relay", host="b.test").status_code == 201
    told = is_error(post(client, action="reroute", ids=ids), 422, "invalid", "route")
    assert "name of a route" in told["detail"]
    asked = {"action": "reroute", "ids": ids, "route": "backup"}
    assert post(client, f"{URL}/preview", **asked).json()["touchable"] == 3
    made = post(client, **asked).json()
    assert made["arguments"] == {"route": "backup"}
    run.work()
    assert client.get(f"/api/v1/deliveries/{ids[0]}").json()["route"] == "backup"
    is_error(post(with_key(key("operate", name="op")), **asked), 403, "scope_missing")


def test_another_number_is_asked_again_and_nothing_is_done(client: Client) -> None:
    three()
    told = is_error(
        post(client, action="delete", q="domain:x.test", expect=2), 409, "count_differs", "expect"
    )
    assert (told["count"], Operation.objects.count()) == (3, 0)
    refused = AuditEvent.objects.get(is_refused=True)
    assert (refused.action, refused.detail["matched"]) == ("operation.create", 3)


def test_ids_that_are_not_there_are_refused_and_noted(client: Client) -> None:
    ids = three()
    told = is_error(
        post(client, action="delete", ids=[*ids, 999_999, -5, 2**70]), 409, "count_differs", "expect"
    )
    assert told["count"] == 3
    assert AuditEvent.objects.filter(is_refused=True).count() == 1
    assert post(client, action="delete", ids=ids).status_code == 202


@pytest.mark.parametrize(
    ("body", "status", "code", "field"),
    [
        ({"action": "hold", "q": "stat:x", "expect": 1}, 400, "bad_query", "q"),
        ({"action": "hold", "q": "state:held"}, 422, "invalid", "expect"),
        ({"action": "burn", "q": "", "expect": 1}, 422, "invalid", "action"),
        ({"action": "hold"}, 422, "invalid", "q"),
        ({"action": "hold", "q": "", "ids": [1], "expect": 1}, 422, "invalid", "q"),
        ({"action": "hold", "ids": []}, 422, "invalid", "ids"),
        ({"action": "hold", "ids": [1] * 10_001}, 422, "invalid", "ids"),
        ({"action": "hold", "q": "", "expect": -1}, 422, "invalid", None),
        ({"action": "hold", "q": "", "expect": 0, "reason": "x" * 201}, 422, "invalid", "reason"),
        ({"action": "hold", "q": "", "expect": 0, "reason": "a\x07b"}, 422, "invalid", "reason"),
        ({"action": "hold", "q": "", "expect": 0, "token": "x" * 65}, 422, "invalid", "token"),
        ({"action": "priority", "q": "", "expect": 0}, 422, "invalid", "arguments.priority"),
        (
            {"action": "priority", "q": "", "expect": 0, "arguments": {"priority": 10}},
            422, "invalid", "arguments.priority",
        ),
        ({"action": "hold", "q": "", "expect": 0, "arguments": {"priority": 1}}, 422, "invalid", "arguments"),
        ({"action": "hold", "q": "", "expect": 0, "seen": "1.1"}, 422, "invalid", "seen"),
        ({"action": "hold", "q": "", "expect": 0, "seen": "9" * 30 + "." + "9" * 9}, 422, "invalid", "seen"),
        ({"action": "hold", "q": "", "expect": 0, "nonsense": 1}, 422, "invalid", None),
    ],
)  # fmt: skip
def test_it_refuses_what_it_does_not_understand(
    client: Client, body: dict[str, Any], status: int, code: str, field: str | None
) -> None:
    response = post(client, **body)
    assert (response.status_code, response.json()["error"]) == (status, code)
    if field is not None:
        assert response.json()["field"] == field
    assert Operation.objects.count() == 0


def test_who_may_only_read_is_refused_and_noted() -> None:
    three()
    reader = with_key(key("read", name="reader"))
    made = post(with_key(key("operate", "read", name="doer")), action="hold", q="", expect=3).json()
    run.work()
    asked = (
        (URL, {"action": "delete", "q": "", "expect": 3}),
        (f"{URL}/preview", {"action": "delete", "q": ""}),
        (f"{URL}/{made['id']}/undo", {}),
        (f"{URL}/{made['id']}/cancel", {}),
    )
    for url, body in asked:
        is_error(post(reader, url, **body), 403, "scope_missing")
    assert AuditEvent.objects.filter(is_refused=True, actor="reader").count() == len(asked)
    assert reader.get(f"{URL}/{made['id']}").status_code == 200
    assert set(Delivery.objects.values_list("state", flat=True)) == {"held"}


def test_a_second_click_makes_no_second_operation(client: Client) -> None:
    three()
    first = post(client, action="hold", q="domain:x.test", expect=3, token="click-1").json()
    run.work()
    again = post(client, action="hold", q="domain:x.test", expect=3, token="click-1")
    assert (again.status_code, again.json()["id"]) == (202, first["id"])
    is_error(post(client, action="delete", q="", expect=3, token="click-1"), 409, "conflict")
    assert Operation.objects.count() == 1


def test_an_undo_that_is_played_again_is_refused_and_noted(client: Client) -> None:
    three()
    made = post(client, action="delete", q="", expect=3).json()
    is_error(post(client, f"{URL}/{made['id']}/undo"), 409, "conflict")  # it is still at work
    run.work()
    undone = post(client, f"{URL}/{made['id']}/undo").json()
    run.work()
    for pk in (made["id"], undone["id"]):
        is_error(post(client, f"{URL}/{pk}/undo"), 409, "conflict")
    is_error(post(client, f"{URL}/{made['id']}/cancel"), 409, "conflict")
    is_error(post(client, f"{URL}/4711/undo"), 404, "not_found")
    assert AuditEvent.objects.filter(is_refused=True, action="operation.undo").count() == 3
    assert Operation.objects.count() == 2


def test_what_was_sent_or_told_is_not_undone(client: Client) -> None:
    three()
    for action in ("retry", "bounce"):
        made = post(client, action=action, q="", expect=Delivery.objects.count()).json()
        run.work()
        assert not client.get(f"{URL}/{made['id']}").json()["can_undo"]
        is_error(post(client, f"{URL}/{made['id']}/undo"), 409, "conflict")


def test_cancel_leaves_the_rest_and_says_so(client: Client) -> None:
    three()
    made = post(client, action="delete", q="", expect=3).json()
    told = post(client, f"{URL}/{made['id']}/cancel").json()
    assert (told["state"], told["done"], told["skipped"], told["cancelled_by"]) == ("cancelled", 0, 3, "shop")
    run.work()
    assert set(Delivery.objects.values_list("state", flat=True)) == {"deferred"}
    left = client.get(f"{URL}/{made['id']}/exceptions").json()
    assert ({each["reason"] for each in left["items"]}, left["count"]) == ({"cancelled"}, 3)


def test_exceptions_come_in_pages(client: Client) -> None:
    ids = [delivery(f"{name}@x.test", state="delivered").pk for name in "abcde"]
    made = post(client, action="delete", q="", expect=5).json()
    run.work()
    found, cursor = [], 0
    while cursor is not None:
        told = client.get(f"{URL}/{made['id']}/exceptions", {"limit": 2, "cursor": cursor}).json()
        found += [each["id"] for each in told["items"]]
        assert {each["why"] for each in told["items"]} == {"It was delivered."}
        cursor = told["next"]
    assert found == ids


def test_preview_tells_what_would_be_done(client: Client) -> None:
    three()
    delivery("d@y.test", state="delivered")
    told = post(client, f"{URL}/preview", action="delete", q="").json()
    assert (told["matched"], told["touchable"], told["can_undo"]) == (4, 3, True)
    assert told["domains"] == [{"domain": "x.test", "n": 3}, {"domain": "y.test", "n": 1}]
    assert told["untouched"] == [{"reason": "delivered", "why": "It was delivered.", "n": 1}]
    assert [each["to"] for each in told["sample"]] == ["d@y.test", "c@x.test", "b@x.test", "a@x.test"]
    assert told["forecast"] is None
    assert AuditEvent.objects.filter(action="operation.create").count() == 0


@pytest.mark.parametrize("q", ["domain:x.test", "to:x.test", "state:deferred age>0s"])
def test_what_came_after_the_preview_is_left_out(client: Client, q: str) -> None:
    three()
    told = post(client, f"{URL}/preview", action="delete", q=q).json()
    assert told["matched"] == 3
    delivery("late@x.test", state="deferred")
    made = post(client, action="delete", q=q, expect=3, seen=told["seen"])
    assert made.status_code == 202
    run.work()
    assert Delivery.objects.get(recipient="late@x.test").state == "deferred"
    assert Delivery.objects.filter(state="deleted").count() == 3

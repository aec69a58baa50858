"""Lines of the classifier and what a reply means, through the API."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from queueapp.engine import own_lines
from queueapp.mail.patterns import PATTERNS
from queueapp.models import Attempt, ReplyRule
from tests.dashboard.api.asking import is_error, key, with_key
from tests.models.rows import delivery

pytestmark = pytest.mark.django_db
LINE = {"name": "night", "class": "busy", "texts": ["Closed for the night"], "codes": ["4"]}


@pytest.fixture(autouse=True)
def _own_lines() -> Iterator[None]:
    own_lines.forget()
    yield
    own_lines.forget()


@pytest.fixture
def admin() -> Client:
    return with_key(key("read", "admin"))


def ask(client: Client, method: str, path: str, body: Any = None) -> Any:
    return client.generic(method, f"/api/v1{path}", json.dumps(body), content_type="application/json")


def test_a_line_is_tried_made_changed_and_deleted(admin: Client) -> None:
    row = delivery()
    Attempt.objects.create(
        delivery=row, at=timezone.now(), result="deferred", reply_class="policy", code=451, enhanced="4.7.1",
        text="closed for the night, ref 1", rule="code:4.7.1", host="mx.example.net",
    )  # fmt: skip
    trial = ask(admin, "POST", "/reply-rules/trial", LINE)
    assert trial.status_code == 202
    told = trial.json()
    assert (told["state"], told["n_looked"], told["n_decided"]) == ("done", 1, 1)
    assert told["changes"] == [{"had": "policy", "gets": "busy", "n": 1}]
    assert told["examples"][0]["reply"] == "451 4.7.1 closed for the night, ref 1"
    assert told["examples"][0]["delivery"] == row.pk
    assert admin.get(f"/api/v1/reply-rules/trials/{told['id']}").json() == told
    made = ask(admin, "POST", "/reply-rules", {**LINE, "is_on": True})
    assert made.status_code == 201
    assert made.json()["rule"] == "own:night"
    assert made.json()["texts"] == ["closed for the night"]
    path = f"/reply-rules/{made.json()['id']}"
    changed = ask(admin, "PATCH", path, {"note": "why"}).json()
    assert (changed["note"], changed["is_on"], changed["class"]) == ("why", True, "busy")
    assert ask(admin, "PATCH", path, {"is_on": False}).json()["is_on"] is False
    assert ask(admin, "PATCH", path, {"is_on": True}).json()["is_on"] is True
    assert ask(admin, "PATCH", path, {"codes": []}).json()["is_on"] is False
    is_error(ask(admin, "PATCH", path, {"is_on": True}), 409, "conflict")
    assert [each["name"] for each in admin.get("/api/v1/reply-rules").json()] == ["night"]
    assert ask(admin, "DELETE", path).status_code == 204
    is_error(ask(admin, "DELETE", path), 404, "not_found")


def test_it_says_what_a_reply_means(admin: Client) -> None:
    told = ask(admin, "POST", "/classify", {"reply": "451 4.7.1 Greylisted, try again in 300 seconds"}).json()
    assert told["class"] == "greylisted"
    assert told["permanent"] is False
    assert told["retry_in"] == 300
    assert told["rule"] == "pattern:greylisted"
    assert told["rule_url"] == "/replies/rules/pattern:greylisted"
    assert told["code_class"] == "policy"
    assert [each["rule"] for each in told["matches"]][:2] == ["pattern:greylisted", "pattern:try_later"]


def test_it_lists_all_lines_and_those_that_are_asked_for(admin: Client) -> None:
    assert len(admin.get("/api/v1/reply-lines").json()) == len(PATTERNS)
    found = admin.get(
        "/api/v1/reply-lines?q=greylisting&provider=policyd&class=greylisted&kind=pattern"
    ).json()
    assert [(each["rule"], each["permanent"], each["n_day"]) for each in found] == [
        ("pattern:milter_greylist", False, 0)
    ]
    assert found[0]["url"] == "/replies/rules/pattern:milter_greylist"


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code", "field"),
    [
        ("POST", "/classify", {"reply": "hello"}, 422, "invalid", "reply"),
        ("POST", "/classify", {"reply": "550 no", "stage": "noon"}, 422, "invalid", "stage"),
        ("POST", "/reply-rules", {**LINE, "class": "delivered"}, 422, "invalid", "reply_class"),
        ("POST", "/reply-rules", {**LINE, "colour": "red"}, 422, "invalid", "asked.colour"),
        ("POST", "/reply-rules", {**LINE, "is_on": True}, 409, "conflict", None),
        ("PATCH", "/reply-rules/99", {"note": "x"}, 404, "not_found", None),
        ("PATCH", f"/reply-rules/{10**30}", {"note": "x"}, 404, "not_found", None),
        ("GET", "/reply-rules/trials/99", None, 404, "not_found", None),
    ],
)  # fmt: skip
def test_it_refuses_what_can_not_be(
    admin: Client, method: str, path: str, body: Any, status: int, code: str, field: str | None
) -> None:
    is_error(ask(admin, method, path, body), status, code, field)
    assert not ReplyRule.objects.exists()


def test_changes_need_admin_and_reading_needs_read() -> None:
    reader = with_key(key("read", name="r"))
    assert reader.get("/api/v1/reply-rules").status_code == 200
    for method, path in ("POST", "/reply-rules"), ("POST", "/reply-rules/trial"), ("PATCH", "/reply-rules/1"):
        assert ask(reader, method, path, LINE if method == "POST" else {}).status_code == 403
    assert ask(with_key(key("submit", name="s")), "POST", "/classify", {"reply": "550 no"}).status_code == 403

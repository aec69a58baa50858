"""Saved views by the API: whose they are, who sees them, who may share and remove them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.test import Client

from queueapp.models import AuditEvent, SavedView
from tests.dashboard.api.asking import is_error, key, with_key

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("valkey"), pytest.mark.once]
URL = "/api/v1/views"


def post(client: Client, **body: Any) -> Any:
    return client.post(URL, json.dumps(body), content_type="application/json")


def names(client: Client) -> list[str]:
    return [each["name"] for each in client.get(URL).json()]


def test_own_and_shared_views_are_kept_listed_and_removed() -> None:
    one, other = with_key(key("operate", name="one")), with_key(key("read", name="other"))
    mine = post(one, name="late", q="age>2h  state:deferred", order="-size")
    assert mine.status_code == 201
    told = mine.json()
    assert (told["q"], told["order"], told["is_shared"], told["owner"], told["is_mine"]) == (
        "age>2h state:deferred", "-size", False, "one", True,
    )  # fmt: skip
    shared = post(one, name="blocked", q="class:blocklisted", is_shared=True).json()
    assert (names(one), names(other)) == (["blocked", "late"], ["blocked"])
    assert other.get(URL).json()[0]["is_mine"] is False
    is_error(other.delete(f"{URL}/{told['id']}"), 404, "not_found")
    is_error(other.delete(f"{URL}/{shared['id']}"), 403, "scope_missing")
    assert one.delete(f"{URL}/{told['id']}").status_code == 204
    assert with_key(key("admin", name="chief")).delete(f"{URL}/{shared['id']}").status_code == 204
    assert not SavedView.objects.exists()
    assert AuditEvent.objects.filter(action="view.delete").count() == 3


def test_what_can_not_be_is_refused_by_its_field() -> None:
    client = with_key(key("read"))
    is_error(post(client, name="", q=""), 422, "invalid", "name")
    is_error(post(client, name="x", q="state:nowhere"), 422, "invalid", "q")
    is_error(post(client, name="x", order="colour"), 422, "invalid", "order")
    is_error(post(client, name="x", group="colour"), 422, "invalid", "group")
    is_error(post(client, name="x", is_shared=True), 403, "scope_missing")
    assert not SavedView.objects.exists()

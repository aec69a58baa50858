"""The API of rules and effects: read, written, tried, lifted, and each refusal in the API's own words."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from queueapp.engine.rules import effects, ruleset
from queueapp.engine.rules.effects import Target
from queueapp.engine.suspensions import Cause
from queueapp.models import AuditEvent, BackoffRule, Effect, Site
from tests.dashboard.api.asking import is_error, key, with_key
from tests.dashboard.api.test_limits import send

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("valkey")]
MINE: dict[str, Any] = {
    "name": "mine", "texts": ["try later"], "scope": "site", "action": "slow", "rate": "60/m", "lasts": 600,
}  # fmt: skip


@pytest.fixture
def admin() -> Client:
    return with_key(key("admin", name="boss"))


def an_effect(reply: str = "421 busy") -> Effect:
    site = Site.objects.get_or_create(key="mx:1", name="example.net", route="mx")[0]
    row = BackoffRule.objects.get_or_create(
        name="x", defaults={"scope": "pair", "action": "suspend", "lasts": timedelta(minutes=5)}
    )[0]
    return effects.begin(ruleset.of(row), Target("pair", site_id=site.pk), Cause("busy", reply))[0]


def test_a_rule_is_written_changed_tried_and_removed(admin: Client) -> None:
    made = send(admin, "POST", "/backoff-rules", MINE)
    assert made.status_code == 201, made.content
    found = made.json()
    assert (found["lasts"], found["is_shipped"], found["made_by"]) == (600, False, "boss")
    path = f"/backoff-rules/{found['id']}"
    assert send(admin, "PATCH", path, {"n_hits": 3, "lasts": 60}).json()["n_hits"] == 3
    assert send(admin, "GET", path).json()["lasts"] == 60
    tried = send(admin, "POST", "/backoff-rules/try", MINE | {"name": "other"}).json()
    assert (tried["n_matched"], tried["is_whole"], tried["targets"]) == (0, True, [])
    every = send(admin, "GET", "/backoff-rules").json()
    assert every[0]["name"] == "mine"
    assert {"blocked", "flood"} <= {each["key"] for each in every}
    assert send(admin, "DELETE", path).status_code == 204
    is_error(send(admin, "GET", path), 404, "not_found")


@pytest.mark.once
def test_what_can_not_be_is_told_with_its_field(admin: Client) -> None:
    is_error(send(admin, "POST", "/backoff-rules", MINE | {"rate": "fast"}), 422, "invalid", "rate")
    is_error(send(admin, "POST", "/backoff-rules", MINE | {"moon": 1}), 422, "invalid", "asked.moon")
    send(admin, "GET", "/backoff-rules")
    shipped = BackoffRule.objects.get(key="busy").pk
    is_error(send(admin, "PATCH", f"/backoff-rules/{shipped}", {"n_hits": 1}), 422, "invalid", "n_hits")
    is_error(send(admin, "DELETE", f"/backoff-rules/{shipped}"), 409, "conflict")
    is_error(send(admin, "POST", "/backoff-rules", MINE | {"name": "Blocked"}), 409, "conflict")
    reader = with_key(key("read", name="reader"))
    is_error(send(reader, "POST", "/backoff-rules", MINE), 403, "scope_missing")


def test_an_effect_is_seen_and_lifted_once(admin: Client) -> None:
    made = an_effect()
    [found] = send(admin, "GET", "/effects").json()["items"]
    assert (found["rule"], found["class"], found["sentence"]) == (
        "x", "busy", "nothing goes to example.net by the default source",
    )  # fmt: skip
    assert send(admin, "GET", f"/effects/{made.pk}").json()["reply"] == "421 busy"
    assert send(admin, "POST", f"/effects/{made.pk}/lift").json() == {"n": 0}
    is_error(send(admin, "POST", f"/effects/{made.pk}/lift"), 409, "conflict")
    is_error(send(admin, "GET", "/effects/99"), 404, "not_found")
    is_error(send(admin, "POST", "/effects/99/lift"), 404, "not_found")
    assert send(admin, "GET", "/effects").json()["items"] == []
    [over] = send(admin, "GET", "/effects?all=true").json()["items"]
    assert (over["lifted_by"], over["is_over"]) == ("boss", True)
    assert AuditEvent.objects.filter(action="effect.lift", is_refused=False).count() == 1


@pytest.mark.once
def test_effects_come_in_pages(admin: Client) -> None:
    for _ in range(3):
        made = an_effect()
        effects.end(made, timezone.now(), "ann")
    first = send(admin, "GET", "/effects?all=true&limit=2").json()
    rest = send(admin, "GET", f"/effects?all=true&limit=2&cursor={first['next']}").json()
    assert (len(first["items"]), len(rest["items"]), rest["next"], rest["count"]) == (2, 1, None, 3)

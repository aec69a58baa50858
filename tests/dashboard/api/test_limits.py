"""The API of limits, sources and holds: each can be read, changed by who may, and says what is wrong."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from queueapp.models import AuditEvent, Delivery, RecipientDomain, Site, Suspension
from tests.dashboard.api.asking import is_error, key, with_key
from tests.engine.queue import put

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("valkey")]


@pytest.fixture
def admin() -> Client:
    return with_key(key("admin", name="boss"))


def send(client: Client, method: str, path: str, body: Any = None) -> Any:
    data = b"" if body is None else json.dumps(body).encode()
    return client.generic(method, f"/api/v1{path}", data, content_type="application/json")


def site() -> Site:
    put("a@a.test")
    made = Site.objects.create(key="mx:1", name="example.net", route="mx")
    RecipientDomain.objects.update(site=made)
    return made


def test_a_site_is_read_changed_and_read_again(admin: Client) -> None:
    pk = site().pk
    assert [each["id"] for each in send(admin, "GET", "/sites").json()["items"]] == [pk]
    found = send(admin, "GET", f"/sites/{pk}").json()
    assert found["limits"]["max_sessions"] == {"value": 20, "is_own": False}
    assert found["limits"]["rate"] == {"value": None, "is_own": False}
    assert (found["domains"], found["sessions"], found["suspensions"]) == (["a.test"], 0, [])
    changed = send(admin, "PATCH", f"/sites/{pk}/limits", {"max_sessions": 4, "rate": "600/m"})
    assert changed.status_code == 200, changed.content
    assert changed.json()["limits"]["rate"] == {"value": "600/m", "is_own": True}
    assert changed.json()["limits"]["max_mails"] == {"value": 1000, "is_own": False}
    event = AuditEvent.objects.get(action="site.limits")
    assert (event.actor, event.origin) == ("boss", "127.0.0.1")


def test_a_site_is_suspended_resumed_and_retried(admin: Client) -> None:
    pk = site().pk
    stopped = send(admin, "POST", f"/sites/{pk}/suspend", {"reason": "they move"}).json()
    assert (stopped["is_suspended"], stopped["suspended_reason"], stopped["state"]) == (
        True, "they move", "suspended",
    )  # fmt: skip
    assert send(admin, "POST", f"/sites/{pk}/resume").json()["is_suspended"] is False
    RecipientDomain.objects.update(n_queued=0, n_deferred=1)
    Delivery.objects.update(state="deferred")
    told = is_error(send(admin, "POST", f"/sites/{pk}/retry", {"expect": 7}), 409, "count_differs", "expect")
    assert told["count"] == 1
    made = send(admin, "POST", f"/sites/{pk}/retry", {"expect": 1, "reason": "they are back"})
    assert made.status_code == 202
    assert (made.json()["q"], made.json()["matched"]) == ("site:example.net state:deferred", 1)
    is_error(send(admin, "POST", "/sites/4711/retry", {"expect": 1}), 404, "not_found")


def test_sites_come_in_pages(admin: Client) -> None:
    for n in range(5):
        Site.objects.create(key=f"k{n}", name=f"s{n}.example.net", route="mx")
    first = send(admin, "GET", "/sites?limit=3").json()
    rest = send(admin, "GET", f"/sites?limit=3&cursor={first['next']}").json()
    names = [each["name"] for each in first["items"] + rest["items"]]
    assert names == [f"s{n}.example.net" for n in range(5)]
    assert (first["count"], rest["next"]) == (5, None)
    assert [each["name"] for each in send(admin, "GET", "/sites?q=S3").json()["items"]] == ["s3.example.net"]


def test_a_wrong_limit_is_named(admin: Client) -> None:
    pk = site().pk
    is_error(send(admin, "PATCH", f"/sites/{pk}/limits", {"rate": "fast"}), 422, "invalid", "rate")
    is_error(send(admin, "PATCH", f"/sites/{pk}/limits", {"colour": 1}), 422, "invalid", "asked.colour")
    is_error(send(admin, "PATCH", "/sites/99/limits", {"rate": "5/s"}), 404, "not_found")
    is_error(send(admin, "GET", f"/sites/{2**70}"), 404, "not_found")


def test_who_may_only_read_changes_nothing_and_is_noted() -> None:
    pk, reader = site().pk, with_key(key("read"))
    assert send(reader, "GET", f"/sites/{pk}").status_code == 200
    is_error(send(reader, "PATCH", f"/sites/{pk}/limits", {"rate": "5/s"}), 403, "scope_missing")
    assert AuditEvent.objects.get(is_refused=True).action == "site.limits"
    assert Site.objects.get().rate == ""
    is_error(send(with_key("mw_nobody"), "POST", f"/sites/{pk}/lift"), 401, "key_unknown")


def test_a_session_needs_its_token() -> None:
    pk = site().pk
    User.objects.create_superuser("root", password="x")
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(User.objects.get())
    is_error(send(browser, "PATCH", f"/sites/{pk}/limits", {"rate": "5/s"}), 403, "csrf_failed")


def test_a_domain_is_suspended_resumed_and_limited(admin: Client) -> None:
    site()
    assert send(admin, "POST", "/domains/a.test/suspend", {"reason": "why"}).json()["is_suspended"]
    assert send(admin, "POST", "/domains/a.test/suspend").status_code == 200
    assert not send(admin, "POST", "/domains/a.test/resume").json()["is_suspended"]
    changed = send(admin, "PATCH", "/domains/a.test/limits", {"rate": "10/h", "retry_first": 60})
    assert changed.json()["rate"] == {"value": "10/h", "is_own": True}
    assert send(admin, "GET", "/domains/a.test/limits").json()["retry_first"]["value"] == 60
    is_error(send(admin, "POST", "/domains/nowhere.test/suspend"), 404, "not_found")


def test_a_suspension_is_listed_and_lifted(admin: Client) -> None:
    now = timezone.now()
    row = Suspension.objects.create(
        site=site(), reply_class="blocklisted", reply="554 5.7.1 no", since=now,
        until=now + timedelta(hours=1),
    )  # fmt: skip
    [found] = send(admin, "GET", "/suspensions").json()
    assert (found["source"], found["class"], found["is_over"]) == ("default", "blocklisted", False)
    assert send(admin, "POST", f"/suspensions/{row.pk}/lift").json() == {"n": 0}
    assert send(admin, "GET", "/suspensions").json() == []
    assert send(admin, "GET", "/suspensions?all=true").json()[0]["lifted_by"] == "boss"
    is_error(send(admin, "POST", "/suspensions/99/lift"), 404, "not_found")


def test_sources_pools_and_rules(admin: Client) -> None:
    new = {"name": "a", "address": "127.0.0.9", "ehlo_name": "a.example.com", "warmup_from": "2020-01-01",
           "warmup_until": "2999-01-01", "warmup_first": 2, "warmup_factor": 1.0}  # fmt: skip
    made = send(admin, "POST", "/sources", new)
    assert made.status_code == 201, made.content
    assert made.json()["cap_today"] == 2
    pk = made.json()["id"]
    is_error(send(admin, "POST", "/sources", new), 409, "conflict")
    drained = send(admin, "PATCH", f"/sources/{pk}", {"is_active": False, "reason": "moves"}).json()
    assert (drained["is_active"], drained["drained_reason"]) == (False, "moves")
    assert drained["ehlo_name"] == "a.example.com"
    pool = send(admin, "POST", "/pools", {"name": "p", "members": [{"source": pk, "weight": 2}]})
    assert pool.json()["members"][0]["weight"] == 2
    changed = send(admin, "PATCH", f"/pools/{pool.json()['id']}", {"members": []})
    assert changed.json()["members"] == []
    rule = send(admin, "POST", "/egress-rules", {"kind": "tag", "value": "x", "pool": pool.json()["id"]})
    assert rule.status_code == 201
    assert len(send(admin, "GET", "/egress-rules").json()) == 1
    assert send(admin, "DELETE", f"/egress-rules/{rule.json()['id']}").status_code == 204
    assert [len(send(admin, "GET", path).json()) for path in ("/sources", "/pools")] == [1, 1]


def test_holds(admin: Client) -> None:
    made = send(admin, "POST", "/holds", {"kind": "tag", "value": "x", "reason": "why"})
    assert (made.status_code, made.json()["made_by"]) == (201, "boss")
    is_error(send(admin, "POST", "/holds", {"kind": "tag", "value": "x", "reason": "why"}), 409, "conflict")
    is_error(
        send(admin, "POST", "/holds", {"kind": "tag", "value": "y", "reason": ""}), 422, "invalid", "reason"
    )
    assert len(send(admin, "GET", "/holds").json()) == 1
    assert send(admin, "DELETE", f"/holds/{made.json()['id']}").status_code == 204
    is_error(send(admin, "DELETE", f"/holds/{made.json()['id']}"), 404, "not_found")

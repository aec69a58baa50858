"""The routes that show the queue: summary, deliveries, messages, domains, stats."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from queueapp.models import EVERY_DOMAIN, Minute, RecipientDomain, Runner, Site
from tests.dashboard.api.asking import is_error, key, with_key
from tests.models.rows import attempt, delivery

pytestmark = pytest.mark.django_db


@pytest.fixture
def client() -> Client:
    return with_key(key("read"))


def get(client: Client, path: str, **params: Any) -> Any:
    response = client.get(f"/api/v1{path}", params)
    assert response.status_code == 200, response.content
    return response.json()


def same_time(text: str, at: datetime) -> bool:
    return abs(datetime.fromisoformat(text) - at) < timedelta(milliseconds=1)


# ── Summary ───────────────────────────────────────────────────────────────────────────────────


def test_it_sums_the_queue_up(client: Client) -> None:
    now = timezone.now()
    delivery("a@example.net", state="deferred", next_attempt_at=now - timedelta(minutes=2))
    delivery("b@example.net", state="deferred", next_attempt_at=now + timedelta(minutes=30))
    delivery("c@example.net", state="held")
    Runner.objects.create(
        job="runner-1", machine="m", pid=1, started_at=now, lease_until=now + timedelta(minutes=5)
    )
    told = get(client, "/summary")
    assert (told["depth"]["deferred"], told["depth"]["held"], told["depth"]["queued"]) == (2, 1, 0)
    assert 119 < told["oldest_due_s"] < 180
    assert (told["retries_due_next_hour"], told["workers"]) == (2, 1)
    assert set(told["per_minute"]) == {"accepted", "delivered", "deferred", "bounced", "expired"}


def test_it_sums_up_an_empty_queue(client: Client) -> None:
    told = get(client, "/summary")
    assert set(told["depth"].values()) == {0}
    assert told["oldest_due_s"] is None


# ── Deliveries ────────────────────────────────────────────────────────────────────────────────


def test_it_lists_deliveries_with_their_last_reply(client: Client) -> None:
    row = delivery(
        "bob@example.net",
        state="deferred",
        subject="<b>Hi</b>",
        last_class="greylisted",
        last_code=450,
        last_enhanced="4.7.1",
        last_text="try later",
        last_host="mx.example.net",
    )
    told = get(client, "/deliveries")
    assert (told["count"], told["count_is_exact"], told["next"]) == (1, True, None)
    item = told["items"][0]
    shown = {name: item[name] for name in ("id", "to", "from", "state", "domain", "subject", "class", "code")}
    assert shown == {
        "id": row.pk, "to": "bob@example.net", "from": "ann@example.com", "state": "deferred",
        "domain": "example.net", "subject": "<b>Hi</b>", "class": "greylisted", "code": 450,
    }  # fmt: skip
    assert (item["enhanced"], item["reply"], item["host"]) == ("4.7.1", "try later", "mx.example.net")
    assert same_time(item["accepted_at"], row.accepted_at)


def test_it_pages_by_the_cursor(client: Client) -> None:
    ids = [delivery(f"{n}@example.net").pk for n in range(5)]
    found: list[int] = []
    cursor: str | None = ""
    while cursor is not None:
        told = get(client, "/deliveries", q="state:queued", order="id", limit=2, cursor=cursor)
        found += [item["id"] for item in told["items"]]
        cursor = told["next"]
        assert told["count"] == 5
    assert found == ids


def test_it_needs_a_few_queries_for_a_page(client: Client, django_assert_max_num_queries: Any) -> None:
    for n in range(20):
        delivery(f"{n}@{n}.example")
    get(client, "/deliveries")
    with django_assert_max_num_queries(4):
        assert len(get(client, "/deliveries")["items"]) == 20


def test_it_answers_a_mistake_in_the_search_with_its_place(client: Client) -> None:
    told = is_error(client.get("/api/v1/deliveries", {"q": "state:defered"}), 400, "bad_query", "q")
    assert "unknown state 'defered'" in told["detail"]
    assert (told["position"], told["length"]) == (6, 7)
    assert "deferred" in told["hint"]


@pytest.mark.parametrize("q", ["nope:1", 'subject:"', "age:2h", "a\0b", "x" * 3000, "host:other"])
def test_it_never_guesses_a_search(client: Client, q: str) -> None:
    is_error(client.get("/api/v1/deliveries", {"q": q}), 400, "bad_query", "q")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("limit", "501"),
        ("limit", "0"),
        ("limit", "x"),
        ("order", "subject"),
        ("cursor", "x"),
        ("cursor", "ü"),
    ],
)
def test_it_refuses_wrong_parameters(client: Client, field: str, value: str) -> None:
    is_error(client.get("/api/v1/deliveries", {field: value}), 422, "invalid", field)


def test_it_shows_one_delivery_with_its_attempts(client: Client) -> None:
    row = delivery(state="deferred")
    for text in ("first", "second"):
        attempt(row, text=text, code=451, reply_class="busy", host="mx.example.net", took_ms=12)
    told = get(client, f"/deliveries/{row.pk}")
    assert told["id"] == row.pk
    assert [each["text"] for each in told["attempts"]] == ["first", "second"]
    assert told["attempts"][0]["class"] == "busy"


@pytest.mark.parametrize("path", ["deliveries", "messages"])
@pytest.mark.parametrize("which", ["0", "7", "-1", str(2**63), "9" * 100])
def test_it_says_that_there_is_no_such_row(client: Client, path: str, which: str) -> None:
    is_error(client.get(f"/api/v1/{path}/{which}"), 404, "not_found")


@pytest.mark.parametrize("path", ["deliveries/x", "messages/x", "messages/1e5/raw"])
def test_it_says_that_it_is_no_number(client: Client, path: str) -> None:
    assert client.get(f"/api/v1/{path}").status_code in (404, 422)
    assert client.get(f"/api/v1/{path}").json()["detail"]


# ── Messages ──────────────────────────────────────────────────────────────────────────────────


def test_it_shows_a_message_with_its_deliveries(client: Client) -> None:
    first = delivery("a@example.net", subject="Hi", tags=["spring"], message_id="1@example.com")
    second = delivery("b@example.net", message=first.message, state="held")
    told = get(client, f"/messages/{first.message_id}")
    assert (told["from"], told["subject"], told["tags"]) == ("ann@example.com", "Hi", ["spring"])
    assert told["deliveries"] == [
        {"id": first.pk, "to": "a@example.net", "state": "queued"},
        {"id": second.pk, "to": "b@example.net", "state": "held"},
    ]


def test_it_gives_the_source_byte_for_byte_and_never_to_be_shown(client: Client) -> None:
    content = b"Subject: x\r\nContent-Type: text/html\r\n\r\n<script>alert(1)</script>\xff\r\n"
    row = delivery(content=content)
    response = client.get(f"/api/v1/messages/{row.message_id}/raw")
    assert response.content == content
    assert response["Content-Type"] == "message/rfc822"
    assert response["Content-Disposition"].startswith("attachment;")
    assert response["Content-Security-Policy"].startswith("sandbox")
    assert response["X-Content-Type-Options"] == "nosniff"
    is_error(client.get("/api/v1/messages/999999/raw"), 404, "not_found")


# ── Domains ───────────────────────────────────────────────────────────────────────────────────


def test_it_lists_domains_clogged_first(client: Client) -> None:
    delivery("a@one.example", state="delivered")
    delivery("b@two.example", state="deferred")
    told = get(client, "/domains")
    assert [(item["name"], item["depth"]["deferred"]) for item in told["items"]] == [
        ("two.example", 1),
        ("one.example", 0),
    ]
    assert (told["count"], told["count_is_exact"], told["next"]) == (2, True, None)
    assert [item["name"] for item in get(client, "/domains", q="one")["items"]] == ["one.example"]
    page = get(client, "/domains", order="name", limit=1)
    assert [page["items"][0]["name"], page["next"] is not None] == ["one.example", True]


@pytest.mark.parametrize(("field", "value"), [("order", "depth"), ("limit", "501"), ("cursor", "x")])
def test_it_refuses_wrong_parameters_of_domains(client: Client, field: str, value: str) -> None:
    is_error(client.get("/api/v1/domains", {field: value}), 422, "invalid", field)


def test_it_shows_one_domain_by_state_and_age(client: Client) -> None:
    now = timezone.now()
    for minutes, state in ((1, "queued"), (7, "deferred"), (8, "deferred"), (2000, "held")):
        delivery("a@one.example", state=state, accepted_at=now - timedelta(minutes=minutes))
    delivery("a@one.example", state="delivered", accepted_at=now - timedelta(minutes=1))
    told = get(client, "/domains/ONE.example")
    assert told["depth"]["deferred"] == 2
    ages = {each["under_min"]: each["depth"] for each in told["ages"]}
    assert list(ages) == [5, 10, 20, 40, 80, 160, 320, 640, 1280, None]
    assert (ages[5]["queued"], ages[10]["deferred"], ages[None]["held"]) == (1, 2, 1)
    assert sum(sum(depth.values()) for depth in ages.values()) == 4
    assert told["site"] is None


def test_it_shows_the_site_with_its_back_off_and_the_last_errors(client: Client) -> None:
    now = timezone.now()
    row = delivery(
        "a@one.example", state="deferred", last_class="busy", last_code=421, last_text="go away",
        last_attempt_at=now, last_host="mx.one.example",
    )  # fmt: skip
    delivery("b@one.example", state="deferred")
    site = Site.objects.create(
        key="1", name="one.example", route="mx", hosts=[[10, "mx.one.example"]], backoff_class="busy",
        backoff_reply="421 go away", backoff_since=now, backoff_until=now + timedelta(hours=1),
    )  # fmt: skip
    RecipientDomain.objects.update(site=site, suspended_at=now, suspended_reason="by ann")
    told = get(client, "/domains/one.example")
    assert told["site"]["hosts"] == [[10, "mx.one.example"]]
    assert told["site"]["backoff"]["class"] == "busy"
    assert told["site"]["backoff"]["reply"] == "421 go away"
    assert (told["is_suspended"], told["suspended_reason"]) == (True, "by ann")
    errors = told["last_errors"]
    assert [(each["delivery_id"], each["reply"], each["class"]) for each in errors] == [
        (row.pk, "421 go away", "busy")
    ]
    assert get(client, "/domains")["items"][0]["site"] == "one.example"


@pytest.mark.parametrize("name", ["none.example", "x" * 3000, "%00", "a%2Fb"])
def test_it_says_that_there_is_no_such_domain(client: Client, name: str) -> None:
    is_error(client.get(f"/api/v1/domains/{name}"), 404, "not_found")


# ── Stats ─────────────────────────────────────────────────────────────────────────────────────


def test_it_gives_a_series_with_gaps_filled(client: Client) -> None:
    start = datetime(2026, 1, 1, 12, tzinfo=UTC)
    domain = RecipientDomain.objects.create(name="one.example")
    for minute, n in ((0, 3), (2, 4)):
        at = start + timedelta(minutes=minute)
        Minute.objects.create(at=at, domain_id=EVERY_DOMAIN, n_delivered=n)
        Minute.objects.create(at=at, domain_id=domain.pk, n_delivered=1)
    span = {"from": "2026-01-01T12:00:00Z", "to": "2026-01-01T12:02:59Z"}
    told = get(client, "/stats", metric="delivered", **span)
    assert [point["n"] for point in told["points"]] == [3, 0, 4]
    assert same_time(told["points"][0]["at"], start)
    told = get(client, "/stats", metric="delivered", domain="One.example", step=180, **span)
    assert [point["n"] for point in told["points"]] == [2]


def test_it_gives_the_last_hour_by_default(client: Client) -> None:
    assert 60 <= len(get(client, "/stats", metric="accepted")["points"]) <= 62


@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({}, "metric"),
        ({"metric": "opened"}, "metric"),
        ({"metric": "accepted", "step": 1}, "step"),
        ({"metric": "accepted", "from": "2026-01-01T00:00:00Z", "to": "2026-12-01T00:00:00Z"}, "step"),
        ({"metric": "accepted", "from": "yesterday"}, "from"),
        ({"metric": "accepted", "from": "2026-01-01T00:00:00"}, "from"),
        ({"metric": "accepted", "from": "0001-01-01T00:00:00Z", "to": "0001-01-01T00:00:00Z"}, "from"),
        ({"metric": "accepted", "from": "2026-01-02T00:00:00Z", "to": "2026-01-01T00:00:00Z"}, "from"),
    ],
)
def test_it_refuses_a_wrong_span(client: Client, params: dict[str, Any], field: str) -> None:
    is_error(client.get("/api/v1/stats", params), 422, "invalid", field)


def test_it_knows_no_such_domain_in_stats(client: Client) -> None:
    for name in ("x.example", "\0"):
        is_error(client.get("/api/v1/stats", {"metric": "accepted", "domain": name}), 404, "not_found")


@pytest.mark.parametrize(
    "path", ["summary", "deliveries", "deliveries/1", "messages/1", "messages/1/raw", "domains", "domains/x",
             "stats?metric=accepted"],
)  # fmt: skip
def test_it_shows_nothing_without_the_scope_read(path: str) -> None:
    is_error(Client().get(f"/api/v1/{path}"), 401, "key_missing")
    is_error(with_key(key("submit")).get(f"/api/v1/{path}"), 403, "scope_missing")

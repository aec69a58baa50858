"""What holds for every address: errors of one shape, the description, the health checks."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import OperationalError
from django.test import Client
from ninja import Schema

from dashboard.api.root import api
from queueapp import conf, events
from tests.dashboard.api.asking import is_error, key, with_key
from tests.valkey import ValkeyServer

pytestmark = pytest.mark.django_db


# ── One shape for errors ──────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "path", ["/api/v1/nothing", "/api/", "/api/v2/messages", "/api/v1/", "/api/v1/docs/x"]
)
@pytest.mark.parametrize("method", ["get", "post", "delete"])
def test_it_answers_unknown_addresses_in_the_shape_of_errors(path: str, method: str) -> None:
    is_error(getattr(Client(enforce_csrf_checks=True), method)(path), 404, "not_found")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [("get", "messages", "POST"), ("delete", "deliveries", "GET"), ("put", "messages/1", "GET")],
)
def test_it_answers_a_wrong_method_with_those_that_are_right(method: str, path: str, allowed: str) -> None:
    response = getattr(Client(), method)(f"/api/v1/{path}")
    is_error(response, 405, "method_not_allowed")
    assert response["Allow"] == allowed


def test_it_tells_a_defect_of_ours_without_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    from dashboard.api import summary

    def broken() -> Any:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(summary.stats, "depth", broken)
    told = is_error(with_key(key("read")).get("/api/v1/summary"), 500, "server_error")
    assert "secret" not in str(told)


def test_it_tells_that_the_database_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    from dashboard.api import summary

    def away() -> Any:
        raise OperationalError("connection to 192.0.2.1 refused")

    monkeypatch.setattr(summary.stats, "depth", away)
    response = with_key(key("read")).get("/api/v1/summary")
    told = is_error(response, 503, "database_away")
    assert "192.0.2.1" not in str(told)
    assert response["Retry-After"]


# ── The description ───────────────────────────────────────────────────────────────────────────


def test_it_describes_every_route_with_its_scope_and_errors() -> None:
    schema = Client().get("/api/v1/openapi.json").json()
    paths = set(schema["paths"])
    assert {
        "/api/v1/messages", "/api/v1/messages/{message_id}", "/api/v1/messages/{message_id}/raw",
        "/api/v1/summary", "/api/v1/deliveries", "/api/v1/deliveries/{delivery_id}", "/api/v1/domains",
        "/api/v1/domains/{name}", "/api/v1/stats",
    } <= paths  # fmt: skip
    for path, methods in schema["paths"].items():
        for method, operation in methods.items():
            assert operation["security"], (path, method)
            assert {"401", "403"} <= set(operation["responses"]), (path, method)
            assert operation["description"], (path, method)


def test_it_describes_both_bodies_of_a_message() -> None:
    schema = Client().get("/api/v1/openapi.json").json()
    bodies = schema["paths"]["/api/v1/messages"]["post"]["requestBody"]["content"]
    assert set(bodies) == {"application/json", "message/rfc822"}
    fields = bodies["application/json"]["schema"]["properties"]
    assert {"from", "to", "cc", "bcc", "subject", "attachments", "idempotency_key"} <= set(fields)


def test_no_two_schemas_have_one_name() -> None:
    """The description knows schemas by name alone: of two it would show one, in both places."""
    modules: dict[str, set[str]] = {}
    todo = Schema.__subclasses__()
    while todo:
        each = todo.pop()
        todo += each.__subclasses__()
        if each.__module__.startswith("dashboard."):
            modules.setdefault(each.__name__, set()).add(each.__module__)
    assert len(modules) > 50
    assert {name: places for name, places in modules.items() if len(places) > 1} == {}


def test_it_describes_what_a_submission_answers() -> None:
    schemas = Client().get("/api/v1/openapi.json").json()["components"]["schemas"]
    assert set(schemas["StoredOut"]["properties"]) == {"id", "to", "state"}
    assert "n_attempts" in schemas["DeliveryOut"]["properties"]


def test_it_shows_the_description_on_a_page_without_scripts_of_its_own() -> None:
    user = get_user_model().objects.create_user("vera", password="correct-horse")
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    response = client.get("/api/v1/docs")
    assert response.status_code == 200
    page = response.content.decode()
    for path in api.get_openapi_schema(path_prefix="/api/v1/")["paths"]:
        assert path in page
    for word in ("idempotency_key", "Idempotency-Key", "attachments", "reply", "under_min"):
        assert word in page
    assert "cdn" not in page
    assert "style=" not in page
    assert "default-src 'none'" in response["Content-Security-Policy"]


def test_it_asks_for_a_log_in_first() -> None:
    assert Client().get("/api/v1/docs").status_code == 302


# ── Health ────────────────────────────────────────────────────────────────────────────────────


def test_it_is_alive() -> None:
    assert Client().get("/livez").json() == {"alive": True}
    assert Client().head("/livez").status_code == 200
    assert Client().post("/livez").status_code == 405


def test_it_is_ready_when_database_and_redis_answer(valkey: ValkeyServer) -> None:
    response = Client().get("/readyz")
    assert response.status_code == 200
    assert response.json() == {"ready": True, "database": "ok", "redis": "ok"}


def test_it_is_not_ready_while_redis_is_away(tmp_path: Any) -> None:
    with conf.override(redis_url=f"unix://{tmp_path}/no.sock"):
        assert events.redis()
        response = Client().get("/readyz")
    assert response.status_code == 503
    assert response.json() == {"ready": False, "database": "ok", "redis": "away"}

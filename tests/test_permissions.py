"""Every role against every page, route of the API, socket and command: docs/permissions.md says what is
allowed, this walks all of it. What is found in the code and not in the document fails, and so does what
answers otherwise than it says; every refusal of somebody who is known must be in the audit.
"""

from __future__ import annotations

import asyncio
import functools
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from docs import permissions
from docs.permissions import Way
from queueapp import conf
from queueapp.access import refusals
from queueapp.access.roles import ROLES
from queueapp.models import AuditEvent
from tests.dashboard.live import a_dashboard
from tests.dashboard.people import a_person, logged_in
from tests.docs.pages import page

pytestmark = [pytest.mark.once, pytest.mark.django_db, pytest.mark.usefixtures("valkey")]
DOCUMENT = page("docs/permissions.md")
_BEGIN, _END = "<!-- begin: made by docs/permissions.py -->\n", "<!-- end -->"
# An address of ours, for each kind of part that an address has.
_PARTS = {
    "uidb64": "MQ", "token": "x-y", "slug:handle": "abc",
}  # fmt: skip


@pytest.fixture(autouse=True)
def _forget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refusals, "MOST", 10_000)
    refusals.forget()


def filled(route: str) -> str:
    def part(found: re.Match[str]) -> str:
        name = found[1]
        return _PARTS.get(name, "99" if name.endswith(("_id", ":pk", ":number")) else "example.com")

    return re.sub(r"[<{]([^>}]+)[>}]", part, route)


def body_of(way: Way) -> bytes:
    """The least that the schema takes, so that it is the action that answers, and not the form."""
    schema = _schema()
    operation = schema["paths"][way.route][way.method.lower()]
    content = operation.get("requestBody", {}).get("content", {}).get("application/json")
    return json.dumps(least(content["schema"], schema["components"]["schemas"])).encode() if content else b""


@functools.cache
def _schema() -> dict[str, Any]:
    from dashboard.api.root import api

    return dict(api.get_openapi_schema(path_prefix=""))


def least(schema: dict[str, Any], known: dict[str, Any]) -> Any:
    if "$ref" in schema:
        return least(known[schema["$ref"].rpartition("/")[2]], known)
    if "anyOf" in schema:
        return least(schema["anyOf"][0], known)
    if "enum" in schema:
        return schema["enum"][0]
    if schema.get("format") == "date-time":
        return "2100-01-01T00:00:00Z"
    kind = schema.get("type", "object")
    if kind == "object":
        given = schema.get("properties", {})
        return {name: least(given[name], known) for name in schema.get("required", []) if name in given}
    plain = {"string": "x", "integer": 1, "number": 1, "boolean": True, "array": [], "null": None}
    return plain[kind]


def ask_page(client: Client, way: Way) -> int:
    """The status; a page that is for forms alone gets an empty one."""
    answer = client.get(filled(way.route))
    return client.post(filled(way.route)).status_code if answer.status_code == 405 else answer.status_code


def ask_api(client: Client, way: Way) -> int:
    url = f"/api/v1{filled(way.route)}"
    return client.generic(way.method, url, body_of(way), content_type="application/json").status_code


def walked(client: Client, role: str) -> Iterator[tuple[Way, int, bool]]:
    """Each way with the status, and whether it should be open."""
    for way in permissions.pages():
        if way.route not in ("/logout", "/account/sessions/end-others"):  # they end the walk
            yield way, ask_page(client, way), permissions.may(role, way.needs)
    for way in permissions.operations():
        yield way, ask_api(client, way), permissions.may(role, way.needs)


@pytest.mark.parametrize("role", ROLES)
def test_the_role_may_what_the_table_says_and_no_more(role: str) -> None:
    client = logged_in(a_person("vera", role), raise_request_exception=False)
    wrong, n_refused = [], 0
    for way, status, is_open in walked(client, role):
        n_refused += status == 403
        if is_open is (status in (401, 403)) or status >= 500:
            wrong.append((way.method, way.route, way.needs, status))
    assert not wrong, f"{role}: {wrong}"
    refused = AuditEvent.objects.filter(actor="user:vera", is_refused=True, detail__has_key="needs")
    assert refused.count() == n_refused
    assert (n_refused == 0) is (role == "administrator")


def test_a_stranger_may_nothing() -> None:
    client = Client(raise_request_exception=False)
    for way in permissions.pages():
        answer = client.get(filled(way.route))
        if way.needs != "public":
            assert answer.status_code == 302, way
            assert answer["Location"].startswith("/login?"), way
        assert answer.status_code < 500, way
    for way in permissions.operations():
        assert ask_api(client, way) == 401, way


def test_a_single_permission_opens_what_it_names_and_no_more() -> None:
    client = logged_in(a_person("vera", "viewer", "bodies"), raise_request_exception=False)
    asked = [(ask_page, way) for way in permissions.pages()] + [
        (ask_api, way) for way in permissions.operations()
    ]
    for ask, way in asked:
        if way.needs in ("bodies", "admin"):  # the rest is the viewer's, and walked above
            assert (ask(client, way) == 403) is (way.needs == "admin"), way


def test_the_document_has_every_way_in_and_none_is_made_up() -> None:
    told = DOCUMENT.text.partition(_BEGIN)[2].partition(_END)[0]
    assert told.strip() == permissions.tables().strip(), "renew it: .venv/bin/python -m docs.permissions"


def test_the_document_has_every_role() -> None:
    rows = {row[0]: row[1:] for row in DOCUMENT.rows("Role")}
    assert rows == {
        f"{role.title} ({role.name})": [_scopes(role.scopes), role.sentence] for role in ROLES.values()
    }


def _scopes(scopes: frozenset[str]) -> str:
    from queueapp.models import SCOPES

    return "all" if scopes == frozenset(SCOPES) else ", ".join(each for each in SCOPES if each in scopes)


def test_the_names_of_roles_are_those_of_the_setting() -> None:
    assert set(conf.ROLES) == set(ROLES)


# ── The socket ────────────────────────────────────────────────────────────────────────────────


async def _close_code(address: str, cookie: str) -> int:
    """0 where figures come."""
    async with connect(
        f"ws://{address}/ws/live", origin=f"http://{address}", additional_headers={"Cookie": cookie}
    ) as live:
        try:
            await asyncio.wait_for(live.recv(), 30)
        except ConnectionClosed as closed:
            return closed.rcvd.code if closed.rcvd else -1
    return 0


@pytest.mark.django_db(transaction=True)
def test_the_socket_is_for_who_may_read() -> None:
    people = {role: logged_in(a_person(role[:3], role)) for role in ROLES}
    cookies = {
        role: f"mailweir_session={client.cookies['mailweir_session'].value}"
        for role, client in people.items()
    }
    with a_dashboard() as address, conf.override(totp_for=("campaigns",)):
        told = {role: asyncio.run(_close_code(address, cookie)) for role, cookie in cookies.items()}
        assert told == {"viewer": 0, "campaigns": 4403, "operator": 0, "administrator": 0}
        assert asyncio.run(_close_code(address, "mailweir_session=none")) == 4401
    event = AuditEvent.objects.get(is_refused=True)
    assert (event.actor, event.action, event.target) == ("user:cam", "socket.open", "/ws/live")


@pytest.mark.django_db(transaction=True)
def test_a_strangers_page_that_opens_the_socket_is_noted() -> None:
    from websockets.exceptions import InvalidStatus

    cookie = f"mailweir_session={logged_in(a_person()).cookies['mailweir_session'].value}"

    async def main(address: str) -> None:
        with pytest.raises(InvalidStatus):
            async with connect(
                f"ws://{address}/ws/live",
                origin="http://evil.example",  # type: ignore[arg-type]
                additional_headers={"Cookie": cookie},
            ):
                pass

    with a_dashboard() as address:
        asyncio.run(main(address))
    event = AuditEvent.objects.get()
    assert (event.actor, event.action, event.is_refused) == ("user:vera", "socket.open", True)
    assert event.detail == {"why": "foreign origin", "origin": "http://evil.example"}

"""docs/api.md is what the API does: its routes, the fields of a message, its errors, its search grammar."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from typing import Any

import pytest

from dashboard.api import urls
from dashboard.api.errors import _CODES
from dashboard.api.message_in import AttachmentIn, MessageIn
from dashboard.api.root import api
from dashboard.api.submit import AcceptedOut
from dashboard.filters import ORDERS
from queueapp.grammar import KEYS, GrammarError, parse
from queueapp.models import SCOPES, Delivery
from tests.docs.pages import ROOT, page

DOCUMENT = page("docs/api.md")
GRAMMAR = list(DOCUMENT.rows("Key"))


def _routes() -> set[tuple[str, str]]:
    paths = api.get_openapi_schema(path_prefix="/api/v1/")["paths"]
    return {(method.upper(), path) for path, methods in paths.items() for method in methods}


def test_every_route_is_there_and_none_is_made_up() -> None:
    told = {(row[0], f"/api/v1{row[1]}") for row in DOCUMENT.rows("Method")}
    assert told == _routes()


def test_every_scope_of_a_route_is_right() -> None:
    views = {(method, f"/api/v1{path}"): operation for method, path, operation in _operations()}
    for method, path, scope, *_ in DOCUMENT.rows("Method"):
        assert views[method, f"/api/v1{path}"].auth_callbacks[0].scope == scope


def _operations() -> Iterator[tuple[str, str, Any]]:
    for prefix, router in api._routers:
        for path, view in router.path_operations.items():
            for operation in view.operations:
                for method in operation.methods:
                    yield method, f"{prefix}{path}".replace("int:", ""), operation


def test_the_addresses_at_the_root_are_there() -> None:
    patterns: list[Any] = list(urls.urlpatterns)
    plain = {str(pattern.pattern) for pattern in patterns if getattr(pattern, "name", None)}
    told = DOCUMENT.section("Health and metrics") + DOCUMENT.section("Who may ask")
    assert [path for path in plain if f"/{path}" not in told] == []


def test_every_field_of_a_message_is_there() -> None:
    fields = {info.alias or name for name, info in MessageIn.model_fields.items()}
    rows = {row[0] for row in DOCUMENT.rows("Field")}
    assert rows == fields
    for name in AttachmentIn.model_fields:
        assert f"`{name}`" in DOCUMENT.section("POST /messages")


def test_every_error_is_there_and_none_is_made_up() -> None:
    assert {row[0] for row in DOCUMENT.rows("error")} == {*_CODES.values(), *_error_codes()} | {"refused"}


def _error_codes() -> Iterator[str]:
    """The second argument of each `ApiError(…)` and `answer(…)` in the API's sources."""
    for path in (ROOT / "dashboard/api").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("ApiError", "answer"):
                code = node.args[1]
                if isinstance(code, ast.Constant):
                    yield str(code.value)


def test_scopes_and_orders_are_there() -> None:
    assert {row[0] for row in DOCUMENT.rows("Scope")} == set(SCOPES)
    assert all(f"`{order}`" in DOCUMENT.text for order in ORDERS)


def test_the_answer_to_a_message_is_shown_as_it_is() -> None:
    shown = next(
        block for block in DOCUMENT.blocks if block.language == "json" and '"deliveries"' in block.text
    )
    AcceptedOut.model_validate(json.loads(shown.text))


def test_every_key_of_the_grammar_is_there() -> None:
    assert [row[0] for row in GRAMMAR if row[0] != "word"] == list(KEYS)


@pytest.mark.parametrize("row", GRAMMAR, ids=lambda row: row[0])
def test_its_examples_parse(row: list[str], db: None) -> None:
    assert row[1], "every key has an example"
    for example in row[1].split(" , "):
        query = parse(example)
        assert query.terms[0].key == row[0]
        if "not yet" in row[2]:
            with pytest.raises(GrammarError):
                Delivery.objects.matching(example)
        else:
            assert not Delivery.objects.matching(example).exists()


@pytest.mark.parametrize("row", list(DOCUMENT.rows("Search")), ids=lambda row: row[0])
def test_whole_searches_parse(row: list[str], db: None) -> None:
    assert not Delivery.objects.matching(row[0]).exists()

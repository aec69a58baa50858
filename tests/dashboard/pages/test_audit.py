"""The audit to read: page, API and files say the same, search, and never hand out a formula."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest
from django.test import Client

from queueapp.access import audit_log, refusals
from queueapp.models import AuditEvent
from tests.dashboard.api.asking import is_error, key, with_key
from tests.dashboard.people import as_role
from tests.dashboard.rows import HOSTILE

pytestmark = pytest.mark.django_db
EXPORT = "/audit/export"


@pytest.fixture
def admin() -> Client:
    refusals.forget()
    return as_role("administrator", name="root")


def event(
    actor: str = "user:ann", action: str = "hold.create", target: str = "tag x", **values: Any
) -> AuditEvent:
    return AuditEvent.objects.create(actor=actor, action=action, target=target, **{"n": 1, **values})


def text_of(answer: Any) -> str:
    return b"".join(answer).decode()


def api(client: Client, query: str = "") -> list[dict[str, Any]]:
    return list(client.get(f"/api/v1/audit{query}").json()["items"])


def test_it_shows_who_did_what_why_and_how_it_went(admin: Client) -> None:
    event(
        origin="192.0.2.7", n=12431, detail={"q": "domain:a.test", "reason": "too much", "before": {"a": 1}}
    )
    event("boss", "site.limits", "example.net", n=0, is_refused=True, detail={"needs": "admin"})
    page = admin.get("/audit").text
    for text in ("user:ann", "from 192.0.2.7", "hold.create", "12,431", "domain:a.test", "too much", "boss"):
        assert text in page
    assert "needs admin" in page
    assert "{&quot;a&quot;: 1}" in page


@pytest.mark.parametrize(
    ("query", "n"),
    [
        ("who=ann", 2), ("who=user:ann", 1), ("who=an", 0), ("action=hold", 2), ("action=hold.create", 1),
        ("target=TAG", 2), ("refused=yes", 1), ("refused=no", 3), ("who=ann&action=hold.delete", 1),
        ("from=2026-01-01&to=2026-01-31", 0), ("from=2000-01-01", 4), ("to=2000-01-01T00:00Z", 0),
        ("who=%27%25_", 0),
    ],
)  # fmt: skip
def test_page_api_and_file_find_the_same(admin: Client, query: str, n: int) -> None:
    event()
    event("command:ann", "hold.delete")
    event("shop", "apikey.create", "other")
    event("shop", "holding.create", "other", is_refused=True)
    assert len(api(admin, f"?{query}")) == n
    assert admin.get(f"/audit?{query}").text.count('<th scope="row"') == n
    assert len(text_of(admin.get(f"{EXPORT}?form=jsonl&{query}")).splitlines()) == n


@pytest.mark.parametrize(
    ("query", "field"),
    [("from=yesterday", "from"), ("to=2026-13-45", "to"), ("refused=maybe", "refused"), ("limit=0", "limit"),
     ("limit=501", "limit"), ("cursor=x", "cursor"), ("who=%00", "who"), ("target=" + "x" * 256, "target")],
)  # fmt: skip
def test_it_says_what_is_wrong_and_where(admin: Client, query: str, field: str) -> None:
    is_error(admin.get(f"/api/v1/audit?{query}"), 422, "invalid", field)
    page = admin.get(f"/audit?{query}")
    assert page.status_code == 422
    assert 'role="alert"' in page.text


def test_it_comes_in_pages_that_nothing_new_disturbs(admin: Client) -> None:
    ids = [event(target=str(n)).pk for n in range(5)]
    first = admin.get("/api/v1/audit?limit=2").json()
    event(target="new")
    second = admin.get(f"/api/v1/audit?limit=2&cursor={first['next']}").json()
    third = admin.get(f"/api/v1/audit?limit=2&cursor={second['next']}").json()
    assert [each["id"] for part in (first, second, third) for each in part["items"]] == ids[::-1]
    assert (first["count"], first["count_is_exact"], third["next"]) == (5, True, None)


def test_a_page_asks_no_more_queries_for_more_rows(admin: Client, django_assert_num_queries: Any) -> None:
    for n in range(120):
        event(target=str(n))
    admin.get("/audit")
    with django_assert_num_queries(4):  # session, user, rows, count
        page = admin.get("/audit").text
    assert page.count('<th scope="row"') == 50
    assert "Older" in page


def test_a_file_has_every_row_and_opens_without_formulas(
    admin: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_log, "CHUNK", 2)
    targets = ["=HYPERLINK(1)", "+1", "-1", "@SUM(A1)", "\tx", 'plain, with "quotes"\nand lines', HOSTILE]
    for target in targets:
        event(target=target)
    answer = admin.get(EXPORT)
    assert answer["Content-Type"].startswith("text/csv")
    assert answer["Content-Disposition"].startswith("attachment; filename=")
    rows = list(csv.DictReader(io.StringIO(text_of(answer), newline="")))
    assert [row["target"] for row in rows] == [
        f"'{each}" if each[0] in "=+-@\t" else each for each in reversed(targets)
    ]
    assert list(rows[0]) == list(audit_log.COLUMNS)
    assert not any(value.startswith(("=", "+", "-", "@")) for row in rows for value in row.values())


def test_an_export_is_in_the_audit_and_not_in_itself(admin: Client) -> None:
    event()
    lines = [json.loads(line) for line in text_of(admin.get(f"{EXPORT}?form=jsonl")).splitlines()]
    assert [line["action"] for line in lines] == ["hold.create"]
    assert AuditEvent.objects.get(action="audit.export").actor == "user:root"


def test_it_refuses_a_form_that_it_does_not_know(admin: Client) -> None:
    answer = admin.get(f"{EXPORT}?form=xls")
    assert (answer.status_code, answer.text) == (422, "form 'xls' is neither csv nor jsonl\n")


@pytest.mark.parametrize("role", ["viewer", "campaigns", "operator"])
@pytest.mark.parametrize("path", ["/audit", EXPORT, "/api/v1/audit"])
def test_only_administrators_read_it(role: str, path: str) -> None:
    refusals.forget()
    assert as_role(role).get(path).status_code == 403
    assert AuditEvent.objects.get().is_refused


def test_a_key_reads_it_with_admin_only() -> None:
    event()
    assert len(api(with_key(key("admin", name="boss")))) == 2
    is_error(with_key(key("operate", name="op")).get("/api/v1/audit"), 403, "scope_missing")


def test_hostile_text_stays_text(admin: Client) -> None:
    event(HOSTILE, "hold.create", HOSTILE, detail={HOSTILE: HOSTILE, "reason": HOSTILE, "q": HOSTILE})
    page = admin.get("/audit").text
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page


def test_it_teaches_where_nothing_matches(admin: Client) -> None:
    assert "No row matches" in admin.get("/audit?who=nobody").text
    assert "Each change by a person" in admin.get("/audit").text

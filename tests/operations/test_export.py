from __future__ import annotations

import csv
import io
import json
import zipfile
from typing import Any

import pytest
from django.test import Client

from queueapp.models import AuditEvent, Delivery
from queueapp.operations import export
from tests.dashboard.api.asking import is_error, key, with_key
from tests.models.rows import delivery

pytestmark = pytest.mark.django_db
EVIL = ("=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1")


@pytest.fixture
def client() -> Client:
    return with_key(key("read"))


def get(client: Client, **asked: Any) -> tuple[Any, bytes]:
    response = client.get("/api/v1/export", asked)
    return response, b"".join(response) if response.streaming else response.content


def table(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode(), newline="")))


@pytest.mark.filterwarnings("ignore:StreamingHttpResponse must consume asynchronous")
class TestExport:
    def test_a_table(self, client: Client) -> None:
        row = delivery("a@x.test", subject="Hello, Ann", state="deferred", last_text="later\r\nplease")
        delivery("b@y.test")
        response, content = get(client, q="domain:x.test")
        assert response["Content-Type"] == "text/csv; charset=utf-8"
        assert "attachment; filename=" in response["Content-Disposition"]
        (told,) = table(content)
        assert (told["id"], told["to"], told["subject"]) == (str(row.pk), "a@x.test", "Hello, Ann")
        assert told["reply"] == "later\r\nplease"
        audit = AuditEvent.objects.get(action="export")
        assert (audit.actor, audit.detail) == ("shop", {"q": "domain:x.test", "format": "csv"})

    def test_a_table_opens_without_formulas(self, client: Client) -> None:
        for text in EVIL:
            delivery("a@x.test", subject=text, last_text=text, hold_reason=text, sender=f"{text}@example.com")
        for told in table(get(client)[1]):
            for name in ("subject", "reply", "hold_reason", "from"):
                assert told[name].startswith("'"), told
            assert told["id"].isdigit()

    def test_json_lines(self, client: Client) -> None:
        row = delivery("a@x.test", subject="日本=1")
        (told,) = map(json.loads, get(client, format="jsonl")[1].splitlines())
        assert (told["id"], told["subject"], told["finished_at"]) == (row.pk, "日本=1", None)

    def test_mails_in_a_zip_each_once(self, client: Client) -> None:
        content = b"Subject: x\r\n\r\n" + bytes(range(256)) * 50
        first = delivery("a@x.test", content=content)
        delivery("b@x.test", message=first.message)
        delivery("c@y.test")
        response, told = get(client, q="domain:x.test", format="eml")
        assert response["Content-Type"] == "application/zip"
        with zipfile.ZipFile(io.BytesIO(told)) as archive:
            assert archive.testzip() is None
            assert archive.namelist() == [f"{first.message_id}.eml"]
            assert archive.read(archive.namelist()[0]) == content

    def test_it_refuses(self, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
        delivery("a@x.test")
        delivery("b@x.test")
        is_error(client.get("/api/v1/export", {"q": "stat:x"}), 400, "bad_query", "q")
        is_error(client.get("/api/v1/export", {"format": "doc"}), 422, "invalid", "format")
        is_error(with_key(key("submit", name="s")).get("/api/v1/export"), 403, "scope_missing")
        monkeypatch.setattr(export, "MOST_MAILS", 1)
        is_error(client.get("/api/v1/export", {"format": "eml"}), 422, "too_many_mails", "format")
        assert AuditEvent.objects.filter(action="export", is_refused=False).count() == 0


def test_pages_are_joined_without_a_gap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "_ROWS", 3)
    ids = [delivery(f"{i}@x.test").pk for i in range(7)]
    pages = [[row.pk for row in some] for some in export.rows_of(Delivery.objects.all())]
    assert [len(some) for some in pages] == [3, 3, 1]
    assert sum(pages, []) == ids[::-1]

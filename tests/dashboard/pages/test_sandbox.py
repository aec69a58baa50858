from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.test import Client

from queueapp import conf
from queueapp.sandbox.schema import FILE_NAME
from queueapp.sandbox.store import Store, Taken
from tests.dashboard.rows import HOSTILE

pytestmark = pytest.mark.django_db

HTML = (
    b"Subject: Hello\r\nMIME-Version: 1.0\r\nContent-Type: text/html\r\n\r\n"
    b"<p>Hi</p><script>alert(1)</script>\r\n"
)


@pytest.fixture(autouse=True)
def _home(tmp_path: Path) -> Iterator[None]:
    with conf.override(home=tmp_path):
        yield


def keep(
    content: bytes = HTML, n: int = 1, sender: str = "a@example.org", recipient: str = "ok@example.com"
) -> None:
    async def main() -> None:
        store = Store(conf.current().home / FILE_NAME)
        mail = Taken(
            1_763_800_000.0, sender, (recipient,), ("ok",), content, "127.0.0.1", "helo.example", "TLSv1.3"
        )
        await asyncio.gather(*[store.keep(mail, int) for _ in range(n)])
        store.close()

    asyncio.run(main())


def test_it_works(admin_client: Client) -> None:
    keep()
    page = admin_client.get("/sandbox").text
    for text in ("Hello", "a@example.org", "ok@example.com", "<strong>1</strong> mail "):
        assert text in page


def test_it_shows_one_mail(admin_client: Client) -> None:
    keep()
    page = admin_client.get("/sandbox/1").text
    for text in ("Hello", "a@example.org", "ok@example.com", "helo.example", "TLSv1.3"):
        assert text in page
    assert '<iframe class="mail-html" sandbox src="/sandbox/1/html"' in page


def test_it_shows_html_locked_up(admin_client: Client) -> None:
    keep()
    answer = admin_client.get("/sandbox/1/html")
    assert "sandbox" in answer["Content-Security-Policy"]
    assert "script" not in answer["Content-Security-Policy"]
    assert "<p>Hi</p>" in answer.text


def test_it_gives_the_source_byte_for_byte(admin_client: Client) -> None:
    keep(b"Subject: x\r\n\r\n\xff\x00\r\n")
    assert admin_client.get("/sandbox/1/eml").content == b"Subject: x\r\n\r\n\xff\x00\r\n"
    assert admin_client.get("/sandbox/1/source")["Content-Type"].startswith("text/plain")


def test_it_turns_pages(admin_client: Client) -> None:
    keep(n=60)
    first = admin_client.get("/sandbox").text
    assert "/sandbox/60" in first
    assert "before=11" in first
    second = admin_client.get("/sandbox", {"before": "11"}).text
    assert "/sandbox/10" in second
    assert "/sandbox/11" not in second


def test_it_finds_mail(admin_client: Client) -> None:
    keep(sender="first@example.org")
    keep(sender="second@example.org")
    page = admin_client.get("/sandbox", {"q": "second@"}).text
    assert "second@example.org" in page
    assert "first@example.org" not in page
    assert "No mail matches" in admin_client.get("/sandbox", {"q": "third@"}).text


def test_it_teaches_while_it_is_empty(admin_client: Client) -> None:
    assert "The sandbox is empty" in admin_client.get("/sandbox").text


@pytest.mark.parametrize("before", ["x", "-1", "9" * 40, "\0"])
def test_it_ignores_a_number_that_is_none(admin_client: Client, before: str) -> None:
    keep()
    assert "a@example.org" in admin_client.get("/sandbox", {"before": before}).text


def test_it_escapes_what_strangers_write(admin_client: Client) -> None:
    keep(f"Subject: {HOSTILE}\r\nX-Evil: {HOSTILE}\r\n\r\n{HOSTILE}\r\n".encode(), 1, HOSTILE, HOSTILE)
    for path in ("/sandbox", "/sandbox/1"):
        page = admin_client.get(path).text
        assert "<script>alert" not in page
        assert "<img src=x" not in page

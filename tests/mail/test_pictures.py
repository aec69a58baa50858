"""Pictures of the mail itself in its HTML: those that are some go in, all else stays out."""

from __future__ import annotations

import struct
import time
from base64 import b64encode
from email.message import EmailMessage

import pytest

from queueapp.mail import pictures
from queueapp.mail.pictures import kind_of, with_pictures

pytestmark = pytest.mark.once


def png(width: int = 1, height: int = 1, more: bytes = b"") -> bytes:
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", width, height) + more


def gif(width: int = 1, height: int = 1) -> bytes:
    return b"GIF89a" + struct.pack("<HH", width, height)


def jpeg(width: int = 1, height: int = 1) -> bytes:
    start = b"\xff\xd8\xff\xe0\x00\x04ab"
    return start + b"\xff\xc0" + struct.pack(">HBHH", 17, 8, height, width)


def mail(*parts: tuple[str, bytes, str]) -> bytes:
    """Of (Content-ID, content, subtype of image)."""
    made = EmailMessage()
    made["Subject"] = "x"
    made.set_content("<p>x</p>", subtype="html")
    for name, content, subtype in parts:
        made.add_related(content, "image", subtype, cid=f"<{name}>")
    return made.as_bytes()


def data(content: bytes, kind: str) -> str:
    return f"data:{kind};base64,{b64encode(content).decode()}"


@pytest.mark.parametrize(
    "html",
    ['<img src="cid:{}">', "<IMG SRC = 'cid:{}'>", "<img src=cid:{}>", '<td background="CID:{}">',
     '<p style="background:url(cid:{})">', "<style>p{{background:url( 'cid:{}' )}}</style>"],
)  # fmt: skip
def test_it_works(html: str) -> None:
    raw = mail(("logo@x.test", png(), "png"), ("other@x.test", gif(), "gif"))
    found = with_pictures(html.format("logo@x.test"), raw)
    assert data(png(), "image/png") in found
    assert "cid:" not in found.lower()


def test_an_id_may_be_written_as_an_address_demands() -> None:
    raw = mail(("a b%&@x.test", png(), "png"))
    assert "data:image/png" in with_pictures('<img src="cid:a%20b%25%26@x.test">', raw)
    assert "data:image/png" in with_pictures('<img src="cid:a%20b%25&amp;@x.test">', raw)


@pytest.mark.parametrize(
    ("content", "subtype"),
    [
        (b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>', "svg+xml"),
        (b"<html><script>alert(1)</script>", "png"),
        (b"", "png"),
        (png()[:18], "png"),
        (png(100_000, 1), "png"),
        (png(10_000, 10_000), "png"),
        (png(0, 1), "png"),
        (jpeg(60_000, 60_000), "jpeg"),
        (b"\xff\xd8\xff" + b"\x00" * 50, "jpeg"),
        (gif(65_000, 65_000), "gif"),
    ],
)
def test_what_is_no_picture_to_be_shown_stays_out(content: bytes, subtype: str) -> None:
    html = '<img src="cid:a@x.test" alt="A">'
    assert with_pictures(html, mail(("a@x.test", content, subtype))) == html


def test_the_type_is_what_it_is_and_not_what_it_is_called() -> None:
    found = with_pictures('<img src="cid:a@x.test">', mail(("a@x.test", jpeg(3, 2), "svg+xml")))
    assert data(jpeg(3, 2), "image/jpeg") in found
    assert [kind_of(each) for each in (png(9, 9), jpeg(9, 9), gif(9, 9))] == [
        "image/png", "image/jpeg", "image/gif",
    ]  # fmt: skip


def test_only_where_a_picture_is_shown_and_only_of_this_mail() -> None:
    raw = mail(("a@x.test", png(), "png"))
    for html in (
        '<a title="cid:a@x.test">',
        "cid:a@x.test",
        '<img src="cid:b@x.test">',
        '<img data-src="cid:a@x.test">',
    ):
        assert with_pictures(html, raw) == html


def test_all_together_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "MOST", 1000)
    monkeypatch.setattr(pictures, "MOST_TOTAL", 5000)
    big, small = png(more=b"x" * 2000), png(more=b"x" * 500)
    raw = mail(("big@x.test", big, "png"), ("small@x.test", small, "png"))
    found = with_pictures('<img src="cid:big@x.test">' + '<img src="cid:small@x.test">' * 20, raw)
    assert "cid:big@x.test" in found
    assert 1 < found.count("data:") < 10
    assert len(found) < 7000


def test_hostile_html_takes_no_longer_than_its_length() -> None:
    raw = mail(("a@x.test", png(), "png"))
    began = time.monotonic()
    for text in ("src=" + " " * 500_000, "url(" * 125_000, 'src="cid:' * 50_000, "src=cid:" + "a" * 500_000):
        with_pictures(text, raw)
    assert time.monotonic() - began < 20  # seconds; a search that goes back and forth takes hours

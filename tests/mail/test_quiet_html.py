from __future__ import annotations

import time
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from queueapp.mail.quiet_html import without_ways_out

LEADS_OUT = {"iframe", "frame", "frameset", "object", "embed", "applet", "link", "meta", "base", "portal"}


class Seen(HTMLParser):
    """What a parser makes of it."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs


def test_it_leaves_the_mail_as_it_looks() -> None:
    html = '<table bgcolor="#eee"><tr><td style="color:red"><b>Hello</b> &amp; welcome</td></tr></table>'
    assert without_ways_out(html).endswith(html)


@pytest.mark.parametrize(
    "html",
    [
        "<iframe src=http://x.test>", "<IFRAME\nsrc=http://x.test>", "<iframe/src=http://x.test>", "<iframe",
        "<object data=http://x.test></object>", "<embed src=http://x.test>", "<base href=http://x.test/>",
        "<meta http-equiv=refresh content='0;url=http://x.test'>", "<link rel=preconnect href=http://x.test>",
        "<svg><foreignObject><iframe src=http://x.test>", "<!-- --!><iframe src=http://x.test>",
        "<p title='><iframe src=http://x.test>'>", "<noscript><iframe src=http://x.test></noscript>",
        "<frameset><frame src=http://x.test></frameset>", "<a/href=http://x.test>x</a>",
        "<a HREF\n=\n'http://x.test'>x</a>", "<svg><a xlink:href=http://x.test>x</a></svg>",
        "<area shape=default href=http://x.test>", '<a title="x"href="http://x.test">x</a>',
    ],
)  # fmt: skip
def test_it_takes_every_way_out(html: str) -> None:
    seen = Seen(without_ways_out(html))
    assert not LEADS_OUT & set(seen.tags)
    assert not [name for name, _ in seen.attributes if name.endswith("href")]


def test_it_says_where_a_link_led() -> None:
    quiet = without_ways_out('<a href="https://x.test/a">here</a>')
    assert '<a title="https://x.test/a">here</a>' in quiet


def test_it_keeps_the_doctype_first() -> None:
    assert without_ways_out("<!DOCTYPE html>\n<p>x").startswith("<!DOCTYPE html><style>")


def test_it_leaves_words_alone() -> None:
    for text in ("<p>an iframe is a frame</p>", "<objective>", "<p data-href=x>", "<linked>", "a hrefx=1"):
        assert without_ways_out(text).endswith(text)


PIECES = st.sampled_from(
    ["<", "</", "iframe", "IFRAME", " ", "\n", "/", ">", "href", "=", "'", '"', "<a ", "<!--", "-->", "<svg>",
     "object", "<style>", "</style>", "http://x.test", "<title>", "&lt;", "ı", "ſ", "meta"]
)  # fmt: skip


@given(st.lists(PIECES, max_size=30).map("".join))
def test_it_leaves_no_way_out_whatever_the_html(html: str) -> None:
    seen = Seen(without_ways_out(html))
    assert not LEADS_OUT & set(seen.tags)
    assert not [name for name, _ in seen.attributes if name.endswith("href")]


@pytest.mark.parametrize("piece", ["<", "<iframe", "href", "href ", "<!doctype", " ", "<a href=", "<div>"])
def test_it_is_quick_on_hostile_html(piece: str) -> None:
    html = piece * (1_000_000 // len(piece))
    began = time.process_time()
    without_ways_out(html)
    assert time.process_time() - began < 3

"""A translation is a file: every sentence stands in the catalogue, and pages and scripts say what it says."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from django.conf import settings
from django.test import Client
from django.utils import translation
from django.utils.translation import trans_real

from queueapp.models import Delivery
from tests.dashboard import catalogue
from tests.dashboard.catalogue import CLOSE, LANGUAGE, OPEN, ROOT, marked, sentences
from tests.dashboard.rows import a_delivery

# The templates that are done. Whoever does another one adds it here; the aim is all of them.
DONE = (
    "base.html", "bulk/*.html", "operations/*.html", "parts/*.html", "deliveries/*.html", "message/*.html",
    "mail/*.html", "board/*.html", "people/*.html", "audit/*.html", "routes/*.html",
    *(f"overview/{name}.html" for name in (
        "_attempt", "_depth", "_domain", "_domains", "_first_mail", "_headline", "_hour", "_latest", "_part",
        "_runner", "page",
    )),
)  # fmt: skip
_TAGS = re.compile(r"{%.*?%}|{#.*?#}|{{.*?}}", re.S)
_BLOCKS = re.compile(r"{%\s*(blocktranslate|comment)\b.*?{%\s*end\1\s*%}", re.S)
# Commands and searches are the same in every language; so are names of classes.
_FIXED = re.compile(r"<code>[^<]*</code>|{%\s*block main_class\s*%}.*?{%\s*endblock\s*%}", re.S)
_TRANSLATE = re.compile(r"""{%\s*translate\s+"([^"]+)"|_\("([^"]+)"\)""")
_JS = re.compile(r'\bgettext\(\s*"([^"]+)"|\bngettext\(\s*"([^"]+)"')
_SPOKEN = ("aria-label", "title", "placeholder", "alt", "data-confirm", "data-confirm-title")
_NAMES = {"Mailweir", "Enter", "Esc", "csrf"}


class _Words(HTMLParser):
    """Text that a reader sees or hears, and that stands in a template as it is."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_data(self, data: str) -> None:
        self.found += re.findall(r"[A-Za-z]{2,}", data)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in _SPOKEN:
                self.found += re.findall(r"[A-Za-z]{2,}", value or "")


def done() -> list[Path]:
    return sorted(path for pattern in DONE for path in (ROOT / "templates").glob(pattern))


@pytest.mark.parametrize("path", done(), ids=lambda path: str(path.relative_to(ROOT / "templates")))
def test_nothing_is_said_that_can_not_be_translated(path: Path) -> None:
    words = _Words()
    words.feed(_TAGS.sub(" ", _BLOCKS.sub(" ", _FIXED.sub(" ", path.read_text()))))
    assert [word for word in words.found if word not in _NAMES] == []


def test_the_lint_finds_what_it_is_for() -> None:
    words = _Words()
    words.feed(_TAGS.sub(" ", '<p title="Two words">{% translate "known" %} {{ value }} One</p>'))
    assert words.found == ["Two", "words", "One"]


def test_the_catalogue_has_every_sentence_of_the_templates() -> None:
    known = {one for one, _ in sentences("django")}
    for path in done():
        for match in _TRANSLATE.finditer(path.read_text()):
            text = (match[1] or match[2]).replace("%", "%%")  # as gettext has it
            assert text in known, f"{path.name}: make words"


def test_the_catalogue_has_every_sentence_of_the_scripts() -> None:
    known = {one for one, _ in sentences("djangojs")}
    for path in sorted((ROOT / "static" / "js").glob("*.js")):
        for match in _JS.finditer(path.read_text()):
            assert (match[1] or match[2]) in known, f"{path.name}: make words"


@pytest.fixture
def another_language(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    catalogue.write(tmp_path)
    monkeypatch.setattr(settings, "LOCALE_PATHS", [tmp_path])
    trans_real._translations.pop(LANGUAGE, None)
    with translation.override(LANGUAGE):
        yield
    trans_real._translations.pop(LANGUAGE, None)


@pytest.mark.django_db
@pytest.mark.usefixtures("another_language", "valkey")
def test_pages_speak_another_language(admin_client: Client) -> None:
    a_delivery(state="deferred")
    page = admin_client.get("/operations").text
    assert f'<html lang="{LANGUAGE}"' in page
    for text in ("Operations", "Skip to content", "No operations yet", "Keyboard", "Log out"):
        assert marked(text) in page
    assert "words.js" in page
    page = admin_client.get("/deliveries").text
    for text in ("Last reply", "deferred", "newest first", "Group by", "within 10 minutes", "Search"):
        assert marked(text) in page
    assert f"{OPEN}1 delivery{CLOSE}" in page
    page = admin_client.get(f"/messages/{Delivery.objects.get().message_id}").text
    for text in ("Envelope", "What became of it", "Not tried yet.", "Content"):
        assert marked(text) in page
    dialog = admin_client.post("/bulk/ask", {"action": "delete", "q": ""}).text
    assert f"{OPEN}Delete 1 delivery{CLOSE}" in dialog
    assert marked("Reason") in dialog


@pytest.mark.django_db
@pytest.mark.usefixtures("another_language")
def test_scripts_speak_another_language(admin_client: Client) -> None:
    answer = admin_client.get("/words.js")
    assert answer["Content-Type"].startswith("text/javascript")
    assert "\\u27e6Paused\\u27e7" in answer.text or marked("Paused") in answer.text


@pytest.mark.django_db
def test_english_needs_no_catalogue(admin_client: Client) -> None:
    page = admin_client.get("/operations").text
    assert '<html lang="en"' in page
    assert "words.js" not in page

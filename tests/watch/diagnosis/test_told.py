"""The causes in words: each has its section, its remedy and things to press that exist."""

from __future__ import annotations

import re

import pytest
from django.utils import timezone

from queueapp.mail.classes import CLASSES
from queueapp.models import Delivery, Diagnosis
from queueapp.stats import drain
from queueapp.watch.diagnosis import told
from queueapp.watch.diagnosis.causes.receivers import cause_of
from queueapp.watch.diagnosis.causes.table import CAUSES
from queueapp.watch.diagnosis.evidence import groups
from queueapp.watch.diagnosis.facts import Seen
from tests.docs.pages import page

SCOPES = [
    ("all", ""),
    ("domain", "example.net"),
    ("site", "7"),
    ("sender", "ann@example.com"),
    ("campaign", "a b"),
]


def _row(cause: str, kind: str = "all", key: str = "", **values: object) -> Diagnosis:
    now = timezone.now()
    fields = {"n": 3, "n_failed": 2, "share": 0.5, "place": 0, "since": now, "seen_at": now, "name": key}
    return Diagnosis(kind=kind, key=key, cause=cause, **{**fields, **values})


@pytest.mark.parametrize("name", CAUSES)
def test_each_cause_has_a_section_in_the_guide(name: str) -> None:
    headings = re.findall(r"^#{1,3} (.+)$", page("docs/stuck.md").text, re.MULTILINE)
    anchors = {re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-") for heading in headings}
    assert CAUSES[name].anchor in anchors


@pytest.mark.django_db
@pytest.mark.parametrize("name", CAUSES)
def test_each_act_is_a_search_that_can_be_made_or_has_its_place(name: str) -> None:
    place = [["domain", "example.net", "example.net", 3], ["site", "7", "mx.example.net", 3]]
    for kind, key in SCOPES:
        row = _row(name, kind, key, evidence={"where": place})
        assert told.sentence(row)
        assert told.remedy(row)
        for act in told.acts(row):
            assert act.q or act.key or act.verb == "resume"
            Delivery.objects.matching(act.q)


@pytest.mark.parametrize("reply_class", CLASSES)
def test_every_class_has_a_cause(reply_class: str) -> None:
    final = {"delivered", "suppressed", "cancelled", "readdressed", "expired"}
    assert (cause_of(reply_class, "x") in CAUSES) is (reply_class not in final)


def test_replies_are_grouped_after_taking_out_what_varies() -> None:
    texts = [
        f"<u{n}@example.net>: blocked at 12:0{n}:00, see https://x.example/?id={n}a [192.0.2.{n}] ref 3F{n}"
        for n in range(5)
    ]
    rows = [
        Seen(n, n, 1, "deferred", f"u{n}@x.test", "blocklisted", 554, "5.7.1", text)
        for n, text in enumerate(texts)
    ]
    aside = Seen(9, 9, 1, "deferred", "v@x.test", "blocklisted", None, "", texts[0])
    [group] = groups([*rows, aside])
    assert (group["n"], len(group["examples"])) == (6, 3)
    assert group["text"].startswith("554 5.7.1")
    assert "code:" not in group["q"]  # one was set aside, and has none


def test_a_look_that_is_old_or_was_never_made_is_stale() -> None:
    now = timezone.now()
    assert told.is_stale(None, now)
    assert told.is_stale(now - told.STALE * 2, now)
    assert not told.is_stale(now, now)


def test_one_is_one() -> None:
    assert told.counted(_row("held", n=1, n_failed=0)) == "1 delivery waits"
    both = told.counted(_row("content", n=1200, is_estimate=True))
    assert both == "about 1,200 deliveries wait, about 2 deliveries failed in the last hour"
    assert told.cause_of(_row("of a later version")).name == "other"


@pytest.mark.parametrize(
    ("n", "came", "left", "trend"),
    [
        (0, 1, 1, "empty"),
        (5, 0, 0, "still"),
        (5, 10, 10.1, "steady"),
        (5, 9, 3, "grows"),
        (60, 1, 3, "drains"),
    ],
)
def test_it_says_when_it_will_be_empty(n: int, came: float, left: float, trend: str) -> None:
    found = drain.told(n, came, left)
    assert found["trend"] == trend
    assert (found["in_s"] == 1800) is (trend == "drains")

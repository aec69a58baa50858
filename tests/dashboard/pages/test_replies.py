"""The page of replies: the lines, what a pasted reply means, and lines of one's own from form to decision."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from queueapp.access import refusals
from queueapp.engine import own_lines
from queueapp.mail.patterns import PATTERNS
from queueapp.models import Attempt, ReplyRule, ReplyTrial, RuleHour
from queueapp.stats import outcomes
from tests.dashboard.people import as_role
from tests.models.rows import delivery

pytestmark = pytest.mark.django_db
TYPED = {"name": "night", "class": "busy", "texts": "closed for the night\n", "codes": "4", "delay": "3600"}


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    refusals.forget()
    own_lines.forget()
    yield
    own_lines.forget()


@pytest.fixture
def admin() -> Client:
    return as_role("administrator", name="root")


@pytest.fixture
def viewer() -> Client:
    return as_role("viewer")


def tried(text: str = "we are closed for the night", **values: Any) -> Attempt:
    row = delivery()
    values = {
        "at": timezone.now(), "result": "deferred", "reply_class": "policy", "code": 451, "enhanced": "4.7.1",
        "rule": "code:4.7.1", **values,
    }  # fmt: skip
    return Attempt.objects.create(delivery=row, text=text, **values)


def test_it_shows_all_lines_those_that_decided_most_first(viewer: Client) -> None:
    for _ in range(3):
        tried("blocked using zen.spamhaus.org", rule="pattern:spamhaus", reply_class="blocklisted")
    tried("x", code=550, enhanced="5.1.1", rule="code:5.1.1", reply_class="no_such_user", result="bounced")
    outcomes.roll(upto=Attempt.objects.latest("pk").pk)
    page = viewer.get("/replies").text
    assert f"{len(PATTERNS) + 1} lines" in page
    assert page.index(">spamhaus<") < page.index(">5.1.1<") < page.index(">google_ip_refused<")
    assert "A line of your own" not in page  # that is for administrators


def test_each_attempt_is_counted_once_for_its_line() -> None:
    for _ in range(2):
        last = tried(rule="pattern:spamhaus")
        outcomes.roll(upto=last.pk)
        outcomes.roll(upto=last.pk)
    tried(rule="code:250", result="delivered", code=250)
    outcomes.roll(upto=Attempt.objects.latest("pk").pk)
    assert list(RuleHour.objects.values_list("rule", "n")) == [("pattern:spamhaus", 2)]


@pytest.mark.parametrize(
    ("query", "first"),
    [
        ("q=greylisting+in+action", "milter_greylist"),
        ("q=netease&class=busy", "netease_connections"),
        ("provider=apple&class=rate_limited", "apple_volume"),
        ("kind=pattern&q=OFR_506", "orange_spam"),
    ],
)
def test_it_finds_lines_by_words_class_provider_and_kind(viewer: Client, query: str, first: str) -> None:
    page = viewer.get(f"/replies?{query}").text
    assert page.count("<tr>") == 2  # the head, and one line
    assert f">{first}<" in page


def test_it_turns_pages_and_teaches_where_nothing_is_found(viewer: Client) -> None:
    second = viewer.get("/replies?class=policy&page=2").text
    assert "page 2 of" in second
    assert "class=policy&amp;page=1" in second
    nothing = viewer.get("/replies?q=zzz&kind=own").text
    assert "No line matches" in nothing
    assert "<code>q: zzz</code>" in nothing
    assert viewer.get("/replies?page=99999999999999").status_code == 200


def test_it_says_what_a_pasted_reply_means_and_which_other_lines_match(viewer: Client) -> None:
    asked = {"reply": "550 5.7.1 Client [192.0.2.7] blocked using zen.spamhaus.org; see our blacklist"}
    page = viewer.post("/replies", asked).text
    assert "<strong>blocklisted</strong>" in page
    assert 'href="/replies/rules/pattern:spamhaus">pattern:spamhaus<' in page
    assert 'href="/replies/rules/pattern:blacklisted">' in page
    assert "The code alone would say" in page
    part = viewer.post("/replies", asked, headers={"HX-Request": "true"}).text
    assert "<html" not in part
    assert "blocklisted" in part


@pytest.mark.parametrize("reply", ["hello", "", "<script>alert(1)</script>"])
def test_it_says_that_this_is_no_reply(viewer: Client, reply: str) -> None:
    page = viewer.post("/replies", {"reply": reply}).text
    assert "is not an SMTP reply" in page or "Paste a reply first" in page
    assert "<script>alert" not in page


@pytest.mark.parametrize(
    ("rule", "says"),
    [
        ("pattern:mimecast_greylist", "Internal resources are temporarily unavailable"),
        ("code:5.1.1", "no_such_user"),
        ("code:552 rcpt", "mailbox_full"),
        ("code:550", "other"),
        ("code:5.9.9", "in no table"),
        ("client", "Our own client refused"),
        ("age", "older than it may be"),
        ("stage:connect", "broke off at this stage"),
    ],
)
def test_each_line_has_a_page(viewer: Client, rule: str, says: str) -> None:
    assert says in viewer.get(f"/replies/rules/{rule}").text


@pytest.mark.parametrize(
    "rule", ["pattern:nothing", "own:nothing", "code:abc", "code:", "x", "<b>", "own:%00"]
)
def test_a_line_that_is_not_there_is_404(viewer: Client, rule: str) -> None:
    assert viewer.get(f"/replies/rules/{rule}").status_code == 404


def test_the_timeline_links_the_line_that_decided_and_shows_its_example(viewer: Client) -> None:
    attempt = tried("zen.spamhaus.org", rule="pattern:spamhaus")
    page = viewer.get(f"/messages/{attempt.delivery.message_id}").text
    assert '<a href="/replies/rules/pattern:spamhaus">pattern:spamhaus</a>' in page
    assert "client [192.0.2.7] blocked using zen.spamhaus.org" in page


def test_a_line_is_tried_saved_switched_on_edited_and_deleted(admin: Client) -> None:
    tried()
    form = admin.post("/replies/own", {**TYPED, "do": "try"}).text
    assert "It would have decided <strong>1</strong> of 1 attempts" in form
    assert "closed for the night" in form
    assert not ReplyRule.objects.exists()
    saved = admin.post("/replies/own", {**TYPED, "do": "on"})
    assert saved["Location"] == "/replies/rules/own:night"
    row = ReplyRule.objects.get()
    assert (row.is_on, row.delay, row.made_by) == (True, 3600, "user:root")
    assert row.texts == ["closed for the night"]
    assert "counts within seconds" in admin.get(saved["Location"]).text
    meaning = admin.post("/replies", {"reply": "451 4.7.1 closed for the night"}).text
    assert "own:night" in meaning
    assert "come back in 1 h" in meaning
    edited = admin.post(
        f"/replies/own/{row.pk}", {**TYPED, "texts": "closed", "do": "save"}, follow=True
    ).text
    assert "It was switched off" in edited
    off = admin.post(f"/replies/own/{row.pk}/switch", {"on": "1"}, follow=True).text
    assert "try it first" in off
    admin.post(f"/replies/own/{row.pk}", {**TYPED, "texts": "closed", "do": "try"})
    assert "is on;" in admin.post(f"/replies/own/{row.pk}/switch", {"on": "1"}, follow=True).text
    assert ">closed</textarea>" in admin.get(f"/replies/own/{row.pk}").text
    admin.post(f"/replies/own/{row.pk}/remove")
    assert not ReplyRule.objects.exists()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"name": "Two Words"}, "&#x27;Two Words&#x27; is not 1 to 48"),
        ({"delay": "soon"}, "delay &#x27;soon&#x27; is not a whole number"),
        ({"class": ""}, "is not one of greylisted"),
        ({"holds_for": "provider:nobody"}, "there is no provider &#x27;nobody&#x27;"),
        ({"do": "on"}, "try it first"),
    ],
)
def test_a_form_with_a_mistake_says_so_and_keeps_what_was_typed(
    admin: Client, change: dict[str, str], says: str
) -> None:
    answer = admin.post("/replies/own", {**TYPED, **change})
    assert answer.status_code == 422
    assert says in answer.text
    assert "closed for the night" in answer.text
    assert not ReplyRule.objects.exists()


def test_a_line_holds_for_a_provider_or_a_site(admin: Client) -> None:
    admin.post("/replies/own", {**TYPED, "holds_for": "provider:google"})
    admin.post("/replies/own", {**TYPED, "name": "b", "holds_for": "MX.example.NET"})
    rows = list(ReplyRule.objects.order_by("pk").values_list("provider", "site", "is_on"))
    assert rows == [("google", "", False), ("", "mx.example.net", False)]
    assert 'value="provider:google"' in admin.get(f"/replies/own/{ReplyRule.objects.first().pk}").text  # type: ignore[union-attr]


def test_a_trial_shows_how_far_it_is_and_is_asked_again_until_it_is_done(viewer: Client) -> None:
    spec = {
        "name": "night", "reply_class": "no_such_user", "texts": ["closed"], "codes": [], "stage": "",
        "delay": None, "provider": "", "site": "",
    }  # fmt: skip
    row = ReplyTrial.objects.create(
        line=spec, digest="x", asked_by="root", asked_at=timezone.now(), since=timezone.now(), first=1,
        reached=501, n_looked=500, n_decided=3, changes=[["policy", "no_such_user", 3]],
        groups=[{"key": ["policy", "no_such_user", "550", "", "closed"], "n": 3, "text": "<b>closed</b>",
                 "host": "mx.example.net", "delivery": 1, "at": ""}],
    )  # fmt: skip
    part = viewer.get(f"/replies/trials/{row.pk}", headers={"HX-Request": "true"}).text
    assert 'value="50"' in part
    assert "hx-get" in part
    assert "&lt;b&gt;closed" in part
    assert "goes on the suppression list" in part
    ReplyTrial.objects.update(ended_at=timezone.now())
    assert "hx-get" not in viewer.get(f"/replies/trials/{row.pk}", headers={"HX-Request": "true"}).text
    assert "Trial of own:night" in viewer.get(f"/replies/trials/{row.pk}").text


def test_changes_are_for_administrators() -> None:
    operator = as_role("operator", name="olga")
    assert operator.get("/replies").status_code == 200
    assert operator.get("/replies/own").status_code == 403
    assert operator.post("/replies/own", TYPED).status_code == 403
    assert operator.post("/replies/own/1/switch").status_code == 403

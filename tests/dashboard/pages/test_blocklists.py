"""Page, API, command and live figures of blocklists: the same rows, and "check now" for operators."""

from __future__ import annotations

import io
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.utils import timezone

from dashboard.snapshot import listings
from queueapp import conf
from queueapp.models import AuditEvent, Bookmark, Listing, ListingChange
from queueapp.watch import pulse
from tests.dashboard.api.asking import is_error, key, with_key
from tests.dashboard.people import as_role
from tests.dashboard.rows import HOSTILE
from tests.watch.blocklists.zones import OURS, a_source, asking

pytestmark = pytest.mark.django_db
NOW = timezone.now()
CHECK = "/api/v1/blocklists/check"
ON = {"blocklists": ("spamhaus-zen", "psbl"), "blocklist_resolver": (conf.Address("127.0.0.1", 53),)}


def a_listing(target: str = OURS, name: str = "psbl", state: str = "listed", **values: Any) -> Listing:
    kind = "ip4" if target[0].isdigit() else "domain"
    defaults = {
        "is_confirmed": True,
        "since": NOW,
        "checked_at": NOW,
        "next_check_at": NOW + timedelta(hours=1),
    }
    if state == "listed":
        defaults |= {"severity": "warning", "codes": ["127.0.0.2"], "meaning": "sent to spam traps"}
    return Listing.objects.create(
        target=target, list_name=name, kind=kind, state=state, **{**defaults, **values}
    )


def test_it_shows_what_is_listed_why_since_when_and_the_way_off() -> None:
    row = a_listing(reason="Listed, see https://psbl.test/", named_at=NOW, named_since=NOW, n_named=1234,
                    named_reply="554 blocked using psbl", named_by="mx.orange.fr")  # fmt: skip
    ListingChange.objects.create(
        listing=row, at=NOW, was="clean", state="listed", detail="sent to spam traps"
    )
    client = as_role("viewer")
    for path in ("/blocklists", f"/blocklists/{row.pk}"):
        page = client.get(path).text
        for text in (f"{OURS} on PSBL", "Sent to spam traps", "Listed, see https://psbl.test/"):
            assert text in page
        for text in ("1,234 refusals", "554 blocked using psbl", "mx.orange.fr"):
            assert text in page
        assert 'href="https://psbl.org/remove" rel="noopener noreferrer"' in page
    assert "Check now" not in page  # a viewer may not


def test_it_has_a_word_for_each_state_in_the_matrix() -> None:
    a_source()
    for name, state in (
        ("spamhaus-zen", "listed"),
        ("psbl", "clean"),
        ("s5h", "unknown"),
        ("0spam", "error"),
    ):
        a_listing(name=name, state=state, error="why not")
    a_listing("shop.org", "surbl", "clean")
    page = as_role("viewer").get("/blocklists").text
    for word in ("listed", "clean", "unknown", "error"):
        assert f'<span class="cell-word">{word}</span>' in page
    assert f"egress source mx-{OURS}" in page
    assert "Domains by list" in page


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"blocklists": ("no",)}, "MAILWEIR_BLOCKLISTS=yes"),
        (ON, "Nothing to look up yet"),
        ({"blocklists": ("sorbs", "psbl")}, "which is no list that is known"),
        ({"blocklists": ("abusix",)}, "It needs a key"),
    ],
)
def test_it_teaches_where_there_is_nothing(settings: dict[str, Any], text: str) -> None:
    with conf.override(**settings):
        assert text in as_role("viewer").get("/blocklists").text


def test_it_says_that_the_watch_does_not_run() -> None:
    client = as_role("viewer")
    with conf.override(**ON):
        assert "The watch has never run" in client.get("/blocklists").text
        pulse.beat()
        assert "Start <code>manage.py watch" not in client.get("/blocklists").text
        Bookmark.objects.filter(pk=pulse.NAME).update(at=NOW - timedelta(hours=1))
        assert "The watch was last seen" in client.get("/blocklists").text


def test_what_strangers_wrote_is_escaped() -> None:
    named = dict.fromkeys(("reason", "error", "named_reply", "named_by"), HOSTILE)
    row = a_listing("shop.org", "surbl", named_at=NOW, named_since=NOW, n_named=1, **named)
    ListingChange.objects.create(listing=row, at=NOW, was="clean", state="named", detail=HOSTILE)
    client = as_role("viewer")
    for path in ("/blocklists", f"/blocklists/{row.pk}"):
        assert "<script>alert" not in client.get(path).text


def test_check_now_makes_checks_due_and_leaves_an_audit_row() -> None:
    row = a_listing(checked_at=NOW - timedelta(hours=1))
    client = as_role("operator")
    with conf.override(**ON):
        answer = client.post("/blocklists/check", {"target": OURS, "list": "psbl"}, follow=True)
        assert "1 check is under way" in answer.text
        assert "being checked" in answer.text
        row.refresh_from_db()
        assert row.asked_at == row.next_check_at
        assert "moment ago" in client.post("/blocklists/check", follow=True).text
    event = AuditEvent.objects.get()
    assert (event.action, event.target, event.n) == ("blocklists.check", f"{OURS} on psbl", 1)


def test_who_may_not_operate_can_not_check() -> None:
    a_listing(checked_at=None)
    with conf.override(**ON):
        assert as_role("viewer").post("/blocklists/check").status_code == 403
        assert with_key(key("read")).post(CHECK, {}, content_type="application/json").status_code == 403
    assert not Listing.objects.filter(asked_at__isnull=False).exists()
    assert AuditEvent.objects.filter(is_refused=True).exists()


def test_the_api_checks_all_a_target_or_a_list() -> None:
    for target in (OURS, "45.67.89.11"):
        for name in ("psbl", "spamhaus-zen"):
            a_listing(target, name, checked_at=None)
    client = with_key(key("read", "operate"))

    def ask(**asked: str) -> Any:
        return client.post(CHECK, asked, content_type="application/json")

    with conf.override(**ON):
        answer = ask(target=OURS, list="psbl")
        assert (answer.status_code, answer.json()) == (202, {"n": 1})
        assert ask(target=OURS).json() == {"n": 1}
        assert ask(list="psbl").json() == {"n": 1}
        assert ask().json() == {"n": 1}
        is_error(ask(), 409, "conflict")
        is_error(ask(target="9.9.9.9"), 404, "not_found")
    is_error(ask(), 409, "conflict")


def test_the_api_lists_pages_and_filters() -> None:
    a_listing()
    a_listing(name="spamcop", state="clean")
    a_listing("shop.org", "surbl", is_confirmed=False)
    a_listing("gone.org", "surbl", is_current=False)
    client = with_key(key("read"))

    def got(query: str = "") -> dict[str, Any]:
        return dict(client.get(f"/api/v1/blocklists{query}").json())

    whole = got()
    assert (whole["count"], whole["next"], whole["is_on"]) == (3, None, False)
    assert {each["name"] for each in whole["lists"]} >= {"spamhaus-zen", "psbl"}
    assert [each["list"] for each in got("?state=confirmed")["items"]] == ["psbl"]
    assert [each["list"] for each in got("?state=listed")["items"]] == ["psbl", "surbl"]
    assert [each["list"] for each in got(f"?target={OURS}&list=spamcop")["items"]] == ["spamcop"]
    first = got("?limit=2")
    assert [each["list"] for each in first["items"]] == ["psbl", "spamcop"]
    assert [each["list"] for each in got(f"?limit=2&cursor={first['next']}")["items"]] == ["surbl"]
    for query, field in (("?state=x", "state"), ("?limit=0", "limit"), ("?cursor=x", "cursor")):
        is_error(client.get(f"/api/v1/blocklists{query}"), 422, "invalid", field)


def test_the_snapshot_tells_how_many_and_the_worst() -> None:
    found = listings.live(NOW)
    assert (found["n"], found["n_named"], found["worst"], found["changed_at"]) == (0, 0, None, None)
    a_listing(name="uceprotect-3", severity="info", since=NOW - timedelta(days=9))
    a_listing(name="spamhaus-zen", severity="danger", is_confirmed=False)
    a_listing(name="psbl")
    found = listings.live(NOW)
    assert (found["n"], found["n_named"], found["worst"]["list"]) == (2, 0, "psbl")
    a_listing(name="spamcop", state="unknown", named_at=NOW, named_since=NOW, n_named=3)
    found = listings.live(NOW)
    assert (found["n"], found["n_named"], found["worst"]["list"]) == (2, 1, "spamcop")
    assert found["worst"]["is_named"]


def test_the_command_shows_and_checks() -> None:
    a_source()
    out = io.StringIO()
    with asking("psbl") as server:
        server.records["10.89.67.45.psbl.surriel.com"] = {"A": ["127.0.0.2"], "TXT": []}
        call_command("blocklists", "check", stdout=out, stderr=io.StringIO())
        assert "listed?" in out.getvalue()
        err = io.StringIO()
        with pytest.raises(SystemExit):
            call_command("blocklists", "check", stdout=out, stderr=err)
        assert "moment ago" in err.getvalue()
    out = io.StringIO()
    call_command("blocklists", json=True, stdout=out, stderr=io.StringIO())
    assert '"codes": ["127.0.0.2"]' in out.getvalue()

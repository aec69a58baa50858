from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.contrib.auth.models import User
from django.test import Client

from dashboard.filters import Page
from dashboard.pages.list_parts import told
from queueapp.models import AuditEvent, SavedView, searching
from queueapp.models.budget import Clock
from tests.dashboard.rows import HOSTILE, a_delivery, a_domain, a_message, a_site

pytestmark = pytest.mark.django_db


def test_it_works(admin_client: Client) -> None:
    a_delivery(
        a_message(subject="Invoice 7"), state="deferred", last_class="busy", last_code=421, n_attempts=3
    )
    page = admin_client.get("/deliveries").text
    for text in ("b@example.com", "Invoice 7", "deferred", "overloaded", "421"):
        assert text in page
    assert "<strong>1 delivery</strong>" in page


def test_it_shows_what_was_searched_for(admin_client: Client) -> None:
    a_delivery(recipient="queued@example.com")
    a_delivery(recipient="late@example.com", state="deferred")
    page = admin_client.get("/deliveries", {"q": "state:deferred"}).text
    assert "late@example.com" in page
    assert "queued@example.com" not in page
    assert 'value="state:deferred"' in page


def test_it_shows_a_mistake_where_it_is(admin_client: Client) -> None:
    answer = admin_client.get("/deliveries", {"q": "domain:a.example state:nonsense"})
    assert answer.status_code == 400
    assert 'role="alert"' in answer.text
    assert "nonsense</mark>" in answer.text


def test_it_turns_pages_without_losing_the_search(admin_client: Client) -> None:
    message = a_message()
    for n in range(5):
        a_delivery(message, recipient=f"r{n}@example.com")
    first = admin_client.get("/deliveries", {"q": "state:queued", "limit": "3"}).text
    assert "r4@example.com" in first
    assert "r1@example.com" not in first
    older = first.split('rel="next"')[0].rpartition('href="')[2].split('"')[0].replace("&amp;", "&")
    second = admin_client.get(older).text
    assert "r1@example.com" in second
    assert "r4@example.com" not in second
    assert 'value="state:queued"' in second


def test_it_says_what_was_looked_for_when_nothing_matches(admin_client: Client) -> None:
    page = admin_client.get("/deliveries", {"q": "state:held"}).text
    assert "No delivery matches" in page
    assert "<code>state:held</code>" in page


def test_it_explains_an_empty_queue(admin_client: Client) -> None:
    assert "No deliveries yet" in admin_client.get("/deliveries").text


def test_it_answers_htmx_with_the_results_alone(admin_client: Client) -> None:
    a_delivery()
    answer = admin_client.get("/deliveries", headers={"HX-Request": "true"})
    assert "<html" not in answer.text
    assert "b@example.com" in answer.text
    assert answer["Vary"].startswith("HX-Request")


@pytest.mark.parametrize(
    ("name", "value"), [("limit", "0"), ("limit", "x"), ("cursor", "!!"), ("order", "color")]
)
def test_it_says_which_parameter_is_wrong(admin_client: Client, name: str, value: str) -> None:
    answer = admin_client.get("/deliveries", {name: value})
    assert answer.status_code == 400
    assert 'role="alert"' in answer.text


def test_it_escapes_what_strangers_write(admin_client: Client) -> None:
    a_delivery(
        a_message(subject=HOSTILE, sender=HOSTILE), recipient=HOSTILE, last_text=HOSTILE, state="deferred"
    )
    for q in ("", HOSTILE, f'subject:"{HOSTILE}'):
        page = admin_client.get("/deliveries", {"q": q}).text
        assert "<script>alert" not in page
        assert "<img src=x" not in page


def test_it_gives_each_row_what_acting_on_it_needs(admin_client: Client) -> None:
    row = a_delivery(state="held")
    page = admin_client.get("/deliveries", {"q": "state:held"}).text
    assert f'<tr id="d-{row.pk}" data-id="{row.pk}" data-state="held">' in page
    assert f'name="id" value="{row.pk}"' in page
    assert 'id="results" data-q="state:held" data-count="1" data-exact="true"' in page


def test_it_gives_fresh_rows_and_says_which_are_gone(admin_client: Client) -> None:
    kept, gone = a_delivery(), a_delivery()
    gone_id = gone.pk
    gone.delete()
    answer = admin_client.get("/deliveries/rows", {"ids": f"{gone_id},{kept.pk}"}).text
    assert answer.index(f'data-id="{gone_id}" data-state="gone"') < answer.index(
        f'<tr id="d-{kept.pk}" data-id="{kept.pk}" data-state="queued">'
    )


@pytest.mark.parametrize("ids", ["", "x", "1,,2", "-1", "1" * 19, ",".join(["1"] * 101)])
def test_it_refuses_ids_that_are_none(admin_client: Client, ids: str) -> None:
    answer = admin_client.get("/deliveries/rows", {"ids": ids})
    assert answer.status_code == 400
    assert b"1 to 100 numbers" in answer.content


def test_it_leads_from_each_head_to_its_order(admin_client: Client) -> None:
    for size in (5, 200_000):
        a_delivery(a_message(size=size), recipient=f"{size}@example.com")
    page = admin_client.get("/deliveries", {"q": "state:queued"}).text
    assert 'href="/deliveries?q=state%3Aqueued&amp;order=-size"' in page
    assert page.count("aria-sort") == 1
    sorted_ = admin_client.get("/deliveries", {"q": "state:queued", "order": "-size"}).text
    assert sorted_.index("200000@example.com") < sorted_.index("5@example.com")
    assert "largest first" in sorted_


def test_it_offers_to_drop_each_filter(admin_client: Client) -> None:
    page = admin_client.get("/deliveries", {"q": "state:held class:busy"}).text
    assert 'href="/deliveries?q=class%3Abusy"' in page
    assert 'href="/deliveries?q=state%3Aheld"' in page
    assert "Drop one of its filters" in page


def test_it_groups_and_each_group_opens_its_deliveries(admin_client: Client) -> None:
    for n in range(3):
        a_delivery(domain=f"{n % 2}.example", state="deferred", last_class="busy")
    page = admin_client.get("/deliveries", {"q": "state:deferred", "group": "domain"}).text
    assert "2 groups" in page
    assert 'href="/deliveries?q=state%3Adeferred+domain%3A0.example"' in page
    behind = admin_client.get("/deliveries", {"q": "state:deferred domain:0.example"}).text
    assert "<strong>2 deliveries</strong>" in behind
    assert "There are no groups by" in admin_client.get("/deliveries", {"group": "colour"}).text


def test_it_says_how_far_it_searched_when_the_time_was_up(
    admin_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(searching, "_FIRST_SLICE", 2)
    monkeypatch.setattr(Clock, "next_size", lambda self, size: 0)
    for n in range(9):
        a_delivery(a_message(subject="needle" if n == 0 else "hay"))
    page = admin_client.get("/deliveries", {"q": "subject:needle", "limit": "2"}).text
    for _ in range(9):
        if "needle</span>" in page:
            break
        assert "Nothing found so far" in page
        assert "Search on" in page
        on = page.split('rel="next"')[0].rpartition('href="')[2].split('"')[0].replace("&amp;", "&")
        page = admin_client.get(on).text
    assert "needle</span>" in page


# ── The filter form ───────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("fields", "written"),
    [
        ({"state": ["held", "deferred"]}, "state:held state:deferred"),
        ({"domain": "example.com", "class": ":busy", "age": ">2h"}, "class:busy age>2h domain:example.com"),
        ({"q": "state:held class:busy -tag:x news", "class": ":dns"}, "-tag:x news class:dns"),
        ({"q": "class:busy class:dns", "class": ""}, "class:dns"),
        ({"subject": "big sale"}, 'subject:"big sale"'),
        ({"subject": "news*"}, "subject:news*"),
        ({"from": '"quoted'}, 'from:"\\"quoted"'),
        ({"to": "  "}, ""),
        ({"q": "state:", "class": ":dns"}, "state:"),
    ],
)
def test_the_form_writes_the_search(admin_client: Client, fields: dict[str, Any], written: str) -> None:
    answer = admin_client.get("/deliveries/filter", fields)
    assert answer.status_code == 302
    assert parse_qs(urlsplit(answer["Location"]).query).get("q", [""]) == [written]


def test_the_form_shows_the_search(admin_client: Client) -> None:
    page = admin_client.get("/deliveries", {"q": 'state:held class:busy age>3h subject:"big sale"'}).text
    assert 'name="state" value="held" checked' in page
    assert '<option value=":busy" selected>' in page
    assert '<option value="&gt;3h" selected>' in page
    assert 'name="subject" value="big sale"' in page


# ── Completion ────────────────────────────────────────────────────────────────────────────────


def completed(client: Client, q: str, at: int | None = None) -> list[str]:
    found = client.get("/deliveries/complete", {"q": q, "at": len(q) if at is None else at}).json()
    return [q[: found["from"]] + item["text"] + q[found["to"] :] for item in found["items"]]


def test_it_completes_keys_and_values(admin_client: Client) -> None:
    a_delivery(a_message(sender_domain="shop.example", tags=["spring sale", "campaign:may"]), "gmail.example")
    a_domain("gmx.example", site=a_site("gmx.net"))
    assert completed(admin_client, "sta") == ["state:"]
    assert completed(admin_client, "state:d") == ["state:deferred", "state:delivered", "state:deleted"]
    assert completed(admin_client, "x -class:bl") == ["x -class:blocklisted"]
    assert completed(admin_client, "domain:GM") == ["domain:gmail.example", "domain:gmx.example"]
    assert completed(admin_client, "to:@gma") == ["to:gmail.example"]
    assert completed(admin_client, "site:g") == ["site:gmx.net"]
    assert completed(admin_client, "from:sh") == ["from:shop.example"]
    assert completed(admin_client, "tag:sp") == ['tag:"spring sale"']
    assert completed(admin_client, "campaign:") == ["campaign:may"]
    assert completed(admin_client, "age") == ["age>2h", "age<1h", "age>1d"]
    assert completed(admin_client, "state:h age>2h", at=7) == ["state:held age>2h"]
    assert len(completed(admin_client, "")) == 10


@pytest.mark.parametrize(
    "q", ["domain:x\0", 'subject:"a st', "domain:%", "state:zzz", "nokey:x", "domain:a*"]
)
def test_it_completes_nothing_where_nothing_fits(admin_client: Client, q: str) -> None:
    a_delivery()
    assert completed(admin_client, q) == []


def test_a_place_that_is_none_is_the_end(admin_client: Client) -> None:
    for at in ("", "x", "-1", "999999", "99"):
        found = admin_client.get("/deliveries/complete", {"q": "state:he", "at": at}).json()
        assert [item["text"] for item in found["items"]] == ["state:held"]


# ── Saved views ───────────────────────────────────────────────────────────────────────────────


def test_it_keeps_a_view_and_shows_it(admin_client: Client) -> None:
    given = {"name": "Late", "q": "state:deferred  age>2h", "order": "age", "group": "", "is_shared": "1"}
    admin_client.post("/deliveries/views", given)
    page = admin_client.get("/deliveries").text
    assert 'href="/deliveries?q=state%3Adeferred+age%3E2h&amp;order=age"' in page
    assert "The view Late is saved." in page
    view = SavedView.objects.get()
    admin_client.post(f"/deliveries/views/{view.pk}", {"name": "Later"})
    view.refresh_from_db()
    assert (view.name, view.is_shared) == ("Later", False)
    admin_client.post(f"/deliveries/views/{view.pk}/remove")
    assert not SavedView.objects.exists()


def test_it_says_why_a_view_can_not_be_kept(admin_client: Client) -> None:
    for given, why in (
        ({"name": ""}, "needs a name"),
        ({"name": "x", "q": "state:nonsense"}, "unknown state"),
        ({"name": "x", "order": "colour"}, "There is no order"),
    ):
        admin_client.post("/deliveries/views", given)
        assert why in admin_client.get("/deliveries").text
    assert not SavedView.objects.exists()


def test_who_may_not_share_is_refused(client: Client) -> None:
    client.force_login(User.objects.create_user("viewer"))
    assert client.post("/deliveries/views", {"name": "x", "is_shared": "1"}).status_code == 403
    assert AuditEvent.objects.get().is_refused
    assert client.post("/deliveries/views", {"name": "x"}).status_code == 302
    assert SavedView.objects.get().owner == "user:viewer"


@pytest.mark.parametrize(
    ("page", "words"),
    [
        (Page(count=1), "1 delivery"),
        (Page(count=10_000, count_is_exact=False), "More than 10,000 deliveries"),
        (Page(count=12, count_is_exact=False), "At least 12 deliveries"),
        (Page(count=10_000, count_is_exact=False, about=340_000), "About 340,000 deliveries"),
        (Page(count=10_000, count_is_exact=False, about=1_200_000), "About 1.2 million deliveries"),
        (Page(count=10_000, count_is_exact=False, about=3_000_000), "About 3 million deliveries"),
    ],
)
def test_how_well_a_number_is_known_is_said(page: Page[Any], words: str) -> None:
    assert told(page) == words

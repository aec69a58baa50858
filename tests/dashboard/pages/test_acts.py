"""Acting from the board: each form shows what it will do, does it, or says why not; all of it is audited."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.test import Client

from queueapp.models import AuditEvent, Operation, RecipientDomain, Route, Site, Suspension
from tests.dashboard.rows import HOSTILE, a_delivery, a_domain, a_site, now

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("valkey")]
IN_A_DIALOG = {"HTTP_HX_REQUEST": "true"}


@pytest.fixture
def reader() -> Client:
    client = Client()
    client.force_login(User.objects.create_user("reader"), "django.contrib.auth.backends.ModelBackend")
    return client


def domain() -> RecipientDomain:
    return a_domain("a.test", n_deferred=3, site=a_site())


def test_a_domain_is_suspended_with_reason_and_end_and_resumed(admin_client: Client) -> None:
    domain()
    form = admin_client.get("/domains/a.test/suspend").text
    assert "3 deliveries wait" in form
    assert not AuditEvent.objects.exists()
    answer = admin_client.post("/domains/a.test/suspend", {"reason": "they moved", "until": "4h"})
    assert (answer.status_code, answer["Location"]) == (302, "/domains/a.test")
    row = RecipientDomain.objects.get()
    assert row.suspended_reason == "they moved"
    assert row.suspended_until is not None
    assert timedelta(hours=3) < row.suspended_until - now() < timedelta(hours=5)
    page = admin_client.get("/domains/a.test").text
    assert "they moved" in page
    assert "a.test is suspended." in page
    assert "admin" in page  # who did it
    assert "Resume" in page
    done = admin_client.post("/domains/a.test/resume", **IN_A_DIALOG)
    assert done.json() == {"done": "a.test is resumed."}
    assert RecipientDomain.objects.get().suspended_at is None
    assert list(AuditEvent.objects.order_by("pk").values_list("action", flat=True)) == [
        "domain.suspend", "domain.resume",
    ]  # fmt: skip


def test_a_whole_site_is_retried_suspended_and_resumed(admin_client: Client) -> None:
    site = a_site()
    for name in ("a.test", "b.test"):
        a_delivery(domain=name, state="deferred")
    RecipientDomain.objects.update(site=site)
    page = f"/sites/{site.pk}"
    form = admin_client.get(f"{page}/retry").text
    assert "Retry 2 deliveries to mx.example?" in form
    seen = form.partition('name="seen" value="')[2].partition('"')[0]
    wrong = admin_client.post(f"{page}/retry", {"expect": "5", "seen": seen}, **IN_A_DIALOG)
    assert (wrong.status_code, Operation.objects.count()) == (422, 0)
    done = admin_client.post(f"{page}/retry", {"expect": "2", "seen": seen}, **IN_A_DIALOG)
    assert "retries 2 deliveries to mx.example." in done.json()["done"]
    assert Operation.objects.get().q == "site:mx.example state:deferred"
    assert "its 2 domains" in admin_client.get(f"{page}/suspend").text
    assert admin_client.post(f"{page}/suspend", {"reason": ""}, **IN_A_DIALOG).status_code == 422
    admin_client.post(f"{page}/suspend", {"reason": "they move", "until": "4h"}, **IN_A_DIALOG)
    shown = admin_client.get(page).text
    for text in ("they move", "Resume", "admin"):
        assert text in shown
    assert "Its site is suspended: they move" in admin_client.get("/domains/a.test").text
    assert f"{page}/resume" in admin_client.get("/board?by=site").text
    done = admin_client.post(f"{page}/resume", **IN_A_DIALOG)
    assert done.json() == {"done": "mx.example is resumed."}
    assert Site.objects.get().suspended_at is None


def test_a_domain_is_led_by_another_way(admin_client: Client) -> None:
    domain()
    assert "add one on the page Routes" in admin_client.get("/domains/a.test/route").text
    Route.objects.create(name="backup", kind="relay", host="b.test")
    form = admin_client.get("/domains/a.test/route").text
    assert '<option value="backup">backup: b.test:25</option>' in form
    done = admin_client.post("/domains/a.test/route", {"route": "backup"}, **IN_A_DIALOG)
    assert done.json() == {"done": "a.test goes by backup."}
    assert str(RecipientDomain.objects.get().route) == "backup"
    assert "the route backup" in admin_client.get("/domains/a.test").text


def test_routes_are_made_and_removed_on_their_page(admin_client: Client) -> None:
    assert "There is none yet" in admin_client.get("/routes").text
    typed = {
        "name": "backup",
        "kind": "relay",
        "host": "",
        "port": "587",
        "tls": "none",
        "password": "s3cret",
    }
    wrong = admin_client.post("/routes", typed)
    assert wrong.status_code == 422
    assert 'value="backup"' in wrong.text
    assert "s3cret" not in wrong.text
    admin_client.post("/routes", {**typed, "host": "b.test", "username": "us"})
    page = admin_client.get("/routes").text
    assert "b.test:587" in page
    assert "s3cret" not in page
    row = Route.objects.get()
    assert (row.password(), row.port) == ("s3cret", 587)
    form = admin_client.get(f"/routes/{row.pk}").text
    assert "Change the route backup" in form
    assert "s3cret" not in form
    wrong = admin_client.post(f"/routes/{row.pk}", {**typed, "host": "x y"})
    assert (wrong.status_code, 'value="x y"' in wrong.text) == (422, True)
    admin_client.post(
        f"/routes/{row.pk}", {**typed, "host": "c.test", "username": "us", "password": "", "position": "7"}
    )
    row = Route.objects.get()
    assert (row.leads_to, row.password(), row.position) == ("c.test:587", "s3cret", 7)
    assert admin_client.get("/routes/4711").status_code == 404
    admin_client.post(f"/routes/{row.pk}/remove")
    assert not Route.objects.exists()


def test_a_form_that_holds_what_can_not_be_comes_back_as_it_was(admin_client: Client) -> None:
    domain()
    answer = admin_client.post("/domains/a.test/suspend", {"reason": "", "until": "4h"}, **IN_A_DIALOG)
    assert answer.status_code == 422
    assert "Say why" in answer.text
    assert '<option value="4h" selected>' in answer.text
    wrong = admin_client.post("/domains/a.test/suspend", {"reason": "x", "until": "never"})
    assert wrong.status_code == 422
    fast = admin_client.post("/domains/a.test/limits", {"rate": "fast", "max_age": "2d"})
    assert fast.status_code == 422
    assert "fast" in fast.text
    assert 'value="2d"' in fast.text
    assert admin_client.post("/domains/a.test/limits", {"retry_cap": HOSTILE}).status_code == 422
    assert RecipientDomain.objects.get().max_age is None


def test_limits_of_a_domain_and_of_a_site(admin_client: Client) -> None:
    site = domain().site
    assert site is not None
    admin_client.post("/domains/a.test/limits", {"rate": "60/m", "retry_first": "90s", "max_age": "2d"})
    row = RecipientDomain.objects.get()
    assert (row.rate, row.retry_first, row.max_age) == ("60/m", timedelta(seconds=90), timedelta(days=2))
    form = admin_client.get("/domains/a.test/limits").text
    assert 'value="90s"' in form
    assert 'value="2d"' in form
    admin_client.post(f"/sites/{site.pk}/limits", {"max_sessions": "3", "max_mails": "", "rate": ""})
    assert Site.objects.get().max_sessions == 3
    assert admin_client.post(f"/sites/{site.pk}/limits", {"max_sessions": "0"}).status_code == 422
    assert admin_client.post(f"/sites/{site.pk}/limits", {"max_sessions": "\u0663"}).status_code == 422
    assert "set for this site" in admin_client.get(f"/sites/{site.pk}").text
    admin_client.post("/domains/a.test/limits", {})
    assert RecipientDomain.objects.get().rate == ""


def test_what_holds_a_site_back_is_lifted(admin_client: Client) -> None:
    at = now()
    site = a_site(
        n_failures=3, backoff_class="connection", backoff_since=at, backoff_until=at + timedelta(hours=1)
    )
    block = Suspension.objects.create(
        site=site, reply_class="blocklisted", reply=HOSTILE, since=at, until=at + timedelta(hours=1)
    )
    page = admin_client.get(f"/sites/{site.pk}").text
    assert "the default source" in page
    assert "<script>alert" not in page
    assert "Lift now" in page
    assert admin_client.get(f"/suspensions/{block.pk}/lift").status_code == 200
    assert admin_client.post(f"/suspensions/{block.pk}/lift").status_code == 302
    block.refresh_from_db()
    assert block.lifted_by == "user:admin"
    assert admin_client.post(f"/sites/{site.pk}/lift").status_code == 302
    site.refresh_from_db()
    assert site.backoff_until is None


def test_a_retry_is_an_operation_on_what_was_shown(admin_client: Client) -> None:
    for _ in range(2):
        a_delivery(domain="a.test", state="deferred")
    form = admin_client.get("/domains/a.test/retry")
    assert "Retry 2 deliveries to a.test?" in form.text
    seen = form.context["act"].fields[-1].value
    a_delivery(domain="a.test", state="deferred")  # after the form was drawn: not theirs to retry
    done = admin_client.post(
        "/domains/a.test/retry", {"expect": "2", "seen": seen, "reason": "they are back"}
    )
    assert done.status_code == 302
    made = Operation.objects.get()
    assert (made.action, made.n_matched, made.reason) == ("retry", 2, "they are back")


def test_a_retry_of_another_number_is_asked_again(admin_client: Client) -> None:
    a_delivery(domain="a.test", state="deferred")
    form = admin_client.get("/domains/a.test/retry")
    seen = form.context["act"].fields[-1].value
    again = admin_client.post("/domains/a.test/retry", {"expect": "5", "seen": seen}, **IN_A_DIALOG)
    assert again.status_code == 422
    assert 'name="expect" value="1"' in again.text
    assert not Operation.objects.exists()
    assert AuditEvent.objects.get().is_refused


@pytest.mark.parametrize("act", ["suspend", "resume", "limits", "retry"])
def test_who_may_only_read_changes_nothing_and_is_noted(reader: Client, act: str) -> None:
    domain()
    assert reader.get("/domains/a.test").status_code == 200
    assert f"/domains/a.test/{act}" not in reader.get("/board").text
    answer = reader.post(f"/domains/a.test/{act}", {"reason": "x"})
    assert answer.status_code == 403
    assert "needs" in answer.text
    assert AuditEvent.objects.get().is_refused
    assert RecipientDomain.objects.get().suspended_at is None


def test_what_is_not_there_is_404(admin_client: Client) -> None:
    for path in ("/domains/nowhere.test", "/domains/nowhere.test/suspend", "/sites/99", "/sites/99/lift"):
        assert admin_client.get(path).status_code == 404
    assert admin_client.post("/suspensions/99/lift").status_code == 404
    assert admin_client.get("/domains/%00").status_code == 404


@pytest.mark.parametrize(
    "back", ["//evil.example/", "https://evil.example/", "/\\evil.example", "javascript:x"]
)
def test_it_never_leads_away(admin_client: Client, back: str) -> None:
    domain()
    answer = admin_client.post("/domains/a.test/resume", {"back": back})
    assert answer["Location"] == "/domains/a.test"


def test_it_leads_back_to_the_board_as_it_was(admin_client: Client) -> None:
    domain()
    answer = admin_client.post("/domains/a.test/resume", {"back": "/board?state=stuck"})
    assert answer["Location"] == "/board?state=stuck"


def test_a_form_needs_its_token() -> None:
    domain()
    client = Client(enforce_csrf_checks=True)
    client.force_login(User.objects.create_superuser("root"), "django.contrib.auth.backends.ModelBackend")
    assert client.post("/domains/a.test/suspend", {"reason": "x"}).status_code == 403
    assert RecipientDomain.objects.get().suspended_at is None
    assert AuditEvent.objects.get().is_refused

"""The page Back-off: what holds is told and lifted, rules are written, tried and switched, floods deleted."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from queueapp.engine.rules import effects, ruleset, shipped
from queueapp.engine.rules.effects import Target
from queueapp.engine.suspensions import Cause
from queueapp.models import BackoffRule, Delivery, Effect, Operation, SmtpLogin, Suspension
from queueapp.operations import run
from tests.dashboard.people import a_person, logged_in
from tests.dashboard.rows import HOSTILE, a_delivery, a_domain, a_message, a_site, an_attempt

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("valkey"), pytest.mark.once]
FORM = {
    "name": "mine", "about": "", "position": "100", "is_enabled": "yes", "condition": "reply", "codes": "451",
    "sites": "", "texts": "try later\nbusy now", "lines": "", "n_hits": "5", "per": "10m", "factor": "5",
    "action": "suspend", "scope": "site", "rate": "", "share": "", "lasts": "15m", "growth": "2", "cap": "4h",
}  # fmt: skip


def an_effect(action: str = "suspend", scope: str = "pair", reply: str = "421 busy", **target: Any) -> Effect:
    row = BackoffRule.objects.create(
        name=f"{action} {scope}", scope=scope, action=action, rate="30/m", lasts=timedelta(minutes=10)
    )
    return effects.begin(ruleset.of(row), Target(scope, **target), Cause("busy", reply))[0]


def test_an_empty_page_teaches_and_lists_what_comes_with_us(admin_client: Client) -> None:
    text = admin_client.get("/rules").text
    assert "No rule holds anything back." in text
    assert "Google: unusual rate" in text
    assert "the site gets 50 % of what went, at least 30 mails a minute, for 1 h" in text
    assert BackoffRule.objects.filter(key="blocked").exists()


def test_what_holds_is_told_on_its_page_the_board_the_site_and_the_domain(admin_client: Client) -> None:
    site = a_site("example.net")
    a_domain("x.test", site=site)
    made = an_effect("slow", "site", site_id=site.pk)
    for path in ("/rules", "/board", "/rules/strip", f"/sites/{site.pk}", "/domains/x.test"):
        text = admin_client.get(path).text
        assert "t most 30 mails a minute go to example.net" in text, path
        assert "421 busy" in text, path
        assert f"/effects/{made.pk}/lift" in text, path
    reader = logged_in(a_person("vera", "viewer"))
    assert "/lift" not in reader.get("/rules/strip").text


def test_it_is_lifted_by_its_form_and_then_told_as_over(admin_client: Client) -> None:
    made = an_effect(site_id=a_site("example.net").pk)
    assert "Lift it: nothing goes to example.net" in admin_client.get(f"/effects/{made.pk}/lift").text
    assert admin_client.post(f"/effects/{made.pk}/lift").status_code == 302
    assert Suspension.objects.get().lifted_by == "user:admin"
    assert "lifted by user:admin" in admin_client.get("/rules").text
    assert admin_client.post(f"/effects/{made.pk}/lift").status_code == 422
    assert admin_client.get("/effects/99/lift").status_code == 404


def test_what_a_stranger_writes_is_text(admin_client: Client) -> None:
    an_effect("stop_sender", "login", HOSTILE, value=HOSTILE[:60])
    for path in ("/rules", "/board"):
        text = admin_client.get(path).text
        assert "<script>alert" not in text
        assert "&lt;script&gt;alert" in text


def test_one_click_deletes_what_is_held_and_another_releases_it(admin_client: Client) -> None:
    made = an_effect("stop_sender", "login", "5,000 deliveries", value="web shop")
    for number in range(4):
        login = "web shop" if number else "else"
        a_delivery(a_message(login=login), "x.test", state="held", hold_reason="x")
    form = admin_client.get(f"/effects/{made.pk}/delete")
    assert "Delete 3 held deliveries of web shop?" in form.text
    seen = form.text.partition('name="seen" value="')[2].partition('"')[0]
    typed = {"reason": "a flood", "expect": "3", "seen": seen}
    wrong = admin_client.post(f"/effects/{made.pk}/delete", typed | {"expect": "2"})
    assert (wrong.status_code, Operation.objects.count()) == (422, 0)
    assert admin_client.post(f"/effects/{made.pk}/delete", typed).status_code == 302
    run.work(20)
    assert sorted(Delivery.objects.values_list("state", flat=True)) == ["deleted"] * 3 + ["held"]
    assert "Release 0 held deliveries" in admin_client.get(f"/effects/{made.pk}/release").text
    pair = an_effect(site_id=a_site().pk)
    assert admin_client.get(f"/effects/{pair.pk}/delete").status_code == 404


def test_a_rule_is_written_tried_changed_and_removed(admin_client: Client) -> None:
    site = a_site("example.net")
    a_domain("x.test", site=site)
    for _ in range(5):
        an_attempt(a_delivery(domain="x.test"), code=451, text="Busy now", stage="rcpt", at=timezone.now())
    tried = admin_client.post("/rules/new", FORM | {"do": "try"})
    assert "it would have acted <strong>1</strong> time on 1" in tried.text
    assert 'value="mine"' in tried.text, "what was typed stays"
    assert not BackoffRule.objects.filter(name="mine").exists()
    assert admin_client.post("/rules/new", FORM | {"do": "save"})["Location"] == "/rules"
    row = BackoffRule.objects.get(name="mine")
    assert (row.texts, row.per, row.share) == (["try later", "busy now"], timedelta(minutes=10), None)
    page = admin_client.get(f"/rules/{row.pk}").text
    assert "busy now”, 5 times in 10 min" in page
    assert 'value="15m"' in page
    admin_client.post(f"/rules/{row.pk}", FORM | {"do": "save", "cap": "1d"})
    row.refresh_from_db()
    assert row.cap == timedelta(days=1)
    assert admin_client.post(f"/rules/{row.pk}/delete").status_code == 302
    assert admin_client.get(f"/rules/{row.pk}").status_code == 404


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"lasts": "soon"}, "lasts &#x27;soon&#x27; is not"),
        ({"n_hits": "many"}, "n_hits &#x27;many&#x27; is not a whole number"),
        ({"growth": "x"}, "growth &#x27;x&#x27; is not a number"),
        ({"codes": "99"}, "the code &#x27;99&#x27;"),
        ({"texts": "", "codes": ""}, "would answer every refusal"),
        ({"scope": "login"}, "suspend on login can&#x27;t be"),
    ],
)
def test_a_mistake_is_told_and_what_was_typed_stays(
    admin_client: Client, changes: dict[str, str], told: str
) -> None:
    answer = admin_client.post("/rules/new", FORM | changes | {"do": "save"})
    assert answer.status_code == 422
    assert told in answer.text
    assert 'value="mine"' in answer.text
    assert not BackoffRule.objects.filter(name="mine").exists()


def test_a_shipped_rule_is_switched_and_copied_and_not_written(admin_client: Client) -> None:
    shipped.sync()
    row = BackoffRule.objects.get(key="busy")
    assert admin_client.post(f"/rules/{row.pk}/switch", {"on": "no"}).status_code == 302
    row.refresh_from_db()
    assert not row.is_enabled
    assert "comes with Mailweir" in admin_client.get(f"/rules/{row.pk}").text
    assert admin_client.post(f"/rules/{row.pk}", FORM | {"do": "save"}).status_code == 422
    assert "Busy again and again, mine" in admin_client.get(f"/rules/new?like={row.pk}").text
    assert admin_client.post(f"/rules/{row.pk}", {"do": "try"}).status_code == 200
    reader = logged_in(a_person("vera", "viewer"), raise_request_exception=False)
    assert "disabled" not in reader.get(f"/rules/{row.pk}").text
    assert reader.post(f"/rules/{row.pk}/switch", {"on": "yes"}).status_code == 403


def test_a_rule_about_floods_is_tried_on_what_came_in(admin_client: Client) -> None:
    a_message(login="web shop", n_recipients=4000)
    shipped.sync()
    row = BackoffRule.objects.get(key="flood")
    text = admin_client.post(f"/rules/{row.pk}", {"do": "try"}).text
    assert "What it would have held" in text
    assert "4,000 deliveries within a minute; nothing near is usual for it" in text
    form = FORM | {
        "condition": "flood",
        "scope": "login",
        "action": "stop_sender",
        "n_hits": "5000",
        "do": "try",
    }
    assert "Nobody would have been stopped." in admin_client.post("/rules/new", form).text


def test_the_owner_and_allowance_of_a_login_are_set_by_a_form(admin_client: Client) -> None:
    row = SmtpLogin.objects.create(name="shop", digest="x")
    assert f"/logins/{row.pk}/sender" in admin_client.get("/keys").text
    answer = admin_client.post(f"/logins/{row.pk}/sender", {"owner": "x", "allowance": "10"})
    assert answer.status_code == 422
    admin_client.post(f"/logins/{row.pk}/sender", {"owner": "it@example.com", "allowance": "5000"})
    row.refresh_from_db()
    assert (row.owner, row.allowance) == ("it@example.com", 5000)

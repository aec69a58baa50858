"""`manage.py suppression`: what it lists, adds and lifts, and what it refuses."""

from __future__ import annotations

import io
import json

import pytest
from django.core.management import call_command
from django.utils import timezone

from queueapp.ingest.accept import accept
from queueapp.ingest.submission import Submission
from queueapp.models import AuditEvent, Suppression

pytestmark = pytest.mark.django_db
MAIL = b"Subject: x\r\n\r\nhello\r\n"


def run(*arguments: str) -> tuple[str, str, int]:
    """stdout, stderr and the exit code."""
    out, err = io.StringIO(), io.StringIO()
    try:
        call_command("suppression", *arguments, stdout=out, stderr=err)
    except SystemExit as ended:
        return out.getvalue(), err.getvalue(), int(str(ended.code))
    return out.getvalue(), err.getvalue(), 0


def state_of_mail_to(address: str) -> str:
    return accept(Submission("a@b.test", (address,), MAIL, "smtp")).deliveries[0][2]


def test_it_refuses_mail_to_an_added_address_from_then_on() -> None:
    assert state_of_mail_to("x@c.test") == "queued"
    assert run("add", "X@C.test", "--reason", "asked us to stop") == ("", "", 0)
    assert state_of_mail_to("x@c.test") == "bounced"


def test_it_takes_mail_to_a_lifted_address_again() -> None:
    run("add", "x@c.test")
    assert run("lift", "X@c.TEST") == ("", "", 0)
    assert state_of_mail_to("x@c.test") == "queued"


def test_it_lists_with_reason_and_evidence() -> None:
    Suppression.objects.create(
        address="x@c.test",
        reply_class="no_such_user",
        reason="There is no such address.",
        evidence="550 5.1.1 no\x1b[2Jsuch user",
        created_at=timezone.now(),
    )
    out, _, _ = run("list")
    assert "x@c.test" in out
    assert "no_such_user" in out
    assert "\x1b" not in out
    [line] = run("list", "--json")[0].splitlines()
    assert json.loads(line)["reason"] == "There is no such address."


def test_it_lists_a_part() -> None:
    run("add", "x@c.test")
    run("add", "y@d.test")
    assert run("list", "D.TEST", "--json")[0].count("\n") == 1


def test_it_says_when_there_is_none() -> None:
    assert run("list")[1] == "No address is suppressed.\n"


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("lift", "x@c.test"), "x@c.test is not suppressed"),
        (("add", "nobody"), "nobody"),
        (("add", f"{'x' * 400}@c.test"), "long"),
    ],
)
def test_it_refuses_what_cannot_be_with_its_value(arguments: tuple[str, ...], why: str) -> None:
    out, err, code = run(*arguments)
    assert (out, code) == ("", 1)
    assert why in err


def test_it_refuses_the_second_time() -> None:
    run("add", "x@c.test")
    assert "suppressed already" in run("add", "x@c.test")[1]
    assert Suppression.objects.count() == 1


def test_every_change_is_in_the_audit() -> None:
    run("add", "x@c.test", "--reason", "asked")
    run("lift", "x@c.test")
    events = AuditEvent.objects.order_by("id").values_list("action", "target", "detail__reason")
    assert list(events) == [
        ("suppression.add", "x@c.test", "asked"),
        ("suppression.lift", "x@c.test", "asked"),
    ]

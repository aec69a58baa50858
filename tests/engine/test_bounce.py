"""Reports to senders: which deliveries get one, what it says, and who never does."""

from __future__ import annotations

import email
from datetime import timedelta
from email.message import Message as Mime

import pytest
from django.utils import timezone

from queueapp import conf
from queueapp.engine import lease, outcome
from queueapp.engine.claim import Claimed, claim
from queueapp.engine.outcome import Result
from queueapp.ingest.accept import accept
from queueapp.ingest.submission import Submission
from queueapp.models import Body, Delivery, Message, State
from queueapp.transports.base import Outcome

pytestmark = pytest.mark.django_db
ORIGINAL = b"From: a@b.test\r\nSubject: Invoice\r\nMessage-ID: <1@b.test>\r\n\r\nsecret text\r\n"
NO_USER = Outcome(
    result="bounced",
    reply_class="no_such_user",
    code=550,
    enhanced="5.1.1",
    text="no such user",
    host="mx.c.test",
)
BUSY = Outcome(result="deferred", reply_class="busy", code=421, enhanced="4.3.2", text="too busy")


def submitted(
    *recipients: str, sender: str = "a@b.test", content: bytes = ORIGINAL
) -> tuple[int, list[Claimed]]:
    accept(Submission(sender, recipients, content, "smtp"))
    runner = lease.begin("runner-0")
    return runner, claim(runner, 100)


def record(runner: int, rows: list[Claimed], what: Outcome) -> None:
    outcome.record(runner, [Result(row, what, timezone.now()) for row in rows])


def reports() -> list[Mime]:
    bodies = Body.objects.filter(message__source="report").order_by("pk")
    return [email.message_from_bytes(bytes(body.content)) for body in bodies]


def test_it_tells_the_sender_of_a_bounce() -> None:
    runner, rows = submitted("x@c.test")
    record(runner, rows, NO_USER)
    [report] = reports()
    people, status, headers = [part for part in report.walk() if not part.is_multipart()][:3]
    assert report["To"] == "<a@b.test>"
    assert report["Auto-Submitted"] == "auto-replied"
    assert report["In-Reply-To"] == "<1@b.test>"
    assert "x@c.test" in people.get_payload()
    assert "550 5.1.1 no such user" in people.get_payload()
    assert "Invoice" in report.as_string()
    assert "secret text" not in report.as_string()


def test_it_goes_out_with_the_null_sender_by_the_queue() -> None:
    runner, rows = submitted("x@c.test")
    record(runner, rows, NO_USER)
    message = Message.objects.get(source="report")
    assert message.sender == ""
    delivery = Delivery.objects.get(message=message)
    assert (delivery.recipient, delivery.state) == ("a@b.test", State.QUEUED)


def test_it_writes_one_report_for_all_recipients_of_a_message() -> None:
    runner, rows = submitted("x@c.test", "y@c.test", "z@d.test")
    record(runner, rows, NO_USER)
    [report] = reports()
    for recipient in ("x@c.test", "y@c.test", "z@d.test"):
        assert f"Final-Recipient: rfc822; {recipient}" in report.as_string()


def test_it_never_answers_a_null_sender() -> None:
    runner, rows = submitted("x@c.test", sender="")
    record(runner, rows, NO_USER)
    assert reports() == []


def test_a_report_that_bounces_makes_no_other() -> None:
    runner, rows = submitted("x@c.test")
    record(runner, rows, NO_USER)
    record(runner, claim(runner, 100), NO_USER)
    assert len(reports()) == 1
    assert not Delivery.objects.waiting().exists()


def test_it_reports_what_expired() -> None:
    runner, rows = submitted("x@c.test")
    record(runner, rows, Outcome(result="bounced", reply_class="expired", enhanced="4.4.7", text="gave up"))
    [report] = reports()
    assert Delivery.objects.get(recipient="x@c.test").state == State.EXPIRED
    assert "Status: 4.4.7" in report.as_string()


def test_it_does_not_report_a_deferral() -> None:
    runner, rows = submitted("x@c.test")
    record(runner, rows, BUSY)
    assert reports() == []


def late(rows: list[Claimed]) -> list[Claimed]:
    for row in rows:
        row.waits_since -= conf.current().delay_warning + timedelta(minutes=1)
    return rows


def test_it_warns_of_a_delay_once() -> None:
    runner, rows = submitted("x@c.test")
    record(runner, late(rows), BUSY)
    [report] = reports()
    assert "Action: delayed" in report.as_string()
    assert "Will-Retry-Until" in report.as_string()
    Delivery.objects.filter(recipient="x@c.test").update(next_attempt_at=timezone.now())
    Delivery.objects.get(recipient="x@c.test").domain.__class__.objects.update(due_at=timezone.now())
    again = [row for row in claim(runner, 100) if row.recipient == "x@c.test"]
    record(runner, late(again), BUSY)
    assert len(reports()) == 1


@pytest.mark.parametrize("header", [b"Precedence: bulk\r\n", b"List-Unsubscribe: <mailto:u@b.test>\r\n"])
def test_it_does_not_warn_of_late_bulk_mail(header: bytes) -> None:
    runner, rows = submitted("x@c.test", content=header + ORIGINAL)
    record(runner, late(rows), BUSY)
    assert reports() == []


def test_it_takes_a_hostile_original() -> None:
    hostile = b"Subject: a\r\n b\x80\xff\r\nMessage-ID: <<<>\r\nX: " + b"y" * 900 + b"\r\n\r\nz\r\n"
    runner, rows = submitted("x@c.test", content=hostile)
    record(runner, rows, NO_USER)
    [report] = reports()
    assert report["To"] == "<a@b.test>"
    assert not report.defects


def test_it_reads_only_the_head_of_a_large_original() -> None:
    runner, rows = submitted("x@c.test", content=ORIGINAL + b"0123456789\r\n" * 500_000)
    record(runner, rows, NO_USER)
    assert Message.objects.get(source="report").size < 30_000


def test_a_stale_outcome_makes_no_report() -> None:
    runner, rows = submitted("x@c.test")
    Delivery.objects.update(runner_id=runner + 1)
    record(runner, rows, NO_USER)
    assert reports() == []

"""Alert mail by real SMTP: in the order of the ways, past one that fails; what was said, and no secret."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from django.utils import timezone

from queueapp import conf
from queueapp.conf import RouteSpec
from queueapp.models import AlertGroup, Notice, NoticeKind, Severity
from queueapp.watch.alerts import away
from queueapp.watch.notify import letter, send, trial, ways
from queueapp.watch.notify.words import story
from tests.watch.mailbox import Mailbox

NOW = timezone.now()
NOBODY = RouteSpec("relay", "127.0.0.1", 1, tls="none")
HOSTILE = "<script>alert(1)</script>\r\nBcc: all@example.com\x1b[31m\u202e"


def a_letter(title: str = "Redis does not answer") -> bytes:
    group = AlertGroup(key="x", title=title, severity=Severity.CRITICAL, since=NOW)
    told = story(NoticeKind.FIRING, group, (), NOW, detail={"reply": title, "causes": [[title, 3]]})
    return letter.letter(told.subject, "ops@example.com", letter.text(told), letter.html(told), NOW)


@pytest.mark.once
def test_it_goes_by_the_second_way_where_the_first_is_dead() -> None:
    with Mailbox() as box, conf.override(alert_smtp=(NOBODY, *box.ways)):
        sent = ways.send("ops@example.com", a_letter())
    assert (sent.is_sent, sent.error) == (True, "")
    assert "by 127.0.0.1:1" in sent.talk
    assert "RCPT TO:<ops@example.com>" in sent.talk
    assert [envelope.rcpt_tos for envelope in box.envelopes] == [["ops@example.com"]]
    assert box.mails[0]["Auto-Submitted"] == "auto-generated"


@pytest.mark.once
def test_a_password_is_never_told() -> None:
    with Mailbox(password="hunter2-long") as box:
        way = replace(box.ways[0], username="ops", password="hunter2-long")
        with conf.override(alert_smtp=(way,)):
            sent = ways.send("ops@example.com", a_letter())
    assert sent.is_sent, sent.talk
    assert "AUTH" in sent.talk
    assert "hunter2-long" not in sent.talk


@pytest.mark.once
def test_what_strangers_wrote_is_plain_in_text_escaped_in_html_and_one_line_in_the_subject() -> None:
    with Mailbox() as box, conf.override(alert_smtp=box.ways):
        assert ways.send("ops@example.com", a_letter(HOSTILE)).is_sent
    [mail] = box.mails
    assert mail["Bcc"] is None
    assert "\n" not in mail["Subject"]
    assert "\u202e" not in mail["Subject"]
    text, html = (mail.get_body((kind,)).get_content() for kind in ("plain", "html"))  # type: ignore[union-attr]
    assert "<script>alert(1)</script>" in text
    assert not any(char in text + html for char in "\x1b\u202e")
    assert "<script" not in html
    assert "&lt;script&gt;" in html


@pytest.mark.django_db
def test_what_is_refused_for_now_is_tried_again_and_then_taken() -> None:
    group = AlertGroup.objects.create(key="x", title="Late", severity="critical", since=NOW)
    made = Notice.objects.create(
        group=group, kind="firing", channel="email", to="ops@example.com", subject="Late",
        body=a_letter().decode(), made_at=NOW, next_try_at=NOW,
    )  # fmt: skip
    with Mailbox(refuse="450 4.2.1 later") as box, conf.override(alert_smtp=(*box.ways, NOBODY)):
        send.run()
        made.refresh_from_db()
        assert (made.state, made.n_tries) == ("waiting", 1)
        assert "later" in made.error
        assert made.next_try_at is not None
        assert made.next_try_at > NOW
        box.refuse = ""
        Notice.objects.update(next_try_at=NOW)
        send.run()
    made.refresh_from_db()
    assert (made.state, made.n_tries, len(box.mails)) == ("sent", 2, 1)


@pytest.mark.django_db
def test_a_test_mail_tells_the_conversation() -> None:
    with Mailbox() as box, conf.override(alert_smtp=box.ways):
        made = trial.mail("ops@example.com", NOW)
    assert (made.state, made.kind) == ("sent", "test")
    assert "250 taken" in made.talk
    assert "This is a test" in box.subjects[0]


@pytest.mark.django_db
@pytest.mark.once
def test_a_database_that_is_away_is_told_from_memory_once_and_once_when_it_is_back() -> None:
    error, began = OSError("connection refused"), NOW - timedelta(seconds=300)
    with Mailbox() as box, conf.override(alert_smtp=box.ways, alert_to=("ops@example.com",)):
        for seconds in (0, 20, 45, 60, 90):
            away.note(error, began + timedelta(seconds=seconds))
            send.run()
        assert box.subjects == [f"[{conf.current().host}] CRITICAL: The database does not answer"]
        away.over(began + timedelta(seconds=120))
        away.over(began + timedelta(seconds=125))
        send.run()
    assert len(box.mails) == 2
    assert "Resolved" in box.subjects[1]
    assert box.mails[1]["References"] == box.mails[0]["Message-ID"]

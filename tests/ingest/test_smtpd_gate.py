"""The submission server in front of the real gate and a real database."""

from __future__ import annotations

import smtplib
from collections.abc import Iterator

import pytest

from queueapp.ingest.accept import accept_async
from queueapp.ingest.smtpd import SubmissionHandler
from queueapp.models import Delivery, Message
from tests.transports.serving import serving

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def smtp() -> Iterator[smtplib.SMTP]:
    with (
        serving(SubmissionHandler(accept_async, None)) as server,
        smtplib.SMTP(*server.address, local_hostname="client.test", timeout=20) as client,
    ):
        yield client


def test_it_stores_what_it_answers_with_250(smtp: smtplib.SMTP) -> None:
    smtp.sendmail("a@x.test", ["b@y.test", "c@z.test"], b"Subject: hi\r\n\r\nhello\r\n")
    message = Message.objects.get()
    assert (message.sender, message.subject, message.source) == ("a@x.test", "hi", "smtp")
    assert (message.client, message.helo, message.protocol) == ("127.0.0.1", "client.test", "ESMTP")
    assert sorted(Delivery.objects.values_list("recipient", flat=True)) == ["b@y.test", "c@z.test"]


def test_it_refuses_a_mail_that_loops(smtp: smtplib.SMTP) -> None:
    received = b"Received: from a by b; now\r\n"
    with pytest.raises(smtplib.SMTPDataError) as refused:
        smtp.sendmail("a@x.test", "b@y.test", received * 51 + b"Subject: x\r\n\r\nx\r\n")
    assert refused.value.smtp_code == 554
    assert bytes(refused.value.smtp_error).startswith(b"5.4.6 ")  # type: ignore[arg-type]
    smtp.sendmail("a@x.test", "b@y.test", received * 50 + b"Subject: x\r\n\r\nx\r\n")
    assert Message.objects.count() == 1

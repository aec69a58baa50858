from __future__ import annotations

import smtplib
import socket
import time

import pytest

from bench.mails import Mails
from bench.sink import Sink, SlowSink, Stalled
from bench.source import Source
from bench.systems.base import Failed, push


@pytest.mark.needs("smtp-sink", "smtp-source")
def test_the_sink_counts_each_mail_once() -> None:
    with Sink() as sink, Source(sink.address, 500, 10) as source:
        source.start()
        sink.wait_for(500, settle=0.2)
        source.wait()
        assert sink.count == source.n == 500
        assert sink.first_at <= sink.last_at
        assert source.seconds > 0


@pytest.mark.needs("smtp-sink")
def test_mails_that_do_not_come_are_told() -> None:
    with Sink() as sink:
        push(sink.address, Mails(3), connections=1)
        with pytest.raises(Stalled, match="3 of 4 mails"):
            sink.wait_for(4, patience=0.5)


def test_the_slow_sink_takes_what_the_loader_sends() -> None:
    with SlowSink() as sink:
        push(sink.address, Mails(200, 7), connections=5)
        sink.wait_for(200, settle=0)
        assert sink.count == 200


def test_it_tells_when_a_watched_mail_came() -> None:
    with SlowSink("--watch", "probe") as sink:
        before = time.monotonic()
        with smtplib.SMTP(*sink.address) as client:
            client.sendmail("a@b.test", ["other@c.test"], "Subject: x\r\n\r\nx\r\n")
            client.sendmail("a@b.test", ["probe-1@c.test"], "Subject: x\r\n\r\n.\r\n..\r\n")
        assert before <= sink.wait_for_recipient("probe-1@c.test", 10) <= time.monotonic()
        assert "other@c.test" not in sink.seen


def test_its_answers_come_late_and_in_order() -> None:
    with SlowSink("--rtt", "0.05", "--think", "0.1") as sink:
        began = time.monotonic()
        with smtplib.SMTP(*sink.address) as client:  # greeting 0.1, EHLO 0.05, QUIT 0.05
            client.sendmail("a@b.test", ["c@d.test"], "Subject: x\r\n\r\nx\r\n")  # 0.15, and the content 0.15
        assert time.monotonic() - began >= 0.5


def test_it_refuses_for_now_and_counts_that() -> None:
    with SlowSink("--refuse") as sink:
        with smtplib.SMTP(*sink.address) as client, pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
            client.sendmail("a@b.test", ["c@d.test"], "Subject: x\r\n\r\nx\r\n")
        assert refused.value.recipients["c@d.test"][0] == 452
        sink.wait_for(1, settle=0)
        with pytest.raises(Failed, match="452"):
            push(sink.address, Mails(1), connections=1)


def test_who_says_quit_with_the_content_gets_all_answers() -> None:
    with (
        SlowSink("--rtt", "0.01", "--think", "0.01") as sink,
        socket.create_connection(sink.address) as client,
    ):
        client.sendall(
            b"EHLO a.test\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<c@d.test>\r\nDATA\r\nx\r\n.\r\nQUIT\r\n"
        )
        client.shutdown(socket.SHUT_WR)
        said = b"".join(iter(lambda: client.recv(4096), b""))
    codes = [line[:3] for line in said.splitlines() if line[3:4] == b" "]
    assert codes == [b"220", b"250", b"250", b"250", b"354", b"250", b"221"]

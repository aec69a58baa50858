"""Mail leaves with what it must have and the signatures of its domain, or it waits."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import dkim as verifier
import pytest
from django.conf import settings as django_settings

from queueapp import conf
from queueapp.access import dkim
from queueapp.engine import bodies, signing
from queueapp.models import Attempt, Body, Delivery, DkimKey, Message
from queueapp.sandbox.archive import Archive
from tests.access.by import by
from tests.engine.queue import put, run_once, sandbox, states

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("valkey")]
MAIL = b"From: Ann <ann@news.example.com>\r\nBcc: secret@example.net\r\nSubject: x\r\n\r\nhello \r\n\r\n\r\n"


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    with sandbox(tmp_path) as found, conf.override(hostname="mail.example.com"):
        yield found


def make(domain: str, selector: str = "s1", kind: str = "rsa") -> None:
    dkim.create(domain, selector=selector, kind=kind, is_active=True, actor=by())


def arrived(archive: Archive) -> list[bytes]:
    mails = [archive.get(mail.id) for mail in archive.list_mails()]
    return [mail.content for mail in mails if mail]


def dns(name: bytes, timeout: int = 5) -> bytes | None:
    for key in DkimKey.objects.all():
        if name == f"{key.record_name}.".encode():
            return "".join(key.record).encode()
    return None


def verdicts(mail: bytes) -> list[bool]:
    n = mail.partition(b"\r\n\r\n")[0].count(b"DKIM-Signature:")
    return [verifier.DKIM(mail).verify(idx=index, dnsfunc=dns) for index in range(n)]


def test_it_arrives_signed_by_both_keys(archive: Archive) -> None:
    make("news.example.com", kind="both")
    put("bob@example.net", content=MAIL)
    run_once()
    [mail] = arrived(archive)
    assert verdicts(mail) == [True, True]
    assert mail.index(b"rsa-sha256") < mail.index(b"ed25519-sha256")


def test_it_arrives_with_what_was_missing_and_without_bcc(archive: Archive) -> None:
    put("bob@example.net", content=MAIL)
    message = Message.objects.get()
    assert message.message_id.endswith("@mail.example.com")
    run_once()
    [mail] = arrived(archive)
    assert f"\r\nMessage-ID: <{message.message_id}>\r\n".encode() in mail
    assert b"\r\nDate: " in mail
    assert b"secret@" not in mail
    assert b"DKIM-Signature" not in mail
    assert bytes(Body.objects.get().content) == MAIL, "the row stays as submitted"


def test_a_parents_key_signs_where_the_domain_has_none(archive: Archive) -> None:
    make("example.com")
    put("bob@example.net", content=MAIL)
    run_once()
    [mail] = arrived(archive)
    assert b"d=example.com;" in mail
    assert verdicts(mail) == [True]


def test_a_pending_or_retired_key_does_not_sign(archive: Archive) -> None:
    dkim.create("example.com", selector="s1", actor=by())
    make("news.example.com", "s2")
    dkim.retire("news.example.com", "s2", actor=by())
    put("bob@example.net", content=MAIL)
    run_once()
    assert b"DKIM-Signature" not in arrived(archive)[0]


def test_a_bounce_report_is_signed_too(archive: Archive) -> None:
    make("example.com", kind="both")
    put("bob+nouser@example.net", content=MAIL, sender="ann@example.org")
    run_once()
    reports = [mail for mail in arrived(archive) if b"Mail not delivered" in mail]
    assert len(reports) == 1
    assert verdicts(reports[0]) == [True, True]
    assert b"secret@" not in reports[0]


def test_a_key_that_cannot_be_opened_makes_the_mail_wait(archive: Archive) -> None:
    make("example.com")
    put("bob@example.net", content=MAIL)
    put("bob@example.org", name="2", sender="ann@example.org", content=b"From: a@b.test\r\n\r\nx\r\n")
    before = django_settings.SECRET_KEY
    django_settings.SECRET_KEY = "another" * 10
    try:
        run_once()
    finally:
        django_settings.SECRET_KEY = before
    assert states() == {"bob@example.net": "deferred", "bob@example.org": "delivered"}
    attempt = Attempt.objects.get(delivery__recipient="bob@example.net")
    assert (attempt.result, attempt.rule) == ("deferred", "signing")
    assert "manage.py dkim rotate example.com" in attempt.text
    assert len(arrived(archive)) == 1


def test_a_new_key_is_used_after_a_moment_without_a_restart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signing, "KNOWN_FOR", 0.0)
    pk = Delivery.objects.get(pk=put("bob@example.net", content=MAIL)[0]).message_id
    assert b"DKIM-Signature" not in bodies.load([pk])[pk]
    make("example.com")
    assert b"s=s1;" in bodies.load([pk])[pk]
    make("example.com", "s2")
    assert b"s=s2;" in (bodies.load_one(pk) or b"")


def test_the_row_gives_the_same_mail_each_time() -> None:
    pk = Delivery.objects.get(pk=put("bob@example.net", content=MAIL)[0]).message_id
    assert bodies.load([pk]) == bodies.load([pk])
    assert bodies.load_one(pk) == bodies.load([pk])[pk]
    assert bodies.load_one(pk + 1) is None


def test_bare_line_ends_leave_as_the_standard_has_them(archive: Archive) -> None:
    make("news.example.com")
    put("bob@example.net", content=b"From: ann@news.example.com\nSubject: x\r\n\none\rtwo\n\r\nthree")
    run_once()
    [mail] = arrived(archive)
    assert mail.count(b"\r\n") == mail.count(b"\r") == mail.count(b"\n")
    assert mail.endswith(b"\r\n\r\none\r\ntwo\r\n\r\nthree\r\n")
    assert verdicts(mail) == [True]

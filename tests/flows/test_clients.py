"""Every kind of client delivers to the sandbox, and the counts match exactly."""

from __future__ import annotations

import os
import smtplib
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from email.message import EmailMessage
from pathlib import Path

import pytest

from tests.flows.settled import archive, key, settled, until
from tests.system import ROOT, System
from tests.transports.certificates import Certificates, make_certificates

pytestmark = pytest.mark.system
Program = Callable[[str], str]


@pytest.fixture(scope="module")
def system(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    made: Certificates = make_certificates(tmp_path_factory.mktemp("tls"))
    settings = {"MAILWEIR_SMTP_CERT": str(made.certificate), "MAILWEIR_SMTP_KEY": str(made.key)}
    with System(database_url=database_url, settings=settings) as running:
        yield running


def arrived(system: System, recipient: str) -> int:
    return len(archive(system).receipts(recipient=recipient))


def arrives(system: System, recipient: str, n: int = 1) -> bytes:
    """Wait for `n` mails to the recipient; the content of the last one."""
    until(lambda: arrived(system, recipient) >= n, 30, f"nothing came for {recipient}")
    assert arrived(system, recipient) == n
    receipt = archive(system).receipts(recipient=recipient)[-1]
    mail = archive(system).get(receipt.mail_id)
    assert mail is not None
    return mail.content


def run(*command: str, env: dict[str, str] | None = None, stdin: str = "", code: int = 0) -> str:
    done = subprocess.run(
        command, capture_output=True, text=True, input=stdin, timeout=120, check=False, env=env
    )
    output = f"{done.stdout}\n{done.stderr}"
    assert done.returncode == code, f"{command[0]} ended with {done.returncode}\n{output}"
    return output


def swaks(program: Program, system: System, *more: str, code: int = 0) -> str:
    host, port = system.smtp_address
    return run(
        program("swaks"), "--server", host, "--port", str(port), "--from", "a@b.test", *more, code=code
    )


def test_it_takes_swaks_plain(system: System, program: Program) -> None:
    swaks(program, system, "--to", "plain@swaks.test")
    assert b"This is a test mailing" in arrives(system, "plain@swaks.test")


def test_it_takes_swaks_with_login_over_tls(system: System, program: Program) -> None:
    password = system.manage("smtplogin", "create", "swaks").stdout.split()[-1]
    login = ("--auth", "PLAIN", "--auth-user", "swaks", "--auth-password", password)
    swaks(program, system, "--to", "login@swaks.test", "--tls", *login)
    content = arrives(system, "login@swaks.test")
    assert b"with ESMTPSA" in content.split(b"\r\n\r\n")[0]


def test_it_refuses_swaks_with_a_wrong_password(system: System, program: Program) -> None:
    login = ("--auth", "PLAIN", "--auth-user", "swaks", "--auth-password", "wrong")
    output = swaks(program, system, "--to", "wrong@swaks.test", "--tls", *login, code=28)
    assert "535 5.7.8" in output
    assert arrived(system, "wrong@swaks.test") == 0


def test_it_takes_swaks_with_an_attachment(system: System, program: Program, tmp_path: Path) -> None:
    file = tmp_path / "figures.csv"
    file.write_bytes(os.urandom(20_000))
    swaks(program, system, "--to", "attached@swaks.test", "--attach", f"@{file}")
    assert b"figures.csv" in arrives(system, "attached@swaks.test")


def test_it_takes_addresses_beyond_ascii(system: System) -> None:
    # swaks of Debian 12 has no SMTPUTF8; smtplib has.
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "jürgen@b.test", "жанна@utf8.test", "Grüße"
    message.set_content("Überall")
    with smtplib.SMTP(*system.smtp_address) as client:
        client.send_message(message)
    content = arrives(system, "жанна@utf8.test")
    assert "Grüße".encode() in content


def test_it_takes_two_thousand_mails_of_smtp_source(system: System, program: Program) -> None:
    host, port = system.smtp_address
    load = ("-s", "20", "-m", "2000", "-l", "5120", "-f", "a@b.test", "-t", "bulk@source.test")
    run(program("smtp-source"), *load, f"inet:{host}:{port}")
    until(lambda: arrived(system, "bulk@source.test") >= 2000, 120, "not all of the 2,000 arrived")
    assert arrived(system, "bulk@source.test") == 2000


def test_it_takes_curl(system: System, program: Program, tmp_path: Path) -> None:
    mail = tmp_path / "mail.eml"
    mail.write_bytes(b"Subject: by curl\r\n\r\nhello\r\n")
    to = ("--mail-from", "a@b.test", "--mail-rcpt", "curl@curl.test", "--upload-file", str(mail))
    run(program("curl"), "-sS", f"smtp://{system.smtp}", *to)
    assert b"Subject: by curl" in arrives(system, "curl@curl.test")


def test_it_takes_sendmail(system: System) -> None:
    mail = "From: a@b.test\nTo: one@sendmail.test\nBcc: two@sendmail.test\nSubject: cron\n\ndone\n"
    system.manage("sendmail", "-t", "-i", "-f", "root@b.test", stdin=mail)
    assert b"two@sendmail.test" not in arrives(system, "one@sendmail.test")
    arrives(system, "two@sendmail.test")


DJANGO = """
    import django, sys
    from django.conf import settings
    settings.configure({settings}, DEFAULT_FROM_EMAIL="a@b.test", USE_TZ=True)
    django.setup()
    from django.core.mail import EmailMessage, send_mail
    send_mail("plain", "hello", None, [sys.argv[1]])
    EmailMessage("hidden", "hello", None, [sys.argv[1]], bcc=["hidden-" + sys.argv[1]]).send()
"""


def other_project(folder: Path, recipient: str, settings: str, env: dict[str, str]) -> None:
    """A Django project that is not ours, in a process of its own."""
    script = folder / "project.py"
    script.write_text(textwrap.dedent(DJANGO).format(settings=settings))
    run(sys.executable, str(script), recipient, env=env)


def test_it_takes_another_django_project_by_http(system: System, tmp_path: Path) -> None:
    backend = (
        'EMAIL_BACKEND="queueapp.ingest.backend.HttpEmailBackend", '
        f'MAILWEIR_URL="{system.http}", MAILWEIR_KEY="{key(system)}"'
    )
    other_project(tmp_path, "http@django.test", backend, {**os.environ, "PYTHONPATH": str(ROOT)})
    arrives(system, "http@django.test", 2)
    arrives(system, "hidden-http@django.test")


def test_it_takes_another_django_project_that_shares_the_database(system: System, tmp_path: Path) -> None:
    backend = (
        'EMAIL_BACKEND="queueapp.ingest.backend.EmailBackend", INSTALLED_APPS=["queueapp"], '
        '**{"DATABASES": __import__("dashboard.settings").settings.DATABASES}'
    )
    other_project(tmp_path, "shared@django.test", backend, {**system.env, "PYTHONPATH": str(ROOT)})
    arrives(system, "shared@django.test", 2)
    arrives(system, "hidden-shared@django.test")


def test_the_books_agree_when_all_is_done(system: System) -> None:
    book = archive(system).counts()
    now = settled(system, 2000)
    assert now["delivered"] == book.recipients
    assert now["deferred"] == now["bounced"] == now["held"] == 0

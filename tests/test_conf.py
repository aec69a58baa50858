"""Settings: what is allowed, how a refusal reads, and that no secret is ever told."""

from __future__ import annotations

from dataclasses import fields
from datetime import timedelta
from pathlib import Path

import pytest

from queueapp import conf
from queueapp.conf import Address, Conf, RouteSpec, WrongSetting, load

NAMES = [each.metadata["name"] for each in fields(Conf)]


def test_it_works_without_any_setting() -> None:
    found = load({})
    assert (found.http, found.workers, found.sessions) == (Address("127.0.0.1", 8000), 2, 200)
    assert (found.max_age, found.retry_first, found.retry_cap) == (
        timedelta(days=5), timedelta(minutes=5), timedelta(hours=4),
    )  # fmt: skip
    assert found.max_size == 50_000_000
    assert found.route == RouteSpec("sandbox")
    assert found.home == Path("var").resolve()


@pytest.mark.parametrize(
    ("name", "text", "attribute", "value"),
    [
        ("MAILWEIR_HTTP", "[::1]:0", "http", Address("::1", 0)),
        ("MAILWEIR_SMTP", "mail.example.com:587", "smtp", Address("mail.example.com", 587)),
        ("MAILWEIR_MAX_AGE", "1.5h", "max_age", timedelta(minutes=90)),
        ("MAILWEIR_MAX_SIZE", "2 kb", "max_size", 2000),
        ("MAILWEIR_MAX_SIZE", "123", "max_size", 123),
        ("MAILWEIR_WORKERS", "0", "workers", 0),
        ("MAILWEIR_ALERT_TO", "a@b.test, c@d.test", "alert_to", ("a@b.test", "c@d.test")),
        ("MAILWEIR_DNS", "127.0.0.1:53,[::1]:53", "dns", (Address("127.0.0.1", 53), Address("::1", 53))),
        ("MAILWEIR_ROUTE", "mx", "route", RouteSpec("mx")),
        ("MAILWEIR_ROUTE", "smtp://h", "route", RouteSpec("relay", "h", 25)),
        ("MAILWEIR_ROUTE", "smtp://u%40x:p%3A@h:587?tls=starttls", "route",
         RouteSpec("relay", "h", 587, "u@x", "p:", "required")),
        ("MAILWEIR_ROUTE", "smtp://[::1]:25?tls=tls", "route", RouteSpec("relay", "::1", 25, tls="implicit")),
        ("MAILWEIR_WORKERS", "", "workers", 2),
    ],
)  # fmt: skip
def test_it_reads(name: str, text: str, attribute: str, value: object) -> None:
    assert getattr(load({name: text}), attribute) == value


WRONG = {
    "DATABASE_URL": "mysql://u:p@h/db",
    "REDIS_URL": "http://h",
    "MAILWEIR_HTTP": "8000",
    "MAILWEIR_SMTP": "127.0.0.1:70000",
    "MAILWEIR_SANDBOX": "a b:25",
    "MAILWEIR_WORKERS": "-1",
    "MAILWEIR_SESSIONS": "0",
    "MAILWEIR_SITE_SESSIONS": "many",
    "MAILWEIR_ROUTE": "smtp://h?tls=maybe",
    "MAILWEIR_MX_PORT": "0",
    "MAILWEIR_DNS": "8.8.8.8",
    "MAILWEIR_TLS": "yes",
    "MAILWEIR_TRANSCRIPTS": "some",
    "MAILWEIR_MTA_STS": "yes",
    "MAILWEIR_MAX_AGE": "5",
    "MAILWEIR_RETRY_FIRST": "0s",
    "MAILWEIR_RETRY_CAP": "-4h",
    "MAILWEIR_DELAY_WARNING": "4 hours",
    "MAILWEIR_MAX_SIZE": "0",
    "MAILWEIR_MAX_RECIPIENTS": "1e3",
    "MAILWEIR_HOSTNAME": "a\nb",
    "MAILWEIR_SMTP_LOGIN": "never",
    "MAILWEIR_SANDBOX_KEEP": "0",
    "MAILWEIR_RETENTION": "forever",
    "MAILWEIR_AUDIT_RETENTION": "29d",
    "MAILWEIR_SESSION_IDLE": "30s",
    "MAILWEIR_SESSION_AGE": "0d",
    "MAILWEIR_TOTP_FOR": "operator,boss",
    "MAILWEIR_ADMIN_PASSWORD": "a\0b",
    "MAILWEIR_ALERT_SMTP": "h:25",
    "MAILWEIR_ALERT_FROM": "nobody",
    "MAILWEIR_ALERT_QUIET": "22-7",
    "MAILWEIR_ALERT_WEBHOOK": "ftp://h",
    "MAILWEIR_ALERT_SLACK": "h",
    "MAILWEIR_ALERT_PING": "https://",
    "MAILWEIR_ALERT_PRIVATE": "perhaps",
    "MAILWEIR_URL": "mail.example.com",
    "MAILWEIR_SESSION_MAILS": "0",
    "MAILWEIR_SITE_RATE": "600",
    "MAILWEIR_DOMAIN_RATE": "0/m",
    "MAILWEIR_SECRET_KEY": "a\nb",
    "MAILWEIR_HTTPS": "true",
    "MAILWEIR_PROXIES": "localhost",
    "MAILWEIR_LOG": "xml",
    "MAILWEIR_LANGUAGE": "German",
    "MAILWEIR_BLOCKLISTS": "no,spamcop",
    "MAILWEIR_BLOCKLIST_RESOLVER": "9.9.9.9",
    "MAILWEIR_BLOCKLIST_KEYS": "spamhaus",
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_value_is_refused_by_name_with_what_is_allowed(name: str) -> None:
    with pytest.raises(WrongSetting) as caught:
        load({name: WRONG[name]})
    assert caught.value.name == name
    assert str(caught.value).startswith(f"{name}=")
    assert len(caught.value.allowed) > 8
    assert "\n" not in str(caught.value)


def test_nearly_every_setting_can_be_wrong() -> None:
    """Lists of names and paths take any text; a new setting belongs above or here."""
    timeouts = {"MAILWEIR_CONNECT_TIMEOUT", "MAILWEIR_REPLY_TIMEOUT"}
    any_text = {
        "MAILWEIR_HOME", "MAILWEIR_SMTP_CERT", "MAILWEIR_SMTP_KEY", "MAILWEIR_ALERT_TO",
        "MAILWEIR_SECRET_KEY_FILE", "MAILWEIR_ALLOWED_HOSTS", "MAILWEIR_BLOCKLIST_TARGETS",
        "MAILWEIR_ALERT_WEBHOOK_SECRET",
    }  # fmt: skip
    assert set(NAMES) - any_text - timeouts == set(WRONG)


@pytest.mark.parametrize("text", ["99999999999d", "1" * 400 + "d", "999999999w"])
def test_a_time_beyond_all_calendars_is_refused_too(text: str) -> None:
    with pytest.raises(WrongSetting, match="MAILWEIR_MAX_AGE"):
        load({"MAILWEIR_MAX_AGE": text})


def test_a_setting_that_does_not_exist_is_refused() -> None:
    with pytest.raises(WrongSetting, match="MAILWEIR_WORKER="):
        load({"MAILWEIR_WORKER": "2"})
    assert load({"MAILWEIR_TEST_DB": "postgres", "WORKERS": "x"}).workers == 2


SECRETS = {
    "DATABASE_URL": "postgres://u:hunter2@h/db",
    "REDIS_URL": "redis://:hunter2@h/0",
    "MAILWEIR_ROUTE": "smtp://u:hunter2@h",
    "MAILWEIR_ALERT_SMTP": "smtp://u:hunter2@h",
    "MAILWEIR_ADMIN_PASSWORD": "hunter2",
    "MAILWEIR_SECRET_KEY": "hunter2",
}


def test_no_secret_is_in_the_repr() -> None:
    found = load(SECRETS)
    assert "hunter2" not in repr(found)
    assert "hunter2" not in repr(found.route)
    assert "hunter2" not in str(vars(found)["route"])


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("DATABASE_URL", "mysql://u:hunter2@h/db"),
        ("REDIS_URL", "http://:hunter2@h"),
        ("MAILWEIR_ROUTE", "smtp://u:hunter2@h?tls=x"),
        ("MAILWEIR_ROUTE", "smtp://u:hunter2@h:port"),
        ("MAILWEIR_ALERT_SMTP", "smtps://u:hunter2@h"),
        ("MAILWEIR_ADMIN_PASSWORD", "hunter2\n"),
        ("MAILWEIR_SECRET_KEY", "hunter2\0"),
        ("MAILWEIR_ADMIN_PASSWROD", "hunter2"),
        ("MAILWEIR_ALERT_STMP", "smtp://u:hunter2@h"),
        ("MAILWEIR_SECRETKEY", "hunter2"),
    ],
)
def test_no_secret_is_in_a_refusal(name: str, text: str) -> None:
    with pytest.raises(WrongSetting) as caught:
        load({name: text})
    assert "hunter2" not in str(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_every_setting_is_described() -> None:
    described = conf.described()
    assert [each["name"] for each in described] == NAMES
    assert all(each["unit"] and each["reason"].endswith(".") for each in described)
    assert len(set(NAMES)) == len(NAMES)


def test_the_contracts_settings_are_all_there() -> None:
    contract = """DATABASE_URL REDIS_URL MAILWEIR_HOME MAILWEIR_HTTP MAILWEIR_SMTP MAILWEIR_SANDBOX
        MAILWEIR_WORKERS MAILWEIR_SESSIONS MAILWEIR_ROUTE MAILWEIR_MAX_AGE MAILWEIR_RETRY_FIRST
        MAILWEIR_RETRY_CAP MAILWEIR_MAX_SIZE MAILWEIR_ADMIN_PASSWORD MAILWEIR_ALERT_TO MAILWEIR_ALERT_SMTP
        MAILWEIR_SECRET_KEY MAILWEIR_SECRET_KEY_FILE MAILWEIR_ALLOWED_HOSTS MAILWEIR_LOG""".split()
    assert set(contract) <= set(NAMES)


def test_an_override_ends_also_when_the_test_fails() -> None:
    before = conf.current()
    with pytest.raises(ZeroDivisionError), conf.override(workers=9):
        assert conf.current().workers // 0
    assert conf.current() is before

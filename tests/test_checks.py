"""System checks: each finds what it is for, and nothing in a plain installation."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from django.core import checks as django_checks

from queueapp import checks, conf
from queueapp.conf import Address, Conf, RouteSpec


def plain(folder: Path, **changes: Any) -> Conf:
    folder.chmod(0o700)
    return replace(conf.load({"MAILWEIR_HOME": str(folder)}), **changes)


def ids(settings: Conf) -> list[str]:
    return [str(each.id).removeprefix("mailweir.") for each in checks.findings(settings)]


def test_a_plain_installation_has_none(tmp_path: Path) -> None:
    assert ids(plain(tmp_path)) == []


def test_django_knows_them() -> None:
    assert all(str(each.id).startswith("mailweir.") for each in django_checks.run_checks(tags=[checks.TAG]))
    assert checks.TAG in django_checks.registry.registry.tags_available()


OUT = Address("0.0.0.0", 8000)
RELAY = RouteSpec("relay", "mail.example.com", 587, "me", "secret", "opportunistic")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"route": RELAY}, ["W001"]),
        ({"route": replace(RELAY, tls="none")}, ["W001"]),
        ({"route": replace(RELAY, tls="required")}, []),
        ({"route": replace(RELAY, host="127.0.0.1", tls="none")}, []),
        ({"route": replace(RELAY, password="")}, []),
        ({"alert_smtp": (RELAY,)}, ["W002"]),
        ({"http": OUT}, ["W003", "W004"]),
        ({"http": OUT, "allowed_hosts": ("mail.example.com",), "https": "yes"}, []),
        ({"smtp": OUT}, ["W005"]),
        ({"smtp": OUT, "smtp_cert": Path("/x.pem")}, []),
        ({"smtp": Address("localhost", 25)}, []),
        ({"sandbox": OUT}, ["W006"]),
        ({"max_size": 999}, ["W009"]),
        ({"max_size": 10**10}, ["W009"]),
        ({"retry_first": conf.load({"MAILWEIR_RETRY_FIRST": "5h"}).retry_first}, ["W010"]),
        ({"workers": 4096}, ["W011"]),
        ({"blocklists": ("spamcop", "sorbs")}, ["W045"]),
        ({"blocklist_keys": (("spamhause", "x" * 26),)}, ["W046"]),
    ],
)
def test_it_finds_what_will_hurt(tmp_path: Path, changes: dict[str, Any], expected: list[str]) -> None:
    assert ids(plain(tmp_path, **changes)) == expected


def test_it_never_shows_a_password(tmp_path: Path) -> None:
    found = list(checks.findings(plain(tmp_path, route=RELAY, alert_smtp=(RELAY,))))
    assert len(found) == 2
    assert not any("secret" in f"{each.msg} {each.hint}" for each in found)


def test_it_finds_a_secret_that_others_may_read(tmp_path: Path) -> None:
    settings = plain(tmp_path)
    key = tmp_path / "secret_key"
    key.write_text("x")
    key.chmod(0o644)
    found = list(checks.findings(settings))
    assert [each.id for each in found] == ["mailweir.W008"]
    assert found[0].hint == f"chmod 600 {key}"
    key.chmod(0o600)
    assert ids(settings) == []


def test_it_finds_a_home_that_others_may_read(tmp_path: Path) -> None:
    settings = plain(tmp_path)
    tmp_path.chmod(0o755)
    assert ids(settings) == ["W008"]


def test_it_knows_the_file_system() -> None:
    assert checks.file_system(Path("/proc/self")) == "proc"
    assert checks.file_system(Path("/")) != ""


def test_it_warns_of_sqlite_on_a_network_file_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "file_system", lambda path: "nfs4")
    assert ids(plain(tmp_path)) == ["W007"]
    assert ids(plain(tmp_path, database_url="postgres://db/x")) == []

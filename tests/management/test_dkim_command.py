"""`manage.py dkim`: what is printed can be published as it is, and the key is never among it."""

from __future__ import annotations

import json
import re

import dns.rdata
import pytest

from queueapp.models import AuditEvent, DkimKey
from tests.management.calls import manage

pytestmark = pytest.mark.django_db


def test_it_prints_a_record_that_a_name_server_takes() -> None:
    done = manage("dkim", "create", "example.com", "--selector", "s1")
    assert done.code == 0
    name, value = re.fullmatch(r"(\S+) IN TXT \( (.*) \)\n", done.out).groups()  # type: ignore[union-attr]
    assert name == "s1._domainkey.example.com."
    record = dns.rdata.from_text("IN", "TXT", f"( {value} )")
    assert b"".join(record.strings).decode() == f"v=DKIM1; k=rsa; p={DkimKey.objects.get().public}"
    assert all(len(each) <= 255 for each in record.strings)
    assert "manage.py dkim activate example.com" in done.err


def test_a_whole_life() -> None:
    assert manage("dkim", "create", "example.com", "--type", "both", "--activate").err.startswith("Active")
    assert manage("dkim", "rotate", "example.com", "--selector", "n").out.count(" IN TXT ") == 2
    done = manage("dkim", "activate", "example.com", "--unchecked")
    assert "Active: n of example.com." in done.out
    assert done.out.count("remove its record 7 days after") == 2
    assert manage("dkim", "retire", "example.com", "n").code == 0
    assert "leaves without a signature" in manage("dkim", "retire", "example.com", "n-ed25519").err
    assert set(DkimKey.objects.values_list("state", flat=True)) == {"retired"}
    assert set(AuditEvent.objects.values_list("actor", flat=True)) != {""}


def test_it_lists_and_shows_without_secrets() -> None:
    assert "There are none" in manage("dkim", "list").out
    manage("dkim", "create", "example.com", "--selector", "s1")
    sealed = DkimKey.objects.get().sealed
    assert re.search(r"example.com +s1 +rsa +pending", manage("dkim", "list").out)
    [line] = manage("dkim", "list", "--json").out.splitlines()
    assert json.loads(line)["selector"] == "s1"
    shown = manage("dkim", "show", "example.com")
    assert "s1._domainkey.example.com. IN TXT" in shown.out
    assert "s1: rsa, pending" in shown.err
    for text in (line, shown.out, shown.err):
        assert sealed not in text


@pytest.mark.parametrize(
    ("arguments", "code", "why"),
    [
        (("create", "nonsense"), 2, "'nonsense' is no domain"),
        (("create", "b.test", "--selector", "a b"), 2, "'a b' is no usable selector"),
        (("show", "b.test"), 1, "b.test has no key"),
        (("rotate", "b.test"), 1, "no active key to rotate"),
        (("retire", "b.test", "s1"), 1, "no key with the selector 's1'"),
        (("activate", "b.test"), 1, "no pending key"),
        (("create", "b.test", "--type", "dsa"), 2, "dsa"),
    ],
)
def test_it_refuses_in_a_line(arguments: tuple[str, ...], code: int, why: str) -> None:
    done = manage("dkim", *arguments)
    assert (done.code, done.out) == (code, "")
    assert why in done.err
    assert "Traceback" not in done.err

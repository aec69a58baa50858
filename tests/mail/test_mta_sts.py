"""MTA-STS texts: what is a record, what is a policy, which hosts it names."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from queueapp.mail.mta_sts import LONGEST, MAX_SIZE, Policy, WrongPolicy, parse, record_id

GOOD = b"version: STSv1\r\nmode: enforce\r\nmx: mx1.example.test\r\nmx: *.Example.net\r\nmax_age: 86400\r\n"


def test_it_works() -> None:
    policy = parse("example.test", GOOD)
    assert policy == Policy("example.test", "enforce", ("mx1.example.test", "*.example.net"), 86400)


@pytest.mark.parametrize(
    "text",
    [
        GOOD.replace(b"\r\n", b"\n"),
        GOOD + b"new_field: with any value\r\n\r\n",
        GOOD + b"mode: none\r\n",
        GOOD.replace(b"mode: enforce", b"mode:\tenforce  "),
        GOOD.rstrip(),
    ],
)
def test_what_changes_nothing(text: bytes) -> None:
    assert parse("example.test", text) == parse("example.test", GOOD)


@pytest.mark.parametrize(
    ("before", "after", "why"),
    [
        (b"version: STSv1", b"version: STSv2", "'STSv2', not 'STSv1'"),
        (b"version: STSv1\r\n", b"", "'missing', not 'STSv1'"),
        (b"enforce", b"Enforce", "mode is 'Enforce'"),
        (b"86400", b"-1", "max_age is '-1'"),
        (b"max_age: 86400\r\n", b"", "max_age is 'missing'"),
        (b"mx1.example.test", b"mx*.example.test", "no pattern"),
        (b"mx1.example.test", b"localhost", "no pattern"),
        (b"mx: mx1.example.test\r\nmx: *.Example.net\r\n", b"", "names no mx"),
        (b"mode:", b"<html>", "line 2 is not"),
        (b"version", b" " * MAX_SIZE + b"version", "larger than"),
    ],
)
def test_what_is_no_policy(before: bytes, after: bytes, why: str) -> None:
    with pytest.raises(WrongPolicy, match=why):
        parse("example.test", GOOD.replace(before, after))


def test_no_policy_lasts_longer_than_a_year() -> None:
    assert parse("x.test", GOOD.replace(b"86400", b"9999999999")).max_age == LONGEST


@pytest.mark.parametrize(
    ("host", "is_one"),
    [
        ("mx1.example.test", True),
        ("MX1.example.test.", True),
        ("mx2.example.test", False),
        ("a.example.net", True),
        ("a.b.example.net", False),
        ("example.net", False),
        ("*.example.net", True),
        ("evil-example.net", False),
    ],
)
def test_a_star_is_one_label(host: str, *, is_one: bool) -> None:
    assert parse("example.test", GOOD).allows(host) is is_one


@pytest.mark.parametrize(
    ("texts", "found"),
    [
        (["v=STSv1; id=20260101T000000;"], "20260101T000000"),
        (["v=STSv1;id=1"], "1"),
        (["v=spf1 -all", "v=STSv1; id=7; x=y"], "7"),
        (["v=STSv1; id=1;", "v=STSv1; id=2;"], ""),
        (["v=STSv10; id=1"], ""),
        (["v=STSv1; id=" + "a" * 33], ""),
        (["v=STSv1; id=a-b"], ""),
        (["v=STSv1"], ""),
        ([], ""),
    ],
)
def test_the_record(texts: list[str], found: str) -> None:
    assert record_id(texts) == found


@given(st.binary(max_size=300))
def test_no_octets_break_it(text: bytes) -> None:
    try:
        policy = parse("x.test", text)
    except WrongPolicy:
        return
    assert policy.mode in ("enforce", "testing", "none")

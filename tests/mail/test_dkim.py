"""Our signatures under the eyes of an independent verifier (dkimpy), whatever the mail looks like."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Sequence

import dkim as verifier
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from queueapp.mail import dkim
from queueapp.mail.dkim import KeyUnusable, SigningKey, load_key, make_private, public_value, record_strings

AT = int(time.time()) - 5
HEAD = (
    b"Received: from x\r\n\tby y; now\r\nFrom: Ann <ann@example.com>\r\nTo: bob@example.net\r\n"
    b"Subject: =?utf-8?q?gr=C3=BCn?=\r\n  and  folded\t\r\nDate: Mon, 1 Jan 2024 00:00:00 +0000\r\n"
    b"Message-ID: <1@example.com>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain\r\n"
)
REST = b"\r\nhello  world \t\r\n\r\n \t\r\n\r\n"


def new(algorithm: str, selector: str) -> SigningKey:
    return load_key("example.com", selector, algorithm, make_private(algorithm))  # type: ignore[arg-type]


RSA, ED25519 = new("rsa", "r1"), new("ed25519", "e1")
BOTH = pytest.mark.parametrize("key", [RSA, ED25519], ids=["rsa", "ed25519"])


def dns(name: bytes, timeout: int = 5) -> bytes | None:
    """The record of a key, as its owner would publish it."""
    for key in (RSA, ED25519):
        if name == f"{key.selector}._domainkey.{key.domain}.".encode():
            return "".join(record_strings(key.algorithm, public_value(key))).encode()
    return None


def verdicts(mail: bytes, n: int) -> list[bool]:
    """What dkimpy says of each signature."""
    return [verdict(mail, index) for index in range(n)]


def verdict(mail: bytes, index: int) -> bool:
    try:
        return bool(verifier.DKIM(mail).verify(idx=index, dnsfunc=dns))
    except verifier.ValidationError:  # so it says that the body is another one
        return False


def signed(head: bytes, rest: bytes, *keys: SigningKey) -> bytes:
    return dkim.sign(head, rest, keys, AT) + head + rest


@BOTH
def test_it_works(key: SigningKey) -> None:
    assert verdicts(signed(HEAD, REST, key), 1) == [True]


def test_two_keys_sign_side_by_side() -> None:
    mail = signed(HEAD, REST, RSA, ED25519)
    assert re.findall(rb"a=(\S+);", mail) == [b"rsa-sha256", b"ed25519-sha256"]
    assert verdicts(mail, 2) == [True, True]


@BOTH
@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"hello  world", b"hello  w0rld"),
        (b"Ann <ann@", b"Eve <ann@"),
        (b"bob@example.net", b"eve@example.net"),
        (b"and  folded", b"and folded in"),
        (b"text/plain", b"text/html"),
    ],
)
def test_a_change_of_what_people_see_is_found(key: SigningKey, before: bytes, after: bytes) -> None:
    mail = signed(HEAD, REST, key)
    assert before in mail
    assert verdicts(mail.replace(before, after), 1) == [False]


@BOTH
@pytest.mark.parametrize(
    "added",
    [
        b"From: eve@example.com",
        b"Subject: buy",
        b"To: x@y",
        b"Cc: x@y",
        b"Reply-To: x@y",
        b"Date: x",
        b"Content-Type: text/html",
        b"Message-ID: <2@x>",
    ],
)
def test_a_second_field_of_that_name_is_found(key: SigningKey, added: bytes) -> None:
    """Wherever it is put: readers differ in which one they show."""
    top, rest = signed(HEAD, REST, key), REST
    assert verdicts(added + b"\r\n" + top, 1) == [False]
    assert verdicts(top.replace(rest, added + b"\r\n" + rest), 1) == [False]


@BOTH
def test_what_servers_add_on_the_way_does_no_harm(key: SigningKey) -> None:
    mail = b"Return-Path: <a@b>\r\nReceived: from us\r\n" + signed(HEAD, REST, key)
    assert verdicts(mail.replace(b"text/plain\r\n", b"text/plain\r\nX-Spam: no\r\n"), 1) == [True]
    assert verdicts(
        mail.replace(b"hello  world", b"hello world").replace(b"  and  folded\t", b" and folded"), 1
    ) == [True]


@pytest.mark.parametrize("key", [RSA, ED25519], ids=["rsa", "ed25519"])
@pytest.mark.parametrize(
    "rest",
    [
        b"",
        b"\r\n",
        b"\r\n\r\n",
        b"\r\n\r\n\r\n\r\n",
        b"\r\n \r\n",
        b"\r\n\t \r\n \r\n",
        b"\r\n  x",
        b"\r\n.\r\n..\r\n",
    ],
)
def test_bodies_that_are_nearly_nothing(key: SigningKey, rest: bytes) -> None:
    assert verdicts(signed(HEAD, rest, key), 1) == [True]


names = st.sampled_from(
    b"Subject To CC date Reply-To References X-Other Received List-Id content-type".split()
)
octets = st.lists(
    st.sampled_from([b" ", b"\t", b"a", b"B", b":", b";", b"=", b"\xc3\xa4", b"\xff", b".", b"b=", b"  \t"]),
    max_size=12,
).map(b"".join)
values = st.lists(octets, min_size=1, max_size=3).map(
    # A continuation line of white space alone is obsolete, and verifiers disagree on it.
    lambda parts: b"\r\n ".join([parts[0], *(b"x" + part for part in parts[1:])])
)
fields = st.lists(st.tuples(names, values), max_size=8).map(
    lambda pairs: b"".join(name + b":" + value + b"\r\n" for name, value in pairs)
)
bodies = st.lists(octets, max_size=8).map(lambda some: b"".join(line + b"\r\n" for line in some))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(fields, bodies, st.integers(0, 3))
def test_any_mail_that_is_one_verifies(head: bytes, body: bytes, n_blank: int) -> None:
    head = b"From: ann@example.com\r\n" + head
    mail = signed(head, b"\r\n" + body + b"\r\n" * n_blank, RSA, ED25519)
    assert verdicts(mail, 2) == [True, True]


@settings(max_examples=300, deadline=None)
@given(bodies, st.sampled_from([0, 1, 5, 20, dkim.CHUNK]))
def test_the_body_is_hashed_as_the_standard_says_in_pieces_of_any_size(body: bytes, size: int) -> None:
    """The slow way, word by word of RFC 6376 3.4.4."""
    lines = [re.sub(rb"[ \t]+", b" ", line).rstrip(b" ") for line in body.split(b"\r\n")]
    while lines and not lines[-1]:
        lines.pop()
    wanted = b"".join(line + b"\r\n" for line in lines)
    assert dkim.body_hash(b"\r\n" + body, size) == hashlib.sha256(wanted).digest()


@pytest.mark.parametrize("line", [b"A" * 76 + b"\r\n", b"\r\n", b"\ta  b \r\n"])
def test_a_large_body_verifies(line: bytes) -> None:
    assert verdicts(signed(HEAD, b"\r\n" + line * 20_000 + b"end\r\n", RSA), 1) == [True]


# Whose key


@pytest.mark.parametrize(
    ("head", "sender", "found"),
    [
        (b"From: Ann <ann@news.example.com>\r\n", "x@b.test", ["news.example.com", "example.com", "b.test"]),
        (b"from:ann@EXAMPLE.com\r\n", "", ["example.com"]),
        (b"From: a@one.test, b@two.test\r\n", "", ["one.test"]),
        ("From: Jörg <j@müller.test>\r\n".encode(), "", ["xn--mller-kva.test"]),
        (b'From: "a@fake.test" <a@true.test>\r\n', "", ["true.test"]),
        (b"From:\r\n Ann\r\n\t<ann@example.com>\r\n", "", ["example.com"]),
        (b"Subject: x\r\n", "x@b.test", ["b.test"]),
        (b"From: nonsense\r\n", "x@b.test", ["b.test"]),
        (b"X-From: a@b.test\r\n", "", []),
        (b"From: a@localhost\r\n", "", []),
        (b"From: a@one.test\r\nFrom: b@two.test\r\n", "x@b.test", []),
    ],
)
def test_the_domain_is_that_of_from_then_of_the_envelope(head: bytes, sender: str, found: list[str]) -> None:
    assert dkim.domains_of(head, sender) == found


# Keys and records


@pytest.mark.parametrize("bits", [2048, 4096])
def test_a_record_is_cut_into_strings_that_dns_takes(bits: int) -> None:
    key = load_key("example.com", "s", "rsa", make_private("rsa", bits))
    strings = record_strings("rsa", public_value(key))
    assert all(0 < len(each) <= 255 for each in strings)
    assert len(strings) > 1
    assert "".join(strings) == f"v=DKIM1; k=rsa; p={public_value(key)}"


@pytest.mark.parametrize(("algorithm", "made"), [("rsa", ""), ("rsa", "ed25519"), ("ed25519", "rsa")])
def test_octets_that_are_no_key_are_refused_by_name_alone(algorithm: str, made: str) -> None:
    der = make_private(made) if made else b"junk"  # type: ignore[arg-type]
    with pytest.raises(KeyUnusable, match="s1 of example.com"):
        load_key("example.com", "s1", algorithm, der)


def test_a_key_does_not_show() -> None:
    assert repr(RSA) == "SigningKey(domain='example.com', selector='r1', algorithm='rsa')"


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("s1", True),
        ("2026.mail", True),
        ("a" * 63, True),
        ("a" * 64, False),
        ("", False),
        ("-a", False),
        ("a_b", False),
        ("a..b", False),
        ("a b", False),
        ("ä", False),
    ],
)
def test_selectors(text: str, *, is_one: bool) -> None:
    assert dkim.is_selector(text) is is_one


def test_lines_of_the_signature_are_short() -> None:
    mails: Sequence[bytes] = dkim.sign(HEAD + b"List-Id: x\r\n" * 40, REST, [RSA], AT).split(b"\r\n")
    assert max(map(len, mails)) < 100

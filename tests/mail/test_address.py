"""Envelope addresses: what may be mailed to, and the reason where not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from queueapp.mail.address import Address, AddressError, parse_address


def test_it_reads_an_address() -> None:
    address = parse_address("Ann.Lee+news@Example.COM")
    assert address == Address("Ann.Lee+news", "example.com")
    assert str(address) == "Ann.Lee+news@example.com"
    assert not address.needs_smtputf8
    assert not address.is_literal


def test_it_writes_an_international_domain_as_a_labels() -> None:
    address = parse_address("info@Bücher.example")
    assert address.domain == "xn--bcher-kva.example"
    assert address.unicode_domain == "bücher.example"
    assert not address.needs_smtputf8


def test_it_keeps_an_international_local_part() -> None:
    address = parse_address("jörg@example.com")
    assert address.local == "jörg"
    assert address.needs_smtputf8


def test_it_shows_the_a_label_where_it_is_no_valid_idna() -> None:
    assert parse_address("a@xn--zzzzzzzz99999.example").unicode_domain == "xn--zzzzzzzz99999.example"


@pytest.mark.parametrize(
    ("text", "local"),
    [
        ('"ann lee"@example.com', '"ann lee"'),
        ('"a@b"@example.com', '"a@b"'),
        (r'"a\"b"@example.com', r'"a\"b"'),
        ('"ann"@example.com', "ann"),
        ("o'brien@example.com", "o'brien"),
        ("!#$%&'*+/=?^_`{|}~-@example.com", "!#$%&'*+/=?^_`{|}~-"),
        ("a" * 64 + "@example.com", "a" * 64),
    ],
)
def test_it_takes_every_local_part_that_the_rfc_allows(text: str, local: str) -> None:
    assert parse_address(text).local == local


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "empty"),
        ("ann", "no domain"),
        ("ann@", "no domain after the @"),
        ("@example.com", "nothing before the @"),
        ("ann lee@example.com", "space outside quotes"),
        ("ann@exam ple.com", "no domain name"),
        (" ann@example.com", "space"),
        ("ann@example.com\r\nRCPT TO:<x@y>", "control"),
        ("ann\0@example.com", "control"),
        ("ann\u202e@example.com", "invisible"),
        ("ann\ud800@example.com", "invisible"),
        ("a" * 65 + "@example.com", "64 octets"),
        ("ä" * 33 + "@example.com", "64 octets"),
        ("a" * 400 + "@example.com", "254 octets"),
        ("a@" + "b" * 398, "254 octets"),
        ("a@" + "b" * 64 + ".com", "label of the domain"),
        ("a@b..com", "empty label"),
        ("a@b.com.", "empty label"),
        ("a@.com", "empty label"),
        ("a@-b.com", "no domain name"),
        ("a@b_c.com", "no domain name"),
        ("a@192.0.2.1", "IP address"),
        ("a@[192.0.2.1]", "literals"),
        (".a@example.com", "dot"),
        ("a.@example.com", "dot"),
        ("a..b@example.com", "dot"),
        ("a@b@example.com", "must be quoted"),
        ('"a"b"@example.com', "must be quoted"),
        ("<a@example.com>", "must be quoted"),
        ("a,b@example.com", "must be quoted"),
        ("a@ex\u2028ample.com", "control"),
        ("a@\u2603\u0338.example", "internationalised"),
    ],
)
def test_it_refuses_with_the_reason(text: str, reason: str) -> None:
    with pytest.raises(AddressError, match=reason) as caught:
        parse_address(text)
    assert caught.value.enhanced in {"5.1.2", "5.1.3"}
    assert len(caught.value.value) <= 81
    assert caught.value.value.isprintable()


def test_it_takes_an_address_literal_where_asked_to() -> None:
    assert str(parse_address("a@[192.0.2.1]", allow_literal=True)) == "a@[192.0.2.1]"
    address = parse_address("a@[ipv6:2001:DB8::1]", allow_literal=True)
    assert address.domain == "[IPv6:2001:db8::1]"
    assert address.is_literal
    for wrong in "a@[x]", "a@[192.0.2.1", "a@[IPv6:zz]", "a@[300.0.0.1]":
        with pytest.raises(AddressError, match="literal"):
            parse_address(wrong, allow_literal=True)


def test_it_takes_another_bound() -> None:
    assert parse_address("a@" + "b." * 120 + "com", max_len=300).domain.endswith(".com")
    with pytest.raises(AddressError, match="255 octets"):
        parse_address("a@" + "b." * 130 + "com", max_len=500)
    with pytest.raises(AddressError, match="10 octets"):
        parse_address("aaa@example.com", max_len=10)


def test_it_counts_the_octets_that_go_over_the_wire() -> None:
    with pytest.raises(AddressError, match="254 octets"):
        parse_address("somebody01@" + "bücher." * 17 + "example")


@given(st.text(max_size=300))
def test_it_gives_a_safe_address_or_refuses_any_text(text: str) -> None:
    try:
        address = parse_address(text)
    except AddressError as error:
        shown = str(error)
    else:
        shown = str(address)
        assert address.domain.isascii()
        assert parse_address(shown) == address
    assert shown.isprintable()


@given(st.from_regex(r"[a-z0-9.\"\\ @<>-]{1,20}@[a-z0-9.-]{1,20}", fullmatch=True))
def test_it_reads_again_what_it_wrote(text: str) -> None:
    try:
        address = parse_address(text)
    except AddressError:
        return
    assert parse_address(str(address)) == address

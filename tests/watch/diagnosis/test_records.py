"""Our own records, asked of a real name server: what is wrong, and what it should be."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.utils import timezone

from queueapp import conf
from queueapp.models import Bookmark, DkimKey, EgressSource
from queueapp.watch.diagnosis import own_dns, records, spf
from tests.dnsserver import DnsServer
from tests.watch.diagnosis.queue import bounced, deferred, looked

OURS, OTHER = "203.0.113.7", "198.51.100.1"
KEY = "MIIBIjANBgkq"


def _txt(text: str) -> dict[str, list[str]]:
    return {"TXT": [f'"{text}"']}


@pytest.fixture
def dns() -> Iterator[DnsServer]:
    with DnsServer({}) as server:
        host, _, port = server.address.rpartition(":")
        with conf.override(dns=(conf.Address(host, int(port)),)):
            yield server


def _ask() -> spf.Ask:
    return records.asker(time.monotonic() + 10)


SPF = [
    ("pass", "v=spf1 ip4:203.0.113.0/24 -all", {}),
    ("fail", "v=spf1 ip4:198.51.100.1 -all", {}),
    ("pass", "v=spf1 a -all", {"A": [OURS]}),
    ("pass", "v=spf1 mx ~all", {"MX": ["10 mx.a.test."]}),
    ("pass", "v=spf1 include:_spf.b.test -all", {}),
    ("fail", "v=spf1 include:_other.b.test -all", {}),
    ("pass", "v=spf1 redirect=_spf.b.test", {}),
    ("permerror", "v=spf1 include:none.b.test -all", {}),
    ("permerror", "v=spf1 include:loop.b.test -all", {}),
    ("permerror", "v=spf1 ip4:nonsense -all", {}),
    ("permerror", "v=spf1 what:ever -all", {}),
    ("permerror", "v=spf1 " + " ".join(f"a:h{n}.b.test" for n in range(11)) + " -all", {}),
    ("unknown", "v=spf1 exists:%{i}.b.test -all", {}),
    ("pass", "v=spf1 ?all", {}),
    ("none", "no record of that kind", {}),
    ("temperror", "v=spf1 include:broken.b.test -all", {}),
]


@pytest.mark.parametrize(("result", "text", "more"), SPF)
def test_it_reads_spf(dns: DnsServer, result: str, text: str, more: dict[str, list[str]]) -> None:
    dns.records |= {
        "a.test": {**_txt(text), **more},
        "mx.a.test": {"A": [OURS]},
        "_spf.b.test": _txt(f"v=spf1 ip4:{OURS} -all"),
        "_other.b.test": _txt(f"v=spf1 ip4:{OTHER} -all"),
        "loop.b.test": _txt("v=spf1 include:loop.b.test -all"),
        "broken.b.test": "servfail",
        **{f"h{n}.b.test": {"A": [OTHER]} for n in range(11)},
    }
    if text == "v=spf1 ?all":
        result = "fail"  # neutral is no leave to send
    assert spf.check(_ask(), "a.test", OURS)[0] == result


def test_it_says_what_each_record_should_be(dns: DnsServer) -> None:
    keys = [("s1._domainkey.a.test", f"v=DKIM1; k=rsa; p={KEY}")]
    dns.records["a.test"] = _txt(f"v=spf1 ip4:{OTHER} -all")
    dns.records["s1._domainkey.a.test"] = _txt("v=DKIM1; p=another")
    found = own_dns.of_domain(_ask(), "a.test", [OURS], keys)
    assert [(each.what, each.wrong, each.should) for each in found] == [
        ("SPF", f"it does not list our address {OURS}", f"v=spf1 ip4:{OURS} ip4:{OTHER} -all"),
        ("DKIM", "it holds another key than ours", f"v=DKIM1; k=rsa; p={KEY}"),
        ("DMARC", "there is none", "v=DMARC1; p=none; rua=mailto:dmarc@a.test"),
    ]
    dns.records |= {
        "a.test": _txt(found[0].should),
        "s1._domainkey.a.test": _txt(found[1].should),
        "_dmarc.a.test": _txt(found[2].should),
    }
    assert all(each.is_right for each in own_dns.of_domain(_ask(), "a.test", [OURS], keys))


def test_a_domain_without_anything_is_told_so(dns: DnsServer) -> None:
    found = own_dns.of_domain(_ask(), "a.test", [OURS], [])
    assert [each.what for each in found if each.wrong] == ["SPF", "DKIM", "DMARC"]
    assert "dkim create a.test" in found[1].should


def test_a_policy_of_the_domain_above_counts(dns: DnsServer) -> None:
    dns.records |= {"_dmarc.a.test": _txt("v=DMARC1; p=reject"), "_dmarc.b.test": _txt("v=DMARC1")}
    assert own_dns.of_domain(_ask(), "mail.a.test", [], [])[-1].is_right
    assert "no policy" in own_dns.of_domain(_ask(), "b.test", [], [])[-1].wrong


def test_a_name_has_to_lead_back_and_be_ours(dns: DnsServer) -> None:
    def look() -> str:
        return own_dns.of_address(_ask(), OURS, "out.a.test").wrong

    assert look() == "there is none"
    dns.records["7.113.0.203.in-addr.arpa"] = {"PTR": ["out.a.test."]}
    assert "does not lead back" in look()
    dns.records["out.a.test"] = {"A": [OURS]}
    assert look() == ""
    dns.records |= {"7.113.0.203.in-addr.arpa": {"PTR": ["x.test."]}, "x.test": {"A": [OURS]}}
    assert "another name" in look()


def test_nothing_is_made_up_where_nobody_answers(dns: DnsServer) -> None:
    dns.records |= {"a.test": "servfail", "_dmarc.a.test": "servfail"}
    found = own_dns.of_domain(_ask(), "a.test", [OURS], [("s._domainkey.a.test", "v=DKIM1; p=x")])
    assert [each.wrong.startswith("not known") for each in found] == [True, False, True]
    assert own_dns.is_private("192.168.1.4")
    assert not any(map(own_dns.is_private, (OURS, "127.0.0.1", "8.8.8.8")))


@pytest.mark.django_db
@pytest.mark.usefixtures("valkey")
def test_only_what_replies_speak_of_is_looked_up_and_kept(dns: DnsServer) -> None:
    EgressSource.objects.create(name="a", address=OURS, ehlo_name="out.a.test")
    DkimKey.objects.create(domain="a.test", selector="s1", algorithm="rsa", state="active", public=KEY)
    dns.records["a.test"] = _txt(f"v=spf1 ip4:{OTHER} -all")
    deferred(3, "452 4.2.2 full", "mailbox_full")
    looked()
    assert records.look() == 0
    assert dns.queries == []
    bounced(
        9, "550 5.7.26 unauthenticated", "authentication", from_header="Ann <ann@a.test>", sender="b@a.test"
    )
    looked()
    assert records.look() == 1
    n = len(dns.queries)
    assert records.look() == 0
    assert len(dns.queries) == n
    [row, _] = looked()
    assert row.cause == "authentication"
    assert [each["what"] for each in row.evidence["records"] if each["wrong"]] == ["SPF", "DKIM", "DMARC"]
    assert records.look(timezone.now() + timedelta(minutes=2)) == 1


@pytest.mark.django_db
@pytest.mark.usefixtures("valkey")
def test_our_name_servers_are_asked_when_look_ups_fail(dns: DnsServer) -> None:
    deferred(2, "looking up the MX of d.example failed: no answer within 5 s", "dns", "d.example")
    looked()
    records.look()
    assert (dns.count("", "NS") or dns.count(".", "NS"), records.known().names_error) == (1, "")
    Bookmark.objects.filter(pk=records.NAME).update(data={"names_error": "refused", "records": {}})
    [row] = looked()
    assert row.cause == "dns"  # told from the domain's figures, which are not there yet

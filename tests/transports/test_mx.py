from __future__ import annotations

import asyncio
import socket
import time

import pytest

from queueapp.transports.smtp import lookup
from queueapp.transports.smtp.mx import MxFailed, MxHost, Resolver
from tests.dnsserver import DnsServer


def resolver_of(dns: DnsServer, timeout: float = 5) -> Resolver:
    return Resolver([dns.address], timeout)


async def failure(awaitable):
    with pytest.raises(MxFailed) as caught:
        await awaitable
    outcome = caught.value.outcome
    return outcome.result, outcome.reply_class, outcome.enhanced, outcome.text


def test_it_works(run):
    records = {
        "example.test": {"MX": ["20 mx2.example.test.", "10 MX1.example.test."]},
        "mx1.example.test": {"A": ["127.0.0.1", "127.0.0.2"], "AAAA": ["::1"]},
    }

    async def main(dns):
        resolver = resolver_of(dns)
        found = await resolver.destination("example.test")
        assert found.hosts == (MxHost("mx1.example.test", 10), MxHost("mx2.example.test", 20))
        assert not found.is_implicit
        addresses = await resolver.addresses("mx1.example.test")
        assert addresses[0] == "::1"
        assert set(addresses[1:]) == {"127.0.0.1", "127.0.0.2"}

    with DnsServer(records) as dns:
        run(main(dns))


def test_it_asks_the_systems_name_servers_by_default():
    assert Resolver()._lookup._resolver.nameservers


def test_it_shuffles_equal_preferences_but_never_unequal_ones(run):
    records = {
        "example.test": {"MX": [f"10 a{n}.test." for n in range(4)] + ["5 first.test.", "20 last.test."]}
    }

    async def main(dns):
        resolver = resolver_of(dns)
        orders = {(await resolver.destination("example.test")).hosts for _ in range(60)}
        assert len(orders) > 5
        assert {(hosts[0].name, hosts[-1].name) for hosts in orders} == {("first.test", "last.test")}
        assert dns.count("example.test", "MX") == 1

    with DnsServer(records) as dns:
        run(main(dns))


def test_it_takes_ten_hosts_at_most_and_the_best_ones(run):
    records = {"example.test": {"MX": [f"{n} mx{n}.test." for n in range(40)]}}

    async def main(dns):
        hosts = (await resolver_of(dns).destination("example.test")).hosts
        assert [host.preference for host in hosts] == list(range(10))

    with DnsServer(records) as dns:
        run(main(dns))


def test_it_takes_the_domain_itself_without_mx(run):
    records = {"a.test": {"A": ["127.0.0.1"]}, "aaaa.test": {"AAAA": ["::1"]}}

    async def main(dns):
        for domain in records:
            found = await resolver_of(dns).destination(domain)
            assert found.is_implicit
            assert found.hosts == (MxHost(domain, 0),)

    with DnsServer(records) as dns:
        run(main(dns))


def test_it_follows_aliases(run):
    records = {
        "alias.test": {"CNAME": "real.test."},
        "real.test": {"MX": ["10 mx.test."]},
        "mx.test": {"CNAME": "host.test."},
        "host.test": {"A": ["127.0.0.9"]},
    }

    async def main(dns):
        resolver = resolver_of(dns)
        found = await resolver.destination("alias.test")
        assert [host.name for host in found.hosts] == ["mx.test"]
        assert await resolver.addresses("mx.test") == ("127.0.0.9",)

    with DnsServer(records) as dns:
        run(main(dns))


@pytest.mark.parametrize(
    ("domain", "expected"),
    [
        ("null.test", ("bounced", "no_such_domain", "5.1.10")),
        ("nowhere.test", ("bounced", "no_such_domain", "5.1.2")),
        ("text-only.test", ("bounced", "no_such_domain", "5.4.4")),
        ("broken.test", ("deferred", "dns", "4.4.3")),
        ("refused.test", ("deferred", "dns", "4.4.3")),
        ("slow.test", ("deferred", "dns", "4.4.3")),
        ("literal.test", ("deferred", "dns", "4.4.4")),
        ("implicit-broken.test", ("deferred", "dns", "4.4.3")),
        ("looping.test", ("deferred", "dns", "4.4.3")),
        ("[192.0.2.1]", ("bounced", "no_such_domain", "5.1.2")),
        ("", ("bounced", "no_such_domain", "5.1.2")),
        (".", ("bounced", "no_such_domain", "5.1.2")),
        ("two..dots", ("bounced", "no_such_domain", "5.1.2")),
        ("x" * 64 + ".test", ("bounced", "no_such_domain", "5.1.2")),
        ("x." * 150 + "test", ("bounced", "no_such_domain", "5.1.2")),
        ("back\\slash\\", ("bounced", "no_such_domain", "5.1.2")),
        ("nul\0and\r\nbreak.test", ("bounced", "no_such_domain", "5.1.2")),
    ],
)
def test_it_says_why_there_is_no_host(domain, expected):
    records = {
        "null.test": {"MX": ["0 ."]},
        "text-only.test": {"TXT": ["hello"]},
        "broken.test": "servfail",
        "refused.test": "refused",
        "slow.test": "hang",
        "literal.test": {"MX": ["10 192.0.2.1."]},
        "implicit-broken.test": {"A": "servfail"},
        "looping.test": {"CNAME": "looping.test."},
    }

    async def main(dns):
        result, reply_class, enhanced, text = await failure(resolver_of(dns, 0.5).destination(domain))
        assert (result, reply_class, enhanced) == expected
        assert domain[:20].strip("[].\\") in text or not text.isascii() or "\0" in domain
        assert not any(c in text for c in "\r\n\0")

    with DnsServer(records) as dns:
        asyncio.run(main(dns))


def test_it_leaves_out_what_is_no_host_name(run):
    records = {
        "example.test": {"MX": ["1 192.0.2.1.", "2 .", "3 a\\032b.test.", "4 *.test.", "5 good.test."]}
    }

    async def main(dns):
        found = await resolver_of(dns).destination("example.test")
        assert [host.name for host in found.hosts] == ["good.test"]

    with DnsServer(records) as dns:
        run(main(dns))


def test_it_defers_when_an_mx_has_no_address(run):
    records = {"empty.test": {"TXT": ["x"]}, "half.test": {"A": ["127.0.0.1"], "AAAA": "servfail"}}

    async def main(dns):
        resolver = resolver_of(dns)
        for host in "empty.test", "nowhere.test":
            result, reply_class, enhanced, text = await failure(resolver.addresses(host))
            assert (result, reply_class, enhanced) == ("deferred", "dns", "4.4.4")
            assert host in text
        assert await resolver.addresses("half.test") == ("127.0.0.1",)

    with DnsServer(records) as dns:
        run(main(dns))


def test_it_gives_up_in_time(run):
    async def main(dns):
        began = time.monotonic()
        *_, text = await failure(resolver_of(dns, 0.4).destination("slow.test"))
        assert time.monotonic() - began < 5
        assert text == "looking up the MX of slow.test failed: no answer within 0.4 s"

    with DnsServer({"slow.test": "hang"}) as dns:
        run(main(dns))


def test_it_defers_when_no_name_server_is_there(run):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{closed.getsockname()[1]}"

    async def main():
        result, reply_class, enhanced, _ = await failure(Resolver([address], 1).destination("example.test"))
        assert (result, reply_class, enhanced) == ("deferred", "dns", "4.4.3")

    run(main())


def test_it_asks_the_next_name_server_when_one_fails(run):
    async def main(bad, good):
        found = await Resolver([bad.address, good.address], 5).destination("example.test")
        assert [host.name for host in found.hosts] == ["mx.test"]

    with (
        DnsServer({"example.test": "servfail"}) as bad,
        DnsServer({"example.test": {"MX": "1 mx.test."}}) as good,
    ):
        run(main(bad, good))


def test_it_asks_by_tcp_when_the_answer_is_too_long(run):
    records = {"example.test": {"MX": [f"{n} mail-host-{n}.test." for n in range(200)]}}

    async def main(dns):
        assert len((await resolver_of(dns).destination("example.test")).hosts) == 10
        assert dns.count("example.test", "MX") == 2

    with DnsServer(records) as dns:
        run(main(dns))


def test_it_asks_once_for_all_who_ask_at_once(run):
    async def main(dns):
        resolver = resolver_of(dns)
        found = await asyncio.gather(*(resolver.destination("Example.TEST.") for _ in range(50)))
        assert {len(destination.hosts) for destination in found} == {1}
        assert dns.count("example.test", "MX") == 1

    with DnsServer({"example.test": {"MX": "1 mx.test."}}) as dns:
        run(main(dns))


def test_it_answers_the_others_when_one_gives_up(run):
    async def main(dns):
        resolver = resolver_of(dns)
        first = asyncio.ensure_future(resolver.destination("example.test"))
        second = asyncio.ensure_future(resolver.destination("example.test"))
        await asyncio.sleep(0)
        first.cancel()
        assert (await second).hosts == (MxHost("mx.test", 1),)

    with DnsServer({"example.test": {"MX": "1 mx.test."}}) as dns:
        run(main(dns))


@pytest.mark.parametrize(
    ("entry", "seconds"),
    [
        ({"MX": "1 mx.test.", "ttl": 1}, 30),
        ({"MX": "1 mx.test.", "ttl": 500}, 500),
        ({"MX": "1 mx.test.", "ttl": 999_999}, 3600),
        ("nxdomain", 60),
        ("servfail", 10),
    ],
)
def test_it_remembers_an_answer_for_its_time(entry, seconds, monkeypatch):
    async def main(dns):
        resolver = resolver_of(dns)

        async def ask():
            try:
                await resolver.destination("example.test")
            except MxFailed:
                pass
            return dns.count("example.test", "MX")

        start = time.monotonic()
        once = await ask()
        monkeypatch.setattr(lookup.time, "monotonic", lambda: start + seconds - 3)
        assert await ask() == once
        monkeypatch.setattr(lookup.time, "monotonic", lambda: start + seconds + 3)
        assert await ask() > once

    with DnsServer({"example.test": entry}) as dns:
        asyncio.run(main(dns))


def test_it_remembers_a_bounded_number_of_answers(run, monkeypatch):
    monkeypatch.setattr(lookup, "MAX_ENTRIES", 5)

    async def main(dns):
        resolver = resolver_of(dns)
        for number in range(12):
            await resolver.destination(f"d{number}.many.test")
        assert len(resolver._lookup._known) == 5
        await resolver.destination("d11.many.test")
        assert dns.count("d11.many.test", "MX") == 1
        assert not resolver._lookup._asking

    with DnsServer({"*.many.test": {"MX": "1 mx.test."}}) as dns:
        run(main(dns))


@pytest.mark.parametrize(
    "text", ["example.test", "127.0.0.1:dns", "127.0.0.1:0", "127.0.0.1:65536", "", "[::1"]
)
def test_it_refuses_a_name_server_that_is_no_address(text):
    with pytest.raises(ValueError, match="IP:PORT") as caught:
        Resolver([text])
    assert repr(text) in str(caught.value)


def test_it_takes_name_servers_in_each_form():
    made = Resolver(["192.0.2.1", "192.0.2.1:5353", "2001:db8::1", "[2001:db8::1]:5353"])
    found = [(server.address, server.port) for server in made._lookup._resolver.nameservers]
    assert found == [("192.0.2.1", 53), ("192.0.2.1", 5353), ("2001:db8::1", 53), ("2001:db8::1", 5353)]


def test_it_says_whether_the_name_server_checked_the_answer():
    records = {name: {"MX": ["10 mx1.example.test."]} for name in ("signed.test", "bare.test")}
    records["signed.test"]["secure"] = True
    with DnsServer(records) as dns:

        async def main():
            resolver = Resolver([dns.address])
            return [(await resolver.destination(name)).is_secure for name in ("signed.test", "bare.test")]

        assert asyncio.run(main()) == [True, False]

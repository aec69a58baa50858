"""Ways out: kinds of routes, Route rows, sites, and domains to which there is no way."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import pytest
from django.db import connections
from django.utils import timezone

from queueapp import conf
from queueapp.conf import Address, RouteSpec
from queueapp.engine import routing, sources
from queueapp.engine.routing import NoWay, Plan, Router, common_name
from queueapp.engine.ways import matches
from queueapp.models import EgressSource, RecipientDomain, Route, Site
from tests.dnsserver import DnsServer

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(60)]

RECORDS: dict[str, Any] = {
    "example.test": {"MX": ["20 mx2.example.test.", "10 mx1.example.test."]},
    "sister.test": {"MX": ["10 mx1.example.test.", "20 mx2.example.test."]},
    "other.test": {"MX": ["10 mx1.example.test."]},
    "implicit.test": {"A": ["127.0.0.1"]},
    "null.test": {"MX": ["0 ."]},
    "broken.test": "servfail",
    "mx1.example.test": {"A": ["127.0.0.1"]},
    "mx2.example.test": {"A": ["127.0.0.2"], "AAAA": ["::1"]},
}


@pytest.fixture
def dns() -> Iterator[DnsServer]:
    with DnsServer(dict(RECORDS)) as server:
        host, _, port = server.address.rpartition(":")
        with conf.override(dns=(Address(host, int(port)),), route=RouteSpec("mx"), mx_port=2526):
            yield server


async def _here(function: Callable[[], Any]) -> Any:
    """As a runner does: in a thread that may use the database."""

    def run() -> Any:
        try:
            return function()
        finally:
            connections.close_all()

    return await asyncio.to_thread(run)


def domain_id(name: str) -> int:
    return RecipientDomain.objects.get_or_create(name=name)[0].pk


def plans(*names: str) -> list[Plan]:
    """One router's plans, one after another."""
    ids = [domain_id(name) for name in names]

    async def main() -> list[Plan]:
        router = Router(_here)
        return [await router.plan(name, pk) for name, pk in zip(names, ids, strict=True)]

    return asyncio.run(main())


def plan(name: str) -> Plan:
    return plans(name)[0]


def default(route: RouteSpec, **changes: Any) -> AbstractContextManager[Any]:
    return conf.override(route=route, **changes)


# ── Kinds ─────────────────────────────────────────────────────────────────────────────────────


def test_the_sandbox_is_a_site_of_its_own_for_each_domain() -> None:
    with default(RouteSpec("sandbox"), sandbox=Address("127.0.0.1", 1025)):
        one, other = plans("a.test", "b.test")
    assert [(each.host, each.port) for each in one.endpoints] == [("127.0.0.1", 1025)]
    assert one.site_id != other.site_id
    assert one.endpoints == other.endpoints
    assert (one.site_name, Site.objects.get(pk=one.site_id).route) == ("a.test", "sandbox")


def test_a_relay_is_one_site_for_all_domains_and_gets_the_password() -> None:
    spec = RouteSpec("relay", "smart.test", 587, "us", "secret", "required")
    with default(spec):
        one, other = plans("a.test", "b.test")
    assert one.site_id == other.site_id
    assert [(each.host, each.port) for each in one.endpoints] == [("smart.test", 587)]
    options = one.options
    assert (options.username, options.password, options.tls, options.verify) == (
        "us",
        "secret",
        "required",
        True,
    )
    assert "secret" not in repr(one)


def test_relays_with_long_names_are_not_taken_for_each_other() -> None:
    host = "a" * 60 + "." + "b" * 60 + ".test"
    with default(RouteSpec("relay", f"{host}", 25)):
        one = plan("a.test")
    with default(RouteSpec("relay", f"{host[:-4]}other", 25)):
        other = plan("b.test")
    assert one.site_id != other.site_id
    assert len(one.site_key) <= 64


@pytest.mark.usefixtures("dns")
def test_mx_hosts_are_tried_by_preference_at_the_set_port() -> None:
    found = plan("example.test")
    assert [(each.host, each.port) for each in found.endpoints] == [
        ("mx1.example.test", 2526),
        ("mx2.example.test", 2526),
    ]
    site = Site.objects.get(pk=found.site_id)
    assert (site.name, site.route) == ("example.test", "mx")
    assert site.hosts == [[10, "mx1.example.test"], [20, "mx2.example.test"]]
    assert RecipientDomain.objects.get(name="example.test").site_id == site.pk


@pytest.mark.usefixtures("dns")
def test_domains_with_the_same_mx_hosts_share_a_site() -> None:
    one, sister, other = plans("example.test", "sister.test", "other.test")
    assert one.site_id == sister.site_id != other.site_id
    assert RecipientDomain.objects.filter(site_id=one.site_id).count() == 2


@pytest.mark.usefixtures("dns")
def test_a_domain_without_mx_is_its_own_host() -> None:
    assert [each.host for each in plan("implicit.test").endpoints] == ["implicit.test"]


# ── No way ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.usefixtures("dns")
@pytest.mark.parametrize(
    ("name", "result", "reply_class"),
    [
        ("null.test", "bounced", "no_such_domain"),
        ("missing.test", "bounced", "no_such_domain"),
        ("broken.test", "deferred", "dns"),
    ],
)
def test_there_is_no_way_to(name: str, result: str, reply_class: str) -> None:
    with pytest.raises(NoWay) as caught:
        plan(name)
    assert (caught.value.outcome.result, caught.value.outcome.reply_class) == (result, reply_class)
    assert name in caught.value.outcome.text


@pytest.mark.usefixtures("dns")
def test_an_mx_host_without_an_address_is_no_way_yet() -> None:
    async def main() -> None:
        await Router(_here).addresses("nowhere.example.test")

    with pytest.raises(NoWay) as caught:
        asyncio.run(main())
    assert caught.value.outcome.result == "deferred"


# ── Route rows ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("pattern", "domain", "is_match"),
    [
        ("*", "any.test", True),
        ("example.com", "example.com", True),
        ("example.com", "a.example.com", False),
        (".example.com", "a.example.com", True),
        (".example.com", "a.b.example.com", True),
        (".example.com", "example.com", False),
        (".example.com", "notexample.com", False),
        ("", "example.com", False),
    ],
)
def test_a_pattern_matches(pattern: str, domain: str, is_match: bool) -> None:
    assert matches(pattern, domain) == is_match


def test_the_first_row_by_position_decides_and_settings_where_none_matches() -> None:
    Route.objects.create(position=20, pattern="*", kind="relay", host="last.test")
    Route.objects.create(position=10, pattern=".Example.COM", kind="relay", host="below.test", tls="none")
    Route.objects.create(position=5, pattern="a.example.com", kind="relay", host="first.test", port=26)
    one, other, rest = plans("a.example.com", "b.example.com", "example.com")
    assert [(each.endpoints[0].host, each.endpoints[0].port) for each in (one, other, rest)] == [
        ("first.test", 26), ("below.test", 25), ("last.test", 25),
    ]  # fmt: skip
    Route.objects.filter(pattern="*").delete()
    with default(RouteSpec("relay", "settings.test")):
        assert plan("example.com").endpoints[0].host == "settings.test"


def test_a_row_with_a_source_speaks_from_it_by_its_name() -> None:
    source = EgressSource.objects.create(name="a", address="127.0.0.9", ehlo_name="out.example.com")
    Route.objects.create(pattern="*", kind="sandbox", source=source)
    found = plan("a.test")
    [(used, _)] = sources.load().pool_for(found.pool_id, found.source_id, "", "", []).members
    options = used.options(found.options)
    assert (options.source_address, options.ehlo_name) == ("127.0.0.9", "out.example.com")
    assert (found.options.source_address, found.options.ehlo_name) == (None, conf.current().host)


# ── What is remembered ────────────────────────────────────────────────────────────────────────


def test_a_plan_is_made_once_and_remembered_for_a_while(
    dns: DnsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    pk = domain_id("example.test")

    async def main() -> tuple[Plan, Plan | None, Plan | None]:
        router = Router(_here)
        assert router.known("example.test") is None
        made, *_ = await asyncio.gather(*(router.plan("example.test", pk) for _ in range(5)))
        known = router.known("example.test")
        router.forget_site(made.site_id)
        return made, known, router.known("example.test")

    made, known, forgotten = asyncio.run(main())
    assert made is known
    assert forgotten is None
    assert dns.count("example.test", "MX") == 1


def test_a_plan_tells_of_the_back_off_and_of_the_sites_own_limit() -> None:
    with default(RouteSpec("sandbox")):
        first = plan("a.test")
        assert first.limits.max_sessions == conf.current().site_sessions
        until = timezone.now()
        Site.objects.update(max_sessions=3, backoff_until=until, backoff_class="busy", n_failures=2)
        found = plan("a.test")
    assert (found.limits.max_sessions, found.backoff_until, found.backoff_class, found.n_failures) == (
        3,
        until,
        "busy",
        2,
    )


def test_memory_for_plans_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routing, "_MAX_PLANS", 3)
    with default(RouteSpec("sandbox")):
        assert len(plans(*(f"d{n}.test" for n in range(8)))) == 8


@pytest.mark.parametrize(
    ("hosts", "name"),
    [
        ([], ""),
        (["mx.example.com"], "example.com"),
        (["a.mx.example.com", "b.mx.example.com"], "example.com"),
        (["mx1.example.com", "mx2.example.net"], "example.com"),
        (["mx.example.co.uk", "mx2.example.co.uk"], "example.co.uk"),
        (["mx.example.de"], "example.de"),
        (["MX.Example.COM."], "example.com"),
        (["localhost"], "localhost"),
    ],
)
def test_people_call_it(hosts: list[str], name: str) -> None:
    assert common_name(hosts) == name

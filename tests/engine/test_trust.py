"""What a policy makes of mail: real MX hosts with and without the right certificate, real policy hosts.

`mx.good.test` and `mx.bad.test` are one server each; the certificate of the second names another host.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from queueapp import conf
from queueapp.conf import Address, RouteSpec
from queueapp.engine import sts
from queueapp.models import Attempt, Message, MtaStsPolicy, Site
from queueapp.transports.mta_sts import Options
from queueapp.transports.smtp import tls
from tests.dnsserver import DnsServer
from tests.engine.queue import put, run_once, sandbox, states
from tests.policyhost import PolicyHost
from tests.transports.certificates import Certificates, make_certificates
from tests.transports.serving import Keeper, serving

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("valkey")]
PLAIN = b"From: ann@example.com\r\nMessage-ID: <1@example.com>\r\nDate: x\r\n\r\nx\r\n"
DOMAINS = ("enforced", "othermx", "badcert", "trying", "plain", "waived", "both")


class World:
    """One MX server; what it is called in DNS decides whether its certificate fits."""

    def __init__(self, dns: DnsServer, policies: PolicyHost, keeper: Keeper) -> None:
        self.dns, self.policies, self.keeper = dns, policies, keeper

    def domain(self, name: str, mx: str, mode: str = "", *named: str) -> None:
        self.dns.records[name] = {"MX": [f"{10 + n} {host}." for n, host in enumerate(mx.split())]}
        if mode:
            self.dns.records[f"_mta-sts.{name}"] = {"TXT": '"v=STSv1; id=1;"'}
            self.dns.records[f"mta-sts.{name}"] = {"A": ["127.0.0.1"]}
            self.policies.publish(name, mode, *(named or tuple(mx.split())))

    @property
    def recipients(self) -> list[str]:
        return sorted(to for mail in self.keeper.mails for to in mail.recipients)


@pytest.fixture(scope="module")
def certified(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    names = [f"mta-sts.{name}.test" for name in DOMAINS]
    return make_certificates(tmp_path_factory.mktemp("ca"), "mx.good.test", *names)


@pytest.fixture
def world(tmp_path: Path, certified: Certificates, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setenv("SSL_CERT_FILE", str(certified.ca))
    tls._context.cache_clear()
    records: dict[str, Any] = {name: {"A": ["127.0.0.1"]} for name in ("mx.good.test", "mx.bad.test")}
    keeper = Keeper()
    with (
        DnsServer(records) as dns,
        PolicyHost(certified.server_context()) as policies,
        serving(keeper, tls=_server_side(certified)) as server,
    ):
        monkeypatch.setattr(sts, "FETCHING", Options(policies.port, str(certified.ca), timeout=5))
        host, _, port = dns.address.rpartition(":")
        with conf.override(
            route=RouteSpec("mx"),
            mx_port=server.address[1],
            dns=(Address(host, int(port)),),
            home=tmp_path,
        ):
            yield World(dns, policies, keeper)
    tls._context.cache_clear()


def _server_side(certified: Certificates) -> ssl.SSLContext:
    return certified.server_context()


def test_an_enforced_policy_is_kept_to(world: World) -> None:
    world.domain("enforced.test", "mx.good.test", "enforce")
    put("a@enforced.test")
    run_once()
    assert states() == {"a@enforced.test": "delivered"}
    assert world.keeper.tls[0].startswith("TLS")
    assert MtaStsPolicy.objects.get().n_violations == 0


def test_a_host_that_the_policy_does_not_name_gets_no_mail(world: World) -> None:
    world.domain("othermx.test", "mx.good.test", "enforce", "mx.other.test", "*.example.net")
    put("a@othermx.test")
    run_once()
    assert states() == {"a@othermx.test": "deferred"}
    assert world.recipients == []
    attempt = Attempt.objects.get()
    assert (attempt.reply_class, attempt.rule) == ("tls", "mta-sts")
    assert attempt.text == (
        "MTA-STS policy of othermx.test (enforce): none of the MX hosts (mx.good.test) is named there "
        "(mx.other.test, *.example.net)"
    )


def test_only_hosts_that_it_names_are_used(world: World) -> None:
    world.domain("both.test", "mx.bad.test mx.good.test", "enforce", "mx.good.test")
    put("a@both.test")
    run_once()
    assert Attempt.objects.get().host == "mx.good.test"


def test_a_wrong_certificate_defers_and_other_domains_of_the_site_go_on(world: World) -> None:
    world.domain("badcert.test", "mx.bad.test", "enforce")
    world.domain("plain.test", "mx.bad.test")
    put(*(f"u{n}@badcert.test" for n in range(3)))
    for n in range(4):
        put(f"v{n}@badcert.test", name=f"v{n}")
        put(f"w{n}@plain.test", name=f"w{n}")
    run_once()
    assert world.recipients == [f"w{n}@plain.test" for n in range(4)]
    found = states()
    assert {found[to] for to in found if to.endswith("badcert.test")} == {"deferred"}
    site = Site.objects.get()
    assert (site.n_failures, site.backoff_until) == (0, None)
    row = MtaStsPolicy.objects.get()
    assert row.n_violations >= 1
    assert "mx.bad.test" in row.violation
    assert "certificate" in row.violation


def test_a_server_without_starttls_defers(world: World) -> None:
    with serving(world.keeper) as bare, conf.override(mx_port=bare.address[1]):
        world.domain("enforced.test", "mx.good.test", "enforce")
        put("a@enforced.test")
        run_once()
    assert states() == {"a@enforced.test": "deferred"}
    assert "does not offer STARTTLS" in Attempt.objects.get().text


@pytest.mark.parametrize("named", ["mx.bad.test", "mx.other.test"])
def test_in_testing_it_goes_all_the_same_and_is_noted(world: World, named: str) -> None:
    world.domain("trying.test", "mx.bad.test", "testing", named)
    for n in range(5):
        put(f"u{n}@trying.test", name=str(n))
    run_once()
    assert set(states().values()) == {"delivered"}
    assert len(world.recipients) == 5
    row = MtaStsPolicy.objects.get()
    assert row.n_violations >= 1
    assert row.violation


def test_it_is_not_asked_where_it_is_off(world: World) -> None:
    world.domain("othermx.test", "mx.good.test", "enforce", "mx.other.test")
    put("a@othermx.test")
    with conf.override(mta_sts="off"):
        run_once()
    assert states() == {"a@othermx.test": "delivered"}
    assert world.policies.asked == []


def test_it_is_not_asked_for_a_relay(world: World) -> None:
    world.domain("othermx.test", "mx.good.test", "enforce", "mx.other.test")
    put("a@othermx.test")
    with conf.override(route=RouteSpec("relay", "127.0.0.1", conf.current().mx_port)):
        run_once()
    assert states() == {"a@othermx.test": "delivered"}
    assert world.dns.count("_mta-sts.othermx.test", "TXT") == 0


# ── REQUIRETLS and TLS-Required ───────────────────────────────────────────────────────────────


def demanding(recipient: str, **values: Any) -> None:
    put(recipient, requires_tls=True, content=PLAIN, **values)


def outcome(recipient: str) -> tuple[str, str, str, str]:
    attempt = Attempt.objects.filter(delivery__recipient=recipient).latest("id")
    return attempt.result, attempt.reply_class, attempt.enhanced, attempt.text


def reports() -> list[Message]:
    return list(Message.objects.filter(source="report"))


@pytest.fixture
def offering(world: World, certified: Certificates) -> Iterator[World]:
    """The MX host offers REQUIRETLS."""
    with (
        serving(world.keeper, tls=_server_side(certified), offers_requiretls=True) as server,
        conf.override(mx_port=server.address[1]),
    ):
        yield world


@pytest.mark.parametrize("by", ["policy", "dnssec"])
def test_a_demand_is_passed_on_where_it_can_be_kept(offering: World, by: str) -> None:
    offering.domain("enforced.test", "mx.good.test", "enforce" if by == "policy" else "")
    offering.dns.records["enforced.test"]["secure"] = by == "dnssec"  # type: ignore[index]
    demanding("a@enforced.test")
    put("b@enforced.test", name="2")
    run_once()
    assert set(states().values()) == {"delivered"}
    assert {mail.recipients[0]: mail.requires_tls for mail in offering.keeper.mails} == {
        "a@enforced.test": True,
        "b@enforced.test": False,
    }


def test_a_server_that_does_not_offer_it_gets_nothing(world: World) -> None:
    world.domain("enforced.test", "mx.good.test", "enforce")
    demanding("a@enforced.test")
    put("b@enforced.test", name="2")
    run_once()
    assert world.recipients == ["b@enforced.test"]
    result, reply_class, enhanced, text = outcome("a@enforced.test")
    assert (result, reply_class, enhanced) == ("bounced", "tls", "5.7.30")
    assert text == "TLS is demanded all the way (REQUIRETLS): the server does not offer REQUIRETLS"
    assert MtaStsPolicy.objects.get().n_violations == 0


def test_hosts_that_anybody_may_have_put_into_dns_are_not_believed(offering: World) -> None:
    offering.domain("plain.test", "mx.good.test")
    demanding("a@plain.test")
    run_once()
    assert offering.recipients == []
    result, _, enhanced, text = outcome("a@plain.test")
    assert (result, enhanced) == ("bounced", "5.7.30")
    assert "neither MTA-STS nor DNSSEC" in text


def test_a_wrong_certificate_sends_it_back(offering: World) -> None:
    offering.domain("plain.test", "mx.bad.test")
    offering.dns.records["plain.test"]["secure"] = True  # type: ignore[index]
    demanding("a@plain.test")
    run_once()
    assert offering.recipients == []
    result, _, enhanced, text = outcome("a@plain.test")
    assert (result, enhanced) == ("bounced", "5.7.10")
    assert "mx.bad.test is not trusted" in text
    assert Site.objects.get(name="bad.test").backoff_until is None


def test_the_report_carries_the_demand_on_where_it_can(offering: World) -> None:
    offering.domain("plain.test", "mx.good.test")
    offering.domain("enforced.test", "mx.good.test", "enforce")
    demanding("a@plain.test", sender="ann@enforced.test")
    run_once()
    [report] = reports()
    assert report.tls_demand == "required"
    assert [(mail.sender, mail.requires_tls) for mail in offering.keeper.mails] == [("", True)]


def test_a_report_is_not_lost_where_the_demand_cannot_be_kept(offering: World) -> None:
    offering.domain("plain.test", "mx.bad.test")
    demanding("a@plain.test", sender="ann@plain.test")
    run_once()
    assert [(mail.sender, mail.requires_tls) for mail in offering.keeper.mails] == [("", False)]
    assert offering.recipients == ["ann@plain.test"]


def test_a_waiver_passes_a_policy_over(world: World) -> None:
    world.domain("waived.test", "mx.bad.test", "enforce")
    put("a@waived.test", content=b"TLS-Required: No\r\n" + PLAIN)
    put("b@waived.test", name="2")
    run_once()
    assert states() == {"a@waived.test": "delivered", "b@waived.test": "deferred"}


def test_the_sandbox_keeps_the_promise(tmp_path: Path) -> None:
    with sandbox(tmp_path) as archive:
        demanding("a@example.net")
        run_once()
        assert states() == {"a@example.net": "delivered"}
        [mail] = archive.list_mails()
        assert mail.tls.startswith("TLS")

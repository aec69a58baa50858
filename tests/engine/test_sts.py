"""Policies of recipient domains: fetched once, kept, renewed, and in force when their host is away."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from queueapp.engine import sts
from queueapp.engine.sts import Policies
from queueapp.mail.mta_sts import Policy
from queueapp.models import MtaStsPolicy
from queueapp.transports.mta_sts import Options
from queueapp.transports.smtp.mx import Resolver
from tests.dnsserver import DnsServer
from tests.engine.test_routing import _here
from tests.policyhost import Answer, PolicyHost
from tests.transports.certificates import make_certificates

pytestmark = pytest.mark.django_db(transaction=True)


class World:
    """DNS and the policy host of example.test and none.test."""

    def __init__(self, dns: DnsServer, host: PolicyHost) -> None:
        self.dns, self.host = dns, host

    def record(self, policy_id: str | None) -> None:
        if policy_id is None:
            self.dns.records.pop("_mta-sts.example.test", None)
        else:
            self.dns.records["_mta-sts.example.test"] = {"TXT": f'"v=STSv1; id={policy_id};"'}

    def ask(self, *domains: str) -> list[Policy | None]:
        """What a runner that starts now is told, one after another; renewals are waited for."""

        async def main() -> list[Policy | None]:
            policies = Policies(_here, Resolver([self.dns.address], timeout=2))
            found = [await policies.of(domain) for domain in domains or ("example.test",)]
            await asyncio.gather(*policies._renewing.values())
            await policies.close()
            return found

        return asyncio.run(main())


@pytest.fixture
def world(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    made = make_certificates(tmp_path_factory.mktemp("ca"), "mta-sts.example.test")
    records: dict[str, Any] = {"mta-sts.example.test": {"A": ["127.0.0.1"]}}
    with DnsServer(records) as dns, PolicyHost(made.server_context()) as host:
        monkeypatch.setattr(sts, "FETCHING", Options(host.port, str(made.ca), timeout=5))
        found = World(dns, host)
        found.record("1")
        host.publish("example.test", "enforce", "mx.example.test")
        yield found


def due(**values: Any) -> None:
    """As if time had gone by."""
    MtaStsPolicy.objects.update(check_at=timezone.now() - timedelta(seconds=1), **values)


def test_it_is_fetched_once_and_kept_in_the_database(world: World) -> None:
    wanted = Policy("example.test", "enforce", ("mx.example.test",), 86400)
    assert world.ask("example.test", "example.test") == [wanted, wanted]
    assert world.ask() == [wanted], "another runner"
    assert len(world.host.asked) == 1
    row = MtaStsPolicy.objects.get()
    assert (row.policy_id, row.mode, row.failure) == ("1", "enforce", "")
    assert row.expires_at - row.fetched_at == timedelta(days=1)


def test_a_domain_without_a_record_costs_one_question(world: World) -> None:
    assert world.ask("none.test", "none.test", "none.test") == [None, None, None]
    assert world.dns.count("_mta-sts.none.test", "TXT") == 1
    assert not MtaStsPolicy.objects.exists()


def test_the_same_id_is_not_fetched_again_and_a_new_one_is(world: World) -> None:
    world.ask()
    due()
    world.ask()
    assert len(world.host.asked) == 1
    due()
    world.record("2")
    world.host.publish("example.test", "testing", "mx2.example.test")
    world.ask()
    assert [policy.mode for policy in world.ask() if policy] == ["testing"]
    assert len(world.host.asked) == 2


def test_an_old_policy_is_renewed_before_it_ends_without_a_wait(world: World) -> None:
    [known] = world.ask()
    due(fetched_at=timezone.now() - timedelta(hours=13), expires_at=timezone.now() + timedelta(hours=11))
    assert world.ask() == [known]
    assert len(world.host.asked) == 2
    assert MtaStsPolicy.objects.get().expires_at > timezone.now() + timedelta(hours=23)


@pytest.mark.parametrize("away", ["dns", "record", "host"])
def test_a_known_policy_stays_in_force_when_its_source_is_away(world: World, away: str) -> None:
    [known] = world.ask()
    assert known
    due(fetched_at=timezone.now() - timedelta(hours=13))
    if away == "dns":
        world.dns.records["_mta-sts.example.test"] = "servfail"
    elif away == "record":
        world.record(None)
    else:
        world.host.answers.clear()
    assert world.ask() == [known]
    assert world.ask() == [known]
    assert MtaStsPolicy.objects.get().check_at > timezone.now(), "not asked again at once"


def test_a_policy_that_ended_is_in_force_no_more(world: World) -> None:
    world.ask()
    due(expires_at=timezone.now() - timedelta(seconds=1), fetched_at=timezone.now() - timedelta(days=2))
    world.host.answers.clear()
    assert world.ask() == [None]


def test_a_failure_is_told_and_not_repeated_for_a_while(world: World) -> None:
    world.host.answers["mta-sts.example.test"] = Answer(b"hello")
    assert world.ask() == [None]
    assert world.ask() == [None]
    assert len(world.host.asked) == 1
    row = MtaStsPolicy.objects.get()
    assert (row.mode, row.failure) == ("", "what it publishes is no policy: line 1 is not `name: value`")
    due()
    world.host.publish("example.test", "enforce", "mx.example.test")
    assert [policy.mode for policy in world.ask() if policy] == ["enforce"]
    assert MtaStsPolicy.objects.get().failure == ""


def test_mode_none_is_no_policy(world: World) -> None:
    world.host.publish("example.test", "none")
    assert world.ask() == [None]
    assert MtaStsPolicy.objects.get().mode == "none"


def test_a_host_that_hangs_holds_up_a_domain_for_the_deadline_only(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sts, "DEADLINE", 0.1)
    world.host.answers["mta-sts.example.test"].wait = 1.0
    assert world.ask() == [None]
    assert [policy.mode for policy in world.ask() if policy] == ["enforce"], "it came later"


def test_all_who_ask_at_once_share_one_fetch(world: World) -> None:
    async def main() -> list[Policy | None]:
        policies = Policies(_here, Resolver([world.dns.address], timeout=2))
        return await asyncio.gather(*(policies.of("example.test") for _ in range(5)))

    found = asyncio.run(main())
    assert [policy.mode for policy in found if policy] == ["enforce"] * 5
    assert len(world.host.asked) == 1

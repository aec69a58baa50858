"""The doctor: each illness is found, and a healthy system has none."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from queueapp import conf
from queueapp.access import dkim
from queueapp.conf import Address, Conf, RouteSpec
from queueapp.management.doctor import keys, machine, network, stores
from queueapp.management.doctor.finding import Finding
from queueapp.models import Delivery, RecipientDomain, Route
from queueapp.models.message import Message
from queueapp.workers.listening import bind
from tests.access.by import by
from tests.dnsserver import DnsServer
from tests.system import System
from tests.transports.certificates import make_certificates


def levels(found: Iterator[Finding]) -> list[str]:
    return [each.level for each in found]


def test_a_running_system_is_healthy(system: System) -> None:
    found = json.loads(system.manage("doctor", "--json").stdout)
    assert {each["name"] for each in found} >= {
        "home",
        "disk",
        "database",
        "clock",
        "redis",
        "parts",
        "workers",
    }
    assert not [each for each in found if each["level"] == "FAIL"]
    assert "Nothing is broken." in system.manage("doctor").stdout


def test_it_fails_with_advice_where_nothing_runs(tmp_path: Path) -> None:
    done = System(home=tmp_path).manage("doctor", "--json", check=False)
    assert done.returncode == 1
    found = {each["name"]: each for each in json.loads(done.stdout)}
    assert found["database"]["level"] == "FAIL"
    assert "migrat" in found["database"]["text"]
    assert found["redis"]["level"] == "FAIL"
    assert "manage.py up" in found["redis"]["advice"]
    assert all(each["advice"] for each in found.values() if each["level"] != "ok")


def settings(**changes: object) -> Conf:
    return replace(conf.current(), **changes)  # type: ignore[arg-type]


def test_it_finds_a_part_that_keeps_dying(tmp_path: Path) -> None:
    here = settings(home=tmp_path)
    (tmp_path / "run.json").write_text(json.dumps({"pid": os.getpid(), "smtp": "x"}))
    part = {"name": "smtpd", "state": "restarting", "n_restarts": 7, "last_exit": "exit 1"}
    (tmp_path / "parts.json").write_text(json.dumps({"parts": [part]}))
    found = list(machine.parts(here))
    assert [each.level for each in found] == ["FAIL"]
    assert "7 restarts, last: exit 1" in found[0].text


def test_it_reads_the_certificate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = make_certificates(tmp_path)
    here = settings(smtp_cert=made.certificate, smtp_key=made.key)
    assert levels(machine.certificate(settings())) == ["ok"]
    assert levels(machine.certificate(here)) in (["ok"], ["warn"])
    assert levels(machine.certificate(settings(smtp_cert=tmp_path / "none"))) == ["FAIL"]


def test_it_finds_name_servers_that_are_silent() -> None:
    with bind("X", Address("127.0.0.1", 0)) as silent:
        nowhere = (Address("127.0.0.1", silent.getsockname()[1]),)
        route = RouteSpec("mx")
        assert levels(network.names(settings(dns=nowhere, route=route))) == ["FAIL"]
        assert levels(network.names(settings(dns=nowhere))) == ["warn"]  # the sandbox needs none


def test_it_tries_the_relay() -> None:
    with bind("X", Address("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    found = list(network.way_out(settings(route=RouteSpec("relay", "127.0.0.1", port))))
    assert [each.level for each in found] == ["FAIL"]
    assert f"127.0.0.1:{port} is not reachable" in found[0].text
    assert levels(network.way_out(settings())) == ["ok"]


@pytest.mark.django_db
def test_it_finds_due_mail_that_nobody_sends() -> None:
    assert levels(stores.runners(settings())) == ["ok"]
    now = timezone.now()
    message = Message.objects.create(sender="a@x.test", size=1, n_recipients=1, accepted_at=now)
    Delivery.objects.create(
        message=message, recipient="b@x.test", domain=RecipientDomain.objects.create(name="x.test"),
        accepted_at=now, next_attempt_at=now - timedelta(minutes=10), expires_at=now + timedelta(days=1),
    )  # fmt: skip
    found = list(stores.runners(settings()))
    assert [each.level for each in found] == ["FAIL"]
    assert "due mail waits 600 s" in found[0].text


@pytest.mark.django_db
def test_it_probes_the_database_and_leaves_nothing() -> None:
    from queueapp.models import AuditEvent

    assert set(levels(stores.database(settings()))) <= {"ok", "warn"}
    assert not AuditEvent.objects.exists()


@pytest.mark.django_db
def test_it_looks_whether_dkim_keys_can_be_used_and_found(settings: Any) -> None:
    with DnsServer({}) as dns:
        host, _, port = dns.address.partition(":")
        at = replace(conf.current(), route=RouteSpec("mx"), dns=(Address(host, int(port)),))
        with conf.override(dns=at.dns):
            assert [each.level for each in keys.dkim(at)] == ["warn"]
            assert list(keys.dkim(replace(at, route=RouteSpec("sandbox")))) == []
            [key] = dkim.create("example.com", selector="s1", is_active=True, actor=by())
            [found] = keys.dkim(at)
            assert (found.level, "no TXT record" in found.text) == ("warn", True)
            assert "manage.py dkim show example.com" in found.advice
            dns.records[key.record_name] = {"TXT": [" ".join(f'"{part}"' for part in key.record)]}
            assert [each.level for each in keys.dkim(at)] == ["ok"]
            route = Route(name="backup", kind="relay", host="b.test")
            route.keep_password("s3cret")
            route.save()
            assert list(keys.routes(at)) == []
            settings.SECRET_KEY = "another" * 10
            assert ["the route backup can't be read" in each.text for each in keys.routes(at)] == [True]
            assert [each.level for each in keys.dkim(at)] == ["FAIL"]

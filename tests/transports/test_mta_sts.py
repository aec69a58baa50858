"""Fetching a policy from a real HTTPS server: what is taken, and what is refused with its reason."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from queueapp.mail.mta_sts import MAX_SIZE, Policy
from queueapp.transports.mta_sts import FetchFailed, Options, fetch
from queueapp.transports.smtp.mx import Resolver
from tests.dnsserver import DnsServer
from tests.policyhost import Answer, PolicyHost, policy
from tests.transports.certificates import Certificates, make_certificates

RECORDS = {f"mta-sts.{name}.test": {"A": ["127.0.0.1"]} for name in ("good", "stranger", "untold")}


@pytest.fixture(scope="module")
def certified(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("ca"), "mta-sts.good.test", "mta-sts.nowhere.test")


@pytest.fixture
def host(certified: Certificates) -> Iterator[PolicyHost]:
    with PolicyHost(certified.server_context()) as server:
        yield server


def get(host: PolicyHost, domain: str, cafile: Path | None, timeout: float = 5.0) -> Policy:
    with DnsServer(dict(RECORDS)) as dns:
        options = Options(host.port, str(cafile) if cafile else None, timeout)
        return asyncio.run(fetch(domain, Resolver([dns.address]), options))


def test_it_works(host: PolicyHost, certified: Certificates) -> None:
    host.publish("good.test", "enforce", "mx.good.test")
    assert get(host, "good.test", certified.ca) == Policy("good.test", "enforce", ("mx.good.test",), 86400)
    assert host.asked == ["mta-sts.good.test"]


HTML = {"Content-Type": "text/html"}
MOVED = {"Location": "https://mta-sts.good.test/elsewhere", "Content-Type": "text/plain"}
FINE = policy("enforce", "mx.good.test")


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (Answer(FINE, 404), "answered 404"),
        (Answer(FINE, 301, MOVED), "answered 301"),
        (Answer(FINE, 200, HTML), "type text/html, not text/plain"),
        (Answer(FINE, 200, {}), "not text/plain"),
        (Answer(b"x" * (MAX_SIZE + 10)), "larger than"),
        (Answer(b"hello"), "no policy: line 1"),
    ],
)
def test_it_refuses_an_answer_that_is_no_policy(
    host: PolicyHost, certified: Certificates, answer: Answer, why: str
) -> None:
    host.answers["mta-sts.good.test"] = answer
    with pytest.raises(FetchFailed, match=why):
        get(host, "good.test", certified.ca)


def test_it_takes_a_content_type_with_a_charset(host: PolicyHost, certified: Certificates) -> None:
    host.answers["mta-sts.good.test"] = Answer(FINE, 200, {"Content-Type": "text/plain; charset=utf-8"})
    assert get(host, "good.test", certified.ca).mode == "enforce"


def test_a_host_that_is_slow_is_given_up(host: PolicyHost, certified: Certificates) -> None:
    host.answers["mta-sts.good.test"] = Answer(FINE, wait=1.5)
    with pytest.raises(FetchFailed, match=r"within 0\.3 s"):
        get(host, "good.test", certified.ca, timeout=0.3)


@pytest.mark.parametrize("domain", ["stranger.test", "good.test"])
def test_a_certificate_of_another_name_or_root_is_not_trusted(
    host: PolicyHost, certified: Certificates, domain: str
) -> None:
    host.answers[f"mta-sts.{domain}"] = Answer(FINE)
    with pytest.raises(FetchFailed, match="ertificate"):
        get(host, domain, certified.ca if domain == "stranger.test" else None)
    assert host.asked == []


def test_a_host_without_address_is_told(host: PolicyHost, certified: Certificates) -> None:
    with pytest.raises(FetchFailed, match=r"mta-sts\.nowhere\.test"):
        get(host, "nowhere.test", certified.ca)

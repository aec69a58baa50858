"""The life of a DKIM key: made, published, activated, rotated, retired; and who did it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from queueapp import conf
from queueapp.access import dkim
from queueapp.access.actions import AccessError
from queueapp.access.dkim_record import why_unpublished
from queueapp.mail.dkim import public_value
from queueapp.models import AuditEvent, DkimKey
from queueapp.models.sealed import SealBroken
from tests.access.by import by
from tests.dnsserver import DnsServer

pytestmark = pytest.mark.django_db


@pytest.fixture
def dns() -> Iterator[DnsServer]:
    with DnsServer({}) as server:
        host, _, port = server.address.partition(":")
        with conf.override(dns=(conf.Address(host, int(port)),)):
            yield server


def publish(dns: DnsServer, key: DkimKey) -> None:
    dns.records[key.record_name] = {"TXT": [" ".join(f'"{part}"' for part in key.record)]}


def states(domain: str = "example.com") -> dict[str, str]:
    return dict(DkimKey.objects.filter(domain=domain).order_by("id").values_list("selector", "state"))


def make(selector: str, **options: object) -> list[DkimKey]:
    return dkim.create("example.com", selector=selector, actor=by("ann"), **options)  # type: ignore[arg-type]


def test_a_new_key_is_pending_and_its_private_half_sealed() -> None:
    [key] = make("s1")
    assert states() == {"s1": "pending"}
    assert public_value(key.opened()) == key.public
    assert "PRIVATE" not in key.sealed
    assert key.sealed.startswith("gAAAA")
    assert str(key) == "s1 of example.com"


def test_another_secret_key_opens_nothing_but_an_old_one_does(settings: object) -> None:
    [key] = make("s1")
    before = settings.SECRET_KEY  # type: ignore[attr-defined]
    settings.SECRET_KEY = "another" * 10  # type: ignore[attr-defined]
    with pytest.raises(SealBroken, match="another secret key"):
        key.opened()
    settings.SECRET_KEY_FALLBACKS = [before]  # type: ignore[attr-defined]
    assert public_value(key.opened()) == key.public


def test_both_algorithms_have_selectors_of_their_own() -> None:
    assert [(key.selector, key.algorithm) for key in make("s1", kind="both")] == [
        ("s1", "rsa"),
        ("s1-ed25519", "ed25519"),
    ]


def test_selectors_are_made_from_the_date_and_not_used_twice() -> None:
    first = make("", is_active=True)[0].selector
    second = dkim.rotate("example.com", actor=by("ann"))[0].selector
    assert first.startswith("mw20")
    assert second == f"{first}-2"


def test_activation_waits_for_the_record(dns: DnsServer) -> None:
    [key] = make("s1")
    with pytest.raises(AccessError, match="no TXT record s1._domainkey.example.com"):
        dkim.activate("example.com", actor=by("ann"))
    assert states() == {"s1": "pending"}
    publish(dns, key)
    dns.records["s1._domainkey.example.com"]["ttl"] = 1  # type: ignore[index]
    dkim.activate("example.com", actor=by("ann"))
    assert states() == {"s1": "active"}


def test_another_key_in_the_record_is_told(dns: DnsServer) -> None:
    [key] = make("s1")
    dns.records[key.record_name] = {"TXT": ['"v=DKIM1; p=AAAA"']}
    assert "holds another key: 'v=DKIM1; p=AAAA'" in why_unpublished(key)
    dns.records[key.record_name] = "servfail"
    assert "can't be looked up" in why_unpublished(key)


def test_a_successor_takes_over_in_one_moment() -> None:
    make("s1", kind="both", is_active=True)
    dkim.rotate("example.com", selector="s2", actor=by("ann"))
    assert states() == {"s1": "active", "s1-ed25519": "active", "s2": "pending", "s2-ed25519": "pending"}
    dkim.activate("example.com", is_checked=False, actor=by("ann"))
    assert states() == {"s1": "retired", "s1-ed25519": "retired", "s2": "active", "s2-ed25519": "active"}


def test_a_retired_key_is_erased() -> None:
    make("s1", is_active=True)
    key = dkim.retire("example.com", "S1", actor=by("ann"))
    assert (key.state, key.sealed) == ("retired", "")
    assert key.retired_at is not None
    with pytest.raises(AccessError, match="retired already"):
        dkim.retire("example.com", "s1", actor=by("ann"))


def test_a_domain_is_known_by_its_a_label() -> None:
    [key] = dkim.create("MÜLLER.test.", selector="s1", actor=by("ann"))
    assert key.domain == "xn--mller-kva.test"


@pytest.mark.parametrize(
    ("domain", "options", "why"),
    [
        ("nonsense", {}, "write it as example.com"),
        ("a@b.test", {}, "is no domain"),
        ("two words.test", {}, "is no domain"),
        ("[127.0.0.1]", {}, "is no domain"),
        ("b.test", {"selector": "a_b"}, "'a_b' is no usable selector"),
        ("b.test", {"selector": "a" * 60, "kind": "both"}, "no usable selector"),
        ("b.test", {"bits": 1024}, "1024 bits are not from 2048 to 4096"),
    ],
)
def test_it_refuses_with_the_value_and_writes_it_down(domain: str, options: dict, why: str) -> None:  # type: ignore[type-arg]
    with pytest.raises(AccessError, match=why):
        dkim.create(domain, actor=by("ann"), **options)
    assert not DkimKey.objects.exists()
    event = AuditEvent.objects.get()
    assert (event.action, event.target, event.is_refused) == ("dkim.create", domain, True)


def test_it_refuses_what_does_not_fit_the_state() -> None:
    with pytest.raises(AccessError, match="no active key to rotate"):
        dkim.rotate("example.com", actor=by("ann"))
    make("s1")
    with pytest.raises(AccessError, match="a pending key already, s1"):
        make("s2")
    dkim.activate("example.com", "s1", is_checked=False, actor=by("ann"))
    with pytest.raises(AccessError, match="is active, not pending"):
        dkim.activate("example.com", "s1", is_checked=False, actor=by("ann"))
    with pytest.raises(AccessError, match="no pending key"):
        dkim.activate("example.com", actor=by("ann"))
    with pytest.raises(AccessError, match="no key with the selector 's9'"):
        dkim.retire("example.com", "s9", actor=by("ann"))
    with pytest.raises(AccessError, match="a selector is used once"):
        make("s1")
    assert AuditEvent.objects.filter(is_refused=True).count() == 6


def test_every_change_is_in_the_audit_and_no_key_with_it() -> None:
    [key] = make("s1", is_active=True)
    dkim.rotate("example.com", selector="s2", is_active=True, actor=by("ann", origin="192.0.2.7"))
    dkim.retire("example.com", "s2", actor=by("bob"))
    events = AuditEvent.objects.order_by("id")
    assert [event.action for event in events] == [
        "dkim.create", "dkim.activate", "dkim.rotate", "dkim.activate", "dkim.retire",
    ]  # fmt: skip
    assert events[3].detail == {"selector": "s2", "retired": ["s1"], "is_checked": False}
    assert events[3].origin == "192.0.2.7"
    assert all(key.sealed not in str(event.detail) for event in events)

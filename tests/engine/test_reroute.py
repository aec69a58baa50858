"""Mail that was led by another way out than its domain's: where it arrives, by which login, and whose site it
counts for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from queueapp import conf
from queueapp.access import routes
from queueapp.access.change import COMMAND
from queueapp.engine import runner, sites
from queueapp.models import Attempt, Delivery, RecipientDomain, Route
from queueapp.models.sealed import seal
from tests.counting_sink import CountingSink
from tests.engine.queue import n_wrong_counters, put, run_once, states

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("valkey", "home")]


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    with conf.override(home=tmp_path, site_sessions=1):
        yield tmp_path


def a_relay(sink: CountingSink, name: str = "", **values: object) -> Route:
    return Route.objects.create(
        name=name, kind="relay", host=sink.host, port=sink.port, tls="none", **values
    )  # fmt: skip


def site_of(name: str) -> str:
    site = RecipientDomain.objects.select_related("site").get(name=name).site
    return site.key if site else ""


def test_a_delivery_takes_its_own_way_and_its_domain_keeps_its_site() -> None:
    with CountingSink() as usual, CountingSink() as backup:
        a_relay(usual, pattern="*")
        led = a_relay(backup, "backup")
        for name in ("a", "b", "c"):
            put(f"{name}@x.test", name=name)
        Delivery.objects.filter(recipient="b@x.test").update(route=led)
        run_once()
        assert dict(usual.recipients) == {"a@x.test": 1, "c@x.test": 1}
        assert dict(backup.recipients) == {"b@x.test": 1}
        assert site_of("x.test") == f"relay:{usual.host}:{usual.port}"
    assert set(states().values()) == {"delivered"}
    assert n_wrong_counters() == 0


def test_a_domain_takes_its_way_and_becomes_part_of_that_site() -> None:
    with CountingSink() as usual, CountingSink() as backup, CountingSink() as third:
        a_relay(usual, pattern="*")
        chosen, other = a_relay(backup, "backup"), a_relay(third, "third")
        put("a@x.test", "b@x.test")
        put("a@y.test")
        Delivery.objects.filter(recipient="b@x.test").update(route=other)
        routes.lead_domain(COMMAND, "x.test", chosen.name)
        run_once()
        assert (dict(usual.recipients), dict(backup.recipients), dict(third.recipients)) == (
            {"a@y.test": 1}, {"a@x.test": 1}, {"b@x.test": 1},
        )  # fmt: skip
        assert site_of("x.test") == f"relay:{backup.host}:{backup.port}"


class Gate:
    """A relay with logins: which one each recipient came by; connections follow on one another."""

    def __init__(self) -> None:
        self.login, self.by_login = "", dict[str, list[str]]()

    def __call__(self, verb: str, line: str) -> str | None:
        if verb == "CONNECT":
            self.login = ""
        if verb == "AUTH":
            self.login = line.split()[-1]
            return "235 2.7.0 welcome"
        if verb == "RCPT":
            self.by_login.setdefault(self.login, []).append(line[line.find("<") + 1 : line.rfind(">")])
        return "250-relay\r\n250-PIPELINING\r\n250 AUTH PLAIN" if verb == "EHLO" else None


def test_ways_to_one_host_by_two_logins_share_neither_line_nor_session() -> None:
    gate = Gate()
    with CountingSink(answer=gate) as sink:
        for name in ("one", "two"):
            a_relay(sink, name, pattern=f"{name}.test", username=name, sealed=seal(b"secret"))
        for number in range(6):
            put(f"u{number}@one.test", name=f"1{number}")
            put(f"u{number}@two.test", name=f"2{number}")
        run_once()
        assert sink.most_at_once == 1  # one site: its limit holds for both
    found = {frozenset(each.rpartition("@")[2] for each in some) for some in gate.by_login.values()}
    assert found == {frozenset({"one.test"}), frozenset({"two.test"})}
    assert set(states().values()) == {"delivered"}


def test_a_route_that_is_gone_is_said_and_the_mail_never_takes_the_old_way() -> None:
    with CountingSink() as usual:
        a_relay(usual, pattern="*")
        put("a@x.test")
        Delivery.objects.update(route_id=4711)
        run_once()
        assert not usual.recipients
    row, attempt = Delivery.objects.get(), Attempt.objects.get()
    assert (row.state, attempt.rule) == ("deferred", "route-gone")
    assert "choose another one" in row.last_text


def test_what_is_led_to_a_full_site_waits_in_the_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    """The claim can't pass over it by its domain's site: it is put off, and not claimed in a circle."""
    monkeypatch.setattr(runner, "SHARE", 5)
    monkeypatch.setattr(sites, "PREFETCH", 1)
    with CountingSink() as usual, CountingSink(takes=0.3) as backup:
        a_relay(usual, pattern="*")
        led = a_relay(backup, "backup")
        for number in range(30):
            put(f"u{number}@x.test", name=str(number))
        Delivery.objects.update(route=led)
        ran = run_once(lifetime=1.5)
    assert 30 <= ran.hands.n_claimed <= 45
    assert Delivery.objects.filter(state="queued", n_attempts=0).count() >= 20
    assert set(states().values()) == {"queued", "delivered"}
    assert n_wrong_counters() == 0


def test_a_password_that_can_not_be_read_lets_no_mail_go_without_it(settings: Any) -> None:
    with CountingSink() as usual:
        a_relay(usual, pattern="*", username="us", sealed=seal(b"secret"))
        put("a@x.test")
        settings.SECRET_KEY = "another" * 10
        run_once()
        assert not usual.recipients
    row, attempt = Delivery.objects.get(), Attempt.objects.get()
    assert (row.state, attempt.rule) == ("deferred", "route-sealed")
    assert "give the route its password again" in row.last_text

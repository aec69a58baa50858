"""Lines of the administrator's own in runners: they count from the start, and while one works."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from queueapp.access import reply_rules
from queueapp.access.change import COMMAND
from queueapp.engine import lease, own_lines
from queueapp.engine.allowance import Allowance
from queueapp.mail.classify import classify
from queueapp.mail.reply import Reply
from queueapp.models import Attempt, Delivery, ReplyRule
from queueapp.sandbox.archive import Archive
from tests.engine.queue import put, run_once, sandbox

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("valkey")]
LINE = reply_rules.Asked("ours", "policy", codes=("451 4.7.9",))


@pytest.fixture(autouse=True)
def _own_lines() -> Iterator[None]:
    own_lines.forget()
    yield
    own_lines.forget()


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    with sandbox(tmp_path) as found:
        yield found


def switch_on() -> ReplyRule:
    reply_rules.attempt(COMMAND, LINE)
    return reply_rules.create(COMMAND, LINE, is_on=True)


def test_a_runner_judges_by_it_from_its_first_mail(archive: Archive) -> None:
    put("reply-451-4.7.9@one.test", name="1")
    run_once()
    switch_on()
    own_lines.forget()  # as in a process of its own
    put("reply-451-4.7.9@two.test", name="2")
    run_once()
    rules = Attempt.objects.order_by("pk").values_list("reply_class", "rule")
    assert list(rules)[-1] == ("policy", "own:ours")
    assert "own:ours" not in list(rules)[0]
    assert Delivery.objects.get(recipient__endswith="two.test").last_class == "policy"


def switch_off() -> ReplyRule:
    return reply_rules.switch(COMMAND, ReplyRule.objects.get().pk, is_on=False)


class _Asker:
    """A runner that wants nothing."""

    async def limits_changed(self) -> None:
        pass

    async def sources_changed(self) -> None:
        pass


def test_a_runner_hears_of_a_change_while_it_works(monkeypatch: pytest.MonkeyPatch) -> None:
    """At its look every two seconds, which reads the lines only where their revision grew."""
    reply = Reply.parse("451 4.7.9 no")
    loads: list[str] = []

    async def in_db(function: Callable[[], Any]) -> Any:
        loads.append(getattr(function, "__name__", ""))
        return function()

    async def life() -> list[str]:
        allowance = Allowance(lease.begin("runner-0"), in_db, _Asker())  # type: ignore[arg-type]
        rules = []
        for change in (None, switch_on, None, switch_off):
            if change:
                change()
            await allowance._watch()
            rules.append(classify(reply).rule)
        await allowance.close()
        return rules

    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
    rules = asyncio.run(life())
    assert rules == ["code:4.7.9", "own:ours", "own:ours", "code:4.7.9"]
    assert loads.count("load") == 3

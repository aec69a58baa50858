"""The sandbox: an SMTP server that takes all mail, keeps it, and misbehaves on request.

It is the world outside for demos and tests, of this program and of others: nothing leaves it. 250 to
the dot is sent after the mail is in the store. Every refusal by a scenario is counted there too, and
so is every mail that `drop` threw away; mail whose client left while `slow` waited is not kept.
Any user with any password may log in, and nobody has to.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable
from dataclasses import dataclass, field

from queueapp.sandbox.scenarios import Decision, Memory, Rules, decide
from queueapp.sandbox.store import Store, Taken
from queueapp.transports.base import Envelope
from queueapp.transports.smtp.server import HANG_UP, Handler, Reply, ServerSession


@dataclass(frozen=True, slots=True)
class SandboxOptions:
    """`is_strict` False takes bare CR, bare LF and NUL as they come."""

    hostname: str = "sandbox.test"
    max_size: int = 100_000_000
    rules: Rules = field(default_factory=Rules)
    is_strict: bool = True
    has_tls: bool = True


class SandboxHandler(Handler):
    def __init__(self, store: Store, rules: Rules) -> None:
        self.store = store
        self.rules = rules
        self.memory = Memory()

    def on_auth(self, session: ServerSession, user: str, password: str) -> str:
        return user

    def on_rcpt(self, session: ServerSession, recipient: str) -> Reply | None:
        taken: list[Decision] = session.notes.setdefault("taken", [])
        decision = decide(
            recipient,
            now=time.monotonic(),
            memory=self.memory,
            rules=self.rules,
            client=session.client,
            sender=session.sender or "",
            first=taken[0].scenario if taken else None,
        )
        if decision.reply and decision.stage == "rcpt":
            self.store.refuse(decision.scenario, decision.reply.code, decision.reply.enhanced)
            return decision.reply
        taken.append(decision)
        return None

    def on_data(self, session: ServerSession, envelope: Envelope) -> Reply | Awaitable[Reply]:
        taken: list[Decision] = session.notes["taken"]
        first = taken[0]
        if first.scenario == "drop":
            self.store.refuse("drop", 0, "")
            return HANG_UP
        if first.reply:
            self.store.refuse(first.scenario, first.reply.code, first.reply.enhanced)
            return first.reply
        scenarios = tuple(each.scenario for each in taken)
        if "slow" in scenarios:
            return self._keep_slowly(session, envelope, scenarios)
        return self._keep(session, envelope, scenarios)

    async def _keep_slowly(
        self, session: ServerSession, envelope: Envelope, scenarios: tuple[str, ...]
    ) -> Reply:
        await asyncio.sleep(self.rules.slow_for)
        if session.has_left:
            self.store.refuse("slow", 0, "")
            return HANG_UP
        return await self._keep(session, envelope, scenarios)

    def _keep(
        self, session: ServerSession, envelope: Envelope, scenarios: tuple[str, ...]
    ) -> asyncio.Future[Reply]:
        mail = Taken(
            at=time.time(),
            sender=envelope.sender,
            recipients=envelope.recipients,
            scenarios=scenarios,
            content=envelope.content,
            client=session.client,
            helo=session.helo,
            tls=session.tls,
        )
        return self.store.keep(mail, _kept)


def _kept(mail_id: int) -> Reply:
    return Reply(250, "2.0.0", f"Ok: kept as {mail_id}")

"""A queue as pages meet it: `python -m bench.fill_pages ROWS DOMAINS`, in a system's environment.

Written straight into the tables, since by the gate a million mails with a past would take an hour: what was
accepted over five days, half of it still waiting, a few receivers with most of it and a long tail, every
state, class and way in; and what the other pages read (bench/fill_past.py). The same rows on every run and
database. Nothing is due within the next day, so that runners leave it alone. Bodies are written of
the newest few only: no list reads them.
"""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from bench.fill_past import fill_past

AT_ONCE = 20_000
DAYS = 5
SENDER_DOMAINS = 400
# (state, share of all)
STATES = (
    ("delivered", 0.425), ("deferred", 0.32), ("queued", 0.19), ("bounced", 0.045), ("held", 0.012),
    ("expired", 0.006), ("deleted", 0.002),
)  # fmt: skip
# class: (code, enhanced, reply); {n} differs from reply to reply
TROUBLE = {
    "greylisted": (450, "4.7.1", "Greylisted, please come back in {n} seconds"),
    "rate_limited": (421, "4.7.28", "Our system has detected an unusual rate of mail from 192.0.2.{n}"),
    "busy": (421, "4.3.2", "Too many connections, session {n}"),
    "connection": (None, "", "connection timed out after 60 s"),
    "mailbox_full": (452, "4.2.2", "<user{n}@example.net>: the mailbox is over quota"),
    "blocklisted": (554, "5.7.1", "Service unavailable; client host [192.0.2.{n}] blocked by a list"),
    "policy": (451, "4.7.0", "Temporarily refused by local policy, ticket {n}"),
}
FAILURES = {
    "no_such_user": (550, "5.1.1", "<user{n}@example.net>: no such user here"),
    "blocklisted": TROUBLE["blocklisted"],
    "content": (550, "5.7.1", "This message looks like spam, reference {n}"),
    "no_such_domain": (None, "", "the domain does not exist"),
}
WORDS = "invoice order news sale reminder welcome receipt digest report shipping".split()

_MESSAGE = (
    "id:bigint accepted_at:timestamptz sender:text sender_domain:text from_header:text subject:text "
    "message_id:text size:integer n_recipients:integer source:text client:text helo:text protocol:text "
    "login:text priority:smallint tags:jsonb has_attachment:boolean is_bulk:boolean is_8bit:boolean "
    "needs_utf8:boolean tls_demand:text"
)
_DELIVERY = (
    "id:bigint message_id:bigint recipient:text domain_id:bigint state:text priority:smallint "
    "accepted_at:timestamptz next_attempt_at:timestamptz expires_at:timestamptz n_attempts:integer "
    "n_reaped:smallint last_attempt_at:timestamptz last_class:text last_code:smallint last_enhanced:text "
    "last_text:text last_host:text is_ambiguous:boolean is_warned:boolean hold_reason:text "
    "finished_at:timestamptz"
)


def pairs(n: int, n_domains: int, first: int, now: datetime) -> Iterator[tuple[tuple[Any, ...], ...]]:
    """(a row of messages, a row of deliveries) for each; every fifth mail has two recipients."""
    chance = random.Random(4711)
    spread, message = timedelta(days=DAYS) / n, None
    states, shares = zip(*STATES, strict=True)
    drawn = chance.choices(states, shares, k=n)
    for place in range(n):
        pk, at = first + place, now - timedelta(days=DAYS) + spread * place
        is_second = message is not None and place % 6 == 5
        if not is_second:
            message = _message(pk, at, chance)
        assert message is not None
        domain = min(int(n_domains ** chance.random()), n_domains - 1)
        yield (() if is_second else message), _delivery(pk, message, domain, drawn[place], at, now, chance)


def _message(pk: int, at: datetime, chance: random.Random) -> tuple[Any, ...]:
    domain = f"sender{min(int(SENDER_DOMAINS ** chance.random()), SENDER_DOMAINS - 1)}.example"
    sender = f"{chance.choice(WORDS)}@{domain}" if pk % 97 else ""
    tags = [f"batch{pk % 50}"] if pk % 10 == 0 else []
    return (
        pk, at, sender, domain if sender else "", sender,
        f"{chance.choice(WORDS)} {chance.choice(WORDS)} {pk}", f"{pk}@mail.example",
        int(chance.lognormvariate(9.2, 1.1)), 1, chance.choice(("smtp", "smtp", "http")),
        "127.0.0.1", "app.example", "ESMTP", "", 9 if pk % 50 == 0 else 5, tags, pk % 20 == 0, pk % 3 == 0,
        False, False, "",
    )  # fmt: skip


def _delivery(
    pk: int,
    message: tuple[Any, ...],
    domain: int,
    state: str,
    at: datetime,
    now: datetime,
    chance: random.Random,
) -> tuple[Any, ...]:
    reply_class, code, enhanced, text = _reply(state, chance)
    is_waiting, is_final = state in ("queued", "deferred"), state not in ("queued", "deferred", "held")
    host = f"mx1.{_name(domain)}" if state not in ("queued", "held") else ""
    n = 0 if state in ("queued", "held") else 1 if state == "delivered" else chance.randint(1, 14)
    tried = min(now, at + timedelta(seconds=chance.random() * 3600)) if n else None
    return (
        pk, message[0], f"user{pk}@{_name(domain)}", domain + 1, state, message[14], at,
        now + timedelta(days=1, seconds=chance.random() * 86_400) if is_waiting else None,
        at + timedelta(days=10), n, 0, tried, reply_class, code, enhanced, text, host,
        pk % 20_000 == 7, False, "held by a rule" if state == "held" else "",
        (tried or at) if is_final else None,
    )  # fmt: skip


def _reply(state: str, chance: random.Random) -> tuple[str, int | None, str, str]:
    if state == "delivered":
        return state, 250, "2.0.0", "OK"
    among = {"deferred": TROUBLE, "bounced": FAILURES, "expired": TROUBLE}.get(state)
    if among is None:
        return "", None, "", ""
    name = chance.choice(tuple(among))
    code, enhanced, text = among[name]
    return name, code, enhanced, text.format(n=chance.randint(1, 250))


def _name(domain: int) -> str:
    return f"domain{domain}.example"


def fill(n: int, n_domains: int) -> None:
    from django.db import connection, transaction
    from django.db.models import F

    from queueapp.models import RecipientDomain, Site
    from queueapp.models.bulk import NewRows

    now = datetime.now(UTC)
    n_sites = max(1, n_domains // 7)
    Site.objects.bulk_create(
        [Site(id=pk + 1, key=f"mx:site{pk}", name=f"site{pk}.example", route="mx") for pk in range(n_sites)]
    )
    RecipientDomain.objects.bulk_create(
        [RecipientDomain(id=pk + 1, name=_name(pk), site_id=pk % n_sites + 1) for pk in range(n_domains)]
    )
    messages = NewRows("queueapp_message", _MESSAGE)
    deliveries = NewRows("queueapp_delivery", _DELIVERY)
    rows = pairs(n, n_domains, 1, now)
    for begin in range(0, n, AT_ONCE):
        batch = [next(rows) for _ in range(min(AT_ONCE, n - begin))]
        with transaction.atomic():
            messages.add([message for message, _ in batch if message])
            deliveries.add([delivery for _, delivery in batch])
    with connection.cursor() as cursor:
        sums = ", ".join(f"count(*) FILTER (WHERE state = '{state}') AS n_{state}" for state, _ in STATES)
        sets = ", ".join(f"n_{state} = found.n_{state}" for state, _ in STATES)
        cursor.execute(
            f"""UPDATE queueapp_recipientdomain AS r SET {sets}
                FROM (SELECT domain_id, {sums} FROM queueapp_delivery GROUP BY domain_id) AS found
                WHERE found.domain_id = r.id"""
        )
        if connection.vendor == "postgresql":
            for table in ("site", "recipientdomain", "message", "delivery"):
                cursor.execute(
                    f"""SELECT setval(pg_get_serial_sequence('queueapp_{table}', 'id'),
                        (SELECT max(id) FROM queueapp_{table}))"""
                )
    waiting = F("n_queued") + F("n_deferred")
    RecipientDomain.objects.alias(n=waiting).filter(n__gt=0).update(due_at=now + timedelta(days=1))
    fill_past(n, n_domains, now)
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("VACUUM ANALYZE")  # as autovacuum does within minutes


def main(arguments: list[str]) -> int:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "dashboard.settings")
    import django

    django.setup()
    fill(int(arguments[0]), int(arguments[1]))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))

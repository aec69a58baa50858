"""The past of a filled queue, as the other pages read it: `fill_past(n_domains)`, called by bench.fill_pages.

One attempt for each delivery that was tried, figures of every domain and site, a month of hours and days
of the busiest, a day of their minutes and slots, and the history of what people and rules did: audit,
operations, effects, alerts, blocklists. Written straight into the tables, the same rows each time.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

BUSY = 200  # domains, and as many sites, with charts of their own
AUDIT, OPERATIONS, PEOPLE, EFFECTS, ALERTS = 200_000, 2_000, 200, 2_000, 5_000
AT_ONCE = 10_000
WITH_BODY = 2_000
_SCOPES_AT_ONCE = 50

_ATTEMPTS = """
    INSERT INTO queueapp_attempt (delivery_id, at, result, reply_class, code, enhanced, text, rule, stage,
        host, address, source, tls, took_ms, is_ambiguous)
    SELECT id, last_attempt_at, CASE state WHEN 'expired' THEN 'deferred' ELSE state END,
        last_class, last_code, last_enhanced, last_text, '', 'data', last_host, '192.0.2.25', '192.0.2.1',
        'TLSv1.3', 120, is_ambiguous
    FROM queueapp_delivery
    WHERE last_attempt_at IS NOT NULL AND state IN ('delivered', 'deferred', 'bounced', 'expired')
        AND id > %s AND id <= %s
"""


def fill_past(n: int, n_domains: int, now: datetime) -> None:
    """`n` deliveries are there, numbered from 1."""
    chance, share = random.Random(42), min(1.0, n / 1_000_000)
    _bodies(n)
    _attempts(n)
    _figures(now, chance)
    _charts(max(1, min(round(BUSY * share), n_domains // 7)), now, chance)
    _people(max(2, round(PEOPLE * share)))
    _audit(max(100, round(AUDIT * share)), now, chance)
    _operations(max(5, round(OPERATIONS * share)), now)
    _effects(max(5, round(EFFECTS * share)), now)
    _alerts(max(5, round(ALERTS * share)), now)
    _listings(now)


def _bodies(n: int) -> None:
    from queueapp.models import Body, Message

    ids = Message.objects.filter(id__gt=n - WITH_BODY).values_list("id", flat=True)
    content = b"Subject: invoice\r\n\r\n" + b"A line of text.\r\n" * 300
    Body.objects.bulk_create([Body(message_id=pk, content=content) for pk in ids])


def _attempts(n: int) -> None:
    from django.db import connection, transaction
    from django.db.models import Max

    from queueapp.models import Attempt, Bookmark

    for begin in range(0, n, 100_000):
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(_ATTEMPTS, [begin, begin + 100_000])
    # They are counted already: by `_figures` below.
    last = Attempt.objects.aggregate(last=Max("id"))["last"] or 0
    for name in ("outcomes", "blocklists.replies"):
        Bookmark.objects.update_or_create(pk=name, defaults={"number": last})


def _figures(now: datetime, chance: random.Random) -> None:
    from queueapp.models import DomainFigures, RecipientDomain, Site, SiteFigures

    def made(kind: Any, **owner: int) -> Any:
        return kind(
            **owner, outcomes="".join(chance.choices("dwb", (80, 15, 5), k=50)), tried_at=now,
            delivered_at=now, median_s=chance.random() * 60, p95_s=chance.random() * 3600,
            error_class="greylisted", error_reply="450 4.7.1 Greylisted, come back later", error_at=now,
        )  # fmt: skip

    domains = RecipientDomain.objects.order_by("id").values_list("id", flat=True)
    DomainFigures.objects.bulk_create(
        (made(DomainFigures, domain_id=pk) for pk in domains), AT_ONCE, ignore_conflicts=True
    )
    sites = Site.objects.order_by("id").values_list("id", flat=True)
    SiteFigures.objects.bulk_create(
        (made(SiteFigures, site_id=pk) for pk in sites), AT_ONCE, ignore_conflicts=True
    )


def _charts(busy: int, now: datetime, chance: random.Random) -> None:
    """A month of hours, a year of days, two hours of minutes, a day of slots; the bookmarks say that they
    are made. The system that runs may have made one already."""
    from queueapp.models import Bookmark, Day, Hour, Minute, OutcomeSlot

    hour = now.replace(minute=0, second=0, microsecond=0)
    day, minute = hour.replace(hour=0), now.replace(second=0, microsecond=0)
    scopes = [0, *range(1, busy + 1), *range(-busy, 0)]

    def counts() -> dict[str, int]:
        n = chance.randint(1, 500)
        return {"n_accepted": n, "n_delivered": n * 8 // 10, "n_deferred": n // 5, "n_bounced": n // 25}

    for place in range(0, len(scopes), _SCOPES_AT_ONCE):
        some = scopes[place : place + _SCOPES_AT_ONCE]
        hours = [
            Hour(scope=pk, at=hour - timedelta(hours=n), **counts()) for pk in some for n in range(1, 720)
        ]
        Hour.objects.bulk_create(hours, AT_ONCE, ignore_conflicts=True)
        days = [Day(scope=pk, at=day - timedelta(days=n), **counts()) for pk in some for n in range(1, 400)]
        Day.objects.bulk_create(days, AT_ONCE, ignore_conflicts=True)
        minutes = [
            Minute(domain_id=pk, at=minute - timedelta(minutes=n), **counts())
            for pk in some
            for n in range(2, 120)
        ]
        Minute.objects.bulk_create(minutes, AT_ONCE, ignore_conflicts=True)
        slots = [
            OutcomeSlot(
                scope=pk, at=hour - timedelta(minutes=10 * n), times={"8": 40, "12": 9},
                classes={"delivered": 80, "greylisted": 9, "busy": 4},
            )
            for pk in some
            for n in range(1, 144)
        ]  # fmt: skip
        OutcomeSlot.objects.bulk_create(slots, AT_ONCE, ignore_conflicts=True)
    for name, at in (("site-minutes", minute), ("hours", hour), ("days", day)):
        Bookmark.objects.update_or_create(pk=name, defaults={"at": at})


def _people(n: int) -> None:
    from django.contrib.auth.models import User

    User.objects.bulk_create(
        [User(username=f"person{pk}", password="!", email=f"person{pk}@example.com") for pk in range(n)]
    )


def _audit(n: int, now: datetime, chance: random.Random) -> None:
    from queueapp.models import AuditEvent

    actions = ("operation.create", "login", "hold.create", "domain.suspend", "route.create", "user.role")

    def rows() -> Iterator[AuditEvent]:
        for pk in range(n):
            yield AuditEvent(
                actor=f"user:person{chance.randint(0, 199)}", origin="192.0.2.9",
                action=chance.choice(actions), target=f"domain{pk % 20_000}.example", n=pk % 1000,
                is_refused=pk % 50 == 0,
                detail={"q": f"domain:domain{pk % 20_000}.example", "reason": "asked by its owner"},
            )  # fmt: skip

    AuditEvent.objects.bulk_create(rows(), AT_ONCE)


def _operations(n: int, now: datetime) -> None:
    from queueapp.models import Operation, OperationChunk, OperationState

    made = Operation.objects.bulk_create(
        Operation(
            action=("retry", "hold", "delete")[pk % 3], state=OperationState.DONE, actor="user:person1",
            q="class:busy", reason="asked by its owner", n_matched=2_000, n_done=1_990, n_skipped=10,
            created_at=now - timedelta(minutes=n - pk), started_at=now - timedelta(minutes=n - pk),
            ended_at=now - timedelta(minutes=n - pk - 1),
        )
        for pk in range(n)
    )  # fmt: skip
    ids = ",".join(map(str, range(1, 1_991)))
    OperationChunk.objects.bulk_create(
        [
            OperationChunk(
                operation=each, number=0, ids=ids, n=2_000, n_done=1_990, done_at=now,
                before={"deferred": ids}, left={"delivered": "1991,1992"},
            )
            for each in made[-200:]
        ],
        50,
    )  # fmt: skip


def _effects(n: int, now: datetime) -> None:
    """Most are over; every hundredth holds a site back."""
    from queueapp.models import BackoffRule, Effect, Site
    from queueapp.models.backoff_rule import RuleAction, RuleScope

    rule = BackoffRule.objects.order_by("position").first()
    sites = list(Site.objects.order_by("id").values_list("id", "name")[:1_000])
    Effect.objects.bulk_create(
        Effect(
            rule=rule, rule_name=rule.name if rule else "greylisted", action=RuleAction.SLOW,
            scope=RuleScope.SITE, key=f"bench:{pk}", label=sites[pk % len(sites)][1],
            site_id=sites[pk % len(sites)][0], reply_class="busy", reply="421 4.3.2 Too many connections",
            since=now - timedelta(minutes=n - pk), until=now + timedelta(days=1),
            ended_at=None if pk % 100 == 0 else now - timedelta(minutes=n - pk - 1),
        )
        for pk in range(n)
    )  # fmt: skip


def _alerts(n: int, now: datetime) -> None:
    """All are over."""
    from queueapp.models import Alert, AlertRule
    from queueapp.models.alert import AlertScope, AlertState, Severity

    rule = AlertRule.objects.order_by("id").first()
    Alert.objects.bulk_create(
        Alert(
            rule=rule, rule_name=rule.name if rule else "Mail is late", condition="oldest_due",
            severity=Severity.WARNING, scope=AlertScope.ALL, key=f"bench{pk}",
            label=f"domain{pk}.example", title=f"Mail for domain{pk}.example waits",
            state=AlertState.RESOLVED,
            since=now - timedelta(minutes=n - pk), seen_at=now - timedelta(minutes=n - pk),
            fired_at=now - timedelta(minutes=n - pk), resolved_at=now - timedelta(minutes=n - pk - 1),
        )
        for pk in range(n)
    )  # fmt: skip


def _listings(now: datetime) -> None:
    from queueapp.models import Listing, ListingChange
    from queueapp.models.listing import ListingKind, ListingState

    made = Listing.objects.bulk_create(
        Listing(
            list_name=f"list{each}.example", target=f"192.0.2.{address}", kind=ListingKind.IP4,
            state=ListingState.CLEAN, since=now, answered_at=now, checked_at=now,
            next_check_at=now + timedelta(days=2),
        )
        for each in range(20)
        for address in range(1, 33)
    )  # fmt: skip
    ListingChange.objects.bulk_create(
        (
            ListingChange(
                listing=each, at=now - timedelta(hours=n), was="clean", state="listed", detail="bot"
            )
            for each in made
            for n in range(20)
        ),
        AT_ONCE,
    )

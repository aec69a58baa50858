"""How it went in the last hour, to each domain and site, and what waits for them: rows for pictures."""

# ruff: noqa: E501  a row is a line

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from queueapp.models import (
    Delivery,
    DomainFigures,
    Minute,
    OutcomeSlot,
    RecipientDomain,
    Site,
    SiteFigures,
)
from queueapp.models.minute import EVERY_DOMAIN, of_site

# domain: the last outcomes, delivered a minute, median and 95th percentile of seconds to deliver
_LIKE: dict[str, tuple[str, float, float, float]] = {
    "yahoo.com": ("ddddddwddwddwdwwdwwdwwwdwwwwdwwwwwdwwwwwwwwdwwwwww", 11.4, 48.0, 2900.0),
    "gmail.com": ("dddddddddddwdddddddddbddddddddddwdddddddddddddwddd", 214.0, 0.9, 6.2),
    "outlook.com": ("dddddddddwdddwdddwwdddwdwwwdwwwwdwwwwwwwwwwwwwwwww", 4.6, 31.0, 1800.0),
    "web.de": ("ddddddddddddddddddddddddddddddddddddddddddddddbddd", 47.0, 0.7, 1.9),
    "example-university.edu": ("wwwwddddwdddwwwwwwwddddwwwwdddwwwww", 1.2, 312.0, 640.0),
    "orange.fr": ("ddddwddddwddddwdddddwwddddwdddwwddwwwdwwwwwwdwwwww", 3.4, 12.0, 410.0),
    "newsletter-partner.example": ("ddddddddddddd", 0.0, 1.4, 3.0),
    "t-online.de": ("dddddddddddddddddddddddddddddddddddddddddddddddddd", 31.0, 1.1, 2.8),
    "small-bakery.example": ("dddwwwww", 0.0, 2.0, 9.0),
    "xn--mller-kva.example": ("ddwbww", 0.0, 1.0, 1.0),
}
_CLASSES = {"delivered": 840, "rate_limited": 2210, "busy": 96, "connection": 31, "no_such_user": 12}
_SUBJECTS = (
    ("news@shop.example", "Weekend offers for you"), ("orders@shop.example", "Your order is on its way"),
    ("billing@shop.example", "Your invoice for November"), ("support@shop.example", "Re: my parcel is late"),
    ("alerts@intranet.example", "Backup of mail1 has finished"), ("news@shop.example", "We have missed you"),
)  # fmt: skip
_NAMES = (
    "anna ben chiara dmitri elif felix grace hugo ines jan keiko lars mara noor otto pia quinn rosa".split()
)


def fill(now: datetime) -> None:
    for domain in RecipientDomain.objects.select_related("site"):
        outcomes, per_minute, median, p95 = _LIKE.get(domain.name, ("", 0.0, None, None))
        last = Delivery.objects.filter(domain=domain).exclude(last_class="").order_by("-id").first()
        values: dict[str, Any] = {
            "outcomes": outcomes, "per_minute": per_minute, "median_s": median, "p95_s": p95,
            "tried_at": now - timedelta(seconds=4), "delivered_at": now - timedelta(seconds=9 if per_minute else 5400),
            "error_class": last.last_class if last else "", "error_reply": last.last_reply if last else "",
            "error_at": now - timedelta(minutes=3) if last else None,
        }  # fmt: skip
        DomainFigures.objects.update_or_create(domain=domain, defaults=values)
        SiteFigures.objects.update_or_create(site=domain.site, defaults=values)
    yahoo = RecipientDomain.objects.get(name="yahoo.com")
    for scope in (yahoo.pk, of_site(Site.objects.get(name="yahoodns.net").pk)):
        Minute.objects.bulk_create(_minutes(now, scope))
    for scope in (EVERY_DOMAIN, yahoo.pk, of_site(yahoo.site_id or 0)):
        OutcomeSlot.objects.bulk_create(_slots(now, scope))


def _minutes(now: datetime, scope: int) -> Iterator[Minute]:
    """Mail flowed until they began to slow us down, 47 minutes ago."""
    dice = random.Random(scope)  # noqa: S311  a picture, not a secret
    for back in range(60):
        is_slow = back < 47
        yield Minute(
            domain_id=scope, at=(now - timedelta(minutes=back)).replace(second=0, microsecond=0),
            n_accepted=dice.randint(30, 55), n_delivered=dice.randint(6, 16) if is_slow else dice.randint(30, 52),
            n_deferred=dice.randint(20, 48) if is_slow else dice.randint(0, 2), n_bounced=dice.randint(0, 1),
        )  # fmt: skip


def _slots(now: datetime, scope: int) -> Iterator[OutcomeSlot]:
    begin = now.replace(minute=now.minute // 10 * 10, second=0, microsecond=0)
    for back in range(7):
        slow = max(0, 6 - back) * 3
        times = {str(bucket + slow): n for bucket, n in ((4, 20), (6, 61), (8, 44), (12, 19), (17, 5))}
        yield OutcomeSlot(at=begin - timedelta(minutes=10 * back), scope=scope, times=times, classes=_CLASSES)


def waiting(domain: RecipientDomain, counts: dict[str, int], reply: Any, now: datetime, message: Any) -> None:
    """The deliveries that are open, as many as the domain's counters say. `message(at, sender, subject)`."""
    dice = random.Random(domain.name)  # noqa: S311
    mails = [message(now - timedelta(minutes=90 - 12 * n), *each) for n, each in enumerate(_SUBJECTS)]
    rows = []
    for state in ("held", "deferred", "queued", "sending"):
        for n in range(counts.get(state, 0)):
            mail = dice.choice(mails)
            at = now - timedelta(minutes=dice.expovariate(1 / 35) if state != "sending" else 0.2)
            row = Delivery(
                message=mail, recipient=f"{dice.choice(_NAMES)}.{n}@{domain.name}", domain=domain, state=state,
                accepted_at=at, expires_at=at + timedelta(days=5),
                next_attempt_at=None if state == "held" else now + timedelta(minutes=dice.uniform(1, 60)),
            )  # fmt: skip
            if state == "deferred" and reply:
                row.last_class, row.last_code, row.last_enhanced, row.last_text = reply
                row.n_attempts, row.last_attempt_at = (
                    dice.randint(1, 6),
                    now - timedelta(minutes=dice.uniform(1, 40)),
                )
            rows.append(row)
    Delivery.objects.bulk_create(rows)

"""This machine and what the queue runs on: workers, parts, Redis, disk, dates of certificate and keys."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from cryptography import x509

from queueapp import conf
from queueapp.models import DkimKey
from queueapp.watch.alerts.seen import Condition, Seen

if TYPE_CHECKING:
    from queueapp.models import AlertRule
    from queueapp.watch.alerts.facts import Facts

PLENTY = 20e9  # octets free; a tenth of a huge disk is no reason to worry


def workers(rule: AlertRule, facts: Facts) -> Iterator[Seen]:
    """No runner is alive, mail is due, and no RQ worker is there to start one."""
    system = facts.system
    if system.n_runners or not facts.n_waiting or system.redis_error:
        return
    if system.n_workers == 0 and facts.oldest_due:
        yield Seen(
            "part:workers", "No worker runs, and mail waits", label="workers", scope="part",
            value=facts.n_waiting,
            detail={
                "query": "state:queued state:deferred",
                "advice": "Start `manage.py up`, or the worker services; `manage.py doctor` tells more.",
            },
        )  # fmt: skip


def parts(rule: AlertRule, facts: Facts) -> Iterator[Seen]:
    for name in facts.system.parts_down:
        yield Seen(
            f"part:{name}", f"The part {name} does not run", label=name, scope="part", cause="parts",
            detail={"advice": "The log of `up` says why it ends; it is started again and again."},
        )  # fmt: skip


def redis(rule: AlertRule, facts: Facts) -> Iterator[Seen]:
    if facts.system.redis_error:
        yield Seen(
            "part:redis", "Redis does not answer", label="Redis", scope="part",
            detail={
                "reply": facts.system.redis_error,
                "advice": "Start it again. No mail is lost; new runners start when it is back.",
            },
        )  # fmt: skip


def database(rule: AlertRule, facts: Facts) -> Iterator[Seen]:
    """Slow; one that is away is told by away.py."""
    took, least = facts.system.write_s, rule.threshold or 0
    if took is not None and took >= least:
        yield Seen(
            "part:database", f"A small write to the database takes {took:.1f} s", label="database",
            scope="part", value=took, threshold=least,
            detail={"advice": "Look at its disk and at long transactions."},
        )  # fmt: skip


def disk(rule: AlertRule, facts: Facts) -> Iterator[Seen]:
    """Percent that are free, of octets or of inodes."""
    system, least = facts.system, rule.threshold or 0
    if system.disk_free is not None and system.disk_total:
        share = 100.0 * system.disk_free / system.disk_total
        if share < least and system.disk_free < PLENTY:
            yield _full("disk", f"{system.disk_free / 1e9:.1f} GB of the disk are free", share, least)
    if system.inodes_free is not None and 100.0 * system.inodes_free < min(least, 5.0):
        share = 100.0 * system.inodes_free
        yield _full("inodes", f"{share:.1f} % of the inodes are free", share, least)


def _full(name: str, title: str, share: float, least: float) -> Seen:
    return Seen(
        f"part:{name}", title, label=name, scope="part", value=share, threshold=least,
        severity="critical" if share < 2 else "",
        detail={"advice": "Make room, or shorten MAILWEIR_RETENTION: with a full disk no mail is accepted."},
    )  # fmt: skip


def certificate(rule: AlertRule, facts: Facts) -> Iterator[Seen]:
    """Days until the submission server's certificate ends."""
    path, least = conf.current().smtp_cert, rule.threshold or 0
    if not path:
        return
    try:
        found = x509.load_pem_x509_certificates(path.read_bytes())[0]
    except (OSError, ValueError, IndexError) as error:
        title = f"The certificate can't be read: {str(error)[:150]}"
        yield Seen("part:certificate", title, label="certificate", scope="part", severity="critical")
        return
    days = (found.not_valid_after_utc - datetime.now(UTC)).total_seconds() / 86400
    if days < least:
        title = f"The certificate {'ended' if days < 0 else 'ends'} on {found.not_valid_after_utc:%Y-%m-%d}"
        yield Seen(
            "part:certificate", title, label="certificate", scope="part", value=round(days, 1),
            threshold=least, severity="critical" if days < 2 else "",
            detail={"advice": "Renew it, then restart the submission server."},
        )  # fmt: skip


def dkim(rule: AlertRule, facts: Facts) -> Iterator[Seen]:
    """Days that a key is in use; and one that waits to be published is no key yet."""
    least = rule.threshold or 0
    for key in DkimKey.objects.active().order_by("activated_at", "pk")[:200]:
        days = (facts.now - (key.activated_at or key.created_at)).total_seconds() / 86400
        if days >= least:
            yield Seen(
                f"part:dkim {key.domain}/{key.selector}",
                f"The DKIM key {key.selector} of {key.domain} is {days:.0f} days old",
                label=key.domain, scope="part", value=round(days), threshold=least, cause="dkim",
                detail={"advice": f"Rotate it: manage.py dkim rotate {key.domain}"},
            )  # fmt: skip


CONDITIONS = (
    Condition(
        "workers", workers, "No worker runs", "Mail waits, and there is no worker on any machine.",
        scopes=("part",), muted_by=("redis",),
    ),
    Condition(
        "parts", parts, "A part does not run", "A part of this machine died and does not come back.",
        scopes=("part",),
    ),
    Condition("redis", redis, "Redis does not answer", "It was asked, and gave no answer.", scopes=("part",)),
    Condition(
        "database", database, "The database is slow", "A small write takes at least so long.", "seconds",
        scopes=("part",),
    ),
    Condition(
        "disk", disk, "The disk fills up", "Less than so many percent of it are free.", "percent",
        scopes=("part",),
    ),
    Condition(
        "certificate", certificate, "The certificate ends", "Fewer than so many days are left.", "days",
        scopes=("part",),
    ),
    Condition(
        "dkim", dkim, "A DKIM key is old", "It is in use for at least so many days.", "days",
        scopes=("part",),
    ),
)  # fmt: skip

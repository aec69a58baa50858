"""Rows of Notice for a group: one for each recipient and channel, written in the caller's transaction."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import datetime

from queueapp import conf
from queueapp.models import Alert, AlertGroup, Notice, NoticeKind
from queueapp.watch.notify import letter, webhook
from queueapp.watch.notify.targets import hooks
from queueapp.watch.notify.words import Story, line, story

EMAIL = "email"


def new_thread() -> str:
    return letter.new_id()


def to_all(kind: NoticeKind, group: AlertGroup, alerts: Sequence[Alert], now: datetime) -> list[Notice]:
    """`alerts`: those that are told of. The end is told to whom the beginning was told."""
    told = story(kind, group, alerts, now)
    rows = [mail(kind, group, told, to, now) for to in _recipients(kind, group, alerts)]
    rows += [
        Notice(
            group=group, kind=kind, channel=hook.channel, to=hook.shown, subject=told.subject,
            body=json.dumps(webhook.body(hook.channel, told, group, now)), made_at=now, next_try_at=now,
        )
        for hook in hooks()
    ]  # fmt: skip
    return Notice.objects.bulk_create(rows)


def mail(kind: NoticeKind, group: AlertGroup | None, told: Story, to: str, now: datetime) -> Notice:
    thread = group.thread if group is not None else ""
    is_first = group is not None and group.n_told <= 1 and kind != NoticeKind.RESOLVED
    content = letter.letter(
        told.subject, to, letter.text(told), letter.html(told), now,
        own_id=thread if is_first else "", thread="" if is_first else thread,
    )  # fmt: skip
    return Notice(
        group=group, kind=kind, channel=EMAIL, to=to, subject=told.subject, body=content.decode(),
        made_at=now, next_try_at=now,
    )  # fmt: skip


def to_owner(alert: Alert, owner: str, now: datetime) -> Notice:
    """To whom a stopped sender belongs: plain words, and no link, for they may have no account here."""
    name, reason = line(alert.label, 200), line(alert.title, 300)
    subject = line(f"Mail from {name} was stopped", 200)
    text = (
        f"Mail that {name} hands in at {conf.current().host} is held since "
        f"{alert.since:%Y-%m-%d %H:%M} UTC.\n\n"
        f"Why: {reason}\n\n"
        "If you sent it, ask your administrator to let it go. If you did not, somebody else may know the "
        "password: change it, and tell your administrator.\n\n"
        "Nothing of it is lost: it waits until somebody has looked.\n"
    )
    return Notice.objects.create(
        group=alert.group, kind=NoticeKind.OWNER, channel=EMAIL, to=owner[:500], subject=subject,
        body=letter.letter(subject, owner, text, "", now).decode(), made_at=now, next_try_at=now,
    )  # fmt: skip


def _recipients(kind: NoticeKind, group: AlertGroup, alerts: Sequence[Alert]) -> Iterable[str]:
    if kind == NoticeKind.RESOLVED:
        before = Notice.objects.filter(group=group, channel=EMAIL).exclude(kind=NoticeKind.OWNER)
        return list(before.order_by("to").values_list("to", flat=True).distinct())
    default = list(conf.current().alert_to)
    own = [to for each in alerts for to in ((each.rule.recipients if each.rule else None) or default)]
    return list(dict.fromkeys(own))

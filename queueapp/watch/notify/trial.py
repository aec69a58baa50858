"""A test message by one channel, now: what was said comes back, with logins struck out."""

from __future__ import annotations

import json
from datetime import datetime

from queueapp import conf
from queueapp.models import AlertGroup, Notice, NoticeKind, NoticeState, Severity
from queueapp.watch.notify import compose, http, send, targets, ways, webhook
from queueapp.watch.notify.ways import Sent
from queueapp.watch.notify.words import Story, story

ONE_WAY = 12.0  # seconds: somebody waits for it


def mail(to: str, now: datetime) -> Notice:
    """Stored with its result; tried once."""
    told = _story(now)
    notice = compose.mail(NoticeKind.TEST, None, told, to, now)
    return _stored(notice, ways.send(to, notice.body.encode(), ONE_WAY), now)


def hook(channel: str, name: str, now: datetime) -> Notice | None:
    """`name` as targets.shown gives it. None: there is none."""
    found = targets.find(channel, name)
    if found is None:
        return None
    told = _story(now)
    notice = Notice(
        kind=NoticeKind.TEST, channel=channel, to=found.shown, subject=told.subject, made_at=now,
        body=json.dumps(webhook.body(channel, told, None, now)),
    )  # fmt: skip
    return _stored(notice, send.post(found, notice.body), now)


def ping(now: datetime) -> Notice | None:
    """Whether the service that waits for our ping hears it; asked as in watch/notify/ping.py. None: none is
    set."""
    current = conf.current()
    if not current.alert_ping:
        return None
    shown = targets.shown(current.alert_ping)
    answer = http.ask("GET", current.alert_ping, allows_private=current.alert_private == "yes")
    notice = Notice(
        kind=NoticeKind.TEST, channel="ping", to=shown, subject="The dead man's ping", body="", made_at=now
    )
    error = "" if answer.is_fine else answer.text
    return _stored(notice, Sent(answer.is_fine, shown, error, f"GET {shown}\n{answer.text}"), now)


def _story(now: datetime) -> Story:
    group = AlertGroup(key="test", title="This is a test", severity=Severity.INFO, since=now)
    return story(NoticeKind.TEST, group, (), now)


def _stored(notice: Notice, sent: Sent, now: datetime) -> Notice:
    notice.n_tries, notice.next_try_at = 1, None
    notice.state = NoticeState.SENT if sent.is_sent else NoticeState.FAILED
    notice.sent_at = now if sent.is_sent else None
    notice.via, notice.error, notice.talk = sent.via[:255], sent.error[:1000], sent.talk[:8000]
    notice.save()
    return notice

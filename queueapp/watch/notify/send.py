"""Sends the notices that wait, in a thread of its own of the process `watch`, whatever a server does.

Promises: what can't be sent is tried again after 30 s, then twice as long each time up to 15 minutes, for
12 hours. The next try is written before a try begins, so a crash in the middle neither loses a notice nor
repeats it at once; its Message-ID stays, so a mail that did come twice is seen as one. What was sent while
the database could not be told is remembered in a file.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from django.db import DatabaseError, InterfaceError
from django.utils import timezone

from queueapp import conf, events
from queueapp.models import Notice, NoticeState
from queueapp.watch.notify import http, spool, targets, ways, webhook
from queueapp.watch.notify.compose import EMAIL
from queueapp.watch.notify.ways import Sent

FIRST, LONGEST, GIVE_UP = timedelta(seconds=30), timedelta(minutes=15), timedelta(hours=12)
LEASE = timedelta(minutes=5)
MOST = 20
log = logging.getLogger(__name__)


def run() -> None:
    """Everything that is due now, the spool of mail about the database first."""
    spool.send_due(timezone.now())
    try:
        for pk in due(timezone.now()):
            one(pk, timezone.now())
    except (DatabaseError, InterfaceError) as error:
        log.debug("the database is away: %s", error)  # the round of the alerts tells people


def due(now: datetime) -> list[int]:
    """What is to be tried now, the longest waiting first."""
    rows = Notice.objects.filter(state=NoticeState.WAITING, next_try_at__lte=now)
    return list(rows.order_by("next_try_at", "pk").values_list("pk", flat=True)[:MOST])


def one(pk: int, now: datetime) -> bool:
    """Try it, if nobody else is at it. Returns whether it was sent."""
    claimed = Notice.objects.filter(pk=pk, state=NoticeState.WAITING, next_try_at__lte=now)
    if not claimed.update(next_try_at=now + LEASE):
        return False
    notice = Notice.objects.get(pk=pk)
    done = spool.sent_before(pk)
    sent = done or dispatch(notice)
    try:
        _record(notice, sent, timezone.now())
    except (DatabaseError, InterfaceError):
        if sent.is_sent and done is None:
            spool.remember(pk, sent)
        raise
    spool.forget(pk)
    return sent.is_sent


def dispatch(notice: Notice) -> Sent:
    """By its channel, now."""
    if notice.channel == EMAIL:
        return ways.send(notice.to, notice.body.encode())
    hook = targets.find(notice.channel, notice.to)
    if hook is None:
        return Sent(False, error="this address is not in the settings any more")
    return post(hook, notice.body)


def post(hook: targets.Hook, body: str) -> Sent:
    content, current = body.encode(), conf.current()
    headers = {"Content-Type": "application/json", "User-Agent": "Mailweir"}
    if hook.channel == "webhook" and current.alert_webhook_secret:
        at = int(timezone.now().timestamp())
        headers[webhook.HEADER] = webhook.signature(current.alert_webhook_secret, content, at)
    answer = http.ask(
        "POST", hook.url, content=content, headers=headers, allows_private=current.alert_private == "yes"
    )
    talk = f"POST {hook.shown}, {len(content):,} octets\n{answer.text}"
    return Sent(answer.is_fine, hook.shown, "" if answer.is_fine else answer.text, talk)


def pause(n_tries: int) -> timedelta:
    return min(LONGEST, FIRST * 2 ** min(n_tries - 1, 10))


def _record(notice: Notice, sent: Sent, now: datetime) -> None:
    notice.n_tries += 1
    notice.via, notice.error, notice.talk = sent.via[:255], sent.error[:1000], sent.talk[:8000]
    if sent.is_sent:
        notice.state, notice.sent_at, notice.next_try_at = NoticeState.SENT, now, None
    elif now - notice.made_at >= GIVE_UP:
        notice.state, notice.next_try_at = NoticeState.FAILED, None
        log.error("gave up telling %s after %d tries: %s", notice.to, notice.n_tries, notice.error)
    else:
        notice.next_try_at = now + pause(notice.n_tries)
        log.warning("%s could not be told, try %d: %s", notice.to, notice.n_tries, notice.error)
    notice.save(update_fields=["n_tries", "via", "error", "talk", "state", "sent_at", "next_try_at"])
    events.publish("alerts")

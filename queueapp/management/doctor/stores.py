"""What keeps the mail and what wakes the runners: database, Redis, RQ workers, runners."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from django.db import connection, transaction
from django.utils import timezone
from redis.exceptions import RedisError
from rq import Queue
from rq.worker import Worker

from queueapp import conf as settings
from queueapp import events, kick, stats
from queueapp.conf import Conf
from queueapp.management.doctor.finding import Finding, fail, ok, warn
from queueapp.models import AuditEvent, Runner
from queueapp.operations import wake
from queueapp.workers import database as at_start
from queueapp.workers import preflight

_SLOW = 0.25  # seconds for one small transaction
_CLOCK_OFF = 2.0
_LATE = 120.0
_SILENT = timedelta(seconds=120)


def database(_: Conf) -> Iterator[Finding]:
    try:
        began = time.monotonic()
        _write_and_roll_back()
        took = time.monotonic() - began
        n = at_start.n_pending()
    except at_start.UNREACHABLE as error:
        yield from _database_away(error)
        return
    told = f"{at_start.place()}, {took * 1000:.0f} ms"
    if n:
        yield fail("database", f"{told}, {n} migrations missing", "Run `manage.py migrate`, or start `up`.")
    elif took > _SLOW:
        yield warn("database", told, "It is slow: look at its disk and at long transactions.")
    else:
        yield ok("database", told)
    yield from _clock()


def _database_away(error: Exception) -> Iterator[Finding]:
    try:
        n = at_start.n_pending()
    except at_start.UNREACHABLE:
        n = 0
    if n:
        yield fail("database", f"{at_start.place()}: {n} migrations missing", "Run `manage.py migrate`.")
    else:
        yield fail("database", at_start.explain(error), "See there.")


def _write_and_roll_back() -> None:
    with transaction.atomic():
        AuditEvent.objects.create(actor="doctor", action="doctor.probe", target="", n=0, detail={})
        transaction.set_rollback(True)


def _clock() -> Iterator[Finding]:
    if connection.vendor != "postgresql":
        yield ok("clock", "the database uses this machine's")
        return
    with connection.cursor() as cursor:
        before = datetime.now(UTC)
        cursor.execute("SELECT clock_timestamp()")
        theirs = cursor.fetchone()[0]
        after = datetime.now(UTC)
    off = abs((theirs - before - (after - before) / 2).total_seconds())
    told = f"{off:.1f} s from the database's"
    if off > _CLOCK_OFF:
        yield fail("clock", told, "Run NTP on both machines: leases and retry times depend on it.")
    else:
        yield ok("clock", told)


def redis(conf: Conf) -> Iterator[Finding]:
    place = preflight.place(conf)
    try:
        client = events.redis()
        began = time.monotonic()
        client.ping()
        took = time.monotonic() - began
        client.set("mailweir:doctor", "1", ex=5)
    except RedisError as error:
        advice = (
            "Check REDIS_URL and that it runs." if conf.redis_url else "Start `manage.py up`, which runs it."
        )
        yield fail("redis", f"{place} does not answer ({str(error)[:150]})", advice)
        return
    yield ok("redis", f"{place}, {took * 1000:.1f} ms")


def workers(conf: Conf) -> Iterator[Finding]:
    try:
        found = Worker.all(queue=Queue(kick.QUEUE, connection=events.redis()))
        n_operators = Worker.count(queue=Queue(wake.QUEUE, connection=events.redis()))
    except RedisError:
        yield warn("workers", "not known without Redis", "See redis.")
        return
    now = datetime.now(UTC)
    fresh = [each for each in found if each.last_heartbeat and now - _aware(each.last_heartbeat) < _SILENT]
    told = f"{len(fresh)} for queue runners, {n_operators} for bulk operations"
    if fresh and not n_operators:
        yield warn("workers", told, "Run `manage.py rqworker operations`: else operations wait.")
    elif fresh:
        yield ok("workers", told)
    elif conf.workers == 0:
        yield warn("workers", f"{told}: MAILWEIR_WORKERS=0 accepts only", "Run workers on another machine.")
    else:
        yield fail("workers", told, "Start `manage.py up`, or `manage.py rqworker runners`.")


def _aware(at: datetime) -> datetime:
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def runners(_: Conf) -> Iterator[Finding]:
    try:
        n, late = Runner.objects.alive().count(), stats.oldest_due(timezone.now())
    except at_start.UNREACHABLE:
        yield warn("runners", "not known without the database", "See database.")
        return
    told = f"{n} at work"
    if late is None or late < _LATE:
        yield ok("runners", told + (", nothing is due" if late is None else ""))
    elif n:
        yield warn("runners", f"{told}, the oldest due mail waits {late:.0f} s", "See which site is slow.")
    else:
        advice = "Look at workers and scheduler above: one of them must start a runner."
        if settings.current().workers == 0:
            advice = "MAILWEIR_WORKERS=0: run workers on another machine."
        yield fail("runners", f"none at work, and due mail waits {late:.0f} s", advice)

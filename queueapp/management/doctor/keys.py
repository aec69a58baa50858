"""What is sealed with the secret key: whether DKIM keys can be used, and receivers find their records;
whether passwords of routes can be read."""

from __future__ import annotations

from collections.abc import Iterator

from django.db import DatabaseError

from queueapp.access.dkim_record import why_unpublished
from queueapp.conf import Conf
from queueapp.mail.dkim import KeyUnusable
from queueapp.management.doctor.finding import Finding, fail, ok, warn
from queueapp.models import DkimKey, Route
from queueapp.models.sealed import SealBroken

# Each costs a DNS question.
_MOST = 20


def dkim(conf: Conf) -> Iterator[Finding]:
    """Nothing is said where the database is away: that is a finding of its own."""
    try:
        keys = list(DkimKey.objects.active().order_by("domain", "id")[:_MOST])
    except DatabaseError:
        return
    if not keys and conf.route.kind == "mx":
        yield warn(
            "dkim",
            "there is no active key: mail leaves without a signature",
            "manage.py dkim create DOMAIN, for each domain that you send from.",
        )
    for key in keys:
        yield _finding(key, is_asked=conf.route.kind != "sandbox")


def routes(conf: Conf) -> Iterator[Finding]:
    """Only those that can't be read, and nothing where the database is away."""
    try:
        rows = list(Route.objects.exclude(sealed="")[:_MOST])
    except DatabaseError:
        return
    for row in rows:
        try:
            row.password()
        except SealBroken as error:
            yield fail(
                "routes",
                f"the password of the route {row} can't be read ({error}): its mail waits",
                "Bring back the secret key, or give the route its password again, on the page Routes.",
            )


def _finding(key: DkimKey, *, is_asked: bool) -> Finding:
    try:
        key.opened()
    except (SealBroken, KeyUnusable) as error:
        return fail(
            "dkim",
            f"{key} can't be opened ({error}): mail of {key.domain} waits",
            f"Bring back the secret key, or: manage.py dkim rotate {key.domain} --activate",
        )
    why = why_unpublished(key) if is_asked else ""
    if why:
        return warn("dkim", f"{key}: {why}", f"Publish what this prints: manage.py dkim show {key.domain}")
    return ok("dkim", f"{key} can sign" + (", and its record is published" if is_asked else ""))

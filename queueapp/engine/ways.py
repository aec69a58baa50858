"""Ways out, as the settings and Route rows describe them: where each leads, and how to talk there.

engine/routing.py chooses among them. A relay whose password can't be read gives a way that is closed, and
says why: mail never goes without it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import cast

from queueapp import conf
from queueapp.models import Route
from queueapp.models.sealed import SealBroken
from queueapp.transports.base import Options, Timeouts, TlsMode, Transcripts

_SEALED = (
    "the password of the route {row} was sealed with another secret key: bring that key back, or give the "
    "route its password again"
)


@dataclass(frozen=True, slots=True)
class Way:
    """One route, as settings or a Route row describe it."""

    kind: str
    host: str = ""
    port: int = 25
    options: Options = Options(ehlo_name="")
    pool_id: int | None = None
    source_id: int | None = None
    route_id: int = 0
    """Of the row; 0: MAILWEIR_ROUTE."""
    why_closed: str = ""
    """Nothing goes by it, and this is why."""


def matches(pattern: str, domain: str) -> bool:
    """`*`, `example.com`, or `.example.com` for all below it."""
    return pattern == "*" or pattern == domain or (pattern.startswith(".") and domain.endswith(pattern))


def default_way() -> Way:
    """MAILWEIR_ROUTE."""
    current = conf.current()
    spec = current.route
    options = base_options()
    if spec.kind == "sandbox":
        return Way("sandbox", current.sandbox.host, current.sandbox.port, options)
    if spec.kind == "mx":
        return Way("mx", "", current.mx_port, replace(options, tls=cast(TlsMode, current.tls)))
    return Way("relay", spec.host, spec.port, _relay_options(options, spec.tls, spec.username, spec.password))


def base_options() -> Options:
    """How to talk to anybody, from the address that the system chooses (engine/sources.py knows others)."""
    current = conf.current()
    reply = current.reply_timeout.total_seconds()
    timeouts = Timeouts(
        connect=current.connect_timeout.total_seconds(),
        greeting=reply,
        mail=reply,
        rcpt=reply,
        data_start=reply,
    )
    transcripts = cast(Transcripts, current.transcripts)
    return Options(ehlo_name=current.host, timeouts=timeouts, transcripts=transcripts)


def _relay_options(options: Options, tls: str, username: str, password: str) -> Options:
    # Where TLS is demanded of a relay its name is checked too: it gets our password.
    return replace(
        options,
        tls=cast(TlsMode, tls),
        verify=tls in ("required", "implicit"),
        username=username,
        password=password,
    )


def by_pattern() -> list[tuple[str, Way]]:
    """Of all Route rows, (pattern, way), in the order in which they are asked."""
    current, options = conf.current(), base_options()
    found = []
    for row in Route.objects.all():
        if row.kind == "sandbox":
            way = Way("sandbox", current.sandbox.host, current.sandbox.port, options)
        elif row.kind == "mx":
            way = Way("mx", "", current.mx_port, replace(options, tls=cast(TlsMode, row.tls)))
        else:
            way = _relay(row, options)
        way = replace(way, pool_id=row.pool_id, source_id=row.source_id, route_id=row.pk)
        found.append((row.pattern.lower(), way))
    return found


def _relay(row: Route, options: Options) -> Way:
    """Without its password no mail goes by it: the relay would refuse, or lock the account."""
    try:
        password = row.password()
    except SealBroken:
        return Way("relay", row.host, row.port, why_closed=_SEALED.format(row=row))
    return Way("relay", row.host, row.port, _relay_options(options, row.tls, row.username, password))

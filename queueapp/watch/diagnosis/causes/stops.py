"""What stops everything: database, Redis, disk, workers, a queue that stands still, our line, our name
servers.

Each rule gives the lines of its proof, or None where it doesn't hold. Whoever is named here holds all that
waits, for nothing else can help before it is gone.
"""

from __future__ import annotations

from collections.abc import Callable

from queueapp.watch.diagnosis.causes.receivers import is_timeout
from queueapp.watch.diagnosis.facts import Facts, Part, Site

SLOW_WRITE = 1.0  # seconds
NO_ROOM = 100e6  # octets
TOO_LOW, PLENTY = 0.02, 20e9
NO_INODES = 0.02
NO_RUNNER = 15.0  # seconds; a runner starts well within this
STILL = 120.0
MANY_SITES = 5
MANY_DOMAINS, MANY_WHILE_IT_ANSWERS = 5, 20
NEARLY_ALL = 0.8

Lines = list[tuple[str, str]]


def database(facts: Facts) -> Lines | None:
    if facts.system.write_s < SLOW_WRITE:
        return None
    return [("A small write took", f"{facts.system.write_s:.1f} s")]


def redis(facts: Facts) -> Lines | None:
    if not facts.system.redis_error:
        return None
    return [("Redis says", facts.system.redis_error), ("Queue runners alive", str(facts.system.n_runners))]


def disk(facts: Facts) -> Lines | None:
    free, total = facts.system.disk_free, facts.system.disk_total
    if free is not None and total and (free < NO_ROOM or (free / total < TOO_LOW and free < PLENTY)):
        return [("Free at MAILWEIR_HOME", f"{free / 1e6:,.0f} MB of {total / 1e6:,.0f} MB")]
    inodes = facts.system.inodes_free
    if inodes is not None and inodes < NO_INODES:
        return [("Inodes free at MAILWEIR_HOME", f"{inodes:.1%}")]
    return None


def no_workers(facts: Facts) -> Lines | None:
    system = facts.system
    # While Redis is away that is the reason, and told as such.
    if not _nobody(facts) or system.n_workers:
        return None
    workers = "not known" if system.n_workers is None else str(system.n_workers)
    lines = [
        ("Queue runners alive", "0"),
        ("RQ workers", workers),
        ("The oldest due mail waits", f"{facts.oldest_due_s:.0f} s"),
    ]
    if system.wants_workers == 0:
        lines.append(("MAILWEIR_WORKERS on this machine", "0: it accepts only"))
    if system.parts_down:
        lines.append(("Parts that are down", ", ".join(system.parts_down)))
    if system.last_runner_at:
        lines.append(("The last runner ended", f"{system.last_runner_at:%Y-%m-%d %H:%M:%S} UTC"))
    return lines


def _nobody(facts: Facts) -> bool:
    is_late = facts.oldest_due_s is not None and facts.oldest_due_s >= NO_RUNNER
    return is_late and not facts.system.n_runners and not facts.system.redis_error


def stalled(facts: Facts) -> Lines | None:
    """Workers are there and start no runner; or runners live, hold nothing, and try nothing."""
    system, late = facts.system, facts.oldest_due_s
    if _nobody(facts) and system.n_workers:
        return [
            ("Queue runners alive", "0"),
            ("RQ workers that should start one", str(system.n_workers)),
            ("The oldest due mail waits", f"{late:.0f} s"),
        ]
    is_busy = any(part.n_sending for part in facts.parts)
    if not system.n_runners or late is None or late < STILL or is_busy:
        return None
    ago = (facts.now - facts.attempted_at).total_seconds() if facts.attempted_at else None
    if ago is not None and ago < STILL:
        return None
    last = "never" if ago is None else f"{ago:.0f} s ago"
    return [
        ("Queue runners alive", str(system.n_runners)),
        ("The oldest due mail waits", f"{late:.0f} s"),
        ("The last attempt was", last),
    ]


def port25(facts: Facts) -> Lines | None:
    failing = [site for site in facts.failing if site.route == "mx"]
    silent = [site for site in failing if _is_silent(site)]
    if len(silent) < MANY_SITES or len(silent) < NEARLY_ALL * len(failing):
        return None
    since = min((site.backoff_since for site in silent if site.backoff_since), default=None)
    last = facts.mx_delivered_at
    if last is not None and (since is None or last >= since):
        return None
    names = ", ".join(sorted(site.name for site in silent)[:5])
    return [
        (f"Sites whose port {facts.system.mx_port} does not answer", f"{len(silent)}: {names}"),
        (
            "Delivered straight to MX hosts",
            "never" if last is None else f"last at {last:%Y-%m-%d %H:%M:%S} UTC",
        ),
        ("For example", silent[0].backoff_reply),
    ]


def _is_silent(site: Site) -> bool:
    return site.backoff_class == "connection" and is_timeout(site.backoff_reply)


def name_servers(facts: Facts) -> Lines | None:
    failing = [part for part in facts.parts if part.n_deferred and part.error_class == "dns"]
    n, n_all = (sum(part.n_domains for part in some) for some in (failing, _deferring(facts)))
    error = facts.system.names_error
    # One that answers may still fail for all that is asked of it; then it takes more to blame it.
    many = MANY_DOMAINS if error is None else MANY_WHILE_IT_ANSWERS
    if not n or not (error or (n >= many and n >= NEARLY_ALL * n_all)):
        return None
    lines = [("Domains that can't be looked up", f"{n:,} of {n_all:,} with deferred mail")]
    if error:
        lines.insert(0, (f"Our name servers ({facts.system.name_servers})", error))
    lines.append(("For example", failing[0].error_reply))
    return lines


def _deferring(facts: Facts) -> list[Part]:
    return [part for part in facts.parts if part.n_deferred]


RULES: dict[str, Callable[[Facts], Lines | None]] = {
    "database": database,
    "redis": redis,
    "disk": disk,
    "no_workers": no_workers,
    "stalled": stalled,
    "port25": port25,
    "name_servers": name_servers,
}
EXPLAINS = {"port25": "receiver_down", "name_servers": "dns"}
"""The cause that receivers seem to have, while it is ours."""

"""Make, activate, rotate and retire the DKIM keys of sender domains.

A key is made pending, its record is published, then it is activated: the active key of the same
algorithm retires in that moment. So mail is never signed by a key whose record nobody can see, unless
that is asked for.

Promises: the change and its AuditEvent are written in one transaction, and what is refused leaves an
AuditEvent too. The private key is returned by nothing here, never printed, never logged; it is erased
when the key retires. What can't be done is an AccessError that says why.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import wraps
from typing import Any, TypeVar, cast

from django.db import IntegrityError, transaction
from django.utils import timezone

from queueapp.access import refusals
from queueapp.access.change import AccessError, Actor, allow, note
from queueapp.access.dkim_record import why_unpublished
from queueapp.mail import dkim
from queueapp.mail.address import AddressError, parse_address
from queueapp.models import DkimKey, KeyState
from queueapp.models.sealed import seal

TYPES: dict[str, tuple[dkim.Algorithm, ...]] = {"rsa": ("rsa",), "ed25519": ("ed25519",)}
TYPES["both"] = ("rsa", "ed25519")
F = TypeVar("F", bound=Callable[..., Any])


def _told(action: str) -> Callable[[F], F]:
    """Checks the scope; a refusal is written down, of what can't be as of who may not."""

    def decorate(function: F) -> F:
        @wraps(function)
        def wrapped(domain: str, *args: Any, actor: Actor, **options: Any) -> Any:
            allow(actor, "admin", action, domain)
            try:
                return function(domain, *args, actor=actor, **options)
            except AccessError as error:
                refusals.note(actor.name, actor.origin, action, domain, {"why": str(error)[:500]})
                raise

        return cast(F, wrapped)

    return decorate


@_told("dkim.create")
def create(
    domain: str,
    *,
    kind: str = "rsa",
    selector: str = "",
    bits: int = dkim.MIN_BITS,
    is_active: bool = False,
    actor: Actor,
) -> list[DkimKey]:
    """New keys, pending or active at once. `kind` is one of TYPES. Raises AccessError."""
    return _create(domain_of(domain), TYPES[kind], selector, bits, is_active, "dkim.create", actor)


@_told("dkim.rotate")
def rotate(
    domain: str,
    *,
    selector: str = "",
    bits: int = dkim.MIN_BITS,
    is_active: bool = False,
    actor: Actor,
) -> list[DkimKey]:
    """A successor for each active key of the domain. Raises AccessError."""
    name = domain_of(domain)
    algorithms = _algorithms(DkimKey.objects.active().filter(domain=name))
    if not algorithms:
        raise AccessError(f"{name} has no active key to rotate; `create` makes one, `list` shows all.")
    return _create(name, algorithms, selector, bits, is_active, "dkim.rotate", actor)


def _create(
    domain: str,
    algorithms: Sequence[dkim.Algorithm],
    selector: str,
    bits: int,
    is_active: bool,
    action: str,
    actor: Actor,
) -> list[DkimKey]:
    if not dkim.MIN_BITS <= bits <= dkim.MAX_BITS:
        raise AccessError(f"{bits} bits are not from {dkim.MIN_BITS} to {dkim.MAX_BITS}.")
    waiting = DkimKey.objects.pending().filter(domain=domain, algorithm__in=algorithms).first()
    if waiting:
        raise AccessError(
            f"{domain} has a pending key already, {waiting.selector}: publish its record and `activate` it, "
            "or `retire` it."
        )
    now = timezone.now()
    selectors = _selectors(domain, algorithms, selector, now)
    rows = [
        _made(domain, name, algorithm, bits) for algorithm, name in zip(algorithms, selectors, strict=True)
    ]
    try:
        with transaction.atomic():
            for row in rows:
                row.save(force_insert=True)
            note(actor, action, domain, {"selectors": selectors, "algorithms": list(algorithms)})
            if is_active:
                _activate(rows, now, actor, is_checked=False)
    except IntegrityError:
        names = " or ".join(selectors)
        raise AccessError(
            f"{domain} has or had the selector {names}: take another one, a selector is used once."
        ) from None
    return rows


@_told("dkim.activate")
def activate(domain: str, selector: str = "", *, is_checked: bool = True, actor: Actor) -> list[DkimKey]:
    """Sign by this pending key, or by all of the domain, from now on; their predecessors retire.

    `is_checked`: only if its record is published. Raises AccessError.
    """
    name = domain_of(domain)
    waiting = DkimKey.objects.pending().filter(domain=name).order_by("id")
    chosen = [_known(name, selector)] if selector else list(waiting)
    if not chosen:
        raise AccessError(f"{name} has no pending key; `list` shows all.")
    for row in chosen if is_checked else ():
        if row.state == KeyState.PENDING and (why := why_unpublished(row)):
            raise AccessError(f"Not activated: {why}. `--unchecked` does it all the same.")
    with transaction.atomic():
        rows = list(
            DkimKey.objects.select_for_update().filter(pk__in=[row.pk for row in chosen]).order_by("id")
        )
        for row in rows:
            if row.state != KeyState.PENDING:
                raise AccessError(f"The key {row.selector} of {row.domain} is {row.state}, not pending.")
        _activate(rows, timezone.now(), actor, is_checked=is_checked)
    return rows


def _activate(rows: list[DkimKey], now: datetime, actor: Actor, *, is_checked: bool) -> None:
    for row in rows:
        before = list(DkimKey.objects.active().filter(domain=row.domain, algorithm=row.algorithm))
        _retire([each.pk for each in before], now)
        DkimKey.objects.filter(pk=row.pk).update(activated_at=now, state=KeyState.ACTIVE)
        row.refresh_from_db()
        retired = [each.selector for each in before]
        detail = {"selector": row.selector, "retired": retired, "is_checked": is_checked}
        note(actor, "dkim.activate", row.domain, detail)


@_told("dkim.retire")
def retire(domain: str, selector: str, *, actor: Actor) -> DkimKey:
    """Sign by it no more, and erase its private half. Raises AccessError."""
    row = _known(domain_of(domain), selector)
    with transaction.atomic():
        if not _retire([row.pk], timezone.now()):
            raise AccessError(f"The key {row.selector} of {row.domain} is retired already.")
        note(actor, "dkim.retire", row.domain, {"selector": row.selector, "was": row.state})
    row.refresh_from_db()
    return row


def _retire(ids: list[int], now: datetime) -> int:
    """How many were not retired yet."""
    return (
        DkimKey.objects.filter(pk__in=ids)
        .exclude(state=KeyState.RETIRED)
        .update(retired_at=now, sealed="", state=KeyState.RETIRED)
    )


def _known(domain: str, selector: str) -> DkimKey:
    row = DkimKey.objects.filter(domain=domain, selector=selector.lower()).first()
    if row is None:
        raise AccessError(f"{domain} has no key with the selector {selector[:70]!r}; `list` shows all.")
    return row


def domain_of(text: str) -> str:
    """A domain in the form of the table. Raises AccessError."""
    try:
        domain = parse_address(f"postmaster@{text.strip().rstrip('.')}").domain
    except AddressError as error:
        raise AccessError(f"{text[:80]!r} is no domain: {error.reason}.") from None
    if "." not in domain or "@" in text:
        raise AccessError(f"{text[:80]!r} is no domain that could publish a key; write it as example.com.")
    return domain


def _algorithms(rows: Any) -> list[dkim.Algorithm]:
    there = set(rows.values_list("algorithm", flat=True))
    return [each for each in dkim.ALGORITHMS if each in there]


def _selectors(domain: str, algorithms: Sequence[dkim.Algorithm], asked: str, now: datetime) -> list[str]:
    """One each. Two records can't share a name, so the Ed25519 one of a pair gets a mark."""
    basis = asked.strip().lower() or _free(domain, f"mw{now:%Y%m%d}")
    names = [basis if each == "rsa" or len(algorithms) == 1 else f"{basis}-ed25519" for each in algorithms]
    for name in names:
        if not dkim.is_selector(name):
            raise AccessError(
                f"{name[:80]!r} is no usable selector: letters, digits and hyphens, at most 63, with dots "
                "between them if need be."
            )
    return names


def _free(domain: str, basis: str) -> str:
    taken = set(DkimKey.objects.filter(domain=domain).values_list("selector", flat=True))
    names = [basis, *(f"{basis}-{n}" for n in range(2, 1000))]
    return next(name for name in names if name not in taken and f"{name}-ed25519" not in taken)


def _made(domain: str, selector: str, algorithm: dkim.Algorithm, bits: int) -> DkimKey:
    private = dkim.make_private(algorithm, bits)
    public = dkim.public_value(dkim.load_key(domain, selector, algorithm, private))
    return DkimKey(domain=domain, selector=selector, algorithm=algorithm, public=public, sealed=seal(private))

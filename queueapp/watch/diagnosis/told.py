"""A cause in words and in things to press: what pages, API, command and alerts show.

Knows no addresses of pages: an Act says what is to be done to what, and whoever shows it makes a link, a
form or a command of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from queueapp.grammar import Term, Text
from queueapp.models import Diagnosis
from queueapp.watch.diagnosis.causes.table import CAUSES, Cause

STALE = timedelta(minutes=1)
_OPEN = "state:queued state:deferred"
_DUE = f"{_OPEN} next<1m"


@dataclass(frozen=True, slots=True)
class Act:
    """`verb`: open, release, hold, delete and retry take the query `q`; resume, lift and limits are done to
    a domain or site (`kind`, `key`); `key` is "" where it is to be chosen on the board."""

    verb: str
    label: str
    q: str = ""
    kind: str = ""
    key: str = ""


def cause_of(row: Diagnosis) -> Cause:
    """A name that this version does not know is told as what it is: another reason."""
    return CAUSES.get(row.cause, CAUSES["other"])


def is_stale(looked_at: datetime | None, now: datetime) -> bool:
    return looked_at is None or now - looked_at > STALE


def counted(row: Diagnosis) -> str:
    """`about 1,204 deliveries wait, 3 deliveries failed in the last hour`"""
    about = "about " if row.is_estimate else ""
    parts = [f"{about}{_n(row.n)} {'waits' if row.n == 1 else 'wait'}"] if row.n else []
    if row.n_failed:
        parts.append(f"{about}{_n(row.n_failed)} failed in the last hour")
    return ", ".join(parts) or "nothing waits"


def sentence(row: Diagnosis) -> str:
    """Why, and where most of it is."""
    text, places = cause_of(row).sentence, row.evidence.get("where", [])
    domains = [place for place in places if place[0] == "domain"]
    if len(domains) == 1:
        text += f" All of it is mail to {domains[0][2]}."
    elif domains:
        text += f" Most of it is mail to {domains[0][2]} ({domains[0][3]:,})."
    lines = dict(map(tuple, row.evidence.get("lines", [])))
    if row.cause == "flood" and "Account" in lines:
        text += f" It is {lines['Account']}."
    elif row.cause == "campaign" and "Campaign" in lines:
        text += f" It is {lines['Campaign']}."
    return text


def remedy(row: Diagnosis) -> str:
    """What to do, with what our own records should say."""
    wrong = [each for each in row.evidence.get("records", []) if each["wrong"]]
    told = [f"{each['what']} of {each['name']}: {each['wrong']}." for each in wrong[:3]]
    return " ".join([*told, cause_of(row).remedy])


def query(row: Diagnosis) -> str:
    """The search that opens what the cause holds."""
    cause, scope = cause_of(row), scope_terms(row.kind, row.key, row.name)
    if row.cause == "held":
        return _joined(scope, "state:held")
    if row.cause in ("flood", "campaign"):
        return _joined(_culprit(row) or scope, _OPEN)
    if not cause.classes:
        return _joined(scope, _OPEN)
    state = "state:deferred" if row.n or not row.n_failed else "state:bounced"
    return _joined(scope, state, *(f"class:{name}" for name in cause.classes))


def acts(row: Diagnosis) -> list[Act]:
    """What there is to press, the most helpful first."""
    found = [_MAKE[name](row) for name in cause_of(row).acts]
    return [act for act in found if act is not None]


# ── Acts ──────────────────────────────────────────────────────────────────────────────────────


def _open(row: Diagnosis) -> Act | None:
    return Act("open", "See the mail", query(row)) if row.n else None


def _open_due(row: Diagnosis) -> Act:
    return Act("open", "See what is due", _joined(scope_terms(row.kind, row.key, row.name), _DUE))


def _open_failed(row: Diagnosis) -> Act | None:
    classes = [f"class:{name}" for name in cause_of(row).classes]
    scope = scope_terms(row.kind, row.key, row.name)
    return Act("open", "See what failed", _joined(scope, "state:bounced", *classes)) if row.n_failed else None


def _retry(row: Diagnosis) -> Act | None:
    if not row.n:
        return None
    kind, key, _ = _place(row, "domain")
    is_one = row.kind == "domain" or len(_places(row, "domain")) == 1
    return Act("retry", "Retry", query(row), kind if is_one else "", key if is_one else "")


def _resume(row: Diagnosis) -> Act:
    kind, key, name = _place(row, "domain")
    return Act("resume", f"Resume {name}" if key and row.kind != "domain" else "Resume", "", kind, key)


def _lift(row: Diagnosis) -> Act | None:
    kind, key, name = _place(row, "site")
    return Act("lift", f"Lift at {name}" if row.kind == "all" else "Lift now", "", kind, key) if key else None


def _limits(row: Diagnosis) -> Act | None:
    kind, key, name = _place(row, "domain" if row.cause == "own_limit" else "site")
    return (
        Act("limits", f"Limits of {name}" if row.kind == "all" else "Limits", "", kind, key) if key else None
    )


def _on_list(verb: str, label: str) -> Any:
    def make(row: Diagnosis) -> Act | None:
        if row.cause == "bad_list":
            culprit = _culprit(row)
            return Act(verb, label, _joined(culprit, _OPEN)) if culprit else None
        return Act(verb, label, query(row))

    return make


_MAKE: dict[str, Any] = {
    "open": _open,
    "open_due": _open_due,
    "open_failed": _open_failed,
    "retry": _retry,
    "resume": _resume,
    "lift": _lift,
    "limits": _limits,
    "release": _on_list("release", "Release"),
    "hold": _on_list("hold", "Hold its mail"),
    "delete": _on_list("delete", "Delete"),
}

# ── Words ─────────────────────────────────────────────────────────────────────────────────────


def scope_terms(kind: str, key: str, name: str = "") -> str:
    """The words of the search grammar that select a scope."""
    if kind == "domain":
        return str(Term("domain", "=", Text((key,))))
    if kind == "site":
        return str(Term("site", "=", Text((name or key,))))
    if kind == "campaign":
        return str(Term("campaign", "=", Text((key,))))
    if kind == "sender":
        return str(Term("from", "=", Text((key,)))) if key else "from:<>"
    return ""


def _culprit(row: Diagnosis) -> str:
    for kind in ("sender", "campaign"):
        if kind in row.evidence:
            return scope_terms(kind, row.evidence[kind])
    return scope_terms(row.kind, row.key) if row.kind in ("sender", "campaign") else ""


def _places(row: Diagnosis, kind: str) -> list[tuple[str, str, str]]:
    return [(each[0], each[1], each[2]) for each in row.evidence.get("where", []) if each[0] == kind]


def _place(row: Diagnosis, kind: str) -> tuple[str, str, str]:
    """The domain or site that an act is for: the scope's own, or where most of it is."""
    if row.kind == kind:
        return row.kind, row.key, row.name
    own = row.evidence.get("site") if kind == "site" else None
    if own:
        return "site", str(own[0]), str(own[1])
    return (_places(row, kind) or [(kind, "", "")])[0]


def _joined(*parts: str) -> str:
    return " ".join(part for part in parts if part)


def _n(n: int) -> str:
    return f"{n:,} {'delivery' if n == 1 else 'deliveries'}"

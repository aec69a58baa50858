"""All rules together: which causes hold in each scope, how many deliveries each holds, and in which order.

A delivery counts for one cause of a scope: what a person stopped before what a receiver said, and the
root before what follows from it. What stops everything stands first and holds all that waits.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime, timedelta
from ipaddress import ip_address

from queueapp.watch.diagnosis.causes import senders, stops
from queueapp.watch.diagnosis.causes.finding import ALL, Finding, Scope
from queueapp.watch.diagnosis.causes.receivers import cause_of
from queueapp.watch.diagnosis.causes.table import CAUSES, FLOWING
from queueapp.watch.diagnosis.facts import Facts, Part, Seen

ENOUGH = 20
"""Sampled deliveries of a domain from which its causes are told by their shares."""
FEW_FAILED, RECEIVERS = 3, 2
MOST_ROWS, MOST_LINES = 300, 3
LATE = 300.0  # seconds
SLOW = timedelta(seconds=20)
SLOW_ANSWER = 5.0  # seconds for a mail
Found = dict[tuple[Scope, str], Finding]


def judge(facts: Facts) -> list[Finding]:
    """Findings of all scopes; of each scope in order. The scope ALL always has one."""
    judged = _Judge(facts)
    judged.run()
    return judged.ordered()


class _Judge:
    def __init__(self, facts: Facts) -> None:
        self.facts, self.found = facts, Found()
        self.open: Counter[Scope] = Counter()
        self.names: dict[Scope, str] = {}
        self.parts = {part.pk: part for part in facts.parts if part.pk}
        self.stops = {name: lines for name, rule in stops.RULES.items() if (lines := rule(facts)) is not None}
        self.instead = {stops.EXPLAINS[name]: name for name in self.stops if name in stops.EXPLAINS}
        self.rows: dict[int, str] = {}
        self.untried: dict[int, str] = {}
        self.slow: list[Part] = []
        self.since: dict[int, datetime] = {}
        self.shares: dict[int, Counter[str]] = defaultdict(Counter)
        self.failed: list[tuple[Seen, str]] = []

    def run(self) -> None:
        self._read_samples()
        for part in self.facts.parts:
            self._of_part(part)
        self._of_people()
        self._failed()
        self._stopped()
        self._senders()
        self._late()
        self._prove()
        self._tell_slow()
        self._tell_reasons()

    # ── Counting ──────────────────────────────────────────────────────────────────────────────

    def add(self, scope: Scope, cause: str, n: float, *, since: datetime | None = None) -> Finding:
        finding = self.found.setdefault((scope, cause), Finding(scope, cause))
        finding.n += n  # type: ignore[assignment]  # rounded at the end
        finding.note_since(since)
        return finding

    def cause_of_row(self, row: Seen) -> str:
        part = self.parts.get(row.domain_id)
        if row.state == "held":
            return "held"
        if part is not None and part.suspended_at:
            return "suspended"
        if row.state in ("queued", "sending"):
            return self.untried.get(row.domain_id, "")
        return self._renamed(cause_of(row.reply_class, f"{row.enhanced} {row.text}"))

    def _renamed(self, cause: str) -> str:
        return self.instead.get(cause, cause)

    def _read_samples(self) -> None:
        for row in (*self.facts.due.rows, *self.facts.sending.rows):
            if row.at is not None:
                self.since[row.domain_id] = min(row.at, self.since.get(row.domain_id, row.at))
        for part in self.facts.parts:
            if part.name and (cause := self._untried(part)):
                self.untried[part.pk] = cause
                if cause == "receiver_down" and not part.stop_class:
                    self.slow.append(part)
        for row in self._sampled():
            self.rows[row.pk] = cause = self.cause_of_row(row)
            if row.state == "deferred" and cause:
                self.shares[row.domain_id][cause] += 1

    def _sampled(self) -> Iterator[Seen]:
        facts = self.facts
        yield from (*facts.deferred.rows, *facts.deep)
        yield from (*facts.due.rows, *facts.sending.rows, *facts.held.rows)

    def _of_part(self, part: Part) -> None:
        scopes = [ALL]
        if part.name:
            scopes.append(("domain", part.name))
            self.names[scopes[-1]] = part.name
        if part.site_id in self.facts.sites:
            scopes.append(("site", str(part.site_id)))
            self.names[scopes[-1]] = self.facts.sites[part.site_id].name
        for scope in scopes:
            self.open[scope] += part.n_open
        for cause, n, since in self._pieces(part):
            is_estimate = CAUSES[cause].tier == RECEIVERS and not self.facts.deferred.is_whole
            for scope in scopes:
                if n:
                    self.add(scope, cause, n, since=since).is_estimate |= is_estimate
            if part.name and n and part.site_id:
                self.found[("domain", part.name), cause].more["site"] = [part.site_id, part.site_name]

    def _pieces(self, part: Part) -> Iterator[tuple[str, float, datetime | None]]:
        yield "held", part.n_held, None
        if part.suspended_at:
            yield "suspended", part.n_waiting, part.suspended_at
            return
        if untried := self._untried(part):
            n = part.n_queued + (part.n_sending if untried == "receiver_down" else 0)
            yield untried, n, part.stop_since or self.since.get(part.pk)
        shares = self.shares.get(part.pk, Counter())
        if shares.total() >= ENOUGH or (shares and self.facts.deferred.is_whole):
            for cause, n in shares.items():
                yield cause, part.n_deferred * n / shares.total(), None
        elif cause := self._renamed(cause_of(part.error_class, part.error_reply)):
            yield cause, part.n_deferred, part.stop_since

    def _untried(self, part: Part) -> str:
        """What keeps mail that was never tried; "" where only its turn does."""
        if stop := self._renamed(cause_of(part.stop_class, part.stop_reply)):
            return stop
        if part.is_paced:
            return "own_limit"
        return "receiver_down" if self._is_slow(part) else ""

    def _is_slow(self, part: Part) -> bool:
        """Mail is with it, more waits for a while, and it takes long to answer, or does not answer at all."""
        now, since = self.facts.now, self.since.get(part.pk)
        if not part.n_sending or since is None or now - since < SLOW:
            return False
        is_silent = part.tried_at is None or now - part.tried_at > SLOW
        return is_silent or self.facts.took.get(part.pk, 0.0) >= SLOW_ANSWER

    def _of_people(self) -> None:
        """Senders and campaigns, as far as the samples tell."""
        for sample in (self.facts.deferred, self.facts.due, self.facts.sending, self.facts.held):
            for row in sample.rows:
                for scope, name in _people(row):
                    self.names[scope] = name
                    self.open[scope] += sample.weight  # type: ignore[assignment]
                    if cause := self.rows[row.pk]:
                        self.add(scope, cause, sample.weight).is_estimate |= not sample.is_whole

    def _failed(self) -> None:
        counted: Counter[tuple[Scope, str]] = Counter()
        seen: Counter[Scope] = Counter()
        for row, cause, weight in senders.failures(self.facts.failed):
            scopes = self._scopes(row)
            for scope in scopes:
                counted[scope, cause] += weight  # type: ignore[assignment]
                seen[scope] += weight  # type: ignore[assignment]
            self.names |= dict(_people(row))
            self.failed.append((row, cause))
        for (scope, cause), n in counted.items():
            n_finished = self.facts.n_finished if scope == ALL else int(seen[scope])
            if cause == "bad_list" and not senders.bad_list(round(n), n_finished):
                continue
            if n >= FEW_FAILED and CAUSES[cause].counts_failed:
                finding = self.add(scope, cause, 0)
                finding.n_failed = round(n)
                finding.is_estimate |= not self.facts.failed.is_whole

    def _scopes(self, row: Seen) -> list[Scope]:
        scopes = [ALL, *(scope for scope, _ in _people(row))]
        part = self.parts.get(row.domain_id)
        if part is not None and part.name:
            scopes.append(("domain", part.name))
        if part is not None and part.site_id in self.facts.sites:
            scopes.append(("site", str(part.site_id)))
        return scopes

    def _prove(self) -> None:
        """Each finding gets the deliveries that have it."""
        facts = self.facts
        for row in self._sampled():
            self._show(row, self.rows[row.pk])
        for row, cause in self.failed:
            self._show(row, cause)
        for (_, cause), finding in self.found.items():
            if cause == "authentication":
                asked = {domain for row in finding.rows for domain in _domains(row)}
                finding.more["records"] = self._records(sorted(asked & facts.records.keys()))
            elif cause == "reverse_dns":
                finding.more["records"] = self._records(
                    sorted(name for name in facts.records if _is_ip(name))
                )

    def _tell_slow(self) -> None:
        for part in self.slow[:MOST_LINES]:
            took = self.facts.took.get(part.pk)
            line = (part.name, f"takes {took:.0f} s for a mail" if took else "has not answered yet")
            for scope in (ALL, ("domain", part.name)):
                if finding := self.found.get((scope, "receiver_down")):
                    finding.lines.append(line)

    def _tell_reasons(self) -> None:
        if blocked := self.found.get((ALL, "blocklist")):
            blocked.lines += [(target, f"is on the list {name}") for target, name in self.facts.listed]
        stopped = [part for part in self.facts.parts if part.name and part.suspended_at and part.n_waiting]
        for part in sorted(stopped, key=lambda each: -each.n_waiting)[:MOST_LINES]:
            for scope in (ALL, ("domain", part.name)):
                if finding := self.found.get((scope, "suspended")):
                    finding.lines.append((part.name, part.suspended_reason or "no reason was given"))

    def _show(self, row: Seen, cause: str) -> None:
        for scope in self._scopes(row) if cause else ():
            finding = self.found.get((scope, cause))
            if finding is not None and len(finding.rows) < MOST_ROWS:
                finding.rows.append(row)

    def _records(self, names: list[str]) -> list[dict[str, str]]:
        return [asdict(record) for name in names for record in self.facts.records.get(name, ())]

    # ── Roots ─────────────────────────────────────────────────────────────────────────────────

    def _stopped(self) -> None:
        for name, lines in self.stops.items():
            is_root = name in stops.EXPLAINS
            finding = self.add(ALL, name, 0)
            finding.n = finding.n if is_root else self.facts.n_waiting
            finding.lines = lines
            if name == "port25":
                for site in self.facts.failing:
                    finding.note_since(site.backoff_since)

    def _senders(self) -> None:
        if flood := senders.flood(self.facts, self.rows):
            self._take_over(flood.by_cause)
            usual = f"{flood.usual:.1f} a minute before" if flood.usual else "nothing in the day before"
            lines = [
                ("Account", flood.login or flood.sender or "<> (null sender)"),
                ("It sends", f"{flood.per_minute:,.0f} messages a minute; {usual}"),
                ("Messages in the last minutes", f"{flood.n_messages:,}"),
            ]
            self._root("flood", ("sender", flood.sender), flood.n, lines, sender=flood.sender)
        filling = senders.filling(self.facts, self.rows, self._untried_s())
        if filling and not flood:
            self._take_over(filling.by_cause)
            lines = [
                ("Campaign", filling.campaign),
                ("Of what waits for its first try", f"{filling.share:.0%}"),
            ]
            scope = ("campaign", filling.campaign)
            self._root("campaign", scope, filling.n, lines, campaign=filling.campaign)

    def _take_over(self, by_cause: Counter[str]) -> None:
        """The root holds what otherwise its consequences would hold."""
        for cause, n in by_cause.items():
            if other := self.found.get((ALL, cause)):
                other.n = max(0, other.n - n)

    def _root(self, cause: str, own: Scope, n: int, lines: list[tuple[str, str]], **more: str) -> None:
        self.names[own] = own[1] or "<> (null sender)"
        self.open[own] = max(self.open[own], n)
        for scope in (ALL, own):
            finding = self.add(scope, cause, n)
            finding.lines, finding.more = lines, dict(more)
            finding.is_estimate = not (self.facts.due.is_whole and self.facts.deferred.is_whole)

    def _late(self) -> None:
        late = self.waited_s()
        roots = {cause for scope, cause in self.found if scope == ALL and CAUSES[cause].tier == 0}
        if late is None or late < LATE or not self.facts.system.n_runners or roots:
            return
        n = self.facts.due.of + self.facts.sending.of
        if self.found.keys() & {(ALL, "flood"), (ALL, "campaign")} or not n:
            return
        finding = self.add(ALL, "late", n)
        finding.lines = [("The oldest due mail waits", f"{late / 60:.0f} minutes")]

    def waited_s(self) -> float | None:
        """How long what could go at once has waited for its first try."""
        untried = (*self.facts.due.rows, *self.facts.sending.rows)
        rows = [row for row in untried if row.at and row.pk in self.rows and not self.rows[row.pk]]
        first = min((row.at for row in rows if row.at), default=None)
        return (self.facts.now - first).total_seconds() if first else None

    def _untried_s(self) -> float | None:
        """How long anything has waited for its first try."""
        ats = [row.at for row in (*self.facts.due.rows, *self.facts.sending.rows) if row.at]
        return (self.facts.now - min(ats)).total_seconds() if ats else None

    # ── Order ─────────────────────────────────────────────────────────────────────────────────

    def ordered(self) -> list[Finding]:
        by_scope: dict[Scope, list[Finding]] = defaultdict(list)
        for finding in self.found.values():
            finding.n = round(finding.n)
            is_stop = CAUSES[finding.cause].tier == 0
            if finding.n or finding.n_failed or is_stop:
                finding.of, finding.name = round(self.open[finding.scope]), self.names.get(finding.scope, "")
                by_scope[finding.scope].append(finding)
        if ALL not in by_scope:
            by_scope[ALL] = [Finding(ALL, FLOWING, n=0, of=round(self.open[ALL]))]
        return [each for found in by_scope.values() for each in sorted(found, key=_rank)]


def _rank(finding: Finding) -> tuple[object, ...]:
    cause = CAUSES[finding.cause]
    # Nothing to do about: told, but never above what somebody can help.
    return (cause.tier != 0, -(finding.n + finding.n_failed), cause.tier, _ORDER[finding.cause])


_ORDER = {name: place for place, name in enumerate(CAUSES)}


def _domains(row: Seen) -> set[str]:
    """Of the From line and of the envelope: both have to be in order."""
    return {each.rpartition("@")[2].strip(" <>\t\"'").lower() for each in (row.from_header, row.sender)}


def _is_ip(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def _people(row: Seen) -> Iterator[tuple[Scope, str]]:
    yield ("sender", row.sender.lower()), row.sender.lower() or "<> (null sender)"
    if row.campaign:
        yield ("campaign", row.campaign), row.campaign

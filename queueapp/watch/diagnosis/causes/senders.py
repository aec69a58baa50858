"""Who fills the queue: an account that floods it, a campaign, a list of addresses that do not exist."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from queueapp.watch.diagnosis.causes.receivers import failed_cause_of
from queueapp.watch.diagnosis.facts import Arrival, Facts, Sample, Seen

RECENT = timedelta(minutes=10)
FLOOD_RATE = 60.0  # messages a minute
FLOOD_LEAST = 200  # messages, or deliveries that wait
FLOOD_SHARE = 0.5  # of what came in
UNUSUAL = 10.0  # times what the sender sent before
CAMPAIGN_LEAST, CAMPAIGN_SHARE = 200, 0.5
CAMPAIGN_WAITS = 20.0  # seconds
LIST_LEAST, LIST_SHARE = 20, 0.1


@dataclass(frozen=True, slots=True)
class Flood:
    """`login` where the account is known, else only `sender`; `n`: deliveries of it that wait."""

    sender: str
    login: str
    per_minute: float
    usual: float
    n_messages: int
    n: int
    by_cause: Counter[str]

    def is_from(self, row: Seen) -> bool:
        return row.login == self.login if self.login else row.sender.lower() == self.sender


def flood(facts: Facts, cause: dict[int, str]) -> Flood | None:
    """The account that sends most, if it floods. `cause` of each sampled delivery, by its number."""
    recent = [each for each in facts.arrivals if each.at > facts.now - RECENT]
    if len(recent) < FLOOD_LEAST:
        return None
    account, n = Counter(map(_account, recent)).most_common(1)[0]
    own = [each for each in recent if _account(each) == account]
    minutes = max((facts.now - min(each.at for each in recent)).total_seconds(), 5.0) / 60
    per_minute = n / minutes
    sender = Counter(each.sender.lower() for each in own).most_common(1)[0][0]
    usual = facts.usual.get(sender, 0.0)
    is_wanted = sum(bool(each.campaign) for each in own) > n / 2
    if is_wanted or n < FLOOD_LEAST or n < FLOOD_SHARE * len(recent):
        return None
    if per_minute < FLOOD_RATE or per_minute < UNUSUAL * usual:
        return None
    found = Flood(sender, own[0].login, per_minute, usual, n, 0, Counter())
    weighed: Counter[str] = Counter()
    for sample in (facts.due, facts.sending, facts.deferred, facts.held):
        for row in sample.rows:
            if found.is_from(row):
                weighed[cause.get(row.pk, "")] += sample.weight  # type: ignore[assignment]
    waiting = round(weighed.total())
    if waiting < FLOOD_LEAST:
        return None
    return Flood(sender, own[0].login, per_minute, usual, n, waiting, weighed)


def _account(each: Arrival) -> tuple[str, str]:
    return ("login", each.login) if each.login else ("sender", each.sender.lower())


@dataclass(frozen=True, slots=True)
class Filling:
    campaign: str
    n: int
    share: float
    by_cause: Counter[str]


def filling(facts: Facts, cause: dict[int, str], waited_s: float | None) -> Filling | None:
    """The campaign that most of what waits for its first try belongs to."""
    if waited_s is None or waited_s < CAMPAIGN_WAITS:
        return None
    untried = [(row, sample.weight) for sample in (facts.due, facts.sending) for row in sample.rows]
    counted: Counter[str] = Counter()
    for row, weight in untried:
        counted[row.campaign] += weight  # type: ignore[assignment]
    whole = counted.total()
    del counted[""]
    if not counted:
        return None
    name, n = counted.most_common(1)[0]
    if n < CAMPAIGN_SHARE * whole or n < CAMPAIGN_LEAST:
        return None
    by_cause: Counter[str] = Counter()
    for row, weight in untried:
        if row.campaign == name:
            by_cause[cause.get(row.pk, "")] += weight  # type: ignore[assignment]
    return Filling(name, round(n), n / whole, by_cause)


def bad_list(n_unknown: int, n_finished: int) -> bool:
    """Whether so many unknown addresses are more than the few that every list has."""
    return n_unknown >= LIST_LEAST and n_unknown >= LIST_SHARE * max(n_finished, n_unknown)


def failures(sample: Sample) -> Iterator[tuple[Seen, str, float]]:
    """(delivery, cause, how many it stands for) of what bounced."""
    for row in sample.rows:
        cause = failed_cause_of(row.reply_class, f"{row.enhanced} {row.text}")
        # A report of ours to an address that does not exist is nobody's list.
        if cause and (row.sender or cause != "bad_list"):
            yield row, cause, sample.weight

"""Effects: what a rule does, from its beginning to its end.

    slow           the site or domain has `slow_rate` until then, below any rate that is set
    suspend        a pair is suspended (engine/suspensions.py); a site backs off; a domain is suspended
    other_source   the pair is not used as long as another source of the pool may be
    hold_campaign, stop_sender
                   a hold rule holds what comes in, and what waits is held in slices (gathering.py)

Promises: one effect of an action on a key at a time, whoever hears of its cause first; it begins and ends in
one transaction with what it changes, so that what is shown is what holds. What a person has set is never
overwritten: a suspension by a person stays, a lower rate stays lower.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import F, Max
from django.utils import timezone

from queueapp import events
from queueapp.engine import suspensions
from queueapp.engine.rules import owners, shipped, slowing
from queueapp.engine.rules.ruleset import Rule
from queueapp.engine.suspensions import Cause
from queueapp.mail.reply import clean
from queueapp.models import (
    HOLDS,
    BackoffRule,
    Delivery,
    Effect,
    EgressSource,
    HoldRule,
    RecipientDomain,
    RuleAction,
    RuleScope,
    Site,
    Suspension,
    revision,
)

_MADE_BY = "rule"


@dataclass(frozen=True, slots=True)
class Target:
    """On whom: ids where the scope is one of ours, `value` where it is a sender, a tag or a login."""

    scope: str
    site_id: int = 0
    source_id: int = 0
    domain_id: int = 0
    value: str = ""

    @property
    def key(self) -> str:
        if self.scope == RuleScope.PAIR:
            return f"pair:{self.source_id}:{self.site_id}"
        if self.scope == RuleScope.SITE:
            return f"site:{self.site_id}"
        if self.scope == RuleScope.DOMAIN:
            return f"domain:{self.domain_id}"
        return f"{self.scope}:{self.value.lower()}"


def begin(rule: Rule, target: Target, cause: Cause, n_hits: int = 1) -> tuple[Effect, bool]:
    """The effect that holds from now on, and whether it began now. Raises DatabaseError."""
    with transaction.atomic():
        row = _locked(rule)
        try:
            with transaction.atomic():
                return _begin(rule, row, target, cause, n_hits)
        except IntegrityError:
            # By another rule, in this moment: its effect is as good.
            return Effect.objects.get(action=rule.action, key=target.key, ended_at__isnull=True), False


def _locked(rule: Rule) -> BackoffRule | None:
    """The rule's row is the lock: two runners may hear of the cause at once. None: somebody deleted it."""
    pk = rule.pk or shipped.stored(rule.key).pk
    return BackoffRule.objects.select_for_update().filter(pk=pk).first()


def _begin(
    rule: Rule, row: BackoffRule | None, target: Target, cause: Cause, n_hits: int
) -> tuple[Effect, bool]:
    now = timezone.now()
    before = Effect.objects.filter(action=rule.action, key=target.key).order_by("-id").first()
    n = 1
    if rule.scope == RuleScope.PAIR:
        block, is_new = _suspend_pair(rule, target, cause)
        if not is_new and before is not None and before.is_open(now):
            return _again(before, n_hits), False
        n, since, until = block.n, block.since, block.until
    else:
        if before is not None and before.is_open(now):
            return _again(before, n_hits), False
        last = before.ended_at or before.until if before is not None else None
        if before is not None and before.lifted_at is None and last and last > now - suspensions.AGAIN:
            n = before.n + 1
        since = now
        until = None
        if rule.lasts is not None:
            until = now + suspensions.grown(rule.lasts, rule.growth, rule.cap, n, cause.retry_in)
    Effect.objects.filter(action=rule.action, key=target.key, ended_at__isnull=True).update(
        ended_at=F("until")
    )
    made = Effect(
        rule=row,
        rule_name=rule.name,
        action=rule.action,
        scope=rule.scope,
        key=target.key,
        label=_label(target),
        site_id=target.site_id or None,
        source_id=target.source_id or None,
        domain_id=target.domain_id or None,
        value=target.value,
        reply_class=cause.reply_class,
        reply=clean(cause.reply, 1000),
        since=since,
        until=until,
        n=n,
        n_hits=n_hits,
    )
    _APPLY[RuleAction(rule.action)](rule, made)
    made.save()
    revision.bump(revision.LIMITS if rule.action == RuleAction.SLOW else revision.SUSPENSIONS)
    events.publish("sites")
    return made, True


def _again(effect: Effect, n_hits: int) -> Effect:
    Effect.objects.filter(pk=effect.pk).update(n_hits=F("n_hits") + n_hits)
    return effect


def _label(target: Target) -> str:
    """On whom, for people."""
    if target.scope == RuleScope.DOMAIN:
        return RecipientDomain.objects.filter(pk=target.domain_id).values_list("name", flat=True)[0]
    if target.scope in (RuleScope.SITE, RuleScope.PAIR):
        site = Site.objects.filter(pk=target.site_id).values_list("name", flat=True)[0]
        if target.scope == RuleScope.SITE:
            return site
        source = EgressSource.objects.filter(pk=target.source_id).first()
        return f"{source.name if source else 'the default source'} at {site}"
    return target.value


# What begins


def _suspend_pair(rule: Rule, target: Target, cause: Cause) -> tuple[Suspension, bool]:
    spans = {"first": rule.lasts or suspensions.FIRST, "growth": rule.growth, "cap": rule.cap}
    is_soft = rule.action == RuleAction.OTHER_SOURCE
    return suspensions.hold(target.source_id, target.site_id, cause, is_soft=is_soft, **spans)  # type: ignore[arg-type]


def _slow(rule: Rule, effect: Effect) -> None:
    row: Any = _row(effect).select_for_update().get()
    effect.rate = slowing.rate_for(rule, effect, row)
    _row(effect).update(slow_rate=effect.rate, slow_until=effect.until)


def _suspend(rule: Rule, effect: Effect) -> None:
    if effect.scope == RuleScope.SITE:
        _row(effect).update(
            backoff_class=effect.reply_class,
            backoff_reply=effect.reply,
            backoff_since=effect.since,
            backoff_until=effect.until,
        )
    elif effect.scope == RuleScope.DOMAIN:
        reason = f"{rule.name}: {effect.reply or effect.reply_class}"[:255]
        # What a person has suspended stays as they said.
        _row(effect).exclude(suspended_at__isnull=False, suspended_until__isnull=True).exclude(
            suspended_until__gt=effect.until
        ).update(suspended_at=effect.since, suspended_until=effect.until, suspended_reason=reason)


def _row(effect: Effect) -> Any:
    if effect.scope == RuleScope.SITE:
        return Site.objects.filter(pk=effect.site_id or 0)
    return RecipientDomain.objects.filter(pk=effect.domain_id or 0)


_KINDS = {
    RuleScope.CAMPAIGN: HoldRule.Kind.TAG,
    RuleScope.SENDER: HoldRule.Kind.SENDER,
    RuleScope.LOGIN: HoldRule.Kind.LOGIN,
}


def _hold(rule: Rule, effect: Effect) -> None:
    kind, value = _KINDS[RuleScope(effect.scope)], effect.value.lower()
    HoldRule.objects.filter(kind=kind, value=value, until__lte=effect.since).delete()
    made, is_new = HoldRule.objects.get_or_create(
        kind=kind,
        value=value,
        defaults={
            "reason": rule.name[:200],
            "since": effect.since,
            "until": effect.until,
            "made_by": _MADE_BY,
        },
    )
    effect.hold_rule = made if is_new else None
    newest = Delivery.objects.aggregate(most=Max("pk"))["most"]
    effect.below = (newest or 0) + 1
    effect.owner_to = owners.of(effect.scope, effect.value)


_APPLY = {
    RuleAction.SLOW: _slow,
    RuleAction.SUSPEND: _suspend,
    RuleAction.OTHER_SOURCE: lambda rule, effect: None,
    RuleAction.HOLD_CAMPAIGN: _hold,
    RuleAction.STOP_SENDER: _hold,
}


# What ends


def expire() -> int:
    """End what is over by its time, and what it left behind; returns how many."""
    now, n = timezone.now(), 0
    for effect in Effect.objects.filter(ended_at__isnull=True, until__lte=now).order_by("pk")[:500]:
        with transaction.atomic():
            assert effect.until is not None
            n += end(effect, effect.until)
    return n


def end(effect: Effect, at: datetime, by: str = "") -> bool:
    """In the caller's transaction. `by`: a person lifts it. False: it was over already."""
    lifted = {"lifted_at": at, "lifted_by": by[:150]} if by else {}
    if not Effect.objects.filter(pk=effect.pk, ended_at__isnull=True).update(
        ended_at=at, below=None, **lifted
    ):
        return False
    if effect.scope == RuleScope.PAIR:
        pair = Suspension.objects.filter(
            source_id=effect.source_id, site_id=effect.site_id or 0, until__gt=at
        )
        pair.update(until=at, **lifted)
    elif effect.action == RuleAction.SLOW:
        _row(effect).filter(slow_rate=effect.rate, slow_until=effect.until).update(
            slow_rate="", slow_until=None, next_at=None
        )
    elif effect.action == RuleAction.SUSPEND and effect.scope == RuleScope.SITE:
        _row(effect).filter(backoff_until=effect.until, n_failures=0).update(
            backoff_class="", backoff_reply="", backoff_since=None, backoff_until=None
        )
    elif effect.action == RuleAction.SUSPEND:
        _row(effect).filter(suspended_at=effect.since, suspended_until=effect.until).update(
            suspended_at=None, suspended_until=None, suspended_reason=""
        )
    elif effect.action in HOLDS and effect.hold_rule_id:
        HoldRule.objects.filter(pk=effect.hold_rule_id).delete()
    revision.bump(revision.LIMITS if effect.action == RuleAction.SLOW else revision.SUSPENSIONS)
    events.publish("sites")
    return True

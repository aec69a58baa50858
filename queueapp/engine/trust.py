"""What the TLS of a session must be for this mail: by the policy of the recipient's domain (MTA-STS).

Domains that share MX hosts are one site, and only some of them may have a policy. So it goes with the
group of deliveries, not with the site: `plan_of` gives the plan that a group may use, and with it the
sessions, since those are kept by endpoints and options.

Promises: under `enforce` a mail goes only to a host that the policy names, over TLS with a certificate
for that host; else it is deferred with class `tls`. Under `testing` it goes all the same. Either way
the violation is logged and noted in the policy's row. A policy that is not met is no failure of the
site: its other domains go on.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from functools import lru_cache
from typing import TYPE_CHECKING

from django.utils import timezone

from queueapp.engine.routing import Plan
from queueapp.mail.mta_sts import Policy
from queueapp.mail.reply import clean
from queueapp.transports.base import Outcome, SessionFailed, deferred

if TYPE_CHECKING:
    from queueapp.engine.claim import Claimed
    from queueapp.engine.runner import QueueRunner
    from queueapp.engine.sites import Group, SiteWork

# What waits behind a group that met no host to trust is tried again after this.
_ASIDE = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Trust:
    """What a group asks of a session. The default asks nothing beyond the route's options."""

    policy: Policy | None = None


NONE = Trust()


def trust_of(plan: Plan, row: Claimed) -> Trust:
    """For deliveries to the domain that this plan was made for."""
    return Trust(plan.policy) if plan.policy else NONE


def plan_of(plan: Plan, trust: Trust) -> Plan:
    """The plan with what the group asks for: `plan` itself where that is nothing. Raises SessionFailed."""
    return plan if trust is NONE or trust == NONE else _strict(plan, trust)


@lru_cache(maxsize=4096)
def _strict(plan: Plan, trust: Trust) -> Plan:
    policy = trust.policy
    assert policy is not None
    allowed = tuple(each for each in plan.endpoints if policy.allows(each.host))
    if not allowed:
        hosts, named = (", ".join(some[:5]) for some in ([e.host for e in plan.endpoints], policy.mx))
        raise SessionFailed(deferred("tls", f"none of the MX hosts ({hosts}) is named there ({named})", ""))
    return replace(plan, endpoints=allowed, options=replace(plan.options, tls="required", verify=True))


async def was_distrust(runner: QueueRunner, site: SiteWork, group: Group, outcome: Outcome) -> bool:
    """Whether no session came about by what the group asks for; then it is dealt with here.

    False: the site itself could not be reached, as any mail would have found.
    """
    policy = group.trust.policy
    if policy is None:
        return False
    is_testing, is_tls = policy.mode == "testing", outcome.reply_class == "tls"
    if is_tls and runner.router.policies:
        await runner.router.policies.violated(policy, f"{outcome.host} {outcome.text}".strip())
    if is_testing:
        _relax(site, group)
        return True
    if not is_tls and not _has_fewer_hosts(site.plan, group.trust):
        return False
    text = f"MTA-STS policy of {policy.domain} ({policy.mode}): {outcome.text}"
    _set_aside(
        runner, site, group, replace(outcome, result="deferred", text=clean(text, 1000), rule="mta-sts")
    )
    return True


def _relax(site: SiteWork, group: Group) -> None:
    """It and those behind it go as if there were no policy; the next claim tries anew."""
    for each in (*reversed(site.take_like(group)), group):
        each.trust = replace(each.trust, policy=None)
        site.add(each, first=True)


def _has_fewer_hosts(plan: Plan, trust: Trust) -> bool:
    try:
        return len(plan_of(plan, trust).endpoints) < len(plan.endpoints)
    except SessionFailed:
        return True


def _set_aside(runner: QueueRunner, site: SiteWork, group: Group, outcome: Outcome) -> None:
    from queueapp.engine.outcome import Result

    now = timezone.now()
    runner.hands.settle([Result(row, outcome, now) for row in group.rows])
    rest = [row for each in site.take_like(group) for row in each.rows]
    if rest:
        runner.set_aside(rest, outcome, now + _ASIDE)

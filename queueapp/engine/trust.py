"""What the TLS of a session must be for this mail: by the policy of the recipient's domain (MTA-STS, RFC
8461), and by what its sender demands (REQUIRETLS and TLS-Required, RFC 8689).

Domains that share MX hosts are one site, and only some of them may have a policy. So it goes with the
group of deliveries, not with the site: `plan_of` gives the plan that a group may use, and with it the
sessions, since those are kept by endpoints and options.

Promises: under `enforce` a mail goes only to a host that the policy names, over TLS with a certificate
for that host; else it is deferred with class `tls`. Under `testing` it goes all the same. Either way
the violation is logged and noted in the policy's row. With REQUIRETLS it goes only to a host that
nobody can have put into DNS (MTA-STS or DNSSEC), over verified TLS, where REQUIRETLS is offered; else
it bounces. With TLS-Required: No a policy is passed over. What is not met is no failure of the site:
its other mail goes on.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

from django.utils import timezone

from queueapp import conf
from queueapp.engine.outcome import Result
from queueapp.engine.routing import Plan
from queueapp.mail.mta_sts import Policy
from queueapp.mail.reply import clean
from queueapp.models import TlsDemand
from queueapp.transports.base import Endpoint, Options, Outcome, SessionFailed, bounced, deferred

if TYPE_CHECKING:
    from queueapp.engine.claim import Claimed
    from queueapp.engine.sites import Group, SiteWork
    from queueapp.engine.staffing import Staffing

# What waits behind a group that met no host to trust is tried again after this.
_ASIDE = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Trust:
    """What a group asks of a session. The default asks nothing beyond the route's options.

    `requires_tls`: REQUIRETLS. "if possible" is for reports, which are not thrown away for it (section 5).
    """

    policy: Policy | None = None
    requires_tls: Literal["", "yes", "if possible"] = ""


NONE = Trust()


def trust_of(plan: Plan, row: Claimed) -> Trust:
    """For deliveries to the domain that this plan was made for."""
    if row.tls_demand == TlsDemand.REQUIRED:
        return Trust(plan.policy, "yes" if row.sender else "if possible")
    if plan.policy is None or row.tls_demand == TlsDemand.WAIVED:
        return NONE
    return Trust(plan.policy)


def plan_of(plan: Plan, trust: Trust) -> Plan:
    """The plan with what the group asks for: `plan` itself where that is nothing. Raises SessionFailed."""
    return plan if trust is NONE or trust == NONE else _strict(plan, trust)


@lru_cache(maxsize=4096)
def _strict(plan: Plan, trust: Trust) -> Plan:
    options = replace(
        plan.options,
        tls="implicit" if plan.options.tls == "implicit" else "required",
        verify=True,
        needs_requiretls=bool(trust.requires_tls),
    )
    return replace(plan, endpoints=_allowed(plan, trust), options=_with_roots(plan, options))


def _allowed(plan: Plan, trust: Trust) -> tuple[Endpoint, ...]:
    """The hosts to try, never none."""
    policy = trust.policy
    if policy is None:
        if trust.requires_tls and not plan.is_mx_secure:
            text = "neither MTA-STS nor DNSSEC says that these MX hosts are the right ones"
            raise SessionFailed(bounced("tls", text, "", enhanced="5.7.30"))
        return plan.endpoints
    allowed = tuple(each for each in plan.endpoints if policy.allows(each.host))
    if not allowed:
        hosts, named = ", ".join(each.host for each in plan.endpoints[:5]), ", ".join(policy.mx[:5])
        raise SessionFailed(deferred("tls", f"none of the MX hosts ({hosts}) is named there ({named})", ""))
    return allowed


def _with_roots(plan: Plan, options: Options) -> Options:
    """The sandbox has a certificate of its own making, which we trust there and nowhere else."""
    if plan.site_key.startswith("sandbox:"):
        return replace(options, cafile=str(conf.current().sandbox_certificate))
    return options


async def was_distrust(runner: Staffing, site: SiteWork, group: Group, outcome: Outcome) -> bool:
    """Whether no session came about by what the group asks for; then it is dealt with here.

    False: the site itself could not be reached, as any mail would have found.
    """
    policy, is_tls = group.trust.policy, outcome.reply_class == "tls"
    if group.trust == NONE:
        return False
    if policy and is_tls and outcome.enhanced != "5.7.30" and runner.router.policies:
        await runner.router.policies.violated(policy, f"{outcome.host} {outcome.text}".strip())
    if group.trust.requires_tls == "if possible":
        _relax(site, group, replace(group.trust, requires_tls=""))
    elif group.trust.requires_tls and is_tls:
        _refuse(runner, group, outcome)
    elif policy and policy.mode == "testing" and not group.trust.requires_tls:
        _relax(site, group, replace(group.trust, policy=None))
    elif policy and (is_tls or _has_fewer_hosts(site.plan, group.trust)):
        text = clean(f"MTA-STS policy of {policy.domain} ({policy.mode}): {outcome.text}", 1000)
        _set_aside(runner, site, group, replace(outcome, result="deferred", text=text, rule="mta-sts"))
    else:
        return False
    return True


def _relax(site: SiteWork, group: Group, trust: Trust) -> None:
    """It and those behind it ask for less; the next claim asks for all again."""
    for each in (*reversed(site.take_like(group)), group):
        each.trust = trust
        site.add(each, first=True)


def _has_fewer_hosts(plan: Plan, trust: Trust) -> bool:
    try:
        return len(plan_of(plan, trust).endpoints) < len(plan.endpoints)
    except SessionFailed:
        return True


def _refuse(runner: Staffing, group: Group, outcome: Outcome) -> None:
    """RFC 8689 section 4.2.1: back to the sender, with the code that says which part is missing. Only
    where the server itself said "not now" it is tried again."""
    is_passing = outcome.code is not None and outcome.code < 500
    enhanced = outcome.enhanced if is_passing or outcome.enhanced == "5.7.30" else "5.7.10"
    outcome = replace(
        outcome,
        result="deferred" if is_passing else "bounced",
        enhanced=enhanced,
        text=clean(f"TLS is demanded all the way (REQUIRETLS): {outcome.text}", 1000),
        rule="requiretls",
    )
    now = timezone.now()
    runner.hands.settle([Result(row, outcome, now) for row in group.rows])


def _set_aside(runner: Staffing, site: SiteWork, group: Group, outcome: Outcome) -> None:
    now = timezone.now()
    runner.hands.settle([Result(row, outcome, now) for row in group.rows])
    rest = [row for each in site.take_like(group) for row in each.rows]
    if rest:
        runner.set_aside(rest, outcome, now + _ASIDE)

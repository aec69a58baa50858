"""How slow: the rate that an effect slows a site or domain down to."""

from __future__ import annotations

from queueapp import conf
from queueapp.conf import Rate, rate_or_none
from queueapp.engine.rules.ruleset import Rule
from queueapp.models import DomainFigures, Effect, RecipientDomain, RuleScope, Site, SiteFigures

_LEAST = "10/m"


def rate_for(rule: Rule, effect: Effect, row: Site | RecipientDomain) -> str:
    """The rule's rate; with a share so many percent of what goes now, and at least that rate. Never faster
    than the rate that is set."""
    least = _parsed(rule.rate) or _parsed(_LEAST)
    assert least is not None
    chosen = least
    if rule.share:
        going = _going(effect) * rule.share / 100
        if going > per_minute(least):
            chosen = Rate(max(1, int(going)), 60)
    default = conf.current().site_rate if isinstance(row, Site) else conf.current().domain_rate
    own = _parsed(row.rate) if row.rate else default
    return str(own if own is not None and per_minute(own) < per_minute(chosen) else chosen)


def per_minute(rate: Rate) -> float:
    return rate.n * 60 / rate.per


def _going(effect: Effect) -> float:
    """Deliveries a minute, as the board's figures have them; 0: not known."""
    model = SiteFigures if effect.scope == RuleScope.SITE else DomainFigures
    pk = effect.site_id if effect.scope == RuleScope.SITE else effect.domain_id
    found = model._default_manager.filter(pk=pk).values_list("per_minute", flat=True).first()
    return float(found or 0)


def _parsed(text: str) -> Rate | None:
    return rate_or_none(text) if text else None

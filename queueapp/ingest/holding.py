"""Hold what the rules name, when it comes in (access/holds.py makes the rules)."""

from __future__ import annotations

from collections.abc import Iterable

from django.utils import timezone

from queueapp.engine.enqueue import NewMessage
from queueapp.models import HoldRule

Kind = HoldRule.Kind


def apply(fresh: Iterable[NewMessage]) -> None:
    """Set `hold_reason` where a rule matches; the first rule that was made decides."""
    rules = _in_force()
    if not rules:
        return
    for each in fresh:
        message = each.message
        for new in each.deliveries:
            rule = _match(rules, message.sender, message.sender_domain, new.domain, message.tags)
            if rule and not new.refusal:
                new.hold_reason = f"{rule.reason} (rule {rule.pk}: {rule.kind} {rule.value})"[:255]


def rule_for(sender: str, sender_domain: str, domain: str, tags: Iterable[str]) -> HoldRule | None:
    """The rule that would hold such a mail now."""
    return _match(_in_force(), sender, sender_domain, domain, tags)


def _in_force() -> list[HoldRule]:
    return list(HoldRule.objects.in_force(timezone.now()).order_by("pk"))


def _match(
    rules: list[HoldRule], sender: str, sender_domain: str, domain: str, tags: Iterable[str]
) -> HoldRule | None:
    facts = {
        Kind.SENDER: {sender.lower()},
        Kind.SENDER_DOMAIN: {sender_domain.lower()},
        Kind.RECIPIENT_DOMAIN: {domain.lower()},
        Kind.TAG: {str(tag).lower() for tag in tags},
    }
    return next((rule for rule in rules if rule.value in facts[Kind(rule.kind)]), None)

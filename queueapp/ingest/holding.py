"""Hold what the rules name, when it comes in (access/holds.py makes the rules)."""

from __future__ import annotations

from collections.abc import Iterable

from django.utils import timezone

from queueapp.engine.enqueue import NewMessage
from queueapp.models import HoldRule

Kind = HoldRule.Kind


def apply(fresh: Iterable[NewMessage]) -> None:
    """Set `hold_reason` where a rule matches; the first rule that was made decides."""
    rules = list(HoldRule.objects.in_force(timezone.now()).order_by("pk"))
    if not rules:
        return
    for each in fresh:
        message = each.message
        facts = {
            Kind.SENDER: {message.sender.lower()},
            Kind.SENDER_DOMAIN: {message.sender_domain.lower()},
            Kind.TAG: {str(tag).lower() for tag in message.tags},
        }
        for new in each.deliveries:
            facts[Kind.RECIPIENT_DOMAIN] = {new.domain.lower()}
            rule = next((rule for rule in rules if rule.value in facts[Kind(rule.kind)]), None)
            if rule and not new.refusal:
                new.hold_reason = f"{rule.reason} (rule {rule.pk}: {rule.kind} {rule.value})"[:255]

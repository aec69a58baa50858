"""A further delivery of a message that is there: to the same address once more, or to a corrected one.

Promises: the message stays as it was submitted; the new row, the old row's end, counters and rollups
change in the caller's transaction; runners are kicked on commit. The row comes before the domains, as
everywhere (engine/actions.py says why). Never: takes a delivery out of a runner's hands.
"""

from __future__ import annotations

from datetime import datetime

from queueapp import conf, events, stats
from queueapp.engine.actions import FROM
from queueapp.engine.counters import Changes
from queueapp.kick import kick
from queueapp.models import Delivery, State
from queueapp.stats import Tally

READDRESSED = "readdressed"
OPEN_TO_PEOPLE = FROM["delete"]


def close(old: Delivery, why: str, now: datetime, changes: Changes) -> bool:
    """End it without a report; False where it is no longer as `old` has it."""
    is_closed = Delivery.objects.filter(pk=old.pk, state=old.state, runner_id__isnull=True).update(
        state=State.BOUNCED, next_attempt_at=None, finished_at=now, last_class=READDRESSED, last_code=None,
        last_enhanced="", last_text=why[:1000], hold_reason="",
    )  # fmt: skip
    if is_closed:
        changes.move(old.domain_id, old.state, State.BOUNCED)
    return bool(is_closed)


def add(old: Delivery, recipient: str, domain_id: int, now: datetime, changes: Changes) -> Delivery:
    """Due now, with the time that a new mail has, by the way that was chosen for the old one. What was held
    is held again, for its reason."""
    is_held = old.state == State.HELD
    made = Delivery.objects.create(
        message_id=old.message_id, recipient=recipient, domain_id=domain_id, priority=old.priority,
        state=State.HELD if is_held else State.QUEUED, hold_reason=old.hold_reason if is_held else "",
        accepted_at=now, next_attempt_at=now, expires_at=now + conf.current().max_age, route_id=old.route_id,
    )  # fmt: skip
    changes.add(domain_id, made.state)
    if not is_held:
        changes.waits_until(domain_id, now)
    return made


def settle(changes: Changes, made: Delivery, now: datetime) -> None:
    """The domains, at the end of the transaction."""
    changes.apply()
    tally = Tally()
    tally[made.domain_id, "accepted"] += 1
    stats.record(tally, now)
    events.publish("deliveries", accepted=1)
    if made.state == State.QUEUED:
        kick()

"""The attempts of a few deliveries, newest first, with what was said at them."""

from __future__ import annotations

from typing import Any

from django.db.models import Prefetch
from django.db.models import prefetch_related_objects as prefetch

from dashboard.snapshot.replies import example_of, url_of
from queueapp.engine.actions import FROM
from queueapp.mail.classify import CLASSES
from queueapp.models import FINAL, Attempt, AttemptTranscript, Delivery, Runner, State

MOST_ATTEMPTS = 20
# So many transcripts of each delivery are in the page; a link leads to those of older attempts.
MOST_TRANSCRIPTS = 5
_WHO = {"C:": "client", "S:": "server", "**": "note"}
_VERBS = ("retry", "hold", "release", "bounce", "delete")
Line = tuple[str, str, str, str]


def timelines(deliveries: list[Delivery]) -> list[dict[str, Any]]:
    latest = Attempt.objects.order_by("-id")[:MOST_ATTEMPTS]
    prefetch(deliveries, Prefetch("attempts", latest, to_attr="latest"))
    attempts = [attempt for each in deliveries for attempt in _latest(each)]
    runners = Runner.objects.in_bulk([each.runner_id for each in attempts if each.runner_id])
    near = [attempt.pk for each in deliveries for attempt in _latest(each)[:MOST_TRANSCRIPTS]]
    texts = dict(AttemptTranscript.objects.filter(pk__in=near).values_list("attempt_id", "text"))
    far = set(
        AttemptTranscript.objects.filter(pk__in={each.pk for each in attempts} - set(near)).values_list(
            "attempt_id", flat=True
        )
    )
    return [_delivery(each, runners, texts, far) for each in deliveries]


def _latest(delivery: Delivery) -> list[Attempt]:
    return delivery.latest  # type: ignore[attr-defined]


def _delivery(
    delivery: Delivery, runners: dict[int, Runner], texts: dict[int, str], far: set[int]
) -> dict[str, Any]:
    attempts = _latest(delivery)
    return {
        "delivery": delivery,
        "info": CLASSES.get(delivery.last_class),
        "attempts": [_attempt(each, runners, texts, far) for each in attempts],
        "n_earlier": max(0, delivery.n_attempts - len(attempts)),
        "may": {verb: delivery.state in FROM[verb] for verb in _VERBS},
        "may_correct": delivery.state in (*FROM["delete"], State.BOUNCED, State.EXPIRED),
        "may_again": delivery.state in FINAL and delivery.state != State.DELETED,
    }


def _attempt(
    attempt: Attempt, runners: dict[int, Runner], texts: dict[int, str], far: set[int]
) -> dict[str, Any]:
    reply = (str(attempt.code or ""), attempt.enhanced, attempt.text)
    return {
        "row": attempt,
        "info": CLASSES.get(attempt.reply_class),
        "reply": " ".join(part for part in reply if part),
        "rule_url": url_of(attempt.rule),
        "example": example_of(attempt.rule) if attempt.result != "delivered" else "",
        "runner": runners.get(attempt.runner_id or 0),
        "transcript": list(map(line_of, texts.get(attempt.pk, "").split("\n")))
        if attempt.pk in texts
        else [],
        "is_far": attempt.pk in far,
    }


def line_of(line: str) -> Line:
    """(seconds, who in a word, the mark, what was said), as transports/smtp/transcript.py writes it."""
    mark = line[10:12]
    return line[:9].strip(), _WHO.get(mark, "note"), mark, line[13:]

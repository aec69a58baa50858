"""A number that grows with each change of something that processes remember, so that they look again."""

from __future__ import annotations

from django.db import models
from django.db.models import F


class Revision(models.Model):
    name = models.CharField(max_length=32, primary_key=True)
    number = models.BigIntegerField(default=0)

    def __str__(self) -> str:
        return f"{self.name} {self.number}"


LIMITS = "limits"
# Suspensions come by themselves and often: who remembers plans need not forget them for that.
SUSPENSIONS = "suspensions"
# Own lines of the classifier.
REPLY_RULES = "reply_rules"


def bump(name: str = LIMITS) -> None:
    """Called in the transaction that changes something."""
    if not Revision.objects.filter(pk=name).update(number=F("number") + 1):
        _, is_new = Revision.objects.get_or_create(pk=name, defaults={"number": 1})
        if not is_new:
            Revision.objects.filter(pk=name).update(number=F("number") + 1)


def number(name: str = LIMITS) -> int:
    return numbers().get(name, 0)


def numbers() -> dict[str, int]:
    """All of them."""
    return dict(Revision.objects.values_list("name", "number"))

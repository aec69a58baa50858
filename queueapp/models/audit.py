"""Who changed what, when, from where; and who was refused what. Rows are only ever added: the database itself
refuses to change or remove one (models/append_only.py), unless it is older than the AuditCut says.
"""

from __future__ import annotations

from typing import Any, Self

from django.db import models


class AuditQuerySet(models.QuerySet["AuditEvent"]):
    def of(self, who: str) -> Self:
        """By the whole name; `ann` finds the person, the command and the key of that name."""
        return self.filter(actor__in=(who, f"user:{who}", f"command:{who}"))

    def doing(self, action: str) -> Self:
        """One action such as `hold.create`, or with `hold` all of that kind."""
        if "." in action:
            return self.filter(action=action)
        return self.filter(action__startswith=f"{action}.")

    def about(self, text: str) -> Self:
        return self.filter(target__icontains=text)


class AuditEvent(models.Model):
    at = models.DateTimeField(auto_now_add=True)
    actor = models.CharField(max_length=150, help_text="User, API key, or `command`.")
    origin = models.CharField(max_length=64, blank=True, help_text="IP address, or empty for a command.")
    action = models.CharField(max_length=64)
    target = models.CharField(max_length=255, blank=True)
    n = models.PositiveIntegerField(default=0, help_text="How many rows it touched.")
    detail = models.JSONField(default=dict, blank=True)
    is_refused = models.BooleanField(default=False)

    objects = AuditQuerySet.as_manager()

    class Meta:
        indexes = [
            models.Index(fields=["-at"], name="audit_at"),
            models.Index(fields=["actor", "-id"], name="audit_actor"),
            models.Index(fields=["action", "-id"], name="audit_action"),
            models.Index(fields=["-id"], condition=models.Q(is_refused=True), name="audit_refused"),
        ]

    def __str__(self) -> str:
        return f"{self.at:%F %T} {self.actor}: {self.action}"

    @property
    def result(self) -> str:
        return "refused" if self.is_refused else "done"

    @property
    def query(self) -> str:
        """The search that chose the rows, where one did."""
        return str(self.detail.get("q") or self.detail.get("query") or "")

    @property
    def reason(self) -> str:
        """What the person gave as the reason, or why it was refused."""
        needs = self.detail.get("needs")
        return str(self.detail.get("reason") or self.detail.get("why") or (f"needs {needs}" if needs else ""))

    @property
    def more(self) -> dict[str, Any]:
        """The rest of the detail."""
        told = ("q", "query", "reason", "why", "needs")
        return {key: value for key, value in self.detail.items() if key not in told}


class AuditCut(models.Model):
    """One row: what is older than this may be removed. Only `prune` moves it (engine/prune.py)."""

    before = models.DateTimeField()

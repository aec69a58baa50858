"""Who changed what, when, from where. Rows are only ever added."""

from __future__ import annotations

from django.db import models


class AuditEvent(models.Model):
    at = models.DateTimeField(auto_now_add=True)
    actor = models.CharField(max_length=150, help_text="User, API key, or `command`.")
    origin = models.CharField(max_length=64, blank=True, help_text="IP address, or empty for a command.")
    action = models.CharField(max_length=64)
    target = models.CharField(max_length=255, blank=True)
    n = models.PositiveIntegerField(default=0, help_text="How many rows it touched.")
    detail = models.JSONField(default=dict, blank=True)
    is_refused = models.BooleanField(default=False)

    class Meta:
        indexes = [
            models.Index(fields=["-at"], name="audit_at"),
            models.Index(fields=["actor", "-id"], name="audit_actor"),
            models.Index(fields=["action", "-id"], name="audit_action"),
            models.Index(fields=["-id"], condition=models.Q(is_refused=True), name="audit_refused"),
        ]

    def __str__(self) -> str:
        return f"{self.at:%F %T} {self.actor}: {self.action}"

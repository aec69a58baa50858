"""One try of a delivery. Rows are only ever added."""

from __future__ import annotations

from django.db import models

from queueapp.models.delivery import Delivery


class Attempt(models.Model):
    delivery = models.ForeignKey(Delivery, models.CASCADE, related_name="attempts")
    at = models.DateTimeField(help_text="When the outcome was known.")
    result = models.CharField(max_length=9, help_text="delivered, deferred or bounced")
    reply_class = models.CharField(max_length=16)
    code = models.PositiveSmallIntegerField(null=True, blank=True)
    enhanced = models.CharField(max_length=16, blank=True)
    text = models.CharField(max_length=1000, blank=True)
    rule = models.CharField(max_length=64, blank=True, help_text="The line of the classifier that decided.")
    stage = models.CharField(max_length=10, blank=True, help_text="How far the SMTP conversation came.")
    host = models.CharField(max_length=255, blank=True)
    address = models.CharField(max_length=64, blank=True)
    source = models.CharField(max_length=64, blank=True, help_text="Our IP address in that conversation.")
    tls = models.CharField(max_length=64, blank=True, help_text="Version and cipher.")
    runner_id = models.BigIntegerField(null=True, blank=True)
    took_ms = models.PositiveIntegerField(null=True, blank=True)
    is_ambiguous = models.BooleanField(default=False)

    def __str__(self) -> str:
        return f"attempt {self.pk}: {self.result}"

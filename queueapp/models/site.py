"""Recipient domains that share one set of MX hosts: the provider, where limits and back-off belong."""

from __future__ import annotations

from datetime import datetime

from django.db import models


class Site(models.Model):
    key = models.CharField(max_length=64, unique=True, help_text="The route and the digest of the MX hosts.")
    name = models.CharField(max_length=255, help_text="What people call it: the hosts' common domain.")
    route = models.CharField(max_length=16, help_text="sandbox, mx or relay")
    hosts = models.JSONField(default=list, help_text="[[preference, host], …] in the order of use.")
    # Limits hold for all runners of all machines together (engine/allowance.py).
    max_sessions = models.PositiveIntegerField(
        null=True, blank=True, help_text="Empty: MAILWEIR_SITE_SESSIONS."
    )
    max_mails = models.PositiveIntegerField(
        null=True, blank=True, help_text="Mails by one connection. Empty: MAILWEIR_SESSION_MAILS."
    )
    rate = models.CharField(
        max_length=16, blank=True, help_text="Such as 600/m; `none`: no limit. Empty: MAILWEIR_SITE_RATE."
    )
    next_at = models.DateTimeField(
        null=True, blank=True, help_text="Its rate allows no mail before; nothing is claimed until then."
    )

    # Slowed down by a rule (models/backoff_rule.py): while it holds, instead of `rate`.
    slow_rate = models.CharField(max_length=16, blank=True, default="", db_default="")
    slow_until = models.DateTimeField(null=True, blank=True)
    # What was lifted lets go slice by slice (engine/rules/resuming.py).
    resume_since = models.DateTimeField(null=True, blank=True)
    resume_before = models.DateTimeField(
        null=True, blank=True, help_text="What was tried last between these is let go; empty: all is."
    )
    resume_step = models.PositiveIntegerField(default=0, db_default=0)

    # Back-off: a visible row with its cause (DESIGN.md, "Limits and back-off").
    backoff_class = models.CharField(max_length=16, blank=True)
    backoff_reply = models.CharField(max_length=1000, blank=True)
    backoff_since = models.DateTimeField(null=True, blank=True)
    backoff_until = models.DateTimeField(null=True, blank=True)
    n_failures = models.PositiveIntegerField(
        default=0, help_text="Failures in a row that called for a back-off."
    )

    # By a person: nothing is claimed for its domains, nor for those that turn out to be its own.
    suspended_at = models.DateTimeField(null=True, blank=True)
    suspended_until = models.DateTimeField(null=True, blank=True)
    suspended_reason = models.CharField(max_length=255, blank=True)

    def __str__(self) -> str:
        return self.name

    def is_suspended(self, now: datetime) -> bool:
        return self.suspended_at is not None and (self.suspended_until is None or self.suspended_until > now)

"""A DKIM key of a sender domain: pending until its record is published, active, then retired.

The private half is sealed, is shown nowhere, and is erased when the key retires.
"""

from __future__ import annotations

from typing import Self

from django.db import models
from django.db.models import Q

from queueapp.mail.dkim import SigningKey, load_key, record_strings
from queueapp.models.sealed import unseal


class KeyState(models.TextChoices):
    PENDING = "pending"
    ACTIVE = "active"
    RETIRED = "retired"


class DkimAlgorithm(models.TextChoices):
    RSA = "rsa"
    ED25519 = "ed25519"


class DkimKeyQuerySet(models.QuerySet["DkimKey"]):
    def active(self) -> Self:
        return self.filter(state=KeyState.ACTIVE)

    def pending(self) -> Self:
        return self.filter(state=KeyState.PENDING)


class DkimKey(models.Model):
    domain = models.CharField(max_length=255, help_text="Lower case, A-labels.")
    selector = models.CharField(max_length=63)
    algorithm = models.CharField(max_length=8, choices=DkimAlgorithm.choices)
    state = models.CharField(max_length=8, choices=KeyState.choices, default=KeyState.PENDING)
    public = models.TextField(help_text="The p= of its record.")
    sealed = models.TextField(help_text="The private key, sealed; empty when retired.")
    created_at = models.DateTimeField(auto_now_add=True)
    activated_at = models.DateTimeField(null=True, blank=True)
    retired_at = models.DateTimeField(null=True, blank=True)

    objects = DkimKeyQuerySet.as_manager()

    class Meta:
        constraints = [
            # A selector is used once for ever: receivers remember its record.
            models.UniqueConstraint(fields=["domain", "selector"], name="dkim_selector_once"),
            # Also the look-up when mail leaves.
            models.UniqueConstraint(
                fields=["domain", "algorithm"], name="dkim_active_once", condition=Q(state="active")
            ),
            models.CheckConstraint(condition=Q(state__in=KeyState.values), name="dkim_state_known"),
        ]

    def __str__(self) -> str:
        return f"{self.selector} of {self.domain}"

    @property
    def record_name(self) -> str:
        return f"{self.selector}._domainkey.{self.domain}"

    @property
    def record(self) -> list[str]:
        """The strings of the TXT record to publish."""
        return record_strings(self.algorithm, self.public)

    def opened(self) -> SigningKey:
        """Ready to sign. Raises SealBroken or KeyUnusable, neither of which holds the key."""
        return load_key(self.domain, self.selector, self.algorithm, unseal(self.sealed))

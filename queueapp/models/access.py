"""What can be allowed, and who may hand us mail: API keys and SMTP logins.

Secrets are random and long, and kept as digests only.
A digest by SHA-256 is enough for 160 random bits, and cheap enough for every request;
a slow hash protects only what people choose themselves.
"""

from __future__ import annotations

import hashlib
import secrets
from typing import Self

from django.db import models
from django.utils import timezone

# What can be allowed, to a key as to a person. Each is also a permission of Django's, `queueapp.NAME`, so
# that one alone can be given beside a role. The texts are for people: "may …".
MEANINGS = {
    "submit": "send mail",
    "read": "see the queue: deliveries, domains, sites, figures",
    "bodies": "read what mails say: text, attachments, source",
    "operate": "act on the queue: retry, hold, release, suspend, lift",
    "campaigns": "make and run campaigns",
    "export": "take lists away as files",
    "admin": "do everything, people and settings included",
}
SCOPES = tuple(MEANINGS)
_OF_READ = frozenset(("read", "bodies", "export"))
_OF_OPERATE = _OF_READ | {"operate"}


def digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def new_secret(prefix: str) -> str:
    return f"{prefix}_{secrets.token_urlsafe(24)}"


class AccessQuerySet(models.QuerySet["ApiKey"]):
    def live(self) -> Self:
        not_over = models.Q(expires_at__isnull=True) | models.Q(expires_at__gt=timezone.now())
        return self.filter(not_over, revoked_at__isnull=True)


class ApiKey(models.Model):
    name = models.CharField(max_length=150, unique=True)
    digest = models.CharField(max_length=64, unique=True)
    scopes = models.JSONField(default=list)
    created_at = models.DateTimeField(auto_now_add=True)
    last_used_at = models.DateTimeField(null=True, blank=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    made_by = models.CharField(max_length=150, blank=True)
    owner = models.CharField(
        max_length=320, blank=True, default="", db_default="", help_text="Whom to tell when it is stopped."
    )
    allowance = models.PositiveIntegerField(
        null=True, blank=True, help_text="Mails an hour that are no flood. Empty: as is usual for it."
    )

    objects = AccessQuerySet.as_manager()

    class Meta:
        permissions = [(scope, scope.capitalize()) for scope in SCOPES]

    def __str__(self) -> str:
        return self.name

    def may(self, scope: str) -> bool:
        return scope in self.allowed

    @property
    def allowed(self) -> frozenset[str]:
        """What its scopes come to: `admin` may all, `operate` may read, and a key that reads reads all."""
        granted = set(self.scopes)
        if "admin" in granted:
            return frozenset(SCOPES)
        more = _OF_OPERATE if "operate" in granted else _OF_READ if "read" in granted else frozenset()
        return frozenset(granted | more)


class SmtpLogin(models.Model):
    name = models.CharField(max_length=150, unique=True)
    digest = models.CharField(max_length=64)
    created_at = models.DateTimeField(auto_now_add=True)
    last_used_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    made_by = models.CharField(max_length=150, blank=True)
    owner = models.CharField(
        max_length=320, blank=True, default="", db_default="", help_text="Whom to tell when it is stopped."
    )
    allowance = models.PositiveIntegerField(
        null=True, blank=True, help_text="Mails an hour that are no flood. Empty: as is usual for it."
    )

    def __str__(self) -> str:
        return self.name


class IdempotencyKey(models.Model):
    """The answer that was given to a key, so that the same key gives it again for 24 hours."""

    owner = models.CharField(max_length=150)
    key = models.CharField(max_length=255)
    message = models.ForeignKey("Message", models.CASCADE)
    created_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["owner", "key"], name="idempotency_once")]

    def __str__(self) -> str:
        return f"{self.owner}: {self.key}"

"""Who may hand us mail: API keys and SMTP logins. Secrets are random and long, kept as digests only.

A digest by SHA-256 is enough for 160 random bits, and cheap enough for every request;
a slow hash protects only what people choose themselves.
"""

from __future__ import annotations

import hashlib
import secrets
from typing import Self

from django.db import models

SCOPES = ("submit", "read", "operate", "admin")


def digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def new_secret(prefix: str) -> str:
    return f"{prefix}_{secrets.token_urlsafe(24)}"


class AccessQuerySet(models.QuerySet["ApiKey"]):
    def live(self) -> Self:
        return self.filter(revoked_at__isnull=True)


class ApiKey(models.Model):
    name = models.CharField(max_length=150, unique=True)
    digest = models.CharField(max_length=64, unique=True)
    scopes = models.JSONField(default=list)
    created_at = models.DateTimeField(auto_now_add=True)
    last_used_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    objects = AccessQuerySet.as_manager()

    def __str__(self) -> str:
        return self.name

    def may(self, scope: str) -> bool:
        """`admin` may all; `operate` may read as well."""
        granted = set(self.scopes)
        return scope in granted or "admin" in granted or (scope == "read" and "operate" in granted)


class SmtpLogin(models.Model):
    name = models.CharField(max_length=150, unique=True)
    digest = models.CharField(max_length=64)
    created_at = models.DateTimeField(auto_now_add=True)
    last_used_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

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

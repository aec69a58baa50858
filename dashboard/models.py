"""What the dashboard itself keeps: who is logged in from where."""

from __future__ import annotations

from datetime import datetime
from typing import Self

from django.contrib.auth.models import User
from django.contrib.sessions.base_session import AbstractBaseSession
from django.db import models
from django.utils import timezone

from queueapp import conf


class SessionQuerySet(models.QuerySet["Session"]):
    def live(self, now: datetime | None = None) -> Self:
        """Those that still count: neither too old nor idle for too long."""
        now, settings = now or timezone.now(), conf.current()
        return self.filter(
            expire_date__gt=now,
            created_at__gt=now - settings.session_age,
            last_seen_at__gt=now - settings.session_idle,
        )

    def over(self, now: datetime | None = None) -> Self:
        """The others."""
        now, settings = now or timezone.now(), conf.current()
        return self.filter(
            models.Q(expire_date__lte=now)
            | models.Q(created_at__lte=now - settings.session_age)
            | models.Q(last_seen_at__lte=now - settings.session_idle)
        )

    def of(self, user: User) -> Self:
        return self.filter(user=user)


class Session(AbstractBaseSession):
    """Django's session with what a person wants to know of it; its store is dashboard/auth/sessions.py."""

    user = models.ForeignKey(User, models.CASCADE, null=True, related_name="+")
    created_at = models.DateTimeField()
    last_seen_at = models.DateTimeField(db_index=True)
    origin = models.CharField(max_length=64, blank=True)
    agent = models.CharField(max_length=255, blank=True)

    objects = SessionQuerySet.as_manager()  # type: ignore[assignment,misc]

    class Meta(AbstractBaseSession.Meta):
        verbose_name = "session"
        verbose_name_plural = "sessions"

"""Whom to tell when a sender is stopped: the owner of its login or key, else who made it."""

from __future__ import annotations

from django.contrib.auth import get_user_model

from queueapp.models import ApiKey, RuleScope, SmtpLogin

_PERSON = "user:"


def of(scope: str, value: str) -> str:
    """An address, or "". A sender is told at its own."""
    if scope == RuleScope.SENDER:
        return value[:320]
    if scope != RuleScope.LOGIN:
        return ""
    for model in (SmtpLogin, ApiKey):
        row = model._default_manager.filter(name__iexact=value).values_list("owner", "made_by").first()
        if row is not None:
            return row[0] or _mail_of(row[1])
    return ""


def _mail_of(made_by: str) -> str:
    if not made_by.startswith(_PERSON):
        return ""
    users = get_user_model()._default_manager.filter(username=made_by.removeprefix(_PERSON), is_active=True)
    return str(users.values_list("email", flat=True).first() or "")[:320]

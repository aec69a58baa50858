"""Harmful words in whatever people and receivers can write: each row there is says them.

What has a fixed set of words (states, classes, kinds) keeps its own, and so do keys that addresses and
references are made of. Of JSON the sentences change: what has a space in it.
"""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.contrib.auth.models import User
from django.db import models

from queueapp.models import AuditEvent
from tests.dashboard.rows import HOSTILE

_FIXED = {
    "action", "address", "backoff_class", "cause", "channel", "condition", "created_by", "digest", "enhanced",
    "error_class", "group", "ids", "job", "key", "kind", "last_class", "last_enhanced", "list_name", "mode",
    "name", "order", "outcomes", "owner", "public", "q", "query", "rate", "reply_class", "result", "route",
    "rule", "scope", "sealed", "severity", "slow_rate", "stage", "state", "target", "told", "token", "unit",
    "verdict", "was",
}  # fmt: skip
# The same words where they are free.
_FREE = {
    "name": ("ApiKey", "SmtpLogin", "Route", "EgressSource", "BackoffRule", "AlertRule", "SavedView", "Site",
             "Diagnosis"),
    "cause": ("Alert",), "told": ("OperationSite",),
}  # fmt: skip
_SHORT = '"><img src=x onerror=alert(1)>'


def write() -> int:
    """Gives how many rows say it now."""
    n = sum(_of(model) for model in apps.get_app_config("queueapp").get_models() if model is not AuditEvent)
    AuditEvent.objects.create(
        actor=HOSTILE, origin=_SHORT, action="message.<script>", target=HOSTILE,
        detail={HOSTILE: HOSTILE, "reason": HOSTILE, "q": HOSTILE}, is_refused=True,
    )  # fmt: skip
    for user in User.objects.exclude(username="ada"):
        User.objects.filter(pk=user.pk).update(username=f"{user.pk}{HOSTILE}")
    return n


def _of(model: type[models.Model]) -> int:
    fields = [each for each in model._meta.concrete_fields if _can_be_written(model, each)]
    if not fields:
        return 0
    rows = list(model._base_manager.all())
    for row in rows:
        for field in fields:
            setattr(row, field.attname, _worse(field, getattr(row, field.attname), row.pk))
    model._base_manager.bulk_update(rows, [field.name for field in fields])
    return len(rows)


def _can_be_written(model: type[models.Model], field: models.Field[Any, Any]) -> bool:
    if isinstance(field, models.JSONField):
        return True
    is_text = isinstance(field, (models.CharField, models.TextField)) and not field.primary_key
    is_free = field.name not in _FIXED or model.__name__ in _FREE.get(field.name, ())
    return is_text and is_free and not field.choices


def _worse(field: models.Field[Any, Any], value: Any, pk: Any) -> Any:
    if isinstance(field, models.JSONField):
        return _sentences(value, is_list_of_words=field.name in ("tags", "texts", "recipients"))
    if not value and not field.unique:
        return value if field.name.endswith("_by") else _cut(field, HOSTILE)
    return _cut(field, f"{pk}{HOSTILE}" if field.unique else HOSTILE)


def _cut(field: Any, text: str) -> str:
    most = field.max_length or len(text)
    return text if len(text) <= most else _SHORT[:most]


def _sentences(value: Any, *, is_list_of_words: bool = False) -> Any:
    if isinstance(value, str):
        return HOSTILE if " " in value or is_list_of_words else value
    if isinstance(value, list):
        return [_sentences(each, is_list_of_words=is_list_of_words) for each in value]
    if isinstance(value, dict):
        return {key: _sentences(each) for key, each in value.items()}
    return value

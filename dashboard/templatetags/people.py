"""What a person may, so that pages offer nothing that would be refused; what an audit row's detail says."""

from __future__ import annotations

import json
from typing import Any

from django import template

from dashboard.auth.actors import role_of, scopes_of

register = template.Library()


@register.filter
def may(user: Any, scope: str) -> bool:
    """`{% if user|may:"operate" %}`. Only what is shown: what is done is checked by the action."""
    return hasattr(user, "is_active") and scope in scopes_of(user)


@register.filter
def role_title(user: Any) -> str:
    return role_of(user).title


@register.filter
def told(value: Any) -> str:
    """A list by commas, other shapes as JSON."""
    if isinstance(value, list) and all(isinstance(each, str | int) for each in value):
        return ", ".join(str(each) for each in value)
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False)
    return (
        {None: "–", True: "yes", False: "no"}.get(value, str(value)) if not isinstance(value, str) else value
    )

"""Texts that hold code in `backticks`, as descriptions of the API do."""

from __future__ import annotations

import re

from django import template
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe

register = template.Library()
_CODE = re.compile(r"`([^`\n]{1,200})`")


@register.filter
def coded(text: str) -> SafeString:
    """The text, escaped, with `backticks` as code elements."""
    return mark_safe(_CODE.sub(r"<code>\1</code>", escape(text)))  # noqa: S308  escaped on this line

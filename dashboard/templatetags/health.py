"""The sub-pages of "Health". One that is not built in is left out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django import template
from django.urls import NoReverseMatch, reverse

register = template.Library()


@dataclass(frozen=True, slots=True)
class Tab:
    """`name` is that of the URL; pages whose name begins with one of `starts` belong to it."""

    name: str
    title: str
    icon: str
    starts: tuple[str, ...]


TABS = (
    Tab("diagnosis", "Diagnosis", "activity", ("diagnosis",)),
    Tab("blocklists", "Blocklists", "shield-x", ("blocklist",)),
    Tab("rules", "Back-off", "hourglass-split", ("rule",)),
    Tab("replies", "Replies", "reply", ("replies", "reply-rule", "trial")),
    Tab("alerts", "Alerts", "bell", ("alert", "silence")),
)


@register.simple_tag
def health_tabs(here: str) -> list[dict[str, Any]]:
    """`here`: the name of this page's URL."""
    return [
        {"tab": tab, "url": url, "is_here": here.startswith(tab.starts)}
        for tab in TABS
        if (url := url_of(tab))
    ]


@register.simple_tag
def health_url() -> str:
    """Where "Health" leads: the first sub-page that there is."""
    return next(url for tab in TABS if (url := url_of(tab)))


@register.filter
def is_health(here: str) -> bool:
    return any(here.startswith(tab.starts) for tab in TABS)


def url_of(tab: Tab) -> str:
    try:
        return reverse(tab.name)
    except NoReverseMatch:
        return ""

"""A state is told by icon, word and colour, in this order of importance."""

from __future__ import annotations

from django import template
from django.templatetags.static import static
from django.utils.html import format_html
from django.utils.safestring import SafeString

register = template.Library()

# state: (icon, tone, word); tones are the classes of static/css/app.css
_LOOKS = {
    "queued": ("inbox", "info", "queued"),
    "sending": ("send", "info", "sending"),
    "deferred": ("clock-history", "warning", "deferred"),
    "held": ("pause-circle", "plain", "held"),
    "delivered": ("check-circle", "success", "delivered"),
    "bounced": ("x-circle", "danger", "bounced"),
    "expired": ("slash-circle", "danger", "expired"),
    "deleted": ("trash", "plain", "deleted"),
    "flowing": ("activity", "success", "flowing"),
    "backing_off": ("hourglass-split", "warning", "backing off"),
    "suspended": ("stop-circle", "danger", "suspended"),
    "throttled": ("speedometer2", "warning", "throttled"),
    "dead": ("x-circle", "danger", "dead"),
    "idle": ("dash-circle", "plain", "idle"),
    "waiting": ("clock", "info", "waiting"),
    "running": ("check-circle", "success", "running"),
    "restarting": ("arrow-clockwise", "danger", "restarting"),
    "stopped": ("stop-circle", "danger", "stopped"),
    "done": ("check-circle", "success", "done"),
    "failed": ("x-circle", "danger", "failed"),
    "cancelled": ("slash-circle", "warning", "cancelled"),
    "critical": ("exclamation-circle", "danger", "critical"),
    "pending": ("eye", "plain", "seen"),
    "firing": ("bell", "danger", "firing"),
    "acknowledged": ("check-lg", "info", "acknowledged"),
    "resolved": ("check-circle", "success", "over"),
    "danger": ("exclamation-circle", "danger", "urgent"),
    "warning": ("exclamation-triangle", "warning", "warning"),
    "info": ("info-circle", "info", "note"),
    "ok": ("check-circle", "success", "flowing"),
    "listed": ("shield-x", "danger", "listed"),
    "clean": ("shield-check", "success", "clean"),
    "unknown": ("question-circle", "plain", "unknown"),
    "error": ("exclamation-triangle", "warning", "error"),
    "named": ("reply", "danger", "named in replies"),
    "undone": ("arrow-counterclockwise", "plain", "undone"),
}
_UNKNOWN = ("question-circle", "plain", "")


@register.simple_tag
def icon(name: str) -> SafeString:
    return format_html(
        '<svg class="icon" aria-hidden="true" focusable="false"><use href="{}#{}"></use></svg>',
        static("vendor/icons.svg"),
        name,
    )


@register.simple_tag
def badge(state: str) -> SafeString:
    name, tone, word = _LOOKS.get(state, _UNKNOWN)
    return format_html('<span class="state tone-{}">{}{}</span>', tone, icon(name), word or state)


@register.filter
def icon_of(state: str) -> str:
    return _LOOKS.get(state, _UNKNOWN)[0]


@register.filter
def tone_of(state: str) -> str:
    return _LOOKS.get(state, _UNKNOWN)[1]


@register.filter
def word_of(state: str) -> str:
    return _LOOKS.get(state, _UNKNOWN)[2] or state

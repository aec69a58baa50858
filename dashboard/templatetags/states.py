"""A state is told by icon, word and colour, in this order of importance."""

from __future__ import annotations

from django import template
from django.templatetags.static import static
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

register = template.Library()

# state: (icon, tone, word); tones are the classes of static/css/app.css
_LOOKS = {
    "queued": ("inbox", "info", _("queued")),
    "sending": ("send", "info", _("sending")),
    "deferred": ("clock-history", "warning", _("deferred")),
    "held": ("pause-circle", "plain", _("held")),
    "delivered": ("check-circle", "success", _("delivered")),
    "bounced": ("x-circle", "danger", _("bounced")),
    "expired": ("slash-circle", "danger", _("expired")),
    "deleted": ("trash", "plain", _("deleted")),
    "flowing": ("activity", "success", _("flowing")),
    "backing_off": ("hourglass-split", "warning", _("backing off")),
    "suspended": ("stop-circle", "danger", _("suspended")),
    "throttled": ("speedometer2", "warning", _("throttled")),
    "dead": ("x-circle", "danger", _("dead")),
    "idle": ("dash-circle", "plain", _("idle")),
    "waiting": ("clock", "info", _("waiting")),
    "running": ("check-circle", "success", _("running")),
    "restarting": ("arrow-clockwise", "danger", _("restarting")),
    "stopped": ("stop-circle", "danger", _("stopped")),
    "done": ("check-circle", "success", _("done")),
    "failed": ("x-circle", "danger", _("failed")),
    "cancelled": ("slash-circle", "warning", _("cancelled")),
    "critical": ("exclamation-circle", "danger", _("critical")),
    "pending": ("eye", "plain", _("seen")),
    "firing": ("bell", "danger", _("firing")),
    "acknowledged": ("check-lg", "info", _("acknowledged")),
    "resolved": ("check-circle", "success", _("over")),
    "danger": ("exclamation-circle", "danger", _("urgent")),
    "warning": ("exclamation-triangle", "warning", _("warning")),
    "info": ("info-circle", "info", _("note")),
    "ok": ("check-circle", "success", _("flowing")),
    "listed": ("shield-x", "danger", _("listed")),
    "clean": ("shield-check", "success", _("clean")),
    "unknown": ("question-circle", "plain", _("unknown")),
    "error": ("exclamation-triangle", "warning", _("error")),
    "named": ("reply", "danger", _("named in replies")),
    "undone": ("arrow-counterclockwise", "plain", _("undone")),
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
    return str(_LOOKS.get(state, _UNKNOWN)[2] or state)

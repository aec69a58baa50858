"""Replies: all lines of the classifier, how often each decided, and what a pasted reply means."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render
from django.views.decorators.http import require_http_methods, require_safe

from dashboard.snapshot import replies
from queueapp.mail.patterns import STAGES
from queueapp.mail.providers import PROVIDERS
from queueapp.mail.reply import ReplyError
from queueapp.models.reply_rule import OWN_CLASSES

PAGE = 50
_FILTERS = ("q", "class", "provider", "kind")
_MOST_TYPED = 4_000


@require_http_methods(["GET", "HEAD", "POST"])
def page(request: HttpRequest) -> HttpResponse:
    """A pasted reply is posted, so that no address of it gets into a log."""
    asked = {name: request.GET.get(name, "").strip()[:100] for name in _FILTERS}
    context = {**_lines(asked, request.GET), "asked": asked, "stages": STAGES, **_choices()}
    if request.method == "POST":
        context |= _explained(request.POST)
    if request.htmx and request.method == "POST":  # type: ignore[attr-defined]
        return render(request, "replies/_meaning.html", context)
    name = "replies/_lines.html" if request.htmx else "replies/page.html"  # type: ignore[attr-defined]
    return render(request, name, context)


@require_safe
def line(request: HttpRequest, rule: str) -> HttpResponse:
    found = replies.entry(rule)
    if found is None:
        raise Http404(
            f"There is no line {rule[:80]!r}: it was deleted, or a later version calls it otherwise."
        )
    return render(request, "replies/line.html", {"line": found})


def _lines(asked: dict[str, str], params: QueryDict) -> dict[str, Any]:
    lines = replies.entries()
    some = replies.found(lines, asked["q"], asked["class"], asked["provider"], asked["kind"])
    number = params.get("page", "1")
    last = max(1, -(-len(some) // PAGE))
    at = min(max(int(number), 1), last) if number.isascii() and number.isdigit() and len(number) < 6 else 1
    filters = urlencode({name: value for name, value in asked.items() if value})
    return {
        "lines": some[(at - 1) * PAGE : at * PAGE],
        "n": len(some), "n_all": len(lines), "n_own": sum(each.kind == "own" for each in lines),
        "at": at, "last": last, "filters": filters, "before": at - 1, "after": at + 1 if at < last else 0,
    }  # fmt: skip


def _choices() -> dict[str, Any]:
    return {"classes": OWN_CLASSES, "providers": PROVIDERS.values(), "kinds": replies.KINDS.items()}


def _explained(form: QueryDict) -> dict[str, Any]:
    text, stage, host = (form.get(name, "").strip()[:_MOST_TYPED] for name in ("reply", "stage", "host"))
    context: dict[str, Any] = {"typed": {"reply": text, "stage": stage, "host": host}}
    try:
        reply, found = replies.account(text, stage if stage in STAGES else "", host[:255])
    except ReplyError as error:
        return {**context, "mistake": str(error) if text else "Paste a reply first."}
    others = [line for line in found.lines if line.rule != found.verdict.rule]
    return {
        **context, "reply": reply, "verdict": found.verdict, "url": replies.url_of(found.verdict.rule),
        "info": replies.CLASSES[found.verdict.reply_class],
        "code_class": found.code_class, "code_rule": found.code_rule,
        "others": [{"line": line, "url": replies.url_of(line.rule)} for line in others[:20]],
    }  # fmt: skip

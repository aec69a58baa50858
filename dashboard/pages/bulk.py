"""The dialog before a bulk action, and its confirmation (static/js/ask.js shows and sends it).

`ask` counts what would be touched and draws the dialog; `start` freezes and begins it, answered 202 with
the operation as JSON. Whatever stands against it (a mistake, a refusal, another number than was shown)
is answered with a new dialog that says so and shows the numbers of now, and nothing is done. The token in
the form makes a request that is repeated one operation, not two.
"""

from __future__ import annotations

import secrets
from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST
from orjson import dumps

from dashboard.auth.actors import actor
from dashboard.pages import bulk_form
from dashboard.pages.bulk_form import Asked
from dashboard.pages.op_words import WORDS, nothing, title
from dashboard.snapshot.operations import shown
from dashboard.templatetags.times import grouped
from queueapp.access import routes
from queueapp.access.actions import AccessError
from queueapp.access.change import NotAllowed, Wrong
from queueapp.grammar import GrammarError
from queueapp.operations import actions
from queueapp.operations.preview import preview

_FIELDS = ("reason", "typed", "route")


@login_required
@require_POST
def ask(request: HttpRequest) -> HttpResponse:
    try:
        asked = bulk_form.read(request.POST)
    except Wrong as wrong:
        return _refusal(request, str(wrong), 422)
    return _dialog(request, asked)


@login_required
@require_POST
def start(request: HttpRequest) -> HttpResponseBase:
    try:
        asked = bulk_form.read(request.POST)
    except Wrong as wrong:
        return _refusal(request, str(wrong), 422)
    try:
        asked.check()
        made = actions.create(
            actor(request), asked.action, q=asked.q, ids=asked.ids, expect=asked.expect,
            reason=asked.reason, arguments=asked.arguments, token=asked.token, seen=asked.seen,
        )  # fmt: skip
    except (AccessError, GrammarError) as error:
        return _dialog(request, asked, error)
    told = dumps(shown(made, timezone.now()))
    return HttpResponse(told, content_type="application/json", status=202)


def _dialog(request: HttpRequest, asked: Asked, error: Exception | None = None) -> HttpResponse:
    """The dialog with the numbers of now, and what stood against the last try."""
    try:
        found = preview(
            actor(request), asked.action, q=asked.q, ids=asked.ids, arguments=_counted_with(asked)
        )  # fmt: skip
    except (AccessError, GrammarError) as refusal:
        return _refusal(request, str(refusal), 403 if isinstance(refusal, NotAllowed) else 422)
    n = found.touchable
    context = {
        "asked": asked,
        "words": WORDS[asked.action],
        "title": title(asked.action, n) if n else nothing(asked.action),
        "shown": found,
        "n_stay": found.matched - n,
        "needs_typing": n > bulk_form.TYPED_ABOVE,
        "priorities": range(9, -1, -1),
        "routes": routes.choices() if asked.action == "reroute" else [],
        "token": asked.token or secrets.token_urlsafe(16),
        **_wrong(error),
    }
    return render(request, "bulk/_dialog.html", context, status=_status(error))


def _counted_with(asked: Asked) -> dict[str, Any]:
    """A way that is not chosen yet, or is wrong, changes no number."""
    return {"route": routes.DEFAULT} if asked.action == "reroute" else asked.arguments


def _wrong(error: Exception | None) -> dict[str, str]:
    """A mistake stands at its field where it has one in the dialog, else on top."""
    if isinstance(error, Wrong) and error.field in _FIELDS:
        return {"wrong_field": error.field, "wrong_text": str(error)}
    return {"error": _said(error)}


def _said(error: Exception | None) -> str:
    if isinstance(error, actions.NotAsShown):
        text = _("The queue has changed: %(n)s match now. Nothing was done. Look again, and confirm.")
        return text % {"n": grouped(error.n)}
    return str(error or "")


def _status(error: Exception | None) -> int:
    if isinstance(error, NotAllowed):
        return 403
    if isinstance(error, actions.NotAsShown):
        return 409
    return 422 if error else 200


def _refusal(request: HttpRequest, text: str, status: int) -> HttpResponse:
    context = {"title": _("That can't be done"), "error": text, "shown": None}
    return render(request, "bulk/_dialog.html", context, status=status)

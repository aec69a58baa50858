"""API keys and SMTP logins, for administrators: what there is, when it was last used, a new one, and no more.

A secret is in the answer to the form that made it, and nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from django.contrib import messages
from django.db.models import F
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.dateparse import parse_date
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from dashboard.auth.actors import actor
from dashboard.auth.gate import needs
from dashboard.pages.acts import Act, Field, act_view, number
from queueapp.access import actions, senders
from queueapp.access.change import AccessError, Actor, Missing, NotAllowed, Taken, Wrong
from queueapp.models import ApiKey, SmtpLogin
from queueapp.models.access import MEANINGS

MOST = 500
_KEY_MEANINGS = {
    **MEANINGS,
    "read": "see the queue, read what mails say, and take lists away",
    "operate": "do what read may, and act on the queue: retry, hold, release, suspend, lift",
    "admin": "do everything",
}


@needs("admin")
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def page(request: HttpRequest) -> HttpResponse:
    context: dict[str, Any] = {"asked": {"scopes": ["submit"]}}
    if request.method == "POST":
        context |= _make(request)
    newest = (F("revoked_at").desc(nulls_first=True), "name")
    context |= {
        "keys": [_key(row) for row in ApiKey.objects.order_by(*newest)[:MOST]],
        "logins": SmtpLogin.objects.order_by(*newest)[:MOST],
        "scopes": _KEY_MEANINGS.items(),
    }
    return render(request, "keys/page.html", context, status=422 if context.get("mistake") else 200)


def _make(request: HttpRequest) -> dict[str, Any]:
    kind, name = request.POST.get("kind", ""), request.POST.get("name", "").strip()
    scopes = request.POST.getlist("scope")
    try:
        if kind == "login":
            secret = actions.create_smtp_login(name, actor=actor(request))[1]
        else:
            until = _end_of(request.POST.get("until", ""))
            secret = actions.create_api_key(name, scopes, actor=actor(request), expires_at=until)[1]
    except NotAllowed:
        raise
    except AccessError as error:
        asked = {"name": name[:100], "scopes": scopes, "until": request.POST.get("until", "")[:20]}
        return {"mistake": str(error), "mistake_in": "login" if kind == "login" else "key", "asked": asked}
    return {"secret": secret, "made": name, "kind": "login" if kind == "login" else "key"}


def _end_of(text: str) -> datetime | None:
    """The end of that day in UTC; "" is none. Raises Wrong."""
    if not text:
        return None
    try:
        day = parse_date(text)
    except ValueError:
        day = None
    if day is None:
        raise Wrong("until", f"{text[:40]!r} is not a day such as 2027-01-31.")
    return datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=1)


def _key(row: ApiKey) -> dict[str, Any]:
    is_expired = row.expires_at is not None and row.expires_at <= timezone.now()
    return {"row": row, "is_over": is_expired or row.revoked_at is not None, "is_expired": is_expired}


def _set(model: type[ApiKey | SmtpLogin]) -> Callable[[int], tuple[Act, str]]:
    def make(pk: int) -> tuple[Act, str]:
        row: ApiKey | SmtpLogin | None = model._default_manager.filter(pk=pk).first()
        if row is None:
            raise Missing(f"There is none with the number {pk}.")

        def do(who: Actor, typed: dict[str, str]) -> str:
            allowance = number("allowance", typed["allowance"])
            senders.change(who, model, row.name, {"owner": typed["owner"], "allowance": allowance})
            return f"Owner and allowance of {row.name} are kept."

        fields = (
            Field(
                "owner", "Owner", row.owner, "An address that is told when it is stopped. Empty: who made it."
            ),
            Field(
                "allowance",
                "May send in an hour",
                str(row.allowance or ""),
                "Mails. Empty: as is usual for it.",
            ),
        )
        text = "Who sends far more than it ever does is stopped and held. An allowance is never a flood."
        return Act(f"Owner and allowance of {row.name}", text, "Keep", do, fields), reverse("keys")

    return make


set_key, set_login = needs("admin")(act_view(_set(ApiKey))), needs("admin")(act_view(_set(SmtpLogin)))


@needs("admin")
@require_POST
def revoke_key(request: HttpRequest, pk: int) -> HttpResponse:
    return _revoke(request, ApiKey, pk)


@needs("admin")
@require_POST
def revoke_login(request: HttpRequest, pk: int) -> HttpResponse:
    return _revoke(request, SmtpLogin, pk)


def _revoke(request: HttpRequest, model: type[ApiKey | SmtpLogin], pk: int) -> HttpResponse:
    row: ApiKey | SmtpLogin | None = model._default_manager.filter(pk=pk).first()
    if row is None:
        raise Http404("there is none with this number")
    revoke = actions.revoke_api_key if isinstance(row, ApiKey) else actions.revoke_smtp_login
    try:
        revoke(row.name, actor=actor(request))
        messages.success(request, f"{row.name} is revoked: refused within five seconds.")
    except Taken as error:
        messages.error(request, str(error))
    return redirect("keys")

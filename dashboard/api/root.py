"""The API object: its routers, its errors, its OpenAPI description."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.urls import URLPattern, URLResolver
from django.views.decorators.csrf import csrf_exempt
from ninja import NinjaAPI

from dashboard.api import (
    again,
    alert_rules,
    alerts,
    audit,
    blocklists,
    deliveries,
    diagnosis,
    domains,
    effects,
    egress,
    export,
    groups,
    holds,
    messages,
    operations,
    replies,
    reply_rules,
    routes,
    rules,
    sites,
    stats,
    submit,
    summary,
    views,
)
from dashboard.api.errors import answer, install
from dashboard.auth.gate import public

Patterns = list[URLResolver | URLPattern]

api = NinjaAPI(
    title="Mailweir",
    version="1",
    description="Send mail and watch the queue. Send `Authorization: Bearer KEY` with every request.",
    urls_namespace="api",
    docs_url=None,
    openapi_url="/openapi.json",
)
install(api)
for module in (
    alerts,
    alert_rules,
    submit,
    messages,
    groups,
    views,
    deliveries,
    domains,
    sites,
    egress,
    routes,
    holds,
    replies,
    reply_rules,
    effects,
    rules,
    operations,
    again,
    export,
    summary,
    stats,
    diagnosis,
    audit,
    blocklists,
):
    api.add_router("", module.router)


@public
@csrf_exempt
def nothing_here(request: HttpRequest) -> HttpResponse:
    return answer(404, "not_found", f"There is nothing at {request.path[:200]}; see /api/v1/docs.")


def with_one_error_shape(patterns: Patterns) -> Patterns:
    """ninja answers a wrong method in plain text: give it the shape of all other errors."""
    for pattern in patterns:
        assert isinstance(pattern, URLPattern)
        pattern.callback = public(_wrapped(pattern.callback))  # each operation asks by itself
    return patterns


def _wrapped(view: Callable[..., Any]) -> Callable[..., Any]:
    if inspect.iscoroutinefunction(view):

        @functools.wraps(view)
        async def asynchronous(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            return _shaped(request, await view(request, *args, **kwargs))

        return asynchronous

    @functools.wraps(view)
    def synchronous(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        return _shaped(request, view(request, *args, **kwargs))

    return synchronous


def _shaped(request: HttpRequest, response: HttpResponse) -> HttpResponse:
    if not isinstance(response, HttpResponseNotAllowed):
        return response
    allowed = response["Allow"]
    shaped = answer(405, "method_not_allowed", f"{request.method} is not allowed here; allowed: {allowed}.")
    shaped["Allow"] = allowed
    return shaped

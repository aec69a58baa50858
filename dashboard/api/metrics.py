"""`/metrics`: figures for Prometheus, from the database, so that every process tells the same.

What they are is in dashboard/api/figures. From this machine no key is needed (like SMTP submission); from
elsewhere one with the scope `read`.
"""

from __future__ import annotations

import ipaddress

from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe
from prometheus_client import CollectorRegistry, generate_latest

from dashboard.api.errors import ApiError, answer, database_away, from_access
from dashboard.api.figures import Figures
from dashboard.api.keys import Needs
from dashboard.auth.gate import public
from queueapp.access.change import NotAllowed

_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@public
@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    registry = CollectorRegistry()
    try:
        if not _is_local(request):
            Needs("read")(request)
        registry.register(Figures())
        return HttpResponse(generate_latest(registry), content_type=_TYPE)
    except ApiError as error:
        return answer(error.status, error.code, error.detail)
    except NotAllowed as error:
        return from_access(error)
    except (OperationalError, InterfaceError) as error:
        return database_away(error)


def _is_local(request: HttpRequest) -> bool:
    """A proxy on this machine names whom it speaks for; then that one counts as the asker."""
    if "Forwarded" in request.headers or "X-Forwarded-For" in request.headers:
        return False
    try:
        return ipaddress.ip_address(request.META.get("REMOTE_ADDR", "")).is_loopback
    except ValueError:
        return False

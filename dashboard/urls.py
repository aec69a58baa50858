"""Every address of the dashboard, the API and the health checks."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, include, path

urlpatterns: list[URLPattern | URLResolver] = [
    path("", include("dashboard.auth.urls")),
    path("", include("dashboard.pages.urls")),
    # API and health checks: /api/v1/, /livez, /readyz, /metrics
    path("", include("dashboard.api.urls")),
]

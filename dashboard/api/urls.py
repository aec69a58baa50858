"""The addresses of the API and of the health checks: `path("", include("dashboard.api.urls"))`."""

from __future__ import annotations

from django.urls import path, re_path

from dashboard.api import docs, health, metrics
from dashboard.api.root import api, nothing_here, with_one_error_shape

_patterns, _app, _namespace = api.urls

urlpatterns = [
    path("livez", health.livez, name="livez"),
    path("readyz", health.readyz, name="readyz"),
    path("metrics", metrics.metrics, name="metrics"),
    path("api/v1/docs", docs.page, name="api-docs"),
    path("api/v1/", nothing_here),
    path("api/v1/", (with_one_error_shape(_patterns), _app, _namespace)),
    re_path(r"^api/", nothing_here),
]

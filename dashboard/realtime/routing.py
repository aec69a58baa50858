"""The sockets' addresses."""

from __future__ import annotations

from channels.auth import AuthMiddlewareStack
from channels.routing import URLRouter
from django.urls import path

from dashboard.realtime.consumer import LiveConsumer

sockets = AuthMiddlewareStack(URLRouter([path("ws/live", LiveConsumer.as_asgi())]))

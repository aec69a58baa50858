"""Log in and log out."""

from __future__ import annotations

from django.urls import path

from dashboard.auth.login import Login, Logout

urlpatterns = [
    path("login", Login.as_view(), name="login"),
    path("logout", Logout.as_view(), name="logout"),
]

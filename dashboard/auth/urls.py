"""Log in and log out."""

from __future__ import annotations

from django.urls import path

from dashboard.auth.gate import own, public
from dashboard.auth.login import Login, Logout

urlpatterns = [
    path("login", public(Login.as_view()), name="login"),
    path("logout", own(Logout.as_view()), name="logout"),
]

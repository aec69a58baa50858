"""Log in and out, and one's own account."""

from __future__ import annotations

from django.urls import path

from dashboard.auth import account
from dashboard.auth.gate import own, public
from dashboard.auth.login import Login, Logout, code
from dashboard.auth.welcome import Welcome

urlpatterns = [
    path("login", public(Login.as_view()), name="login"),
    path("login/code", public(code), name="login-code"),
    path("logout", own(Logout.as_view()), name="logout"),
    path("welcome/<uidb64>/<token>", public(Welcome.as_view()), name="welcome"),
    path("account", own(account.page), name="account"),
    path("account/password", own(account.password), name="account-password"),
    path("account/totp", own(account.second_factor), name="totp"),
    path("account/totp/codes", own(account.recovery), name="totp-codes"),
    path("account/totp/off", own(account.no_second_factor), name="totp-off"),
    path("account/sessions/end-others", own(account.end_others), name="sessions-end-others"),
    path("account/sessions/<slug:handle>/end", own(account.end_session), name="session-end"),
]

"""The link by which a new person, or one who lost it, chooses a password: good once, and for three days.

Django's own view and token: the token ends with the password that it was made for, so that a link that was
used, or that a later change overtook, is worth nothing. It is shown to the administrator who asks, and kept
nowhere.
"""

from __future__ import annotations

from typing import Any, cast

from django.contrib import messages
from django.contrib.auth import views
from django.contrib.auth.forms import SetPasswordForm
from django.contrib.auth.models import User
from django.contrib.auth.tokens import default_token_generator
from django.http import HttpResponse
from django.urls import reverse, reverse_lazy
from django.utils.encoding import force_bytes
from django.utils.http import urlsafe_base64_encode

from dashboard.auth.actors import name_of, origin_of
from queueapp.access import people
from queueapp.access.change import Actor, audited


def path_for(user: User) -> str:
    """The way to the page, behind `http://HOST`."""
    ticket = urlsafe_base64_encode(force_bytes(user.pk))
    return reverse("welcome", args=[ticket, default_token_generator.make_token(user)])


class Welcome(views.PasswordResetConfirmView):
    template_name = "auth/welcome.html"
    success_url = reverse_lazy("login")

    def form_valid(self, form: SetPasswordForm[Any]) -> HttpResponse:
        user = cast(User, form.user)
        who = Actor(name_of(user), frozenset(), origin_of(self.request))
        with audited(who, "", "person.password", user.username) as detail:
            response = super().form_valid(form)
            detail |= {"by": "link", "sessions": people.end_sessions(user)}
        messages.success(self.request, "The password is set. Log in with it.")
        return response

"""People of each role, logged in."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import Group, Permission, User
from django.test import Client

PASSWORD = "a-long-enough-one"
BACKEND = "django.contrib.auth.backends.ModelBackend"


def a_person(name: str = "vera", role: str = "viewer", *permissions: str, **values: Any) -> User:
    if role == "administrator":
        return User.objects.create_superuser(name, password=PASSWORD, **values)
    user = User.objects.create_user(name, password=PASSWORD, **values)
    user.groups.add(Group.objects.get_or_create(name=role)[0])
    user.user_permissions.add(*Permission.objects.filter(codename__in=permissions))
    return user


def logged_in(user: User, **options: Any) -> Client:
    client = Client(**options)
    client.force_login(user, BACKEND)
    return client


def as_role(role: str = "viewer", *permissions: str, name: str = "vera") -> Client:
    """A client of a new person."""
    return logged_in(a_person(name, role, *permissions))

"""Addresses of lists: every number on the page leads to the rows that it counts."""

from __future__ import annotations

from urllib.parse import urlencode

from django.urls import NoReverseMatch, reverse

from queueapp.models import OPEN

OPEN_STATES = " ".join(f"state:{state.value}" for state in OPEN)


def quoted(value: str) -> str:
    """A value of the search grammar that may hold any character."""
    if value and all(letter.isalnum() or letter in ".-_@+" for letter in value):
        return value
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def deliveries(query: str) -> str:
    return f"{reverse('deliveries')}?{urlencode({'q': query})}"


def open_for(domain: str) -> str:
    return deliveries(f"domain:{quoted(domain)} {OPEN_STATES}")


def open_at(site: str) -> str:
    return deliveries(f"site:{quoted(site)} {OPEN_STATES}")


def domain_page(name: str) -> str:
    try:
        return reverse("domain", args=[name])
    except NoReverseMatch:
        # No mail can have such a domain; a page must not break for a row that is there all the same.
        return open_for(name)


def site_page(pk: int) -> str:
    return reverse("site", args=[pk])

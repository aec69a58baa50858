"""From where a request comes: the connection, or what a proxy that we know says of it, and nobody else."""

from __future__ import annotations

import urllib.request
from http.cookiejar import CookieJar
from urllib.parse import urlencode

import pytest

from dashboard.models import Session
from queueapp import conf
from tests.dashboard.live import a_dashboard
from tests.dashboard.people import PASSWORD, a_person

pytestmark = [pytest.mark.once, pytest.mark.usefixtures("transactional_db", "valkey")]


def log_in(address: str, told: str) -> None:
    """As a browser does it, behind a proxy that tells of `told`."""
    jar = CookieJar()
    opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(jar))
    opener.addheaders = [("X-Forwarded-For", told)]
    opener.open(f"http://{address}/login", timeout=30).read()
    token = next(cookie.value for cookie in jar if cookie.name == "mailweir_csrf")
    fields = {"username": "vera", "password": PASSWORD, "csrfmiddlewaretoken": token}
    opener.open(f"http://{address}/login", urlencode(fields).encode(), timeout=30).read()


@pytest.mark.parametrize(
    ("proxies", "told", "origin"),
    [
        ((), "192.0.2.7", "127.0.0.1"),
        (("127.0.0.1",), "192.0.2.7", "192.0.2.7"),
        (("127.0.0.0/8",), "10.9.9.9, 192.0.2.7", "192.0.2.7"),
        (("10.0.0.0/8",), "192.0.2.7", "127.0.0.1"),
    ],
)
def test_a_known_proxy_is_believed_and_nobody_else(proxies: tuple[str, ...], told: str, origin: str) -> None:
    a_person()
    with conf.override(proxies=proxies), a_dashboard() as address:
        log_in(address, told)
    assert Session.objects.get(user__isnull=False).origin == origin

from __future__ import annotations

import pytest
from django.test import Client

pytestmark = pytest.mark.django_db


def test_it_works(client: Client) -> None:
    answer = client.get("/static/js/live.js")
    assert answer.status_code == 200
    assert "javascript" in answer["Content-Type"]
    assert b"WebSocket" in answer.content
    assert "Access-Control-Allow-Origin" not in answer


def test_it_sends_nothing_twice(client: Client) -> None:
    tag = client.get("/static/css/app.css")["ETag"]
    answer = client.get("/static/css/app.css", headers={"If-None-Match": tag})
    assert answer.status_code == 304
    assert answer.content == b""


@pytest.mark.parametrize("path", ["../manage.py", "%2e%2e/manage.py", "js/", "nothing.js", "/etc/passwd"])
def test_it_serves_nothing_else(client: Client, path: str) -> None:
    assert client.get(f"/static/{path}").status_code == 404

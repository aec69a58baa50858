"""The dashboard as browsers meet it: uvicorn in a thread of the test, on the test's own database."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from django.contrib.auth.models import Group, User
from django.test import Client

from dashboard.web import server

PASSWORD = "a-long-enough-one"


@contextmanager
def a_dashboard() -> Iterator[str]:
    """Gives `host:port`. The test needs `transactional_db`, for threads share no transaction."""
    listening = socket.create_server(("127.0.0.1", 0))
    is_ready = threading.Event()
    web = server(is_ready.set)
    thread = threading.Thread(target=web.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    assert is_ready.wait(30), "the dashboard did not start"
    try:
        yield f"127.0.0.1:{listening.getsockname()[1]}"
    finally:
        web.should_exit = True
        thread.join(15)
        listening.close()
        assert not thread.is_alive(), "the dashboard did not stop"


def a_session() -> tuple[Client, str]:
    """An operator, who reads mail too, logged in; and the Cookie header."""
    user = User.objects.create_user("ada", password=PASSWORD)
    user.groups.add(Group.objects.get_or_create(name="operator")[0])
    client = Client()
    client.force_login(user, "django.contrib.auth.backends.ModelBackend")
    return client, f"mailweir_session={client.cookies['mailweir_session'].value}"

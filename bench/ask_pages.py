"""Asks the running dashboard for pages: `python -m bench.ask_pages HTTP TIMES [ONLY]`, in a system's
environment. ONLY is a regular expression: kinds of page that it finds.

Prints a line of JSON for each kind of page: its name and the milliseconds of each request, from the first
byte sent to the last one read, with a log-in that was made before. What a page costs in the browser is not in
it.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import sys
import time
from urllib.parse import urlencode, urlsplit

from bench.ask_others import targets

# One of each key of the grammar: seldom, often, and nothing at all.
SEARCHES = (
    "state:deferred", "state:held", "state:sending", "state:delivered", "domain:domain1.example",
    "domain:domain9000.example", "domain:*9.example", "site:site2.example", "from:news@sender7.example",
    "from:sender1.example", "from:news", "from:<>", "to:user500000@domain3.example", "to:domain4.example",
    "to:user77", 'subject:"news sale"', "subject:nowhere", "class:blocklisted", "class:tls", "class:none",
    "code:421", "code:4.7.28", "reason:greylist", "reason:nowhere", "age>2h", "age>4d", "age<1h",
    "attempts>=3", "attempts>=14", "size>1MB", "size>100KB", "size<1KB", "next<26h", "next<10m", "priority:9",
    "priority:3", "route:backup", "campaign:spring", "source:api", "source:sendmail", "tag:batch20",
    "login:shop", "tag:nowhere", "host:native", "id:777", "msgid:5@mail.example", "has:attachment",
    "has:reply", "is:ambiguous", "invoice", "nowhere", "-state:delivered",
    "state:deferred -class:busy age>1d attempts>5",
)  # fmt: skip
SORTS = ("-id", "id", "next_attempt", "-next_attempt", "-attempts", "-size")
# Searches that each order is asked with: often, seldom, and of the keys that an index makes small.
SORTED = (
    "state:deferred",
    "class:busy",
    "domain:domain3.example",
    "route:backup",
    "tag:batch20",
    "from:news",
    "subject:nowhere",
    "attempts>=14",
    "state:held state:expired",
)
GROUPS = (
    "state", "domain", "site", "class", "reply", "sender", "sender_domain", "tag", "campaign", "source",
)  # fmt: skip
DEEP = 40  # pages


class Reader:
    def __init__(self, address: str) -> None:
        parts = urlsplit(address)
        self.host, self.port = parts.hostname or "", parts.port or 80
        self.cookie = ""
        self.took: dict[str, list[float]] = {}
        self.only = re.compile("")

    def get(self, name: str, path: str) -> str:
        if not self.only.search(name):
            return ""
        began = time.perf_counter()
        connection = http.client.HTTPConnection(self.host, self.port, timeout=60)
        connection.request("GET", path, headers={"Cookie": self.cookie})
        answer = connection.getresponse()
        text = answer.read().decode()
        self.took.setdefault(name, []).append((time.perf_counter() - began) * 1000)
        connection.close()
        if answer.status != 200:
            raise SystemExit(f"{path} was answered with {answer.status}: {text[:500]}")
        return text

    def search(self, name: str, **params: str) -> str:
        return self.get(name, f"/deliveries?{urlencode(params)}")


def next_of(page: str) -> str:
    found = re.search(r'href="([^"]*)" rel="next"', page)
    return found.group(1).replace("&amp;", "&") if found else ""


def ask(reader: Reader, times: int) -> None:
    others = targets()
    for _ in range(times):
        reader.search("list, first page")
        for q in SEARCHES:
            reader.search(f"list {q}", q=q)
        for order in SORTS:
            for q in ("", *SORTED):
                reader.search(f"sort {order} {q}".strip(), order=order, q=q)
        for by in GROUPS:
            for q in ("", "state:deferred", "class:busy"):
                reader.search(f"group by {by} {q}".strip(), group=by, q=q)
        reader.get("completion", "/deliveries/complete?q=domain:domain1&at=14")
        reader.get("overview", "/")
        for name, path in others.items():
            reader.get(name, path)
        _snapshot(reader)
    page = reader.search("list, first page")
    for place in range(DEEP):
        on = next_of(page)
        page = reader.get("list, deep page" if place >= DEEP // 2 else "list, next page", on)


def _snapshot(reader: Reader) -> None:
    """What the web process builds once a second at most, for all open pages together."""
    from dashboard.snapshot import build

    if reader.only.search("snapshot"):
        began = time.perf_counter()
        build()
        reader.took.setdefault("snapshot", []).append((time.perf_counter() - began) * 1000)


def log_in(reader: Reader) -> None:
    """A session, made as the log-in makes it."""
    from django.conf import settings
    from django.contrib.auth.models import User
    from django.test import Client

    user = User.objects.filter(is_superuser=True).first()
    assert user is not None
    client = Client()
    client.force_login(user, "django.contrib.auth.backends.ModelBackend")
    name = settings.SESSION_COOKIE_NAME
    reader.cookie = f"{name}={client.cookies[name].value}"


def main(arguments: list[str]) -> int:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "dashboard.settings")
    import django

    django.setup()
    reader = Reader(arguments[0])
    reader.only = re.compile(arguments[2] if len(arguments) > 2 else "")
    log_in(reader)
    for path in ("/", "/api/v1/summary"):  # what the first request loads is not measured
        reader.get("overview", path)
    reader.took.clear()
    ask(reader, int(arguments[1]))
    for name, took in reader.took.items():
        print(json.dumps([name, [round(each, 1) for each in took]]))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))

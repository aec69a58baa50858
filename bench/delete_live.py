"""Deletes half a queue in the running system and takes it back, as a person does in the browser, and looks at
everything else meanwhile: `python -m bench.delete_live HTTP Q LAST_ID`, in a system's environment.

Prints lines of JSON, `{"at": monotonic, "what": …}`: the marks `asked`, `started`, `ended`, and what was
seen between them. A reader of the socket notes when progress moved, another asks for pages all the time.
"""

from __future__ import annotations

import hashlib
import html
import json
import os
import re
import sys
import threading
import time
from itertools import cycle
from typing import Any
from urllib.parse import urlencode, urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from bench.ask_pages import Reader, log_in

_FIELD = re.compile(r'<input type="hidden" name="(\w+)" value="([^"]*)"')
_PAUSE = 0.25  # between two pages that somebody else asks for
_PATIENCE = 1800.0
_lock = threading.Lock()


def say(what: str, **told: Any) -> None:
    with _lock:
        print(json.dumps({"at": round(time.monotonic(), 3), "what": what, **told}), flush=True)


class Person(Reader):
    """Who is logged in and presses buttons."""

    def post(self, path: str, **fields: str) -> tuple[int, str, float]:
        """(status, body, seconds)."""
        began = time.monotonic()
        token = "b" * 32
        request = Request(
            f"http://{self.host}:{self.port}{path}",
            urlencode({**fields, "csrfmiddlewaretoken": token}).encode(),
            {"Cookie": f"{self.cookie}; mailweir_csrf={token}", "Origin": f"http://{self.host}:{self.port}"},
        )
        answer = build_opener(_Stay).open(request, timeout=60)
        return answer.status, answer.read().decode(), time.monotonic() - began


class _Stay(HTTPRedirectHandler):
    """A redirect is an answer, and an error is one too."""

    def http_error_302(self, req: Any, fp: Any, code: int, msg: str, headers: Any) -> Any:
        fp.status = code
        return fp

    http_error_303 = http_error_302


def state_of_all(last_id: int) -> dict[str, Any]:
    """How many are in which state, and a sum over id, state, next attempt and counters of every row."""
    from queueapp.models import Delivery, RecipientDomain

    digest, counts = hashlib.sha256(), dict[str, int]()
    rows = Delivery.objects.filter(id__lte=last_id).order_by("id")
    for row in rows.values_list("id", "state", "next_attempt_at", "n_attempts", "hold_reason").iterator(5000):
        digest.update(repr(row).encode())
        counts[row[1]] = counts.get(row[1], 0) + 1
    depth = RecipientDomain.objects.exclude(name__endswith=".bench.test").depth()
    return {
        "sum": digest.hexdigest(),
        "counts": counts,
        "counters": {key: n for key, n in depth.items() if n},
    }


def read_pages(reader: Reader, operation: list[int], stop: threading.Event) -> None:
    """Other pages, in turn, and how long each took."""
    paths = cycle([
        "/", "/deliveries", "/deliveries?q=state:deleted", "/deliveries?group=domain", "/board",
        "/operations", "/operations/{n}", "/domains/domain3.example", "/sites/1", "/api/v1/summary",
    ])  # fmt: skip
    while not stop.wait(_PAUSE):
        path = next(paths).format(n=operation[0] if operation else 1)
        if path == "/operations/1" and not operation:
            continue
        began = time.monotonic()
        reader.get(path, path)
        say("page", path=re.sub(r"\d+$", "N", path), ms=round((time.monotonic() - began) * 1000, 1))


def read_socket(address: str, cookie: str, stop: threading.Event) -> None:
    """What an open page sees of the progress."""
    from websockets.sync.client import connect

    url = address.replace("http", "ws", 1) + "/ws/live"
    with connect(url, additional_headers={"Cookie": cookie, "Origin": address}, max_size=None) as socket:
        while not stop.is_set():
            try:
                told = json.loads(socket.recv(1.0))
            except TimeoutError:
                continue
            for each in told["operations"]:
                say("seen", operation=each["id"], done=each["done"] + each["skipped"], state=each["state"])


def wait_for(operation: int) -> Any:
    from queueapp.models import Operation

    until = time.monotonic() + _PATIENCE
    while time.monotonic() < until:
        row = Operation.objects.get(pk=operation)
        if not row.is_open:
            say("ended", operation=operation, state=row.state, matched=row.n_matched, done=row.n_done,
                skipped=row.n_skipped, failed=row.n_failed)  # fmt: skip
            return row
        time.sleep(0.5)
    raise SystemExit(f"operation {operation} is still at work")


def delete(person: Person, q: str) -> int:
    status, dialog, took = person.post("/bulk/ask", action="delete", q=q)
    say("dialog", seconds=took, status=status)
    fields = {name: html.unescape(value) for name, value in _FIELD.findall(dialog)}
    fields |= {"reason": "an old campaign", "typed": fields["touched"]}
    status, told, took = person.post("/bulk/start", **fields)
    assert status == 202, (status, told[-2000:])
    operation = json.loads(told)
    say("started", operation=operation["id"], seconds=took, matched=operation["matched"])
    return int(operation["id"])


def undo(person: Person, operation: int) -> int:
    from queueapp.models import Operation

    status, told, took = person.post(f"/operations/{operation}/undo")
    made = Operation.objects.filter(undo_of=operation).first()
    assert made is not None, (status, told[-2000:])
    say("started", operation=made.pk, seconds=took, matched=made.n_matched)
    return int(made.pk)


def main(arguments: list[str]) -> int:
    address, q, last_id = arguments[0], arguments[1], int(arguments[2])
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "dashboard.settings")
    import django

    django.setup()
    person = Person(address)
    log_in(person)
    reader = Reader(address)
    reader.cookie = person.cookie
    before = state_of_all(last_id)
    stop, operation = threading.Event(), list[int]()
    beside = [
        threading.Thread(target=read_pages, args=(reader, operation, stop), daemon=True),
        threading.Thread(target=read_socket, args=(address, person.cookie, stop), daemon=True),
    ]
    for each in beside:
        each.start()
    say("quiet")
    time.sleep(10)
    operation.append(delete(person, q))
    wait_for(operation[0])
    say("deleted", **state_of_all(last_id))
    say("quiet")
    time.sleep(3)
    operation[0] = undo(person, operation[0])
    wait_for(operation[0])
    stop.set()
    for each in beside:
        each.join(10)
    after = state_of_all(last_id)
    say("undone", is_same=after == before, before=before, after=after)
    return 0


if __name__ == "__main__":
    assert urlsplit(sys.argv[1]).hostname
    raise SystemExit(main(sys.argv[1:]))

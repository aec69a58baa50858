"""The short way for `POST /api/v1/messages` with a key: past the browser's middleware, to the view.

Sessions, CSRF, cookies and page headers mean nothing to a program with a key, but each costs a thread
for each request, and one of the middlewares serves one request at a time. Here requests meet in the
event loop, so that they share a commit.

Promises: the same view, so the same checks and answers; who may not submit is told so before a byte
of the body is read; a body larger than any mail may be is answered
413 as it comes in, and is never written to the disk whole; a client that goes away before the end of
its body has sent nothing. Everything else goes the usual way, also the same address with a session.
"""

from __future__ import annotations

import io
import logging
import tempfile
from collections.abc import Awaitable, Callable
from typing import IO, Any

from django.core.handlers.asgi import ASGIRequest
from django.db import DatabaseError, InterfaceError
from django.http import HttpResponse
from django.urls import resolve

from dashboard.api.errors import ApiError, answer, from_access
from dashboard.api.keys import NeedsAsync
from dashboard.api.submit import most_bytes, too_large
from queueapp.access.change import NotAllowed

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
App = Callable[[Any, Any, Any], Awaitable[None]]

PATH = "/api/v1/messages"
_IN_MEMORY = 1_000_000
_MAY_SUBMIT = NeedsAsync("submit")
log = logging.getLogger("mailweir.api")


def directly(app: App) -> App:
    """`app` with the short way in front: `application = directly(get_asgi_application())`."""

    async def route(scope: Any, receive: Receive, send: Send) -> None:
        if _is_ours(scope):
            await _submit(scope, receive, send)
        else:
            await app(scope, receive, send)

    return route


def _is_ours(scope: Any) -> bool:
    return (
        scope["type"] == "http"
        and scope["method"] == "POST"
        and scope["path"] == PATH
        and any(name == b"authorization" for name, _ in scope["headers"])
    )


async def _submit(scope: Any, receive: Receive, send: Send) -> None:
    refusal = await _refusal(scope)
    if refusal:
        await _send(refusal, send)
        return
    with tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY) as body:
        try:
            if not await _read(receive, body, most_bytes()):
                return
            response = await _respond(ASGIRequest(scope, body))
        except _TooLarge:
            error = too_large()
            response = answer(error.status, error.code, error.detail)
        except UnicodeDecodeError:
            response = answer(400, "bad_request", "The address of the request is not UTF-8.")
    await _send(response, send)


async def _refusal(scope: Any) -> HttpResponse | None:
    """What a stranger gets at once. A database that is away is met, and told of, by the view itself."""
    try:
        await _MAY_SUBMIT(ASGIRequest(scope, io.BytesIO()))
    except ApiError as error:
        return answer(error.status, error.code, error.detail, error.field, **error.more)
    except NotAllowed as error:
        return from_access(error)
    except (DatabaseError, InterfaceError):
        return None
    except UnicodeDecodeError:
        return answer(400, "bad_request", "The address of the request is not UTF-8.")
    return None


async def _respond(request: ASGIRequest) -> HttpResponse:
    match = resolve(PATH)
    try:
        return await match.func(request, *match.args, **match.kwargs)
    except Exception:
        log.exception("A request failed: POST %s", PATH)
        return answer(500, "server_error", "That is a defect of ours; the log has the details.")


class _TooLarge(Exception):
    pass


async def _read(receive: Receive, body: IO[bytes], limit: int) -> bool:
    """Fill `body`; False when the client went away before the end."""
    size = 0
    while True:
        event = await receive()
        if event["type"] == "http.disconnect":
            return False
        size += len(event.get("body", b""))
        if size > limit:
            raise _TooLarge
        body.write(event.get("body", b""))
        if not event.get("more_body", False):
            body.seek(0)
            return True


async def _send(response: HttpResponse, send: Send) -> None:
    headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in response.items()]
    headers.append((b"content-length", str(len(response.content)).encode()))
    headers.append((b"x-content-type-options", b"nosniff"))
    await send({"type": "http.response.start", "status": response.status_code, "headers": headers})
    await send({"type": "http.response.body", "body": response.content})

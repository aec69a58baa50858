"""One shape for everything that goes wrong: `{"error": code, "detail": text, "field": name or null}`.

`error` is for programs and never changes; `detail` is for people: what, with which value, what to
do. A defect of ours is logged with its traceback and told as `server_error`, without one.
"""

from __future__ import annotations

import logging
from typing import Any, Protocol

import orjson
from django.core.exceptions import RequestDataTooBig
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse
from ninja import NinjaAPI, Schema
from ninja.errors import HttpError, ValidationError

from queueapp.access.change import AccessError, Missing, NotAllowed, Taken, Wrong
from queueapp.grammar import GrammarError
from queueapp.ingest.submission import Refused

log = logging.getLogger("mailweir.api")

_CODES = {
    400: "bad_request",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    409: "conflict",
    413: "too_large",
    415: "unsupported_type",
    422: "invalid",
    429: "too_many",
    503: "try_later",
}


class Error(Schema):
    """What every refused request gets."""

    error: str
    detail: str
    field: str | None = None


class ApiError(Exception):
    """A request that is answered with an error; `more` adds keys to the answer."""

    def __init__(self, status: int, code: str, detail: str, field: str | None = None, **more: Any) -> None:
        self.status, self.code, self.detail, self.field, self.more = status, code, detail, field, more
        super().__init__(detail)


def not_found(what: str, which: object) -> ApiError:
    return ApiError(404, "not_found", f"There is no {what} {str(which)[:255]!r}.")


def answer(status: int, code: str, detail: str, field: str | None = None, **more: Any) -> HttpResponse:
    body = {"error": code, "detail": detail, "field": field or None, **more}
    response = HttpResponse(orjson.dumps(body), content_type="application/json", status=status)
    if status == 401:
        response["WWW-Authenticate"] = 'Bearer realm="mailweir"'
    if status == 503:
        response["Retry-After"] = "10"
    return response


def from_refused(refused: Refused) -> HttpResponse:
    """What the gate refused, with the same text that an SMTP client would read."""
    return answer(refused.status, _CODES.get(refused.status, "refused"), refused.text, refused.field or None)


def from_access(error: AccessError) -> HttpResponse:
    """What an action refused."""
    if isinstance(error, NotAllowed):
        return answer(403, "scope_missing", str(error))
    if isinstance(error, Missing):
        return answer(404, "not_found", str(error))
    if isinstance(error, Taken):
        return answer(409, "conflict", str(error))
    return answer(422, "invalid", str(error), error.field if isinstance(error, Wrong) else None)


class Place(Protocol):
    """Where a search is wrong, and what to write instead."""

    @property
    def position(self) -> int: ...
    @property
    def length(self) -> int: ...
    @property
    def hint(self) -> str: ...


def bad_query(detail: str, place: Place, field: str = "q") -> ApiError:
    where = {"position": place.position, "length": place.length, "hint": place.hint}
    return ApiError(400, "bad_query", detail, field, **where)


def from_own(error: ApiError) -> HttpResponse:
    return answer(error.status, error.code, error.detail, error.field, **error.more)


def from_grammar(mistake: GrammarError) -> HttpResponse:
    return from_own(bad_query(str(mistake), mistake))


def from_ninja(error: ValidationError) -> HttpResponse:
    """The first parameter that is wrong, by its name in the address."""
    first = error.errors[0]
    names = [str(part) for part in first["loc"] if part not in ("query", "path", "body")]
    return answer(422, "invalid", f"{first['msg']}.", ".".join(names))


def database_away(error: Exception) -> HttpResponse:
    log.error("The database does not answer: %s", error)
    return answer(503, "database_away", "The database does not answer. Nothing was stored: try again later.")


def install(api: NinjaAPI) -> None:
    """Every exception of a view gets its answer here."""

    @api.exception_handler(HttpError)
    def _(request: HttpRequest, exc: HttpError) -> HttpResponse:
        return answer(exc.status_code, _CODES.get(exc.status_code, "refused"), str(exc))

    @api.exception_handler(Http404)
    def _(request: HttpRequest, exc: Http404) -> HttpResponse:
        return answer(404, "not_found", "There is nothing at this address.")

    @api.exception_handler(RequestDataTooBig)
    def _(request: HttpRequest, exc: RequestDataTooBig) -> HttpResponse:
        return answer(413, "too_large", "The request is larger than this server takes.")

    @api.exception_handler(Exception)
    def _(request: HttpRequest, exc: Exception) -> HttpResponse:
        log.exception("A request failed: %s %s", request.method, request.path[:200])
        return answer(500, "server_error", "That is a defect of ours; the log has the details.")

    for kind, handler in (
        (ApiError, from_own),
        (Refused, from_refused),
        (AccessError, from_access),
        (GrammarError, from_grammar),
        (ValidationError, from_ninja),
        (OperationalError, database_away),
        (InterfaceError, database_away),
    ):
        api.add_exception_handler(kind, _without_request(handler))


def _without_request(handler: Any) -> Any:
    return lambda _request, exc: handler(exc)

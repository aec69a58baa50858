"""`/api/v1/docs`: the API described on a plain page, from the same schema that `/openapi.json` gives.

Made on the server, since the usual viewers need scripts from elsewhere and inline styles, which
our content security policy refuses.
"""

from __future__ import annotations

import json
import re
from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from dashboard.api.root import api

_METHODS = ("get", "post", "put", "patch", "delete")


@require_safe
@login_required
def page(request: HttpRequest) -> HttpResponse:
    schema = api.get_openapi_schema(path_prefix="/api/v1/")
    return render(
        request, "api/docs.html", {"info": schema["info"], "routes": routes(schema), "types": types(schema)}
    )


def routes(schema: dict[str, Any]) -> list[dict[str, Any]]:
    """One dictionary a route and method, in the order of the schema."""
    found = []
    for path, methods in schema["paths"].items():
        for method in _METHODS:
            if method in methods:
                found.append(_route(schema, path, method, methods[method]))
    return found


def types(schema: dict[str, Any]) -> list[tuple[str, list[dict[str, Any]]]]:
    """The objects that other objects hold, by name."""
    held = set(re.findall(r"\b[A-Z]\w+\b", " ".join(_held(schema))))
    found = schema["components"]["schemas"]
    return [(name, _fields(schema, found[name])) for name in sorted(held & found.keys())]


def _held(schema: dict[str, Any]) -> list[str]:
    objects = schema["components"]["schemas"].values()
    return [_type(each) for one in objects for each in one.get("properties", {}).values()]


def _route(schema: dict[str, Any], path: str, method: str, operation: dict[str, Any]) -> dict[str, Any]:
    bodies = operation.get("requestBody", {}).get("content", {})
    answers = [(str(status), answer) for status, answer in operation["responses"].items()]
    return {
        "id": operation["operationId"],
        "method": method.upper(),
        "path": path,
        "summary": operation.get("summary", ""),
        "description": operation.get("description", ""),
        "parameters": [_parameter(each) for each in operation.get("parameters", [])],
        "bodies": [(kind, _fields(schema, body["schema"])) for kind, body in bodies.items()],
        "answers": [
            (status, answer.get("description", ""), _answer(schema, answer)) for status, answer in answers
        ],
    }


def _parameter(given: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": given["name"],
        "place": given["in"],
        "type": _type(given["schema"]),
        "required": given.get("required", False),
        "description": given.get("description", given["schema"].get("description", "")),
    }


def _answer(schema: dict[str, Any], answer: dict[str, Any]) -> list[dict[str, Any]]:
    for content in answer.get("content", {}).values():
        return _fields(schema, content["schema"])
    return []


def _fields(schema: dict[str, Any], body: dict[str, Any]) -> list[dict[str, Any]]:
    """Name, type and meaning of each field of an object."""
    body = _resolved(schema, body)
    required = body.get("required", [])
    return [
        {
            "name": name,
            "type": _type(each),
            "required": name in required,
            "description": each.get("description", ""),
        }
        for name, each in body.get("properties", {}).items()
    ]


def _resolved(schema: dict[str, Any], body: dict[str, Any]) -> dict[str, Any]:
    name = body.get("$ref", "").rpartition("/")[2]
    found: dict[str, Any] = schema["components"]["schemas"].get(name, body) if name else body
    return found


def _type(schema: dict[str, Any]) -> str:
    """The type in a few words: `integer 0 to 9`, `list of string`, `date-time or null`."""
    if "anyOf" in schema:
        return " or ".join(_type(each) for each in schema["anyOf"])
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "enum" in schema:
        return " | ".join(json.dumps(value) for value in schema["enum"])
    kind = str(schema.get("format") or schema.get("type", "any"))
    if kind == "object" and "properties" in schema:
        return "{" + ", ".join(f"{name}: {_type(each)}" for name, each in schema["properties"].items()) + "}"
    if kind == "array":
        return f"list of {_type(schema.get('items', {}))}"
    if "minimum" in schema or "maximum" in schema:
        return f"{kind} {schema.get('minimum', '')} to {schema.get('maximum', '')}"
    return kind

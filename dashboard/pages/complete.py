"""`/deliveries/complete`: what the word under the cursor of the search could become. At most ten.

Answers JSON: `{"from": n, "to": n, "items": [{"text", "label", "note"}]}`; `text` goes in place of what
stands from `from` to `to`. Nothing to say, or text that can't be read, is an empty list.
"""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, JsonResponse
from django.views.decorators.http import require_safe

from queueapp.grammar import KEYS, MAX_TEXT, SOURCES, STATES, Text
from queueapp.grammar.values import COMPARED, EXAMPLES
from queueapp.mail.classes import CLASSES
from queueapp.models.known_values import KNOWN

MOST = 10
_WORDS: dict[str, tuple[tuple[str, str], ...]] = {
    "state": tuple((state, "") for state in STATES),
    "class": (*((name, info.sentence) for name, info in CLASSES.items()), ("none", "There is no reply yet.")),
    "source": tuple((source, "") for source in SOURCES),
    "has": (("attachment", ""), ("reply", "")),
    "is": (("ambiguous", "It may have arrived twice."),),
    "host": (("native", "This queue."),),
}
_OFTEN = {
    "age": (">2h", "<1h", ">1d"),
    "attempts": (">=3", ">=10"),
    "next": ("<10m", "<0s"),
    "size": (">1MB",),
}


@login_required
@require_safe
def complete(request: HttpRequest) -> JsonResponse:
    text = request.GET.get("q", "")[:MAX_TEXT]
    at = request.GET.get("at", "")
    end = min(int(at), len(text)) if at.isascii() and at.isdigit() and len(at) < 6 else len(text)
    start = _start(text, end)
    return JsonResponse({"from": start, "to": end, "items": items(text[start:end])})


def items(word: str) -> list[dict[str, str]]:
    """What a word, as far as it is written, could become."""
    sign = "-" if word.startswith("-") else ""
    key, colon, value = word.removeprefix("-").partition(":")
    key = key.lower()
    if not colon:
        return _keys(sign, key)
    if '"' in value or "\\" in value or "*" in value:
        return []
    if key in _WORDS:
        found = [(each, note) for each, note in _WORDS[key] if each.startswith(value.lower())]
        return [_item(f"{sign}{key}:{each}", each, note) for each, note in found[:MOST]]
    known = KNOWN[key](value.removeprefix("@").replace("\0", ""), MOST) if key in KNOWN else []
    return [_item(f"{sign}{key}:{Text((each,))}", each, "") for each in known]


def _keys(sign: str, start: str) -> list[dict[str, str]]:
    found = []
    for key in KEYS:
        if not key.startswith(start) or key == "word":
            continue
        note = EXAMPLES[key].removesuffix(".")
        if key in _OFTEN:
            shown = _OFTEN[key] if start else _OFTEN[key][:1]
            found += [_item(f"{sign}{key}{each}", f"{key}{each}", "") for each in shown]
        else:
            found.append(_item(f"{sign}{key}{'' if key in COMPARED else ':'}", f"{key}:", note))
    return found[:MOST]


def _item(text: str, label: str, note: str) -> dict[str, str]:
    return {"text": text, "label": label, "note": note}


def _start(text: str, end: int) -> int:
    """Where the word begins that ends at the cursor; inside quotes there is none to complete."""
    start, is_quoted = 0, False
    for place, char in enumerate(text[:end]):
        if char == '"':
            is_quoted = not is_quoted
        elif char.isspace() and not is_quoted:
            start = place + 1
    return start

"""The forms of the pages as a browser sends them: logged in, with the token, with what the form has hidden.

    pages = Pages("http://127.0.0.1:8000", "admin", password)
    pages.submit("/effects/7/delete")

No script runs: what a form does without one is what it does with one, only in place.
"""

from __future__ import annotations

import html
import re
import urllib.parse
import urllib.request
from http.cookiejar import CookieJar

_FORM = re.compile(r"<form[^>]*>.*?</form>", re.DOTALL)
_INPUT = re.compile(r"<input\b[^>]*>")
_ATTRIBUTE = re.compile(r'(name|value|type)="([^"]*)"')


class Pages:
    def __init__(self, url: str, username: str, password: str) -> None:
        self.url = url
        self._opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
        self.submit("/login", username=username, password=password)

    def get(self, path: str) -> str:
        with self._opener.open(self.url + path, timeout=30) as answer:
            return str(answer.read().decode())

    def submit(self, path: str, **typed: str) -> str:
        """Fill in the form of the page that has a token, and send it there. Raises HTTPError."""
        forms = [each for each in _FORM.findall(self.get(path)) if "csrfmiddlewaretoken" in each]
        values = {**_values(forms[-1]), **typed}
        request = urllib.request.Request(
            self.url + path,
            urllib.parse.urlencode(values).encode(),
            {"Referer": self.url + path, "Origin": self.url},
        )
        with self._opener.open(request, timeout=60) as answer:
            return str(answer.read().decode())


def _values(form: str) -> dict[str, str]:
    found = {}
    for tag in _INPUT.findall(form):
        told = dict(_ATTRIBUTE.findall(tag))
        if "name" in told and told.get("type") not in ("checkbox", "radio", "submit"):
            found[told["name"]] = html.unescape(told.get("value", ""))
    return found

"""A stranger's HTML with no way out: nothing in it opens a connection, on its own or by a click.

It is shown in a sandboxed frame under a policy that fetches nothing. But a browser that meets a frame or
an object in it opens a connection before it asks the policy, and a click on a link leaves the mail. So
the tags that lead out get another name, and links become texts that say where they lead.

Promises: linear in the length; what is left has no element of `_TAGS` and no attribute `href`, however
broken the HTML: a tokenizer makes either only from the name as it stands in the text (HTML standard,
13.2.5.6 and 13.2.5.32). So the search for the names needs no parser that a stranger could mislead. Never
a defence against scripts: that is the frame's and the policy's.
"""

from __future__ import annotations

import re

# What fetches, navigates, or changes what addresses mean.
_TAGS = "iframe|frameset|frame|fencedframe|portal|object|embed|applet|link|meta|base|webview"
_WAY_OUT = re.compile(rf"<(/?)({_TAGS})(?=[\s/>]|\Z)", re.IGNORECASE)
_HREF = re.compile(r"(?<![a-z0-9_-])href(?=\s*=)", re.IGNORECASE)
_DOCTYPE = re.compile(r"\s*<!doctype[^>]{0,300}>", re.IGNORECASE)
_LINKS = "<style>a[title]{color:#0b57d0;text-decoration:underline}</style>"


def without_ways_out(html: str) -> str:
    """The same mail to the eye; where a link leads stands in its title."""
    quiet = _HREF.sub("title", _WAY_OUT.sub(r"<\1x-\2", html))
    begin = _DOCTYPE.match(quiet)
    at = begin.end() if begin else 0
    return f"{quiet[:at]}{_LINKS}{quiet[at:]}"

"""Whether the record of a DKIM key is published, as the name servers that mail uses see it."""

from __future__ import annotations

import asyncio

from queueapp import conf
from queueapp.models import DkimKey
from queueapp.transports.smtp.lookup import Lookup, Status

_WITHIN = 10.0


def why_unpublished(key: DkimKey) -> str:
    """ "" where the record is there and holds this key; else what is wrong, for people."""
    servers = [str(server) for server in conf.current().dns] or None
    found = asyncio.run(Lookup(servers, _WITHIN).find(key.record_name, "TXT"))
    if found.status is Status.FAILED:
        return f"{key.record_name} can't be looked up: {found.why}"
    texts = [b"".join(getattr(record, "strings", ())).decode("ascii", "replace") for record in found.records]
    if not texts:
        return f"there is no TXT record {key.record_name} yet ({found.status.value})"
    if any(_tags(text).get("p") == key.public for text in texts):
        return ""
    return f"the TXT record {key.record_name} holds another key: {texts[0][:60]!r}…"


def _tags(text: str) -> dict[str, str]:
    """name=value pairs, without the white space that values may hold (RFC 6376 3.2)."""
    pairs = (part.partition("=") for part in text.split(";"))
    return {name.strip(): "".join(value.split()) for name, _, value in pairs}

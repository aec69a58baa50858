"""Mail by HTTP: `python -m bench.http URL KEY CLIENTS N DOMAINS SIZE PREFIX` posts, one by one each client.

Speaks just enough HTTP/1.1, on kept connections, so that the load takes little of the machine. Prints the
seconds that it took until all were accepted; ends with 1 at the first answer that is not 202.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
import urllib.request
from collections.abc import Iterator
from urllib.parse import urlsplit

import uvloop

from bench.mails import SENDER, Mails


class NotAccepted(RuntimeError):
    """What the server answered."""


def body(recipient: str, text: str) -> bytes:
    return json.dumps({"from": SENDER, "to": [recipient], "subject": "Bench", "text": text}).encode()


def post_one(url: str, key: str, recipient: str, text: str) -> None:
    request = urllib.request.Request(
        f"{url}/api/v1/messages",
        data=body(recipient, text),
        headers={"Authorization": f"Bearer {key}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        answer.read()


async def client(url: str, key: str, mails: Mails, numbers: Iterator[int]) -> None:
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    for number in numbers:
        content = body(mails.recipient(number), mails.content(number).decode())
        head = (
            f"POST /api/v1/messages HTTP/1.1\r\nHost: {parts.netloc}\r\nAuthorization: Bearer {key}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
        )
        writer.write(head.encode() + content)
        answer = await reader.readuntil(b"\r\n\r\n")
        lines = answer.lower().split(b"\r\n")
        length = next(int(line[15:]) for line in lines if line.startswith(b"content-length:"))
        text = await reader.readexactly(length)
        if b" 202 " not in lines[0]:
            raise NotAccepted(f"{lines[0].decode()}: {text.decode(errors='replace')[:500]}")
    writer.close()


async def post(url: str, key: str, n_clients: int, mails: Mails) -> float:
    """Seconds until all are accepted."""
    began = time.monotonic()
    await asyncio.gather(
        *(client(url, key, mails, mails.share(part, n_clients)) for part in range(n_clients))
    )
    return time.monotonic() - began


def main(arguments: list[str]) -> int:
    url, key, n_clients, *rest = arguments
    try:
        print(uvloop.run(post(url, key, int(n_clients), Mails.from_arguments(rest))))
    except (NotAccepted, OSError, asyncio.IncompleteReadError) as error:
        print(f"{url} did not take the mails: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))

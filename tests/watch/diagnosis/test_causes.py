"""Each cause is told from rows of the queue, first and with its proof; its neighbour is not."""

from __future__ import annotations

import pytest

from tests.watch.diagnosis.queue import deferred, looked

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("valkey")]

REPLIES = [
    ("greylisting", "450 4.7.1 Greylisted, try again in 58 seconds", "greylisted"),
    ("rate_limit", "421 4.7.28 Our system has detected an unusual rate of mail", "rate_limited"),
    ("too_many_connections", "421 4.7.0 too many connections from 192.0.2.7", "busy"),
    ("receiver_down", "451 4.3.2 System is overloaded, load average 51", "busy"),
    ("receiver_down", "connecting to 192.0.2.1 port 25 timed out after 30 s", "connection"),
    ("mailbox_full", "452 4.2.2 The mailbox is full", "mailbox_full"),
    ("blocklist", "421 4.7.1 Client host [192.0.2.7] blocked using zen.example.org", "blocklisted"),
    ("authentication", "421 4.7.26 SPF check failed", "authentication"),
    ("content", "451 4.7.1 Message looks like spam", "content"),
    ("reverse_dns", "450 4.7.25 Client host rejected: cannot find your reverse hostname", "policy"),
    ("policy", "450 4.7.1 Helo command rejected: Host not found", "policy"),
    ("tls", "the handshake failed: certificate verify failed", "tls"),
    ("dns", "looking up the MX records of broken.test failed: SERVFAIL", "dns"),
    ("other", "450 4.0.0 Come again", "other"),
]


@pytest.mark.parametrize(("cause", "reply", "reply_class"), REPLIES)
def test_it_names_what_receivers_say(cause: str, reply: str, reply_class: str) -> None:
    deferred(3, reply, reply_class)
    [row] = looked()
    assert (row.cause, row.n, row.share, row.is_estimate) == (cause, 3, 1.0, False)
    [group] = row.evidence["replies"]
    assert (group["n"], len(group["examples"])) == (3, 3)
    assert [each.cause for each in looked("domain", "example.net")] == [cause]

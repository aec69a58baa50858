"""A queue as an administrator might find it on a busy morning: rows for pictures, not for tests."""

# ruff: noqa: E501  replies are as long as they are

from __future__ import annotations

import os
import random
from datetime import UTC, datetime, timedelta

from docs import sample_figures
from queueapp.models import Attempt, Body, Delivery, Message, Minute, RecipientDomain, Runner, Site

# domain, MX hosts' domain, deliveries by state, class and reply of what is deferred
_DOMAINS = (
    ("yahoo.com", "yahoodns.net", {"deferred": 1243, "queued": 88, "delivered": 9120, "bounced": 41},
     ("rate_limited", 421, "4.7.0", "[TSS04] Messages from 192.0.2.25 temporarily deferred due to unexpected volume or user complaints")),
    ("gmail.com", "google.com", {"queued": 312, "sending": 40, "deferred": 57, "delivered": 48210, "bounced": 102},
     ("rate_limited", 421, "4.7.28", "Gmail has detected an unusual rate of mail from your IP address. To protect our users, mail has been temporarily rate limited")),
    ("outlook.com", "outlook.com", {"deferred": 286, "delivered": 12877, "bounced": 65},
     ("blocklisted", 451, "4.7.650", "The mail server [192.0.2.25] has been temporarily rate limited due to IP reputation")),
    ("web.de", "web.de", {"queued": 61, "sending": 12, "delivered": 5310, "bounced": 12}, None),
    ("example-university.edu", "example-university.edu", {"deferred": 48, "delivered": 812},
     ("greylisted", 450, "4.7.1", "<registrar@example-university.edu>: Recipient address rejected: Greylisted, see you in 5 minutes")),
    ("orange.fr", "orange.fr", {"deferred": 31, "queued": 2, "delivered": 2210, "bounced": 8},
     ("busy", 421, "4.3.2", "Too many connections, slow down. OFR004_104")),
    ("newsletter-partner.example", "newsletter-partner.example", {"held": 25, "delivered": 400}, None),
    ("t-online.de", "t-online.de", {"sending": 8, "queued": 14, "delivered": 3902, "bounced": 9}, None),
    ("small-bakery.example", "hosting.example", {"deferred": 4, "delivered": 12},
     ("connection", None, "", "connection timed out after 30 s")),
    ("holiday-list.example", "hosting.example", {"queued": 180, "deferred": 31},
     ("no_such_user", 450, "4.2.1", "The user you are trying to contact is receiving mail too quickly")),
    ("xn--mller-kva.example", "hosting.example", {"deferred": 2, "delivered": 3},
     ("mailbox_full", 452, "4.2.2", "Mailbox full")),
)  # fmt: skip

_LATEST = (
    ("delivered", "delivered", 250, "2.0.0", "OK 1763838723 ada-4c8-20020a1709 - gsmtp", "anna.schmidt", "gmail.com", "Your order 20-48113 is on its way"),
    ("delivered", "delivered", 250, "2.6.0", "<20261122@shop.example> Queued mail for delivery", "l.fontaine", "orange.fr", "Votre facture de novembre"),
    ("deferred", "rate_limited", 421, "4.7.0", "[TSS04] Messages from 192.0.2.25 temporarily deferred due to unexpected volume or user complaints", "kmiller82", "yahoo.com", "Weekend offers for you"),
    ("delivered", "delivered", 250, "2.0.0", "Ok: queued as 4XyZ1k3Bq2z9", "buchhaltung", "web.de", "Invoice 2026-1187"),
    ("bounced", "no_such_user", 550, "5.1.1", "The email account that you tried to reach does not exist", "jo.hn.smtih", "gmail.com", "Reset your password"),
    ("delivered", "delivered", 250, "2.0.0", "OK 1763838720 gsmtp", "m.okafor", "gmail.com", "Your appointment on Tuesday"),
    ("deferred", "greylisted", 450, "4.7.1", "Recipient address rejected: Greylisted, see you in 5 minutes", "registrar", "example-university.edu", "Transcript request 5512"),
    ("delivered", "delivered", 250, "2.0.0", "Ok: queued as 4XyZ1k3Bq2z1", "familie.weber", "t-online.de", "Ihre Buchung Nr. 7721"),
    ("deferred", "blocklisted", 451, "4.7.650", "The mail server [192.0.2.25] has been temporarily rate limited due to IP reputation", "pat.jones", "outlook.com", "Weekend offers for you"),
    ("delivered", "delivered", 250, "2.0.0", "OK 1763838717 gsmtp", "yuki.t", "gmail.com", "Grüße aus Zürich: Ihre Fahrkarten"),
)  # fmt: skip

_HTML = """From: Shop <orders@shop.example>
To: registrar@example-university.edu
Subject: Transcript request 5512
Message-ID: <5512.20261122@shop.example>
Date: Sun, 22 Nov 2026 09:14:03 +0000
MIME-Version: 1.0
Content-Type: multipart/alternative; boundary=b

--b
Content-Type: text/plain; charset=utf-8

Dear registrar, please find our request below.
--b
Content-Type: text/html; charset=utf-8

<div style="font-family:sans-serif;padding:24px"><h2 style="color:#0b6477">Transcript request 5512</h2>
<p>Dear registrar,</p><p>please send the transcript of <b>M. Okafor</b> to the address below.</p>
<p style="color:#666">Best regards,<br>Student services</p></div>
--b--
""".replace("\n", "\r\n")


def fill(now: datetime | None = None) -> int:
    """Fill an empty database; gives the id of a message worth a picture."""
    now = now or datetime.now(UTC)
    domains = {name: _domain(now, name, *rest) for name, *rest in _DOMAINS}
    _minutes(now)
    runners = _runners(now)
    shown = 0
    for place, row in enumerate(reversed(_LATEST)):
        at = now - timedelta(seconds=2 + 1.7 * (len(_LATEST) - place))
        delivery = _attempted(at, domains[row[6]], row, runners[place % 2])
        if row[1] == "greylisted":
            shown = delivery.message_id
    sample_figures.fill(now)
    return shown


def _domain(now, name, site_name, counts, reply):
    suspended = name == "newsletter-partner.example"
    site, _ = Site.objects.get_or_create(
        key=f"mx:{site_name}",
        defaults={"name": site_name, "route": "mx", "hosts": [[10, f"mx1.{site_name}"]]},
    )
    if name in ("yahoo.com", "outlook.com") and reply:
        site.backoff_class = reply[0]
        site.backoff_reply = " ".join(str(part) for part in reply[1:] if part)
        site.backoff_since = now - timedelta(minutes=47)
        site.backoff_until = now + timedelta(minutes=13)
        site.save()
    busy = counts.get("sending")
    domain = RecipientDomain.objects.create(
        name=name,
        site=site,
        due_at=None if suspended else now if busy else now + timedelta(minutes=4, seconds=31),
        suspended_at=now - timedelta(hours=2) if suspended else None,
        suspended_reason="Waiting for the partner's new mail server" if suspended else "",
        **{f"n_{state}": n for state, n in counts.items()},
    )
    sample_figures.waiting(domain, counts, reply, now, _message)
    return domain


def _message(at, sender, subject, content=b"Subject: x\r\n\r\nHello\r\n"):
    message = Message.objects.create(
        accepted_at=at, sender=sender, sender_domain=sender.rpartition("@")[2], subject=subject,
        from_header=f"Shop <{sender}>", message_id=f"{at.timestamp():.0f}.20261122@shop.example",
        size=len(content), n_recipients=1, source="smtp", client="127.0.0.1", protocol="ESMTP", helo="app1.shop.example",
    )  # fmt: skip
    Body.objects.create(message=message, content=content)
    return message


def _attempted(at, domain, row, runner):
    result, reply_class, code, enhanced, text, local, name, subject = row
    content = _HTML.encode() if reply_class == "greylisted" else b"Subject: x\r\n\r\nHello\r\n"
    message = _message(at - timedelta(seconds=1), "orders@shop.example", subject, content)
    is_final = result != "deferred"
    delivery = Delivery.objects.create(
        message=message, recipient=f"{local}@{name}", domain=domain, state=result, accepted_at=message.accepted_at,
        expires_at=at + timedelta(days=5), n_attempts=1, last_class=reply_class, last_code=code,
        last_enhanced=enhanced, last_text=text, last_host=f"mx1.{domain.site.name}", last_attempt_at=at,
        next_attempt_at=None if is_final else at + timedelta(minutes=5), finished_at=at if is_final else None,
    )  # fmt: skip
    if reply_class == "greylisted":
        _timed_out(delivery, at - timedelta(minutes=5), runner)
    _attempt(delivery, at, runner, result, reply_class, code, enhanced, text)
    return delivery


def _attempt(delivery, at, runner, result, reply_class, code, enhanced, text):
    Attempt.objects.create(
        delivery=delivery, at=at, result=result, reply_class=reply_class, code=code, enhanced=enhanced, text=text,
        rule=f"code:{enhanced}", stage="dot", host=f"mx1.{delivery.domain.site.name}", address="198.51.100.14",
        source="192.0.2.25", tls="TLSv1.3", runner_id=runner.pk, took_ms=184,
    )  # fmt: skip


def _timed_out(delivery, at, runner):
    Attempt.objects.create(
        delivery=delivery, at=at, result="deferred", reply_class="connection",
        text="connection timed out after 30 s", stage="connect", host=delivery.last_host,
        address="198.51.100.15", source="192.0.2.25", runner_id=runner.pk, took_ms=30004, rule="stage:connect",
    )  # fmt: skip
    Delivery.objects.filter(pk=delivery.pk).update(n_attempts=2)


def _minutes(now):
    dice = random.Random(11)  # noqa: S311  a picture, not a secret
    rows = []
    for back in range(60):
        swell = 1 + 0.8 * max(0, 1 - abs(back - 22) / 14)
        n = int((210 + dice.randint(-35, 35)) * swell)
        rows.append(
            Minute(
                at=(now - timedelta(minutes=back)).replace(second=0, microsecond=0),
                n_accepted=int(n * (1.08 if back > 25 else 0.97)),
                n_delivered=int(n * 0.9),
                n_deferred=int(n * (0.16 if back < 48 else 0.03)) + dice.randint(0, 6),
                n_bounced=dice.randint(1, 7),
            )
        )
    Minute.objects.bulk_create(rows)


def _runners(now):
    return [
        Runner.objects.create(
            job=f"runner-{n}", machine="mail1.shop.example", pid=os.getpid() + n, started_at=now - timedelta(seconds=40),
            lease_until=now + timedelta(hours=1), n_sessions=31 + 12 * n, n_delivered=4127 + 391 * n,
        )
        for n in (0, 1)
    ]  # fmt: skip

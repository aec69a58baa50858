"""The causes in words: what each means, what to do, and what there is to press. Data only.

`tier` orders causes that hold equally many: 0 stops everything, 1 is a root of others, 2 is what
receivers say, 3 is nothing to do about. `acts` name what told.py can offer; `anchor` is the section of
docs/stuck.md.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Cause:
    """`counts_failed`: what it bounced in the last hour counts like what it holds."""

    name: str
    tier: int
    level: str
    title: str
    sentence: str
    remedy: str
    anchor: str
    acts: tuple[str, ...] = ("open",)
    classes: tuple[str, ...] = ()
    counts_failed: bool = False


_TABLE = (
    # ── Nothing goes ──────────────────────────────────────────────────────────────────────────
    Cause(
        "database", 0, "danger", "The database is slow",
        "A small write to the database takes longer than a second, so all that is accepted and sent waits "
        "for it.",
        "Look at its disk and at long transactions with `manage.py doctor`; on SQLite under a steady "
        "load, move to PostgreSQL.",
        "the-database-is-slow-or-away", ("open_due",),
    ),
    Cause(
        "redis", 0, "danger", "Redis is away",
        "Redis does not answer: runners finish their minute, then no new one can start. Mail is accepted "
        "and safe.",
        "Start the Redis that REDIS_URL names; the embedded Valkey is started again by `manage.py up`, "
        "and its log says why it ends.",
        "redis-is-away", ("open_due",),
    ),
    Cause(
        "disk", 0, "danger", "The disk is full",
        "There is no room left at MAILWEIR_HOME: runners can't write their journal, so they send nothing.",
        "Make room, then run `manage.py prune`; shorten MAILWEIR_RETENTION so that it stays free.",
        "the-disk-is-full", ("open_due",),
    ),
    Cause(
        "no_workers", 0, "danger", "No queue runner is at work",
        "Mail is due and nobody takes it. It is accepted and safe, but waits.",
        "Start `manage.py up`, or `manage.py rqworker runners`, on a machine with MAILWEIR_WORKERS above 0.",
        "no-queue-runner-is-at-work", ("open_due",),
    ),
    Cause(
        "stalled", 0, "danger", "The queue stands still",
        "Runners are alive, mail is due, and yet nothing was tried for minutes.",
        "Restart the workers: what they hold goes back untouched. Then look into the log of `up` for what "
        "they wait for.",
        "the-queue-stands-still", ("open_due",),
    ),
    Cause(
        "port25", 0, "danger", "Our line to port 25 is blocked",
        "Connections to many receivers time out at once, and none gets through: the trouble is on our "
        "side of the line.",
        "Ask the provider to open port 25 outwards, or set MAILWEIR_ROUTE to a relay (smtp://…:587). "
        "`manage.py doctor --to example.com` tries it.",
        "port-25-is-blocked", ("open",), ("connection",),
    ),
    Cause(
        "name_servers", 0, "danger", "Our name servers do not answer",
        "The mail servers of many domains can't be looked up at once: our own name servers fail.",
        "Check /etc/resolv.conf or MAILWEIR_DNS, and that UDP and TCP port 53 are open. `manage.py "
        "doctor` asks them.",
        "dns-fails", ("open",), ("dns",),
    ),
    # ── Roots on our side ─────────────────────────────────────────────────────────────────────
    Cause(
        "suspended", 1, "warning", "Somebody stopped it",
        "Mail to a domain that a person or a rule has suspended waits until it is resumed.",
        "Ask who stopped it and why, then resume the domain.",
        "somebody-stopped-it", ("resume", "open"),
    ),
    Cause(
        "held", 1, "warning", "Mail is held",
        "A person or a rule holds this mail: it is not tried until somebody releases it.",
        "Look at it, then release or delete it. A hold rule that is no longer needed should go as well.",
        "mail-is-held", ("release", "delete", "open"),
    ),
    Cause(
        "flood", 1, "danger", "One sender floods the queue",
        "One account sends far more than it ever did. That is what a stolen password looks like.",
        "Look at a few of its mails. If they are not wanted: hold and delete them, then change the "
        "password or revoke the key.",
        "one-sender-floods-the-queue", ("hold", "delete", "open"),
    ),
    Cause(
        "campaign", 1, "warning", "One campaign fills the queue",
        "Most of what waits belongs to one campaign; other mail to the same receivers waits behind it.",
        "Let it run, or hold it and release it in parts; send it at a lower priority, or give its "
        "receivers a higher limit.",
        "one-campaign-fills-the-queue", ("hold", "open"),
    ),
    Cause(
        "bad_list", 1, "warning", "A bad list of addresses",
        "Many addresses do not exist. Receivers take that for spam, and soon refuse good mail, too.",
        "Stop the mailing, clean the list, and take addresses only from people who asked. What bounced is "
        "suppressed already.",
        "a-bad-list", ("hold", "open_failed"), ("no_such_user", "no_such_domain"), counts_failed=True,
    ),
    Cause(
        "own_limit", 1, "info", "A limit of ours holds it back",
        "A rate that is set here has no room at the moment; mail goes as fast as it allows.",
        "Nothing, if the rate is meant so. Else raise it.",
        "a-limit-of-ours", ("limits", "open"),
    ),
    Cause(
        "late", 1, "warning", "More is due than runners can send",
        "Mail that is due waits for its turn for minutes, although runners are at work.",
        "Raise MAILWEIR_SESSIONS or MAILWEIR_WORKERS, add a machine, or look for what is slow: receivers "
        "or the database.",
        "mail-is-late", ("open_due",),
    ),
    # ── What receivers say ────────────────────────────────────────────────────────────────────
    Cause(
        "blocklist", 2, "danger", "We are blocked",
        "The receiver blocks our IP address, network or domain, often because of a blocklist.",
        "Find the list that the reply names, remove the cause and ask for removal. Use another source "
        "meanwhile.",
        "we-are-blocked", ("lift", "open", "open_failed"), ("blocklisted",), counts_failed=True,
    ),
    Cause(
        "authentication", 2, "danger", "SPF, DKIM or DMARC fails",
        "Receivers can't verify that the mail comes from its sender.",
        "Publish what the table below says, then retry.",
        "spf-dkim-or-dmarc-fails", ("retry", "open", "open_failed"), ("authentication",), counts_failed=True,
    ),
    Cause(
        "reverse_dns", 2, "danger", "Reverse DNS is missing",
        "Receivers want a name for our IP address (PTR) that leads back to it, and find none.",
        "Ask whoever gave you the address to set its PTR record to the EHLO name, and let that name have "
        "the address.",
        "reverse-dns-is-missing", ("retry", "open", "open_failed"), ("policy",), counts_failed=True,
    ),
    Cause(
        "content", 2, "warning", "Content is refused",
        "Receivers refuse mail for what is in it: spam score, virus, attachment or link.",
        "Look at the links and attachments of the examples, change the mail, then send it anew.",
        "content-is-refused", ("open", "open_failed"), ("content",), counts_failed=True,
    ),
    Cause(
        "too_many_connections", 2, "warning", "Too many connections",
        "The receiver says that we have too many connections open.",
        "Allow fewer sessions to the site, then wait: it is tried again.",
        "too-many-connections", ("limits", "retry", "open"), ("busy",),
    ),
    Cause(
        "rate_limit", 2, "warning", "The receiver limits our rate",
        "The receiver takes no more from us for now: too much in a time, or our reputation is low.",
        "Give the site a rate below its limit, and send to people who want the mail.",
        "the-receiver-limits-our-rate", ("limits", "open"), ("rate_limited",),
    ),
    Cause(
        "greylisting", 2, "info", "Greylisting",
        "The receiver does not know us yet and asked us to come back later.",
        "Nothing: the next attempt after the waiting time normally succeeds.",
        "greylisting", ("open",), ("greylisted",),
    ),
    Cause(
        "receiver_down", 2, "warning", "The receiver is slow or down",
        "The receiving server can't be reached, breaks off, is overloaded, or takes long to answer.",
        "Wait: it is tried again. If it lasts for hours, tell the people there another way.",
        "the-receiver-is-slow-or-down", ("lift", "retry", "open"), ("connection", "busy"),
    ),
    Cause(
        "tls", 2, "warning", "TLS is broken",
        "No encrypted connection could be agreed on: handshake, certificate, or encryption demanded.",
        "Check the TLS setting of the route. If only one receiver fails, its certificate or its MTA-STS "
        "policy is wrong: tell its owner.",
        "tls-is-broken", ("retry", "open"), ("tls",), counts_failed=True,
    ),
    Cause(
        "dns", 2, "warning", "DNS of the domain fails",
        "The mail servers of the recipient's domain can't be looked up.",
        "Tell the domain's owner; it is tried again until it expires.",
        "dns-fails", ("retry", "open"), ("dns",),
    ),
    Cause(
        "mailbox_full", 2, "info", "Mailboxes are full",
        "Recipients have no room for more mail.",
        "Reach them another way; it is tried again until it expires.",
        "mailboxes-are-full", ("open", "open_failed"), ("mailbox_full",),
    ),
    Cause(
        "policy", 2, "warning", "A rule of the receiver",
        "The receiver refuses the mail by a rule of its own.",
        "Read the reply: it often names the rule. Check the EHLO name and the sender's domain.",
        "a-rule-of-the-receiver", ("open", "open_failed"), ("policy",), counts_failed=True,
    ),
    Cause(
        "other", 2, "info", "Another reason",
        "Receivers put it off for a reason that is none of the usual ones.",
        "Read the replies; `manage.py classify` shows what the classifier makes of them.",
        "another-reason", ("open",), ("other", "protocol", "too_large", "no_such_user"),
    ),
    Cause(
        "flowing", 3, "ok", "The queue is flowing",
        "Nothing is stuck: what waits is on its way.",
        "Nothing to do.",
        "my-queue-is-stuck", (),
    ),
)  # fmt: skip

CAUSES: dict[str, Cause] = {cause.name: cause for cause in _TABLE}
FLOWING = "flowing"

"""The classes of outcomes: what each means, whose fault it is, what follows, and what to tell people.

Data only. `suppresses` holds for permanent outcomes alone: a temporary failure never feeds the
suppression list, and a blocked IP is not a bad address. `is_permanent` is what the class means where
no reply code says it (no conversation, or our own decision); None: only the code can say.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Fault = Literal["recipient", "us", "network", "receiver", "mail"]
BacksOff = Literal["none", "site", "source"]


@dataclass(frozen=True, slots=True)
class ClassInfo:
    """`backs_off`: the site for everyone, the (egress source, site) pair, or nothing but this delivery."""

    name: str
    is_permanent: bool | None
    fault: Fault
    suppresses: bool
    backs_off: BacksOff
    sentence: str
    advice: str


_TABLE = (
    ClassInfo(
        "delivered", None, "receiver", False, "none",
        "The receiving server took the mail.",
        "Nothing to do. If the recipient cannot find it, look in the spam folder there.",
    ),
    ClassInfo(
        "greylisted", False, "receiver", False, "site",
        "The receiver does not know us yet and asked us to come back later.",
        "Nothing to do: the next attempt after the waiting time normally succeeds.",
    ),
    ClassInfo(
        "rate_limited", False, "us", False, "site",
        "The receiver takes no more mail from us for now, because we sent too much or our reputation is low.",
        "Lower the rate for this site, and send to people who want the mail; the limit then lifts by itself.",
    ),
    ClassInfo(
        "busy", False, "receiver", False, "site",
        "The receiving server is overloaded or has too many connections open.",
        "Wait: it is tried again. If it lasts, allow fewer sessions to this site.",
    ),
    ClassInfo(
        "connection", False, "network", False, "site",
        "No connection to the receiving server came about, or it broke off.",
        "Check that port 25 is open outwards; if other sites work, the trouble is at the receiver.",
    ),
    ClassInfo(
        "dns", False, "network", False, "none",
        "The mail servers of the recipient's domain could not be looked up.",
        "Check our own name servers; if others resolve the domain, tell its owner, else wait.",
    ),
    ClassInfo(
        "tls", False, "network", False, "site",
        "No encrypted connection could be agreed on: handshake, certificate, or encryption demanded.",
        "Check the TLS setting of the route, and the certificate of the receiving server.",
    ),
    ClassInfo(
        "mailbox_full", None, "recipient", False, "none",
        "The recipient's mailbox is full.",
        "Reach the recipient another way and ask for space to be made, then send again.",
    ),
    ClassInfo(
        "no_such_user", None, "recipient", True, "none",
        "The receiver does not know this address, or has closed it.",
        "Check the spelling of the address; take it off the list if it stays unknown.",
    ),
    ClassInfo(
        "no_such_domain", True, "recipient", True, "none",
        "The domain of the address does not exist or takes no mail.",
        "Check the spelling of the part after the @; take the address off the list if it is right.",
    ),
    ClassInfo(
        "blocklisted", None, "us", False, "source",
        "The receiver blocks our IP address, network or domain. The recipient's address may be fine.",
        "Find the list that the reply names, remove the cause and ask for removal; use another IP meanwhile.",
    ),
    ClassInfo(
        "authentication", None, "us", False, "none",
        "The receiver could not verify that the mail comes from its sender: SPF, DKIM or DMARC failed.",
        "Publish SPF for our IP address, sign with DKIM, and make both match the domain of the From line.",
    ),
    ClassInfo(
        "content", None, "mail", False, "none",
        "The receiver refused this mail for what is in it: spam score, virus, attachment or link.",
        "Look at links and attachments, change the mail, then send it anew.",
    ),
    ClassInfo(
        "policy", None, "us", False, "none",
        "The receiver refused the mail by a rule of its own.",
        "Read the reply: it often names the rule. Check reverse DNS, the EHLO name and the sender's domain.",
    ),
    ClassInfo(
        "too_large", None, "mail", False, "none",
        "The mail is larger than the receiver allows.",
        "Send a smaller mail, or a link instead of the attachment.",
    ),
    ClassInfo(
        "protocol", None, "us", False, "none",
        "The two servers did not understand each other: a command or a feature was refused.",
        "Read the attempt's reply; if it comes from many sites, report it as a fault of this program.",
    ),
    ClassInfo(
        "suppressed", True, "recipient", False, "none",
        "Not tried: the address is on our suppression list.",
        "Look up the reason on the suppression list, and lift it there if it no longer holds.",
    ),
    ClassInfo(
        "expired", True, "receiver", False, "none",
        "Given up: the mail could not be delivered within its maximum age.",
        "Look at the last reply for the cause; send again once that is gone.",
    ),
    ClassInfo(
        "cancelled", True, "us", False, "none",
        "Given back to its sender by an administrator of the sending system.",
        "Nothing to do: a person decided so. The operation that did it says why.",
    ),
    ClassInfo(
        "readdressed", True, "us", False, "none",
        "Closed by a person, who corrected the address. The mail goes to the new one.",
        "Look at the other deliveries of this message.",
    ),
    ClassInfo(
        "other", None, "receiver", False, "none",
        "The receiver gave a reason that fits none of the known classes.",
        "Read the reply itself.",
    ),
)  # fmt: skip

CLASSES: dict[str, ClassInfo] = {info.name: info for info in _TABLE}

# Rules of the classifier that say: too much from an address of low repute. Then another address may be
# welcome, so they count as a block of this one, though their class is `rate_limited`.
BY_REPUTATION = frozenset(
    {
        "pattern:yahoo_deferred",
        "pattern:google_unusual_rate",
        "pattern:microsoft_throttled",
        "pattern:unexpected_volume",
        "pattern:google_netblock",
        "pattern:outlook_hourly",
        "pattern:outlook_connections",
        "pattern:aol_deferred",
        "pattern:free_errors",
        "pattern:rackspace_new_address",
        "pattern:rackspace_throttled",
        "code:4.7.650",
        "code:4.7.651",
    }
)

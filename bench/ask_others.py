"""The pages beside the list, with what they read: the board, a domain, a site, histories, and the API.

`targets()` names each kind of page and an address of it in a queue that bench.fill_pages made. Left out is
what reads no more at a million deliveries than at ten: dialogs and forms, what is read from one mail's body,
the sandbox, which has a database of its own; and files that are streamed.
"""

from __future__ import annotations

from datetime import timedelta
from urllib.parse import quote

# Routes of the API that are not asked for (a test compares both with the routes that there are).
LEFT_OUT = {
    "/export", "/messages/{message_id}/raw", "/messages/{message_id}/attachments/{n}", "/effects/{effect_id}",
    "/backoff-rules/{rule_id}", "/reply-rules/trials/{trial_id}",
}  # fmt: skip
BOARD_ORDERS = ("open", "deferred", "name", "rate", "slow", "next")
BOARD_STATES = ("stuck", "all", "throttled", "flowing", "waiting", "held", "idle")
SPANS = ("hour", "day", "week", "month")
BY_ONE = "domain3.example"  # deep, as most of the mail is for the first ones


def targets() -> dict[str, str]:
    """Kind of page: address."""
    return {**_pages(), **_board(), **_history(), **_api()}


def _pages() -> dict[str, str]:
    from queueapp.models import Delivery, Listing, Operation, RecipientDomain, Site

    newest = _one_of_the_newest()
    site = list(Site.objects.order_by("id").values_list("id", flat=True)[:3])[-1]
    tail = RecipientDomain.objects.filter(name__endswith=".example").order_by("-id")[:1].get().name
    operation = Operation.objects.order_by("-id").values_list("id", flat=True).first()
    old = Operation.objects.order_by("id").values_list("id", flat=True).first() or 1
    listing = Listing.objects.order_by("id").values_list("id", flat=True).first()
    ids = Delivery.objects.order_by("-id").values_list("id", flat=True)[:50]
    return {
        "message": f"/messages/{newest[1]}",
        "delivery rows": f"/deliveries/rows?ids={','.join(map(str, ids))}",
        "how many are new": f"/deliveries/new?after={newest[0]}",
        "how many are new, of a search": f"/deliveries/new?after={newest[0]}&q=subject:sale",
        "how many are new, of all": "/deliveries/new?after=0",
        "domain": f"/domains/{BY_ONE}",
        "domain, the deepest": "/domains/domain0.example",
        "domain of the tail": f"/domains/{tail}",
        "site": f"/sites/{site}",
        "site, the deepest": "/sites/1",
        "operations": "/operations",
        "operations, an old page": f"/operations?before={old + 100}",
        "operation": f"/operations/{operation}",
        "diagnosis": "/diagnosis",
        "diagnosis of sites": "/diagnosis?scope=site",
        "diagnosis of domains": "/diagnosis?scope=domain",
        "diagnosis of senders": "/diagnosis?scope=sender",
        "diagnosis of campaigns": "/diagnosis?scope=campaign",
        "diagnosis of a site": f"/diagnosis?scope=site&key={site}",
        "diagnosis of a domain": f"/diagnosis?scope=domain&key={BY_ONE}",
        "diagnosis of a sender": "/diagnosis?scope=sender&key=news%40sender7.example",
        "alerts": "/alerts",
        "alert": f"/alerts/{_an_alert()}",
        "alert rules": "/alerts/rules",
        "silences": "/silences",
        "blocklists": "/blocklists",
        "blocklist listing": f"/blocklists/{listing}",
        "back-off rules": "/rules",
        "back-off strip": "/rules/strip",
        "replies": "/replies",
        "replies, searched": "/replies?q=greylist&class=greylisted",
        "audit": "/audit",
        "audit of a person": "/audit?who=person7",
        "audit of an action": "/audit?action=hold.create",
        "audit of a kind": "/audit?action=operation",
        "audit about a target": "/audit?target=domain777.",
        "audit about nothing": "/audit?target=nowhere",
        "audit, refused": "/audit?refused=yes",
        "audit of a day": f"/audit?from={_day(1)}&to={_day(0)}",
        "audit, deep page": "/audit?cursor=1000",
        "people": "/people",
        "keys": "/keys",
        "routes": "/routes",
        "readyz": "/readyz",
        "metrics": "/metrics",
    }  # fmt: skip


def _board() -> dict[str, str]:
    found = {"board": "/board", "board rows": "/board/rows", "board, a name": "/board?q=domain77"}
    for kind in ("domain", "site"):
        for order in BOARD_ORDERS:
            found[f"board of {kind}s by {order}"] = f"/board?by={kind}&order={order}"
        for state in BOARD_STATES:
            found[f"board of {kind}s {state}"] = f"/board?by={kind}&state={state}"
    return found


def _history() -> dict[str, str]:
    scopes = {"all": 0, "a domain": 4, "a site": -3}
    return {
        f"chart of {name}, {span}": f"/history?span={span}&scope={scope}"
        for name, scope in scopes.items()
        for span in SPANS
    }


def _api() -> dict[str, str]:
    from queueapp.models import Operation

    one, message = _one_of_the_newest()
    operation = Operation.objects.order_by("-id").values_list("id", flat=True).first()
    paths = [
        "summary", "deliveries", "deliveries?limit=500", "deliveries?limit=500&q=" + quote("state:deferred"),
        "deliveries?q=" + quote("subject:nowhere"), "deliveries/groups?by=domain", f"deliveries/{one}",
        f"messages/{message}", "domains", "domains?limit=500", "domains?state=stuck", f"domains/{BY_ONE}",
        f"domains/{BY_ONE}/limits", "sites", "sites?limit=500", "sites/1", "operations",
        f"operations/{operation}", f"operations/{operation}/exceptions", f"operations/{operation}/trials",
        "alerts", f"alerts/{_an_alert()}", "alert-rules", "silences", "blocklists", "effects", "suspensions",
        "backoff-rules", "holds",
        "diagnosis", f"diagnosis?scope=domain&key={BY_ONE}", "audit", "audit?limit=500", "reply-lines",
        "reply-rules", "routes", "sources", "pools", "egress-rules", "views",
        "stats?metric=delivered", f"stats?metric=delivered&domain={BY_ONE}",
    ]  # fmt: skip
    return {f"API {path.partition('&key')[0]}": f"/api/v1/{path}" for path in paths}


def _an_alert() -> int | None:
    from queueapp.models import Alert

    return Alert.objects.order_by("-id").values_list("id", flat=True).first()


def _one_of_the_newest() -> tuple[int, int]:
    """(delivery, message); not the very newest one, which may be at work."""
    from queueapp.models import Delivery

    return list(Delivery.objects.order_by("-id").values_list("id", "message_id")[:500])[-1]


def _day(ago: int) -> str:
    from django.utils import timezone

    return (timezone.now() - timedelta(days=ago)).strftime("%Y-%m-%d")

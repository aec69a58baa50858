"""Every page there is, for tests that look at all of them: found from the routes, so none is forgotten.

A route without arguments is visited as it is; one with arguments needs its line in `addresses`. What
answers with no whole page (a fragment, a download) is left out by itself.
"""

from __future__ import annotations

from datetime import UTC, datetime

from django.test import Client
from django.urls import reverse
from django.urls.resolvers import URLPattern

from queueapp.access import reply_rules
from queueapp.access.change import COMMAND
from queueapp.engine.rules import effects, ruleset, shipped
from queueapp.engine.rules.effects import Target
from queueapp.engine.suspensions import Cause
from queueapp.models import BackoffRule, Bookmark, ReplyRule, ReplyTrial
from queueapp.operations import actions, run
from queueapp.watch.diagnosis import look, store
from tests.dashboard.alerts import a_group, a_notice, a_silence, an_alert, an_old_alert
from tests.dashboard.rows import a_delivery, a_domain, a_message, a_runner, a_site, an_attempt

HTML = (
    b"Subject: Hello\r\nMIME-Version: 1.0\r\nContent-Type: text/html; charset=utf-8\r\n\r\n"
    b"<p>Hello</p><script>parent.document.title = 'taken over'</script><img src=http://127.0.0.1:9/track.png>\r\n"
)


def rows() -> int:
    """Something of everything; gives the id of a message."""
    a_runner()
    for state in ("queued", "sending", "deferred", "held", "delivered", "bounced", "expired"):
        delivery = a_delivery(
            a_message(HTML), f"{state}.example", state=state, last_class="busy", last_text="Too many"
        )
        an_attempt(delivery)
    a_domain("suspended.example", n_queued=3, suspended_at=delivery.accepted_at, suspended_reason="By hand")
    Bookmark.objects.filter(pk=store.NAME).delete()
    look.look()
    return delivery.message_id


def operations() -> list[int]:
    """One that was done and can be undone, with rows that were left alone, and one that waits."""
    done = actions.create(COMMAND, "hold", q="-state:sending", expect=6, reason="To look at")
    run.work(10)
    waiting = actions.create(COMMAND, "delete", q="state:held", expect=3, reason="Old")
    return [done.pk, waiting.pk]


def a_listing() -> int:
    """Our address on a list, which a receiver named, too; gives its number."""
    from queueapp.models import Listing, ListingChange

    at = datetime.now(UTC)
    row = Listing.objects.create(
        target="45.67.89.10", list_name="psbl", kind="ip4", state="listed", is_confirmed=True, since=at,
        severity="warning", meaning="sent to spam traps", n_named=3, named_since=at, named_at=at,
        named_reply="554 blocked", named_by="mx.example",
    )  # fmt: skip
    for name, state in (("spamcop", "clean"), ("s5h", "unknown"), ("0spam", "error")):
        Listing.objects.create(target=row.target, list_name=name, kind="ip4", state=state, since=at)
    ListingChange.objects.create(listing=row, at=at, was="clean", state="listed", detail="sent to spam traps")
    return int(row.pk)


def reply_rule() -> tuple[ReplyRule, ReplyTrial]:
    """A line of one's own, and its trial."""
    line = reply_rules.Asked("night", "busy", ("too many",), ("4",), note="They close at night")
    trial = reply_rules.attempt(COMMAND, line)
    return reply_rules.create(COMMAND, line, is_on=True), trial


def effect() -> int:
    """A login that was stopped; its mail is held."""
    rule = next(each for each in ruleset.enabled("flood"))
    cause = Cause("", "20,000 deliveries within a minute; at most 37 is usual for it")
    return effects.begin(rule, Target("login", value="webshop"), cause, 20_000)[0].pk


def rules() -> list[int]:
    """One that is shipped, and one of somebody's own."""
    own = BackoffRule.objects.create(
        name="Evenings", classes=["busy"], scope="site", action="slow", rate="5/m"
    )
    shipped.sync()
    return [own.pk, BackoffRule.objects.get(key="blocked").pk]


def alerts() -> int:
    """What holds, one cause of several, what was, a silence, who was told; gives the number of an alert."""
    group = a_group()
    found = [an_alert(f"Late {n}", group=group, detail={"causes": [["Slow", 3]]}) for n in range(2)]
    an_old_alert()
    a_notice(group, talk="> EHLO us")
    a_silence()
    return found[0].pk


def addresses() -> list[str]:
    """The path of every page, with rows of `rows` and `operations` on them."""
    from dashboard.pages.urls import urlpatterns

    message, operation = rows(), operations()
    rule, trial = reply_rule()
    known: dict[str, list[object]] = {
        "message": [message], "operation": list(operation), "domain": ["suspended.example"],
        "site": [a_site().pk], "rule": rules(), "effect": [effect()],
        "blocklist": [a_listing()], "reply": [rule.pk], "trial": [trial.pk],
        "replies": ["pattern:spamhaus", "own:night"], "alert": [alerts()],
    }  # fmt: skip
    found = ["/deliveries?q=state:nonsense", "/deliveries?q=subject:nowhere", "/nothing-here"]
    found += ["/diagnosis?scope=domain", "/diagnosis?scope=domain&key=deferred.example"]
    client = _reader()
    for pattern in urlpatterns:
        assert isinstance(pattern, URLPattern)
        assert pattern.name
        names = list(pattern.pattern.converters)
        values = known.get(pattern.name.partition("-")[0], []) if names else [None]
        for value in values:
            path = reverse(pattern.name, kwargs=dict.fromkeys(names, value))
            answer = client.get(path)
            is_whole = answer.status_code == 200 and not answer.streaming
            if is_whole and b"<!doctype html>" in answer.content[:200].lower():
                found.append(path)
    return found


def _reader() -> Client:
    from django.contrib.auth.models import User

    client = Client()
    client.force_login(User.objects.get(), "django.contrib.auth.backends.ModelBackend")
    return client

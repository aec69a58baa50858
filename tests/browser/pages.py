"""Every page there is, for tests that look at all of them: found from the routes, so none is forgotten.

A route without arguments is visited as it is; one with arguments needs its line in `addresses`. What
answers with no whole page (a fragment, a download) is left out by itself.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from django.test import Client
from django.urls import reverse
from django.urls.resolvers import URLPattern

from queueapp.access import reply_rules
from queueapp.access.change import COMMAND
from queueapp.engine.rules import effects, ruleset, shipped
from queueapp.engine.rules.effects import Target
from queueapp.engine.suspensions import Cause
from queueapp.models import (
    AlertRule,
    ApiKey,
    BackoffRule,
    Bookmark,
    Delivery,
    EgressSource,
    ReplyRule,
    ReplyTrial,
    Route,
    SavedView,
    Silence,
    SmtpLogin,
    Suspension,
)
from queueapp.operations import actions, paced, run
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
    """One that was done and can be undone, with rows that were left alone, one whose first mail is being
    tried, and one that waits."""
    done = actions.create(COMMAND, "hold", q="-state:sending", expect=6, reason="To look at")
    run.work(10)
    many = a_message()
    for n in range(paced.ONE_FIRST):
        a_delivery(many, "trial.example", recipient=f"r{n}@trial.example", state="deferred")
    trying = actions.create(COMMAND, "retry", q="domain:trial.example", expect=paced.ONE_FIRST)
    while run.step(trying.pk):
        pass
    waiting = actions.create(COMMAND, "delete", q="state:held", expect=3, reason="Old")
    return [done.pk, trying.pk, waiting.pk]


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


def people() -> int:
    """Of each role, with keys and logins, one of either over; gives the number of a person."""
    from django.contrib.auth.models import User
    from django_otp.plugins.otp_totp.models import TOTPDevice

    from queueapp.access import actions as access
    from queueapp.access import people, refusals
    from tests.access.by import by
    from tests.dashboard.people import a_person, logged_in

    person = a_person("carla", "campaigns", "bodies")
    TOTPDevice.objects.create(user=person, confirmed=True)
    logged_in(person, HTTP_USER_AGENT="Firefox/140.0 (Linux)")
    for reader in User.objects.filter(username="ada"):
        logged_in(reader)  # in another browser, too
    people.deactivate(by(), a_person("gone"))
    people.create(by(), "newcomer", "operator")
    access.create_api_key("webshop", ["submit", "read"], actor=by())
    access.create_api_key("old", ["submit"], actor=by())
    access.revoke_api_key("old", actor=by())
    access.create_smtp_login("printer", actor=by())
    refusals.note("user:carla", "192.0.2.4", "http.get", "/messages/1/source", {"needs": "bodies"})
    return int(person.pk)


def ways() -> tuple[int, int]:
    """Ways out and a view; a site that blocks one of our addresses: gives its number and the suspension's."""
    at = datetime.now(UTC)
    Route.objects.create(name="backup", kind="relay", host="relay.example", pattern=".example.net")
    SavedView.objects.create(owner="user:ada", name="Late mail", query="state:deferred")
    source = EgressSource.objects.create(name="mx1", address="192.0.2.25", ehlo_name="mx1.example.org")
    site = a_site()
    values = {
        "since": at,
        "until": at + timedelta(hours=1),
        "reply_class": "blocklisted",
        "reply": "554 blocked",
    }
    return site.pk, Suspension.objects.create(source=source, site=site, **values).pk


def strangers() -> list[str]:
    """The pages of whoever has no session."""
    from django.contrib.auth.models import User

    from dashboard.auth.welcome import path_for

    return ["/login", path_for(User.objects.get(username="newcomer"))]


def visited() -> tuple[list[str], set[str]]:
    """The path of every page, with rows of all of the above on them; and the names of the routes that do
    something and show nothing."""
    from dashboard.auth.urls import urlpatterns as own
    from dashboard.pages.urls import urlpatterns

    known = _values()
    found = ["/deliveries?q=state:nonsense", "/deliveries?q=subject:nowhere", "/nothing-here"]
    found += ["/diagnosis?scope=domain", "/diagnosis?scope=domain&key=deferred.example"]
    found += [
        "/board?view=shape",
        "/board?by=site",
        "/deliveries?group=class",
        "/silences?preview=yes&for=1h",
    ]
    posts = set()
    client = _reader()
    for pattern in [*urlpatterns, *own]:
        assert isinstance(pattern, URLPattern)
        assert pattern.name
        names = list(pattern.pattern.converters)
        some = known.get(pattern.name, known.get(pattern.name.partition("-")[0], []))
        for value in some if names else [None]:
            path = reverse(pattern.name, kwargs=dict.fromkeys(names, value))
            answer = client.get(path)
            is_whole = answer.status_code == 200 and not answer.streaming
            if is_whole and b"<!doctype html>" in answer.content[:200].lower():
                found.append(path)
            elif answer.status_code == 405:
                posts.add(pattern.name)
    return found, posts


def _values() -> dict[str, list[object]]:
    """What stands in the addresses of routes, by their names, or the first words of these."""
    message, operation = rows(), operations()
    site, suspension = ways()
    own_rule, tried = reply_rule()
    alert = alerts()
    delivery = Delivery.objects.filter(message=message)[0].pk
    return {
        "message": [message], "operation": list(operation), "domain": ["suspended.example"], "site": [site],
        "suspension": [suspension], "rule": rules(), "effect": [effect()], "blocklist": [a_listing()],
        "reply": [own_rule.pk], "trial": [tried.pk], "replies": ["pattern:spamhaus", "own:night"],
        "alert": [alert], "alert-rule": [AlertRule.objects.get().pk], "silence": [Silence.objects.get().pk],
        "person": [people()], "key": [ApiKey.objects.get(name="webshop").pk],
        "login": [SmtpLogin.objects.get().pk], "route": [Route.objects.get().pk],
        "view": [SavedView.objects.get().pk], "session": ["unknown"], "welcome": ["unknown"],
        "copy": [message], "send": [delivery], "readdress": [delivery],
    }  # fmt: skip


def _reader() -> Client:
    from django.contrib.auth.models import User

    client = Client()
    client.force_login(User.objects.get(username="ada"), "django.contrib.auth.backends.ModelBackend")
    return client

"""Who may keep, share, change and delete views."""

from __future__ import annotations

import pytest

from queueapp.access import views
from queueapp.access.change import Actor, Missing, NotAllowed, Taken, Wrong
from queueapp.models import AuditEvent, SavedView

pytestmark = pytest.mark.django_db

ANN = Actor("user:ann", frozenset({"read"}))
BEN = Actor("user:ben", frozenset({"read", "operate"}), "192.0.2.1")
EVE = Actor("user:eve", frozenset({"read", "operate", "admin"}))
NOBODY = Actor("key:mail", frozenset({"submit"}))


def test_it_keeps_the_search_as_the_grammar_writes_it() -> None:
    view = views.save(ANN, "  My   view ", "state:held   age>120m", "age", "domain")
    assert (view.name, view.query, view.order, view.group) == (
        "My view",
        "state:held age>2h",
        "age",
        "domain",
    )
    event = AuditEvent.objects.get()
    assert (event.actor, event.action, event.detail["q"]) == ("user:ann", "view.save", "state:held age>2h")


def test_the_same_name_replaces_ones_own_and_nobody_elses() -> None:
    views.save(ANN, "Late", "age>1h")
    views.save(BEN, "Late", "age>2h")
    views.save(ANN, "Late", "age>3h")
    assert sorted(SavedView.objects.values_list("owner", "query")) == [
        ("user:ann", "age>3h"),
        ("user:ben", "age>2h"),
    ]


def test_what_is_not_shared_is_seen_by_its_owner_alone() -> None:
    mine, shared = views.save(BEN, "mine", ""), views.save(BEN, "ours", "", is_shared=True)
    assert list(SavedView.objects.seen_by("user:ann")) == [shared]
    assert list(SavedView.objects.seen_by("user:ben")) == [mine, shared]
    for act in (views.remove, views.change):
        with pytest.raises(Missing):
            act(ANN, mine.pk)


def test_sharing_needs_operate_and_other_peoples_views_an_administrator() -> None:
    with pytest.raises(NotAllowed):
        views.save(ANN, "ours", "", is_shared=True)
    with pytest.raises(NotAllowed):
        views.save(NOBODY, "mine", "")
    kept = views.save(ANN, "mine", "")
    with pytest.raises(NotAllowed):
        views.change(ANN, kept.pk, is_shared=True)
    shared = views.save(BEN, "ours", "", is_shared=True)
    for act in (views.remove, views.change):
        with pytest.raises(NotAllowed):
            act(ANN, shared.pk)
    assert AuditEvent.objects.filter(is_refused=True).count() == 5
    assert views.change(EVE, shared.pk, name="All of us").owner == "user:ben"
    views.remove(EVE, shared.pk)
    assert list(SavedView.objects.all()) == [kept]


def test_it_refuses_what_can_not_be_a_view() -> None:
    views.save(ANN, "one", "")
    two = views.save(ANN, "two", "")
    with pytest.raises(Taken):
        views.change(ANN, two.pk, name="one")
    for bad in ("", " ", "x" * 61, "a\x07b"):
        with pytest.raises(Wrong):
            views.save(ANN, bad, "")
    for given in ({"query": "age"[:2] + ":1"}, {"order": "x"}, {"group": "x"}):
        with pytest.raises(Wrong):
            views.save(ANN, "three", **{"query": "", **given})
    with pytest.raises(Missing):
        views.remove(ANN, 2**70)


def test_there_is_an_end_to_views(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(views, "MOST", 1)
    views.save(ANN, "one", "")
    views.save(ANN, "one", "state:held")
    with pytest.raises(Wrong, match="delete one"):
        views.save(ANN, "two", "")

"""Saved views: a search that somebody keeps under a name, for themselves or for everybody.

Whoever may read keeps views of their own; a view that everybody sees is made and changed by who may
operate, and an administrator may take it away. Every change leaves an audit row, a refused one too.
"""

from __future__ import annotations

from django.db import IntegrityError, transaction

from queueapp.access.change import Actor, Missing, Taken, Wrong, allow, audited, known
from queueapp.grammar import GrammarError, parse
from queueapp.models import SavedView
from queueapp.models.grouping import BY
from queueapp.models.orders import ORDERS

MOST = 100
_LONGEST = 60


def save(
    actor: Actor, name: str, query: str, order: str = "", group: str = "", *, is_shared: bool = False
) -> SavedView:
    """A view of that name; one that the actor has under it already is replaced. Raises AccessError."""
    with audited(actor, _scope(is_shared), "view.save", name) as detail:
        name = _checked(name)
        if order and order not in ORDERS:
            raise Wrong("order", f"There is no order {order[:40]!r}: one of {', '.join(ORDERS)}.")
        if group and group not in BY:
            raise Wrong("group", f"There are no groups by {group[:40]!r}: one of {', '.join(BY)}.")
        try:
            canonical = str(parse(query))
        except GrammarError as error:
            raise Wrong("q", str(error)) from None
        mine = SavedView.objects.filter(owner=actor.name)
        before = mine.filter(name=name).first()
        if before is None and mine.count() >= MOST:
            raise Wrong("name", f"You have {MOST} views already: delete one of them first.")
        if before is not None and before.is_shared and not is_shared:
            allow(actor, "operate", "view.save", name)
        values = {"query": canonical, "order": order, "group": group, "is_shared": is_shared}
        detail |= {"q": canonical, "is_shared": is_shared}
        return SavedView.objects.update_or_create(owner=actor.name, name=name, defaults=values)[0]


def change(actor: Actor, pk: int, *, name: str | None = None, is_shared: bool | None = None) -> SavedView:
    """Rename a view of one's own, share it, or take it back. Raises AccessError."""
    view = _mine(actor, pk)
    with audited(actor, _scope(view.is_shared or bool(is_shared)), "view.change", view.name) as detail:
        if name is not None:
            view.name = _checked(name)
        if is_shared is not None:
            view.is_shared = is_shared
        detail |= {"name": view.name, "is_shared": view.is_shared}
        try:
            with transaction.atomic():
                view.save()
        except IntegrityError:
            raise Taken(f"You have a view named {view.name!r} already.") from None
    return view


def remove(actor: Actor, pk: int) -> None:
    """Delete a view: one's own, or as an administrator one that everybody sees."""
    view = _seen(actor, pk)
    scope = _scope(view.is_shared) if view.owner == actor.name else "admin"
    with audited(actor, scope, "view.delete", view.name) as detail:
        detail |= {"owner": view.owner, "q": view.query}
        view.delete()


def _scope(is_shared: bool) -> str:
    return "operate" if is_shared else "read"


def _mine(actor: Actor, pk: int) -> SavedView:
    view = _seen(actor, pk)
    if view.owner != actor.name:
        allow(actor, "admin", "view.change", view.name)
    return view


def _seen(actor: Actor, pk: int) -> SavedView:
    """What others keep for themselves is as good as not there."""
    view = SavedView.objects.seen_by(actor.name).filter(pk=known(pk)).first()
    if view is None:
        raise Missing(f"There is no view {pk}.")
    return view


def _checked(name: str) -> str:
    name = " ".join(name.split())
    if not name or len(name) > _LONGEST or not name.isprintable():
        raise Wrong("name", f"A view needs a name of 1 to {_LONGEST} printable characters.")
    return name

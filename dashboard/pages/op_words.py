"""What bulk actions are called and what they mean, in the words of dialogs and pages.

`title` says the same as static/js/op-words.js.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from dashboard.templatetags.times import grouped

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise


@dataclass(frozen=True, slots=True)
class Words:
    """`means` is the sentence of the dialog; `icon` a name of static/vendor/icons.svg."""

    icon: str
    means: StrOrPromise
    is_destructive: bool = False
    asks_reason: bool = False


WORDS: dict[str, Words] = {
    "retry": Words(
        "arrow-clockwise",
        gettext_lazy(
            "They are tried again now, spread under each receiver's rate. Where ten or more go to one "
            "receiver, a single mail goes first; if it fails again, the rest stays as it was."
        ),
    ),
    "hold": Words("pause-circle", gettext_lazy("They wait until somebody releases them."), asks_reason=True),
    "release": Words(
        "play-circle", gettext_lazy("They go on where they stood, spread under each receiver's rate.")
    ),
    "bounce": Words(
        "reply",
        gettext_lazy("Each sender gets a report that the mail was not delivered. This can't be undone."),
        is_destructive=True,
        asks_reason=True,
    ),
    "delete": Words(
        "trash",
        gettext_lazy("They go to the bin, and no report is sent. For 24 hours undo brings them back."),
        is_destructive=True,
        asks_reason=True,
    ),
    "restore": Words("arrow-counterclockwise", gettext_lazy("They come out of the bin as they were.")),
    "priority": Words(
        "arrow-up",
        gettext_lazy("Among mails to the same receiver, higher priority goes first; 9 is highest."),
    ),
    "reroute": Words(
        "signpost-split",
        gettext_lazy(
            "They take the way out that you choose from their next attempt on. When that is stays as it is: "
            "retry them to have it now."
        ),
        asks_reason=True,
    ),
    "undo": Words(
        "arrow-counterclockwise", gettext_lazy("What is still as the operation left it is set back.")
    ),
}


WORDS_OF_TRIAL: dict[str, tuple[str, str, StrOrPromise]] = {
    "not_tried": ("hourglass-split", "plain", gettext_lazy("its turn comes")),
    "trying": ("send", "info", gettext_lazy("being tried")),
    "goes": ("check-circle", "success", gettext_lazy("it arrived: the rest goes")),
    "late": ("clock", "warning", gettext_lazy("no outcome in a minute: the rest goes")),
    "failed": ("x-circle", "danger", gettext_lazy("it failed again: the rest stays")),
    "let": ("skip-forward", "info", gettext_lazy("let go by a person")),
    "stop": ("stop-circle", "warning", gettext_lazy("stopped by a person")),
}
"""Icon, tone and words of each state of a trial (operations/trials.py)."""


def title(action: str, n: int) -> str:
    """ "Delete 12,431 deliveries": in the dialog's title, in its button, in lists of operations."""
    texts = {
        "retry": ngettext("Retry %(n)s delivery", "Retry %(n)s deliveries", n),
        "hold": ngettext("Hold %(n)s delivery", "Hold %(n)s deliveries", n),
        "release": ngettext("Release %(n)s delivery", "Release %(n)s deliveries", n),
        "bounce": ngettext("Bounce %(n)s delivery", "Bounce %(n)s deliveries", n),
        "delete": ngettext("Delete %(n)s delivery", "Delete %(n)s deliveries", n),
        "restore": ngettext("Restore %(n)s delivery", "Restore %(n)s deliveries", n),
        "priority": ngettext(
            "Change the priority of %(n)s delivery", "Change the priority of %(n)s deliveries", n
        ),
        "reroute": ngettext("Reroute %(n)s delivery", "Reroute %(n)s deliveries", n),
        "undo": ngettext("Undo for %(n)s delivery", "Undo for %(n)s deliveries", n),
    }
    return texts.get(action, action) % {"n": grouped(n)}


def nothing(action: str) -> str:
    """What is said where none of the chosen can be touched."""
    texts = {
        "retry": _("None of these can be retried."),
        "hold": _("None of these can be held."),
        "release": _("None of these can be released: none is held."),
        "bounce": _("None of these can be bounced."),
        "delete": _("None of these can be deleted."),
        "restore": _("None of these can be restored: none is in the bin."),
        "reroute": _("None of these can be rerouted: none is open."),
    }
    return texts.get(action, _("None of these can be changed."))

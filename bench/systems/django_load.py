"""Loads a queue for Django: `python -m bench.systems.django_load APP N DOMAINS SIZE PREFIX`. Not measured.

Each by its own call for many mails: `post_office.mail.send_many`, and for django-mailer the rows that its
`send_mail` would save one by one.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable

from bench.mails import SENDER, Mails

_AT_ONCE = 1000


def text(mails: Mails, number: int) -> str:
    """The body alone, without the header that Django makes itself."""
    return mails.content(number).decode().partition("\r\n\r\n")[2].replace("\r\n", "\n")


def post_office(mails: Mails, numbers: Iterable[int]) -> None:
    from post_office import mail

    mail.send_many(
        [
            {
                "recipients": [mails.recipient(number)],
                "sender": SENDER,
                "subject": f"Mail {number}",
                "message": text(mails, number),
            }
            for number in numbers
        ]
    )


def mailer(mails: Mails, numbers: Iterable[int]) -> None:
    from mailer.models import PRIORITY_MEDIUM, Message, make_message

    rows = []
    for number in numbers:
        to = [mails.recipient(number)]
        rows.append(make_message(f"Mail {number}", text(mails, number), SENDER, to, priority=PRIORITY_MEDIUM))
    Message.objects.bulk_create(rows)


LOADERS = {"post_office": post_office, "mailer": mailer}


def main(arguments: list[str]) -> int:
    import django

    django.setup()
    mails = Mails.from_arguments(arguments[1:])
    for start in range(0, mails.n, _AT_ONCE):
        LOADERS[arguments[0]](mails, range(start, min(start + _AT_ONCE, mails.n)))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))

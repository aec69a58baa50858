"""The front door to messages as octets: look into one, mend its line ends, build one, show one."""

from __future__ import annotations

from .address import format_mailbox, parse_mailbox_header
from .compose import Attachment, ComposeError, compose
from .summary import Summary, summarise, to_crlf
from .view import FilePart, MessageView, attachment, view

__all__ = [
    "Attachment",
    "ComposeError",
    "FilePart",
    "MessageView",
    "Summary",
    "attachment",
    "compose",
    "format_mailbox",
    "parse_mailbox_header",
    "summarise",
    "to_crlf",
    "view",
]

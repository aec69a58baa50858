"""The alert mail: text and HTML of a Story, as bytes that SMTP carries.

Promises: subject and every header are one line; the HTML has no script, no picture, no address but our own
links, no table, and can be read on a telephone; every text in it is escaped. `Auto-Submitted` keeps
robots from answering (RFC 3834); mails of one group are one thread (RFC 5322 section 3.6.4).
"""

from __future__ import annotations

from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8
from email.utils import format_datetime, make_msgid
from html import escape

from queueapp import conf
from queueapp.watch.notify.words import MOST_LINES, Story

_COLOUR = {"critical": "#b02a37", "warning": "#8a5a00", "info": "#0a58ca"}
_OVER = "#146c43"
_H1 = "margin:0 0 8px;font-size:20px;line-height:1.3;overflow-wrap:anywhere"
_QUOTE = (
    "margin:12px 0;padding:8px 12px;border-left:4px solid #999;font-family:monospace;overflow-wrap:anywhere"
)


def sender() -> str:
    current = conf.current()
    return current.alert_from or f"mailweir@{current.host}"


def new_id() -> str:
    name = sender().rpartition("@")[2]
    return make_msgid(domain=name if name.isascii() else "localhost")


def letter(
    subject: str, to: str, text: str, html: str, now: datetime, *, own_id: str = "", thread: str = ""
) -> bytes:
    """`own_id`: its Message-ID; `thread`: that of the first mail, where this is not the first."""
    message = EmailMessage(policy=SMTP if to.isascii() else SMTPUTF8)
    message["From"] = f'"Mailweir" <{sender()}>'
    message["To"] = to
    message["Subject"] = subject
    message["Date"] = format_datetime(now)
    message["Message-ID"] = own_id or new_id()
    if thread:
        message["In-Reply-To"] = thread
        message["References"] = thread
    message["Auto-Submitted"] = "auto-generated"
    message["X-Auto-Response-Suppress"] = "All"
    message.set_content(text, cte="quoted-printable")
    if html:
        message.add_alternative(html, subtype="html", cte="quoted-printable")
    return message.as_bytes()


def text(told: Story) -> str:
    parts = [told.title, told.lead]
    parts += [f"{link}:\n{address}" for link, address in told.links[:1] if told.kind != "resolved"]
    if told.advice:
        parts.append(f"What to do: {told.advice}")
    if told.causes:
        parts.append("Causes:\n" + "\n".join(f"- {name}{f' ({n})' if n else ''}" for name, n in told.causes))
    if told.reply:
        parts.append(f"A reply:\n> {told.reply}")
    if told.sites:
        parts.append("Where most waits:\n" + "\n".join(f"- {name}: {n}" for name, n in told.sites))
    parts.append("What was seen:\n" + "\n".join(f"- {each}" for each in _rows(told)))
    parts += [f"{link}:\n{address}" for link, address in told.links]
    parts.append(f"-- \n{_foot(told)}")
    return "\n\n".join(dict.fromkeys(parts)) + "\n"


def html(told: Story) -> str:
    colour = _OVER if told.kind == "resolved" else _COLOUR.get(told.severity, _COLOUR["info"])
    body = [
        f'<p style="margin:0 0 4px;color:{colour};font-weight:bold">{escape(_word(told))}</p>',
        f'<h1 style="{_H1}">{escape(told.title)}</h1>',
        f"<p>{escape(told.lead)}</p>",
    ]
    if told.advice:
        body.append(f"<p><strong>What to do.</strong> {escape(told.advice)}</p>")
    body.append("".join(_button(link, address, colour) for link, address in told.links))
    if told.causes:
        body.append(_list("Causes", [f"{name}{f' ({n})' if n else ''}" for name, n in told.causes]))
    if told.reply:
        body.append(f'<blockquote style="{_QUOTE}">{escape(told.reply)}</blockquote>')
    if told.sites:
        body.append(_list("Where most waits", [f"{name}: {n}" for name, n in told.sites]))
    body.append(_list("What was seen", _rows(told)))
    body.append(f'<p style="color:#595959;font-size:13px">{escape(_foot(told))}</p>')
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(told.title)}</title></head>"
        '<body style="margin:0;padding:16px;font-family:sans-serif;font-size:16px;line-height:1.5">'
        '<div style="max-width:600px;margin:0 auto">' + "\n".join(body) + "</div></body></html>\n"
    )


def _foot(told: Story) -> str:
    return f"Mailweir on {told.host}. This mail did not pass the queue."


def _word(told: Story) -> str:
    return {"resolved": "Resolved", "reminder": "Reminder", "flapping": "Comes and goes"}.get(
        told.kind, told.severity.capitalize()
    )


def _rows(told: Story) -> list[str]:
    lines = []
    for row in told.rows:
        limit = f" (limit {row.threshold})" if row.threshold else ""
        value = f": {row.value}{limit}" if row.value else ""
        lines.append(f"{row.title}{value}, since {row.since}, {row.state}")
    return [*lines, f"and {told.n - MOST_LINES:,} more"] if told.n > MOST_LINES else lines


def _list(title: str, lines: list[str]) -> str:
    items = "".join(f'<li style="overflow-wrap:anywhere">{escape(each)}</li>' for each in lines)
    return (
        f'<h2 style="font-size:16px;margin:16px 0 4px">{escape(title)}</h2>'
        f'<ul style="margin:0;padding-left:20px">{items}</ul>'
    )


def _button(label: str, address: str, colour: str) -> str:
    return (
        f'<p style="margin:8px 0"><a href="{escape(address)}" style="display:block;padding:12px;'
        f"text-align:center;border:1px solid {colour};border-radius:6px;color:{colour};"
        f'text-decoration:none">{escape(label)}</a></p>'
    )

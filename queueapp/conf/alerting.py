"""Whom alerts are told to, and by which ways."""

from __future__ import annotations

from dataclasses import dataclass

from queueapp.conf.places import base_url, smtp_ways, web_url, web_urls
from queueapp.conf.setting import setting
from queueapp.conf.texts import hours, names, one_of, sender, text
from queueapp.conf.values import Hours, RouteSpec


@dataclass(frozen=True)
class Alerting:
    alert_to: tuple[str, ...] = setting(
        "MAILWEIR_ALERT_TO", names, "", "address,…", "Who gets the alert mail."
    )
    alert_smtp: tuple[RouteSpec, ...] = setting(
        "MAILWEIR_ALERT_SMTP",
        smtp_ways,
        "",
        "smtp://…,…",
        "The alert mail's own ways out, in the order that they are tried; the recipient's MX comes last.",
    )
    alert_from: str = setting(
        "MAILWEIR_ALERT_FROM", sender, "", "address", "Whom the alert mail is from; empty: mailweir@HOST."
    )
    alert_quiet: Hours | None = setting(
        "MAILWEIR_ALERT_QUIET",
        hours,
        "",
        "HH:MM-HH:MM ZONE",
        "Quiet hours: only what is critical is told; the rest follows in the morning, if it still holds.",
    )
    alert_webhook: tuple[str, ...] = setting(
        "MAILWEIR_ALERT_WEBHOOK", web_urls, "", "https://…,…", "Where alerts are posted as JSON: never shown."
    )
    alert_webhook_secret: str = setting(
        "MAILWEIR_ALERT_WEBHOOK_SECRET", text, "", "text", "Signs what is posted there; empty: unsigned."
    )
    alert_slack: tuple[str, ...] = setting(
        "MAILWEIR_ALERT_SLACK",
        web_urls,
        "",
        "https://…,…",
        "Incoming webhooks of Slack, or of what takes the same: never shown.",
    )
    alert_ping: str = setting(
        "MAILWEIR_ALERT_PING",
        web_url,
        "",
        "https://…",
        "Asked each minute while the watch is well; the service there raises the alarm when it is not.",
    )
    alert_private: str = setting(
        "MAILWEIR_ALERT_PRIVATE",
        one_of("no", "yes"),
        "no",
        "no|yes",
        "Whether webhook, Slack and ping may be addresses of a private network or this machine.",
    )
    url: str = setting(
        "MAILWEIR_URL",
        base_url,
        "",
        "https://…",
        "How people reach the dashboard: the links in alerts; empty is the address that it listens on.",
    )

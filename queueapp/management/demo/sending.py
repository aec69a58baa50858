"""Sends at a rate, over several kept connections at once, by SMTP and by HTTP.

Promises: the n-th mail is sent n/rate seconds after the start, or as soon as the system takes it;
what was refused is counted, never sent twice; `stop` ends within seconds. It tells what it reached,
not what it was asked for.
"""

from __future__ import annotations

import http.client
import json
import smtplib
import ssl
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import urlencode

from queueapp.management.demo.letters import letter
from queueapp.management.demo.scenes import SENDERS, Casting, Recipient

MOST_CONNECTIONS = 16
HTTP_SHARE = 0.1
_TIMEOUT = 30.0
_PAUSE = 0.5  # after a refusal of the connection


@dataclass(frozen=True, slots=True)
class Target:
    """Where to, and as whom. Empty `http` or `key`: all by SMTP. Empty `user`: without a login."""

    smtp: tuple[str, int]
    http: tuple[str, int] | None = None
    key: str = ""
    user: str = ""
    password: str = ""


@dataclass(frozen=True, slots=True)
class Letter:
    message_id: str
    sender: str
    recipients: tuple[Recipient, ...]
    content: bytes


class Failed(Exception):
    """This mail was not taken; the text is the reply."""


class BySmtp:
    def __init__(self, target: Target) -> None:
        self.target = target
        self.session: smtplib.SMTP | None = None

    def send(self, mail: Letter) -> None:
        try:
            session = self.session = self.session or self._open()
            refused = session.sendmail(mail.sender, [each.address for each in mail.recipients], mail.content)
        except smtplib.SMTPRecipientsRefused as error:
            raise Failed(str(next(iter(error.recipients.values())))) from None
        except (OSError, smtplib.SMTPException) as error:
            self.close()
            raise Failed(str(error) or type(error).__name__) from None
        if refused:
            raise Failed(str(next(iter(refused.values()))))

    def _open(self) -> smtplib.SMTP:
        session = smtplib.SMTP(*self.target.smtp, local_hostname="demo.test", timeout=_TIMEOUT)
        if self.target.user:
            session.ehlo()
            if session.has_extn("starttls"):
                # Our own server on this machine; its certificate may be self-made.
                session.starttls(context=ssl._create_unverified_context())  # noqa: S323
            session.login(self.target.user, self.target.password)
        return session

    def close(self) -> None:
        if self.session:
            with suppress(OSError, smtplib.SMTPException):
                self.session.quit()
        self.session = None


class ByHttp:
    def __init__(self, target: Target) -> None:
        assert target.http is not None
        self.target = target
        self.connection = http.client.HTTPConnection(*target.http, timeout=_TIMEOUT)

    def send(self, mail: Letter) -> None:
        pairs = [("from", mail.sender), *(("to", each.address) for each in mail.recipients)]
        headers = {"Authorization": f"Bearer {self.target.key}", "Content-Type": "message/rfc822"}
        try:
            self.connection.request("POST", f"/api/v1/messages?{urlencode(pairs)}", mail.content, headers)
            answer = self.connection.getresponse()
            body = answer.read(2000)
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise Failed(f"HTTP: {error or type(error).__name__}") from None
        if answer.status != 202:
            raise Failed(f"HTTP {answer.status}: {body[:200].decode(errors='replace')}")

    def close(self) -> None:
        self.connection.close()


class Traffic:
    """Runs from `start` until its time is over or `stop` was called; figures may be read meanwhile."""

    def __init__(
        self,
        target: Target,
        rate: float,
        seconds: float,
        note: Callable[[str], None],
        seed: int | None = None,
    ) -> None:
        self.target, self.rate, self.seconds, self.note = target, rate, seconds, note
        self.sent: Counter[str] = Counter()
        self.failed: Counter[str] = Counter()
        self.n_mails = self.n_octets = 0
        self._casting = Casting(seed)
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._n_begun = 0
        n = max(1, min(MOST_CONNECTIONS, 2 + int(rate // 25)))
        self._threads = [threading.Thread(target=self._work, args=(each,), daemon=True) for each in range(n)]

    @property
    def is_running(self) -> bool:
        return any(thread.is_alive() for thread in self._threads)

    def start(self) -> None:
        self._begin = time.monotonic()
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._over.set()

    def join(self, within: float = 60.0) -> None:
        end = time.monotonic() + within
        for thread in self._threads:
            thread.join(max(0.0, end - time.monotonic()))

    def _work(self, number: int) -> None:
        ways: list[BySmtp | ByHttp] = [BySmtp(self.target)]
        if self.target.http and self.target.key:
            ways.append(ByHttp(self.target))
        try:
            while (mail := self._next()) is not None:
                way = ways[-1] if len(ways) > 1 and self._is_by_http() else ways[0]
                self._send(way, mail)
        finally:
            for way in ways:
                way.close()

    def _is_by_http(self) -> bool:
        with self._lock:
            return self._casting.random.random() < HTTP_SHARE

    def _next(self) -> Letter | None:
        """The next mail when it is its time; None when all is over."""
        with self._lock:
            due = self._begin + self._n_begun / self.rate
            self._n_begun += 1
        if due - self._begin >= self.seconds or self._over.wait(max(0.0, due - time.monotonic())):
            return None
        if time.monotonic() - self._begin >= self.seconds:
            return None
        with self._lock:
            return self._write()

    def _write(self) -> Letter:
        recipients = self._casting.recipients()
        chance = self._casting.random
        name, sender = chance.choice(SENDERS)
        message_id = f"<{uuid.uuid4().hex}@demo.test>"
        to = ", ".join(each.address for each in recipients)
        content = letter(chance, name=name, sender=sender, to=to, message_id=message_id)
        return Letter(message_id, sender, recipients, content)

    def _send(self, way: BySmtp | ByHttp, mail: Letter) -> None:
        try:
            way.send(mail)
        except Failed as error:
            with self._lock:
                self.failed[str(error)[:120]] += 1
            self._over.wait(_PAUSE)
            return
        with self._lock:
            self.n_mails += 1
            self.n_octets += len(mail.content)
            for each in mail.recipients:
                self.sent[each.scene.name] += 1
                self.note(
                    json.dumps(
                        {
                            "message_id": mail.message_id,
                            "sender": mail.sender,
                            "recipient": each.address,
                            "scenario": each.scene.name,
                            "via": "http" if isinstance(way, ByHttp) else "smtp",
                        }
                    )
                )

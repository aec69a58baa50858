"""This machine: home, disk, certificate, settings, and the parts that `up` runs."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime

from cryptography import x509

from queueapp import checks
from queueapp.conf import Conf
from queueapp.management.doctor.finding import Finding, fail, ok, warn
from queueapp.workers import home, preflight, runfile

_LOW, _TOO_LOW = 0.10, 0.02  # of the file system
_PLENTY = 20e9  # octets; a tenth of a huge disk is no reason to worry
_NO_ROOM = 100e6
_RENEW_DAYS = 14


def home_folder(conf: Conf) -> Iterator[Finding]:
    try:
        home.check(conf.home)
    except home.HomeFailed as error:
        yield fail("home", str(error), "See there.")
    else:
        yield ok("home", f"{conf.home} can be written")


def disk(conf: Conf) -> Iterator[Finding]:
    usage = shutil.disk_usage(conf.home)
    told = f"{usage.free / 1e9:.1f} GB free of {usage.total / 1e9:.1f} GB at {conf.home}"
    share = usage.free / usage.total
    if usage.free < _NO_ROOM or (share < _TOO_LOW and usage.free < _PLENTY):
        yield fail("disk", told, "Make room: with a full disk no mail is accepted.")
    elif share < _LOW and usage.free < _PLENTY:
        yield warn("disk", told, "Make room, or shorten MAILWEIR_RETENTION and run `manage.py prune`.")
    else:
        yield ok("disk", told)
    stat = os.statvfs(conf.home)
    if stat.f_files and stat.f_favail / stat.f_files < _TOO_LOW:
        yield fail(
            "inodes", f"{stat.f_favail} inodes free of {stat.f_files}", "Remove small files (`df -i`)."
        )


def certificate(conf: Conf) -> Iterator[Finding]:
    if not conf.smtp_cert:
        yield ok("certificate", "none is set: no STARTTLS for submission")
        return
    try:
        preflight.certificate(conf)
        found = x509.load_pem_x509_certificates(conf.smtp_cert.read_bytes())[0]
    except (preflight.NotReady, OSError, ValueError) as error:
        yield fail("certificate", str(error), "Set MAILWEIR_SMTP_CERT and MAILWEIR_SMTP_KEY to a PEM pair.")
        return
    now = datetime.now(UTC)
    days = (found.not_valid_after_utc - now).days
    told = f"{conf.smtp_cert} is valid until {found.not_valid_after_utc:%Y-%m-%d}"
    if found.not_valid_before_utc > now:
        told = f"{conf.smtp_cert} is valid from {found.not_valid_before_utc:%Y-%m-%d %H:%M} UTC"
        yield fail("certificate", told, "Check the clock, or wait.")
    elif found.not_valid_after_utc < now:
        yield fail("certificate", told, "Renew it, then restart the submission server.")
    elif days < _RENEW_DAYS:
        yield warn("certificate", f"{told}, {days} days", "Renew it, then restart the submission server.")
    else:
        yield ok("certificate", told)


def settings(conf: Conf) -> Iterator[Finding]:
    found = list(checks.findings(conf))
    for each in found:
        yield warn("settings", f"{each.msg} ({each.id})", each.hint or "")
    if not found:
        yield ok("settings", "nothing that is likely to hurt")


def parts(conf: Conf) -> Iterator[Finding]:
    if not runfile.read(conf):
        yield warn(
            "parts",
            f"no `up` runs in {conf.home}",
            "Start `manage.py up`, unless the parts run on their own.",
        )
        return
    shown = home.read(conf.home / "parts.json").get("parts", [])
    down = [part for part in shown if part["state"] != "running"]
    for part in down:
        told = f"{part['name']} is {part['state']} ({part['n_restarts']} restarts, last: {part['last_exit']})"
        yield fail("parts", told, "The log of `up` says why it ends.")
    restarted = [f"{part['name']} {part['n_restarts']} times" for part in shown if part["n_restarts"]]
    if restarted and not down:
        yield warn("parts", "started again: " + ", ".join(restarted), "The log of `up` says why they ended.")
    elif not down:
        yield ok("parts", f"{len(shown)} run")

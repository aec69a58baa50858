"""What is refused before anything runs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from queueapp import conf
from queueapp.workers import preflight
from tests.transports.certificates import make_certificates
from tests.valkey import ValkeyServer


def certified(cert: Path | None, key: Path | None = None) -> conf.Conf:
    return replace(conf.current(), smtp_cert=cert, smtp_key=key)


def test_a_redis_that_answers_is_fine(valkey: ValkeyServer) -> None:
    preflight.redis(replace(conf.current(), redis_url=valkey.url))
    preflight.redis(replace(conf.current(), redis_url=""))  # the embedded one is awaited as a part


def test_a_redis_that_is_away_is_named_without_its_password() -> None:
    away = replace(conf.current(), redis_url="redis://:secret@127.0.0.1:1/0")
    with pytest.raises(
        preflight.NotReady, match=r"Redis at 127\.0\.0\.1:1 does not answer.*REDIS_URL"
    ) as told:
        preflight.redis(away)
    assert "secret" not in str(told.value)


def test_no_certificate_is_fine() -> None:
    preflight.certificate(certified(None))


def test_a_pair_that_fits_is_fine(tmp_path: Path) -> None:
    made = make_certificates(tmp_path)
    preflight.certificate(certified(made.certificate, made.key))
    both = tmp_path / "both.pem"
    both.write_bytes(made.certificate.read_bytes() + made.key.read_bytes())
    preflight.certificate(certified(both))


def test_a_key_of_another_certificate_is_refused(tmp_path: Path) -> None:
    one, other = make_certificates(tmp_path / "1"), make_certificates(tmp_path / "2")
    with pytest.raises(preflight.NotReady, match="MAILWEIR_SMTP_CERT=.*MISMATCH"):
        preflight.certificate(certified(one.certificate, other.key))


def test_a_file_that_is_no_certificate_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.pem").write_text("not a certificate")
    with pytest.raises(preflight.NotReady, match=r"x\.pem can't be used.*PEM chain"):
        preflight.certificate(certified(tmp_path / "x.pem"))


def test_a_file_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(
        preflight.NotReady, match=r"MAILWEIR_SMTP_CERT=.*none\.pem can't be read \(No such file"
    ):
        preflight.certificate(certified(tmp_path / "none.pem"))
    made = make_certificates(tmp_path)
    with pytest.raises(preflight.NotReady, match=r"MAILWEIR_SMTP_KEY=.*none\.key can't be read"):
        preflight.certificate(certified(made.certificate, tmp_path / "none.key"))


def test_a_key_without_a_certificate_is_refused(tmp_path: Path) -> None:
    with pytest.raises(preflight.NotReady, match="without MAILWEIR_SMTP_CERT"):
        preflight.certificate(certified(None, tmp_path / "x.key"))

"""The sandbox's self-made certificate, so that STARTTLS works without anybody setting it up.

Made once and kept in the home, key and certificate in one file that only its owner can read. It
proves nothing to anybody; a client that verifies must be told to trust this file.
"""

from __future__ import annotations

import os
import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from queueapp.conf import SANDBOX_CERTIFICATE

FILE_NAME = SANDBOX_CERTIFICATE
_VALID_FOR = timedelta(days=825)
_RENEW_BEFORE = timedelta(days=30)


def context(path: Path, hostname: str = "localhost") -> ssl.SSLContext:
    """A server's TLS context over the certificate at `path`, which is made or renewed as needed."""
    if not _is_valid(path):
        _write(path, make(hostname))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(path)
    return tls


def make(hostname: str, now: datetime | None = None) -> bytes:
    """Key and certificate for `hostname`, `localhost` and loopback, as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    now = now or datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, hostname[:64])])
    names = [x509.DNSName(each) for each in dict.fromkeys((hostname, "localhost")) if each.isascii()]
    addresses = [x509.IPAddress(ip_address(each)) for each in ("127.0.0.1", "::1")]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + _VALID_FOR)
        .add_extension(x509.SubjectAlternativeName([*names, *addresses]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return pem + certificate.public_bytes(serialization.Encoding.PEM)


def _is_valid(path: Path) -> bool:
    try:
        pem = path.read_bytes()
        serialization.load_pem_private_key(pem, None)
        return x509.load_pem_x509_certificate(pem).not_valid_after_utc > datetime.now(UTC) + _RENEW_BEFORE
    except (OSError, ValueError):
        return False


def _write(path: Path, pem: bytes) -> None:
    """Readable by its owner only from its first moment, and never half written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{os.getpid()}")
    part.unlink(missing_ok=True)
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(pem)
    part.replace(path)

"""A certificate authority for the lab: made at first start, so that TLS works at once."""

from __future__ import annotations

import datetime
import ipaddress
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from bmc_ext.clock import Clock, SystemClock
from bmc_ext.errors import StateError

CA_CERTIFICATE: Final = "lab-ca.pem"
CA_KEY: Final = "lab-ca.key"
SERVER_CERTIFICATE: Final = "server.pem"
SERVER_KEY: Final = "server.key"

_CA_DAYS: Final = 3650
_SERVER_DAYS: Final = 397  # CA/Browser Forum Baseline Requirements 6.3.2: at most 398
_RENEW_BEFORE: Final = datetime.timedelta(days=30)
_SKEW: Final = datetime.timedelta(hours=1)  # a client's clock may run a little behind

_ALWAYS: Final = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class _Pair:
    """A certificate and the key that belongs to it."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    def valid_at(self, moment: datetime.datetime) -> bool:
        """Whether it is valid then and stays so long enough not to be renewed."""
        return (
            self.certificate.not_valid_before_utc
            <= moment
            < self.certificate.not_valid_after_utc - _RENEW_BEFORE
        )


def ensure_lab_certificate(
    directory: Path, hosts: Iterable[str] = (), *, clock: Clock | None = None
) -> tuple[Path, Path]:
    """Paths of a server certificate and its key in `directory`, made or renewed as needed.

    The certificate names localhost, 127.0.0.1, ::1 and `hosts` (names or addresses), is issued by
    `lab-ca.pem` beside it (what a client trusts) and both are ECDSA P-256; keys have mode 0600. A
    pair that is near its end, damaged, or without one of the names is replaced; the authority
    stays while it is valid. ValueError for a host that is no name, StateError where the directory
    cannot be written.
    """
    names = _alternative_names(hosts)
    unix_s = (clock or SystemClock()).unix_ns() / 1e9
    now = datetime.datetime.fromtimestamp(unix_s, datetime.UTC)
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        authority = _load(directory, CA_CERTIFICATE, CA_KEY)
        if authority is None or not authority.valid_at(now):
            authority = _issue_authority(now)
            _save(directory, CA_CERTIFICATE, CA_KEY, authority)
        server = _load(directory, SERVER_CERTIFICATE, SERVER_KEY)
        if server is None or not _serves(server, authority, names, now):
            server = _issue_server(authority, names, now)
            _save(directory, SERVER_CERTIFICATE, SERVER_KEY, server)
    except OSError as error:
        raise StateError(f"{directory}: {error.strerror}") from error
    return directory / SERVER_CERTIFICATE, directory / SERVER_KEY


def _alternative_names(hosts: Iterable[str]) -> list[x509.GeneralName]:
    names: dict[x509.GeneralName, None] = {}
    for host in (*_ALWAYS, *hosts):
        name = general_name(host)
        if name is not None:
            names[name] = None
    return list(names)


def general_name(host: str) -> x509.GeneralName | None:
    """A host as a SAN entry; None for a wildcard address, which nobody connects to."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        if not host or not host.isascii() or any(c.isspace() or c in "/:@" for c in host):
            raise ValueError(f"{host!r} is neither an address nor a DNS name") from None
        return x509.DNSName(host)
    return None if address.is_unspecified else x509.IPAddress(address)


def _serves(
    server: _Pair, authority: _Pair, names: list[x509.GeneralName], now: datetime.datetime
) -> bool:
    if not server.valid_at(now):
        return False
    try:
        server.certificate.verify_directly_issued_by(authority.certificate)
        extension = server.certificate.extensions.get_extension_for_class(
            x509.SubjectAlternativeName
        )
    except (ValueError, InvalidSignature, x509.ExtensionNotFound):
        return False
    return set(names) <= set(extension.value)


def _issue_authority(now: datetime.datetime) -> _Pair:
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name("dcpi-bmc lab CA")
    certificate = (
        _builder(name, name, key, now, _CA_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(signs_certificates=True), critical=True)
        .sign(key, hashes.SHA256())
    )
    return _Pair(certificate, key)


def _issue_server(authority: _Pair, names: list[x509.GeneralName], now: datetime.datetime) -> _Pair:
    key = ec.generate_private_key(ec.SECP256R1())
    issuer = authority.certificate
    issuer_key_id = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    certificate = (
        _builder(_name("dcpi-bmc"), issuer.subject, key, now, _SERVER_DAYS)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(issuer_key_id),
            critical=False,
        )
        .sign(authority.key, hashes.SHA256())
    )
    return _Pair(certificate, key)


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    now: datetime.datetime,
    days: int,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _SKEW)
        .not_valid_after(now + datetime.timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _load(directory: Path, certificate_name: str, key_name: str) -> _Pair | None:
    """A pair from disk; None when it is missing, damaged, or key and certificate do not match."""
    try:
        certificate = x509.load_pem_x509_certificate((directory / certificate_name).read_bytes())
        key = serialization.load_pem_private_key((directory / key_name).read_bytes(), None)
    except (FileNotFoundError, ValueError, TypeError):
        return None
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        return None
    if key.public_key() != certificate.public_key():
        return None
    return _Pair(certificate, key)


def _save(directory: Path, certificate_name: str, key_name: str, pair: _Pair) -> None:
    key_pem = pair.key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    replace_file(directory / key_name, key_pem, 0o600)
    replace_file(
        directory / certificate_name,
        pair.certificate.public_bytes(serialization.Encoding.PEM),
        0o644,
    )


def replace_file(path: Path, data: bytes, mode: int) -> None:
    """Put a file in place as a whole; it never exists with other rights than `mode`."""
    new = path.with_name(path.name + ".new")
    new.unlink(missing_ok=True)
    fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(fd, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)

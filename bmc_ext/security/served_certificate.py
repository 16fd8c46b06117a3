"""The certificate that the service shows: read, requested and replaced while it serves."""

from __future__ import annotations

import datetime
import threading
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from bmc_ext.clock import Clock
from bmc_ext.errors import ConflictError, StateError
from bmc_ext.security.lab_pki import ensure_lab_certificate, general_name, replace_file

INSTALLED: Final = "installed.pem"
"""Key and chain in one file, so that they are never seen apart."""

_PENDING_KEY: Final = "pending.key"

SUBJECT: Final[Mapping[str, x509.ObjectIdentifier]] = {
    "CommonName": NameOID.COMMON_NAME,
    "Organization": NameOID.ORGANIZATION_NAME,
    "OrganizationalUnit": NameOID.ORGANIZATIONAL_UNIT_NAME,
    "City": NameOID.LOCALITY_NAME,
    "State": NameOID.STATE_OR_PROVINCE_NAME,
    "Country": NameOID.COUNTRY_NAME,
    "Email": NameOID.EMAIL_ADDRESS,
}
"""Redfish's words for the parts of a name (schema Certificate, Identifier)."""

KEYS: Final[Mapping[str, Callable[[], ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey]]] = {
    "TPM_ECC_NIST_P256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "TPM_ECC_NIST_P384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "TPM_ALG_RSA": lambda: rsa.generate_private_key(65537, 3072),
}
"""Kinds of key that a request can be made for: NIST SP 800-57 takes each for good past 2030."""

_PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


class ServedCertificate:
    """The chain and the key in `directory`, or those that the configuration names.

    One that was installed here takes the place of the laboratory's. Keys never leave the disk
    and this process. `changed` is told the paths of a new pair. StateError where files fail.
    """

    def __init__(
        self,
        directory: Path,
        hosts: Iterable[str],
        clock: Clock,
        configured: tuple[Path, Path] | None = None,
    ) -> None:
        self._directory = directory
        self._clock = clock
        self._configured = configured is not None
        self._lock = threading.Lock()
        self._changed: Callable[[Path, Path], None] | None = None
        installed = directory / INSTALLED
        if configured is not None:
            self.paths = configured
        elif installed.exists():
            self.paths = installed, installed
        else:
            self.paths = ensure_lab_certificate(directory, hosts, clock=clock)

    def observe(self, changed: Callable[[Path, Path], None]) -> None:
        """Set who serves the pair."""
        self._changed = changed

    @property
    def chain(self) -> tuple[x509.Certificate, ...]:
        """The certificates that are shown, the server's own first; StateError."""
        try:
            return tuple(x509.load_pem_x509_certificates(self.paths[0].read_bytes()))
        except (OSError, ValueError) as error:
            raise StateError(f"{self.paths[0]}: {error}") from error

    def request(self, subject: Mapping[str, str], names: Iterable[str], kind: str) -> str:
        """A signing request in PEM for a new key, which waits here for its certificate.

        `subject` has the words of SUBJECT, `kind` is one of KEYS. ValueError naming what is wrong.
        """
        parts = [x509.NameAttribute(SUBJECT[word], value) for word, value in subject.items()]
        found = [general_name(name) for name in names]
        alternatives = [name for name in found if name is not None]
        key = KEYS[kind]()
        builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name(parts))
        if alternatives:
            builder = builder.add_extension(
                x509.SubjectAlternativeName(alternatives), critical=False
            )
        signed = builder.sign(key, hashes.SHA256())
        with self._lock:
            self._write(_PENDING_KEY, _key_pem(key), 0o600)
        return signed.public_bytes(serialization.Encoding.PEM).decode()

    def replace(self, pem: str) -> None:
        """Serve this certificate, with its chain behind it, to whoever connects from now on.

        Its key is the one of the last request, the one that is in use, or stands in `pem`.
        ValueError where it is no certificate, not valid now, or no key fits it; ConflictError
        where the certificate is the configuration's.
        """
        if self._configured:
            raise ConflictError("the certificate is the one that the configuration names")
        data = pem.encode("ascii", "replace")
        try:
            chain = x509.load_pem_x509_certificates(data)
        except ValueError as error:
            raise ValueError(f"no certificate in PEM: {error}") from error
        self._check(chain[0])
        with self._lock:
            key = self._fitting_key(chain[0], data)
            text = b"".join(c.public_bytes(serialization.Encoding.PEM) for c in chain)
            self._write(INSTALLED, _key_pem(key) + text, 0o600)
            (self._directory / _PENDING_KEY).unlink(missing_ok=True)
            self.paths = self._directory / INSTALLED, self._directory / INSTALLED
            if self._changed is not None:
                self._changed(*self.paths)

    def _check(self, certificate: x509.Certificate) -> None:
        now = datetime.datetime.fromtimestamp(self._clock.unix_ns() / 1e9, datetime.UTC)
        if not certificate.not_valid_before_utc <= now < certificate.not_valid_after_utc:
            raise ValueError(
                f"the certificate is valid from {certificate.not_valid_before_utc:%Y-%m-%d} to "
                f"{certificate.not_valid_after_utc:%Y-%m-%d}, not now"
            )

    def _fitting_key(self, certificate: x509.Certificate, data: bytes) -> _PrivateKey:
        candidates = [data] if b"PRIVATE KEY-----" in data else []
        for path in (self._directory / _PENDING_KEY, self.paths[1]):
            if path.exists():
                candidates.append(path.read_bytes())
        for candidate in candidates:
            key = _private_key(candidate)
            if key is not None and key.public_key() == certificate.public_key():
                return key
        raise ValueError("the certificate fits neither the key of the last request nor the present")

    def _write(self, name: str, data: bytes, mode: int) -> None:
        try:
            replace_file(self._directory / name, data, mode)
        except OSError as error:
            raise StateError(f"{self._directory / name}: {error.strerror}") from error


def _private_key(data: bytes) -> _PrivateKey | None:
    begin = data.find(b"-----BEGIN", max(0, data.find(b"PRIVATE KEY-----") - 32))
    try:
        key = serialization.load_pem_private_key(data[begin:], None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return None
    return key if isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) else None


def _key_pem(key: _PrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )

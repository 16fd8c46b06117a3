"""The served certificate: shown as it is, requested, and replaced under a running service."""

from __future__ import annotations

import datetime
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from e2e.emulator_client import unverified
from served_front import Answer, Served, served

SERVICE = "/redfish/v1/CertificateService"
COLLECTION = "/redfish/v1/Managers/DCPI/NetworkProtocol/HTTPS/Certificates"
SERVED = f"{COLLECTION}/1"
CSR = f"{SERVICE}/Actions/CertificateService.GenerateCSR"
REPLACE = f"{SERVICE}/Actions/CertificateService.ReplaceCertificate"
DAY = datetime.timedelta(days=1)


@pytest.fixture
def front(tmp_path: Path) -> Iterator[Served]:
    """A front."""
    with served(tmp_path) as it:
        yield it


def _shown(front: Served) -> x509.Certificate:
    """What a new connection sees."""
    plain = socket.create_connection(("127.0.0.1", front.port), timeout=10)
    with unverified().wrap_socket(plain) as connection:
        data = connection.getpeercert(binary_form=True)
    assert data is not None
    return x509.load_der_x509_certificate(data)


def _request(front: Served, **more: Any) -> Answer:
    body = {"CommonName": "bmc.example", "CertificateCollection": {"@odata.id": COLLECTION}}
    return front.ask("POST", CSR, {**body, **more})


def _replace(front: Served, pem: str) -> Answer:
    uri = {"@odata.id": SERVED}
    body = {"CertificateString": pem, "CertificateType": "PEM", "CertificateUri": uri}
    return front.ask("POST", REPLACE, body)


def _signed(csr: x509.CertificateSigningRequest, days: int = 30) -> str:
    """A certificate for that request from an authority made for it."""
    now = datetime.datetime.now(datetime.UTC)
    issuer = x509.Name([x509.NameAttribute(x509.oid.NameOID.COMMON_NAME, "Test CA")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(csr.subject)
        .issuer_name(issuer)
        .public_key(csr.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - 60 * DAY)
        .not_valid_after(now + days * DAY)
        .sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def test_the_certificate_is_the_one_that_is_served(front: Served) -> None:
    """The text is what a handshake brings, and its parts are what openssl reads in it."""
    body = front.ask("GET", SERVED).body
    assert x509.load_pem_x509_certificate(body["CertificateString"].encode()) == _shown(front)
    read = subprocess.run(
        ["openssl", "x509", "-noout", "-fingerprint", "-sha256", "-serial"],
        input=body["CertificateString"], text=True, capture_output=True, check=True,
    ).stdout  # fmt: skip
    assert body["Fingerprint"] in read
    assert body["SerialNumber"].replace(":", "") in read
    assert body["Issuer"] == {"CommonName": "dcpi-bmc lab CA"}
    assert "ServerAuthentication" in body["KeyUsage"]


@pytest.mark.parametrize(
    ("more", "bits"),
    [
        ({}, 256),
        ({"KeyCurveId": "TPM_ECC_NIST_P384"}, 384),
        ({"KeyPairAlgorithm": "TPM_ALG_RSA"}, 3072),
    ],
)
def test_a_request_becomes_the_certificate_of_new_connections(
    front: Served, tmp_path: Path, more: dict[str, Any], bits: int
) -> None:
    """Open connections go on, new ones see it, a restart keeps it, and no key leaves."""
    answer = _request(front, AlternativeNames=["bmc.example", "192.0.2.7"], Country="DE", **more)
    csr = x509.load_pem_x509_csr(answer.body["CSRString"].encode())
    assert csr.is_signature_valid
    assert csr.public_key().key_size == bits  # type: ignore[union-attr]
    pem = _signed(csr)
    with front.open() as old:
        assert _replace(front, pem).status == 204
        assert _shown(front) == x509.load_pem_x509_certificate(pem.encode())
        old.sendall(b"GET /redfish HTTP/1.1\r\nHost: bmc\r\n\r\n")
        assert old.recv(12) == b"HTTP/1.1 200"
    body = front.ask("GET", SERVED).body
    assert body["Subject"] == {"CommonName": "bmc.example", "Country": "DE"}
    assert "PRIVATE" not in str(body) + str(answer.body)
    assert all(f.stat().st_mode & 0o077 == 0 for f in (tmp_path / "tls").glob("installed*"))
    assert front.audit("certificate.replace.done")[0]["serial"]


def test_an_installed_certificate_survives_a_restart(tmp_path: Path) -> None:
    """The next service on the same state shows it."""
    with served(tmp_path) as front:
        csr = x509.load_pem_x509_csr(_request(front).body["CSRString"].encode())
        _replace(front, _signed(csr))
        shown = _shown(front)
    with served(tmp_path) as front:
        assert _shown(front) == shown


def _foreign() -> str:
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    return _signed(builder.sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256()))


def test_what_fits_no_key_or_no_day_is_refused(front: Served) -> None:
    """A certificate of a foreign key, one that has ended, and text: 400, and nothing changes."""
    before = _shown(front)
    csr = x509.load_pem_x509_csr(_request(front).body["CSRString"].encode())
    for pem, reason in (
        (_foreign(), "fits neither the key"),
        (_signed(csr, days=-1), "not now"),
        ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "no certificate"),
        ("nonsense", "no certificate"),
    ):
        answer = _replace(front, pem)
        (info,) = answer.body["error"]["@Message.ExtendedInfo"]
        assert (answer.status, info["RelatedProperties"]) == (400, ["#/CertificateString"])
        assert reason in info["Message"]
    assert _shown(front) == before


@pytest.mark.parametrize(
    ("more", "status"),
    [
        ({"CommonName": 5}, 400),
        ({"Country": "Germany"}, 400),
        ({"AlternativeNames": ["no name"]}, 400),
        ({"KeyCurveId": "TPM_ECC_BN_P256"}, 400),
        ({"CertificateCollection": {"@odata.id": "/redfish/v1/Elsewhere"}}, 404),
        ({"CertificateCollection": "x"}, 400),
        ({"Colour": "x"}, 400),
    ],
)
def test_a_request_that_cannot_be_is_refused(
    front: Served, more: dict[str, Any], status: int
) -> None:
    """Each parameter is checked before a key is made."""
    assert _request(front, **more).status == status
    assert not list((front.service.config.state_dir / "tls").glob("pending*"))


def test_only_who_configures_the_manager_replaces_it(front: Served) -> None:
    """An operator may look, and no more."""
    front.service.accounts.create("operator", "some-password", "Operator")
    who = {"user": "operator", "password": "some-password"}
    assert front.ask("GET", SERVED, **who).status == 200
    assert front.ask("POST", REPLACE, {}, **who).status == 403
    assert front.ask("POST", CSR, {}, **who).status == 403

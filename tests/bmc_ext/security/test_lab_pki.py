"""The lab's certificate authority and server certificate."""

from __future__ import annotations

import socket
import ssl
import threading
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from bmc_ext.errors import StateError
from bmc_ext.security import lab_pki
from bmc_ext.security.lab_pki import ensure_lab_certificate


def _certificate(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


def _handshake(directory: Path, name: str) -> str | None:
    """TLS version of a handshake with a client that trusts the lab's authority only."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(*ensure_lab_certificate(directory))
    client = ssl.create_default_context(cafile=str(directory / lab_pki.CA_CERTIFICATE))
    client.minimum_version = ssl.TLSVersion.TLSv1_3
    ours, theirs = socket.socketpair()
    with ours, theirs:

        def serve() -> None:
            try:
                with server.wrap_socket(theirs, server_side=True) as wrapped:
                    wrapped.recv(1)
            except OSError:
                theirs.close()

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            with client.wrap_socket(ours, server_hostname=name) as wrapped:
                version = wrapped.version()
                wrapped.send(b"x")
                return version
        finally:
            ours.close()
            thread.join()


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "::1"])
def test_a_client_that_trusts_the_lab_ca_gets_tls_1_3(tmp_path: Path, name: str) -> None:
    """The chain verifies for the names of loopback, without switching any check off."""
    assert _handshake(tmp_path, name) == "TLSv1.3"


def test_a_client_that_asks_for_another_name_is_refused(tmp_path: Path) -> None:
    """The certificate does not serve names that it was not made for."""
    with pytest.raises(ssl.SSLCertVerificationError):
        _handshake(tmp_path, "example.org")


def test_keys_are_p256_and_only_their_owner_reads_them(tmp_path: Path) -> None:
    """Both keys have mode 0600 and both certificates are ECDSA P-256."""
    certificate, key = ensure_lab_certificate(tmp_path / "pki")
    assert key.stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "pki" / lab_pki.CA_KEY).stat().st_mode & 0o777 == 0o600
    for path in (certificate, tmp_path / "pki" / lab_pki.CA_CERTIFICATE):
        public_key = _certificate(path).public_key()
        assert isinstance(public_key, ec.EllipticCurvePublicKey)
        assert public_key.curve.name == "secp256r1"


def test_a_good_certificate_is_kept_and_a_new_host_replaces_it(tmp_path: Path) -> None:
    """The second call changes nothing; a further name makes a new certificate, same authority."""
    certificate, _ = ensure_lab_certificate(tmp_path)
    first = _certificate(certificate)
    authority = (tmp_path / lab_pki.CA_CERTIFICATE).read_bytes()
    ensure_lab_certificate(tmp_path)
    assert _certificate(certificate) == first
    ensure_lab_certificate(tmp_path, ["bmc.example", "192.0.2.7", "0.0.0.0"])
    names = _certificate(certificate).extensions.get_extension_for_class(
        x509.SubjectAlternativeName
    )
    assert "bmc.example" in names.value.get_values_for_type(x509.DNSName)
    addresses = [str(one) for one in names.value.get_values_for_type(x509.IPAddress)]
    assert addresses == ["127.0.0.1", "::1", "192.0.2.7"]
    assert (tmp_path / lab_pki.CA_CERTIFICATE).read_bytes() == authority


@pytest.mark.parametrize(
    "damage",
    [lab_pki.SERVER_KEY, lab_pki.SERVER_CERTIFICATE, lab_pki.CA_KEY, lab_pki.CA_CERTIFICATE],
)
@pytest.mark.parametrize("content", [b"", b"garbage", None])
def test_a_damaged_or_missing_file_is_replaced(
    tmp_path: Path, damage: str, content: bytes | None
) -> None:
    """Whatever part is lost, the next start has a working pair again."""
    ensure_lab_certificate(tmp_path)
    if content is None:
        (tmp_path / damage).unlink()
    else:
        (tmp_path / damage).write_bytes(content)
    assert _handshake(tmp_path, "localhost") == "TLSv1.3"


def test_a_key_of_another_pair_is_replaced(tmp_path: Path) -> None:
    """A crash between key and certificate does not leave a pair that does not match."""
    _, key = ensure_lab_certificate(tmp_path / "one")
    _, other = ensure_lab_certificate(tmp_path / "two")
    key.write_bytes(other.read_bytes())
    assert _handshake(tmp_path / "one", "localhost") == "TLSv1.3"


@pytest.mark.parametrize(("age_days", "authority_stays"), [(380, True), (3630, False)])
def test_what_is_near_its_end_is_renewed(
    tmp_path: Path, clock: Any, age_days: int, authority_stays: bool
) -> None:
    """Thirty days before its end a certificate is made anew; the authority only when it ends."""
    now_s = clock.unix_s
    clock.advance(-age_days * 86_400)
    certificate, _ = ensure_lab_certificate(tmp_path, clock=clock)
    authority = (tmp_path / lab_pki.CA_CERTIFICATE).read_bytes()
    clock.advance(age_days * 86_400)
    ensure_lab_certificate(tmp_path, clock=clock)
    end_s = _certificate(certificate).not_valid_after_utc.timestamp()
    assert end_s == now_s + 397 * 86_400
    assert ((tmp_path / lab_pki.CA_CERTIFICATE).read_bytes() == authority) == authority_stays


@pytest.mark.parametrize("host", ["", "two words", "http://x", "bücher.example"])
def test_a_host_that_is_no_name_is_refused(tmp_path: Path, host: str) -> None:
    """The error names the host."""
    with pytest.raises(ValueError, match="neither an address nor a DNS name"):
        ensure_lab_certificate(tmp_path, [host])


def test_a_directory_that_cannot_be_written_is_a_state_error(tmp_path: Path) -> None:
    """The error names the directory."""
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(StateError, match="file"):
        ensure_lab_certificate(file / "pki")

"""The server's TLS context: version 1.3 only (DCPI 5.2.1, 10.3.1)."""

from __future__ import annotations

import ssl
from pathlib import Path

from bmc_ext.errors import ConfigurationError


def server_context(certificate: Path, private_key: Path) -> ssl.SSLContext:
    """A context that speaks TLS 1.3 and hands out no session tickets.

    Without tickets no resumed session can outlive a revoked certificate. Raises
    ConfigurationError naming the file that cannot be used.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.num_tickets = 0
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(certificate, private_key)
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(f"{certificate} with {private_key}: {error}") from error
    return context


class ReplaceableCertificate:
    """A context to listen with, whose certificate can be exchanged from any thread.

    Each handshake takes the newest pair as a whole; open connections keep theirs.
    """

    def __init__(self, certificate: Path, private_key: Path) -> None:
        self.context = server_context(certificate, private_key)
        self._newest = self.context
        # OpenSSL asks this in every handshake, also without a server name from the client.
        self.context.sni_callback = self._choose

    def use(self, certificate: Path, private_key: Path) -> None:
        """Show this pair from now on; ConfigurationError, and then nothing changes."""
        self._newest = server_context(certificate, private_key)

    def _choose(
        self, connection: ssl.SSLObject | ssl.SSLSocket, name: str | None, context: ssl.SSLContext
    ) -> None:
        del name, context
        connection.context = self._newest

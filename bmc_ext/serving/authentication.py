"""Who sends a request: a session's token, or Basic credentials (DSP0266 13.3)."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping

from bmc_ext.redfish.access_audit import AccessAudit
from bmc_ext.security.accounts import Accounts
from bmc_ext.security.identity import Identity
from bmc_ext.security.sessions import Sessions
from bmc_ext.serving.lanes import Lane


class Authenticator:
    """Turns header values into an identity; argon2 runs in `lane`, everything else at once."""

    def __init__(
        self, accounts: Accounts, sessions: Sessions, access: AccessAudit, lane: Lane
    ) -> None:
        self._accounts = accounts
        self._sessions = sessions
        self._access = access
        self._lane = lane

    async def identify(self, headers: Mapping[bytes, bytes], client: str) -> Identity | None:
        """The caller, or None where credentials are missing or wrong; LaneFullError.

        `client` is the peer's address, for the audit log.
        """
        token = headers.get(b"x-auth-token")
        if token is not None:
            identity = self._sessions.authenticate(token.decode("latin-1"))
            if identity is None:
                self._access.refused("authentication.refused", method="token", client=client)
            return identity
        credentials = basic_credentials(headers.get(b"authorization", b""))
        if credentials is None:
            return None
        identity = self._accounts.recall(*credentials)
        if identity is not None:
            return identity
        return await self._lane.run(self._verify, *credentials, client)

    def still_valid(self, identity: Identity, headers: Mapping[bytes, bytes]) -> bool:
        """Whether an open stream's caller may go on listening."""
        token = headers.get(b"x-auth-token")
        if token is not None:
            return self._sessions.authenticate(token.decode("latin-1")) is not None
        return self._accounts.is_current(identity)

    def _verify(self, username: str, password: str, client: str) -> Identity | None:
        identity = self._accounts.verify(username, password)
        write = self._access.refused if identity is None else self._access.granted
        outcome = "refused" if identity is None else "granted"
        write(f"authentication.{outcome}", method="basic", user=username, client=client)
        return identity


def basic_credentials(header: bytes) -> tuple[str, str] | None:
    """User name and password of an Authorization header; None where it holds none (RFC 7617)."""
    scheme, _, encoded = header.partition(b" ")
    if scheme.lower() != b"basic":
        return None
    try:
        text = base64.b64decode(encoded.strip(), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return None
    username, colon, password = text.partition(":")
    return (username, password) if colon else None

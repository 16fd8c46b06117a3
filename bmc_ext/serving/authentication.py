"""Who sends a request: a session's token, or Basic credentials (DSP0266 13.3)."""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import Mapping

from bmc_ext.security.accounts import Accounts
from bmc_ext.security.identity import Identity
from bmc_ext.security.sessions import Sessions


class Authenticator:
    """Turns header values into an identity; argon2 runs in a thread, everything else at once."""

    def __init__(self, accounts: Accounts, sessions: Sessions) -> None:
        self._accounts = accounts
        self._sessions = sessions

    async def identify(self, headers: Mapping[bytes, bytes]) -> Identity | None:
        """The caller, or None where credentials are missing or wrong."""
        token = headers.get(b"x-auth-token")
        if token is not None:
            return self._sessions.authenticate(token.decode("latin-1"))
        credentials = basic_credentials(headers.get(b"authorization", b""))
        if credentials is None:
            return None
        identity = self._accounts.recall(*credentials)
        if identity is not None:
            return identity
        return await asyncio.to_thread(self._accounts.verify, *credentials)

    def still_valid(self, identity: Identity, headers: Mapping[bytes, bytes]) -> bool:
        """Whether an open stream's caller may go on listening."""
        token = headers.get(b"x-auth-token")
        if token is not None:
            return self._sessions.authenticate(token.decode("latin-1")) is not None
        return self._accounts.is_current(identity)


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

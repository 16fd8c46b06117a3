"""How the upstream BMC knows us: a session where it has them, else Basic."""

from __future__ import annotations

import base64
import json
import logging
import threading
import time
from collections.abc import Mapping
from typing import Final

from bmc_ext.errors import HostUnavailableError
from bmc_ext.upstream.connection import Connection
from bmc_ext.upstream.paths import local
from bmc_ext.upstream_settings import UpstreamAccount

_LOG = logging.getLogger(__name__)

LOCKOUT_S: Final = 120.0
"""After a refusal; twice as long after each further one, for repetition locks the account."""

MOST_LOCKOUT_S: Final = 3600.0

_AGAIN_S: Final = 1.0
_SESSIONS: Final = "/redfish/v1/SessionService/Sessions"
_JSON: Final = {"Content-Type": "application/json", "Accept": "application/json"}


class CredentialsRefusedError(HostUnavailableError):
    """The upstream BMC does not take an account that is configured."""


class Login:
    """One account of the upstream BMC; any thread. A session is shared and renewed when it ends.

    One that is refused is not tried again for `lockout_s`, then twice that, up to an hour.
    """

    def __init__(
        self, connection: Connection, account: UpstreamAccount, lockout_s: float = LOCKOUT_S
    ) -> None:
        self._connection = connection
        self._account = account
        self._lockout_s = lockout_s
        self._refusals = 0
        self._lock = threading.Lock()
        self._headers: Mapping[str, str] | None = None
        self._session: str | None = None
        self._failure: HostUnavailableError | None = None
        self._not_before_s = 0.0

    def headers(self, refused: Mapping[str, str] | None = None) -> Mapping[str, str]:
        """What authenticates a request; `refused` is what was answered 401 a moment ago.

        CredentialsRefusedError where nothing else is to be had, HostUnavailableError.
        """
        with self._lock:
            if self._headers is None or self._headers is refused:
                if refused is not None and "Authorization" in refused:
                    raise self.refused()
                left_s = self._not_before_s - time.monotonic()
                if self._failure is not None and left_s > 0:
                    raise type(self._failure)(str(self._failure), left_s)
                self._headers = None
                self._headers = self._try()
            return self._headers

    def refused(self) -> CredentialsRefusedError:
        """The upstream BMC does not know the account: for a while it is not tried again."""
        self._headers = None
        now_s = time.monotonic()
        if now_s >= self._not_before_s:  # not by each of those who asked at the same time
            longest_s = max(MOST_LOCKOUT_S, self._lockout_s)
            wait_s = min(self._lockout_s * 2.0 ** min(self._refusals, 32), longest_s)
            self._refusals += 1
            self._not_before_s = now_s + wait_s
        self._failure = CredentialsRefusedError(
            f"it refuses the account {self._account.username!r}", self._not_before_s - now_s
        )
        return self._failure

    def accepted(self) -> None:
        """The upstream BMC knows the account."""
        self._refusals = 0

    def log_out(self) -> None:
        """End the session, as far as the upstream BMC is there to hear it."""
        with self._lock:
            headers, session = self._headers, self._session
            self._headers = self._session = None
        if headers is None or session is None:
            return
        try:
            self._connection.ask("DELETE", session, headers, within_s=2.0)
        except HostUnavailableError as error:
            _LOG.info("a session of the upstream BMC stays open until it ends by itself: %s", error)

    def _try(self) -> Mapping[str, str]:
        """Log in; who waited for a BMC that does not answer is not to wait for it anew."""
        try:
            return self._log_in()
        except CredentialsRefusedError:
            raise
        except HostUnavailableError as error:
            self._failure, self._not_before_s = error, time.monotonic() + _AGAIN_S
            raise

    def _log_in(self) -> Mapping[str, str]:
        account = self._account
        body = {"UserName": account.username, "Password": account.password}
        self._session = None
        basically = {"Authorization": basic(account.username, account.password)}
        # After a refusal both ways at once: one more failure there, not two.
        headers = {**_JSON, **basically} if self._refusals else _JSON
        answer = self._connection.ask("POST", _SESSIONS, headers, json.dumps(body).encode())
        token = answer.headers.get("x-auth-token")
        if answer.status in (200, 201) and token:
            self._session = local(answer.headers.get("location", ""), self._connection.origin)
            return {"X-Auth-Token": token}
        if answer.status == 403 or (answer.status == 401 and self._refusals):
            raise self.refused()
        # No sessions, or none without Basic: the next request tells whether that is taken.
        return basically


def basic(username: str, password: str) -> str:
    """The value of an Authorization header (RFC 7617)."""
    return "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()

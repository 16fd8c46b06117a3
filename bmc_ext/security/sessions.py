"""Redfish sessions (DSP0266 clause 13.3.4): opaque tokens that live in memory only."""

from __future__ import annotations

import hashlib
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from bmc_ext.clock import Clock, SystemClock
from bmc_ext.errors import ConflictError, NotFoundError
from bmc_ext.security.identity import Identity

MAX_SESSIONS: Final = 64
TIMEOUT_S: Final = (30, 86_400)
"""Bounds of SessionTimeout in the schema SessionService."""

_TOKEN_BYTES: Final = 32  # 256 bits


@dataclass(frozen=True, slots=True)
class Session:
    """One open session; `created_s` is Unix time; `token` is empty but in what `open` returns."""

    id: str
    token: str
    username: str
    created_s: float


class _Open:
    """An open session: only `last_used_s` (monotonic) ever changes."""

    __slots__ = ("created_s", "identity", "last_used_s")

    def __init__(self, identity: Identity, created_s: float, now_s: float) -> None:
        self.identity = identity
        self.created_s = created_s
        self.last_used_s = now_s


class Sessions:
    """All open sessions; all methods may be called from any thread.

    A session ends when it has not been used for `timeout_s`, on logout, or with `close_of`.
    Only the SHA-256 of a token is kept. `is_current` is asked once more after a session has been
    entered, so that none outlives an account change that came between login and here.
    """

    def __init__(
        self,
        timeout_s: float,
        clock: Clock | None = None,
        *,
        is_current: Callable[[Identity], bool] | None = None,
    ) -> None:
        self._clock = clock or SystemClock()
        self._is_current = is_current
        self._on_change: Callable[[Session, bool], object] = _ignore
        self._lock = threading.Lock()
        self._by_digest: dict[bytes, _Open] = {}
        self.timeout_s = timeout_s

    @property
    def timeout_s(self) -> float:
        """Seconds without use after which a session ends; ValueError outside 30 to 86400."""
        return self._timeout_s

    @timeout_s.setter
    def timeout_s(self, seconds: float) -> None:
        shortest, longest = TIMEOUT_S
        if not shortest <= seconds <= longest:
            raise ValueError(f"a session time-out is {shortest} to {longest} s, not {seconds}")
        self._timeout_s = seconds

    def observe(self, on_change: Callable[[Session, bool], object]) -> None:
        """Set who is told of a session that was opened (True) or has ended; it must not wait."""
        self._on_change = on_change

    def open(self, identity: Identity) -> Session:
        """Open a session for a user who has just been verified.

        ConflictError when MAX_SESSIONS are in use, or when the account has changed meanwhile.
        """
        token = secrets.token_urlsafe(_TOKEN_BYTES)
        digest = _digest(token)
        session_id = secrets.token_hex(8)
        with self._lock:
            self._drop_expired()
            if len(self._by_digest) >= MAX_SESSIONS:
                raise ConflictError(f"all {MAX_SESSIONS} sessions are in use; close one first")
            created_s = self._clock.unix_ns() / 1e9
            self._by_digest[digest] = _Open(
                identity.in_session(session_id), created_s, self._clock.monotonic_s()
            )
        if self._is_current is not None and not self._is_current(identity):
            with self._lock:
                self._by_digest.pop(digest, None)
            raise ConflictError(f"account {identity.username!r} has changed; log in again")
        session = Session(session_id, token, identity.username, created_s)
        self._on_change(replace(session, token=""), True)
        return session

    def authenticate(self, token: str) -> Identity | None:
        """Whose token this is, and its time-out starts anew; None when it opens nothing."""
        entry = self._by_digest.get(_digest(token))
        if entry is None:
            return None
        now_s = self._clock.monotonic_s()
        if now_s - entry.last_used_s >= self._timeout_s:
            return None
        entry.last_used_s = now_s
        return entry.identity

    def list(self) -> tuple[Session, ...]:
        """The open sessions, oldest first."""
        with self._lock:
            self._drop_expired()
            return tuple(_public(entry) for entry in self._by_digest.values())

    def get(self, session_id: str) -> Session:
        """One open session; NotFoundError when there is none."""
        for session in self.list():
            if session.id == session_id:
                return session
        raise NotFoundError(f"no session {session_id!r}")

    def close(self, session_id: str) -> None:
        """End one session; NotFoundError when there is none."""
        with self._lock:
            self._drop_expired()
            if not self._drop(lambda entry: entry.identity.session_id == session_id):
                raise NotFoundError(f"no session {session_id!r}")

    def close_of(self, username: str) -> int:
        """End all sessions of a user; how many there were."""
        with self._lock:
            return self._drop(lambda entry: entry.identity.username == username)

    def _drop_expired(self) -> None:
        oldest_s = self._clock.monotonic_s() - self._timeout_s
        self._drop(lambda entry: entry.last_used_s <= oldest_s)

    def _drop(self, unwanted: Callable[[_Open], bool]) -> int:
        """Drop the sessions that are unwanted; the caller holds the lock."""
        digests = [digest for digest, entry in self._by_digest.items() if unwanted(entry)]
        for digest in digests:
            self._on_change(_public(self._by_digest.pop(digest)), False)
        return len(digests)


def _ignore(session: Session, opened: bool) -> None:
    del session, opened


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


def _public(entry: _Open) -> Session:
    identity = entry.identity
    assert identity.session_id is not None
    return Session(identity.session_id, "", identity.username, entry.created_s)

"""Local accounts: argon2id on disk, a keyed digest in memory for the requests in between."""

from __future__ import annotations

import hmac
import secrets
import sqlite3
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import argon2

from bmc_ext.clock import Clock, SystemClock
from bmc_ext.errors import ConflictError, NotFoundError, StateError
from bmc_ext.memory import return_large_blocks
from bmc_ext.security.identity import CONFIGURE_USERS, Identity, identity_of
from bmc_ext.security.lockout import Lockout, LockoutRule
from bmc_ext.state import StateDirectory

MAX_ACCOUNTS: Final = 256
USERNAME_LENGTH: Final = (1, 64)
PASSWORD_LENGTH: Final = (8, 256)

_REMEMBER_S: Final = 300.0  # a poller that sends Basic each time pays argon2 once in five minutes
_CONCURRENT_HASHES: Final = 2  # each holds 19 MiB and a core

# OWASP Password Storage Cheat Sheet, second choice for argon2id: 19 MiB, two passes, one lane.
_HASHER: Final = argon2.PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS accounts (
    username TEXT PRIMARY KEY, role TEXT NOT NULL, enabled INTEGER NOT NULL, hash TEXT NOT NULL,
    must_change_password INTEGER NOT NULL DEFAULT 0
)
"""

# A state directory of 0.1 has accounts without it.
_ADDED: Final = "ALTER TABLE accounts ADD COLUMN must_change_password INTEGER NOT NULL DEFAULT 0"


@dataclass(frozen=True, slots=True)
class Account:
    """One account as others see it."""

    username: str
    role: str
    enabled: bool
    must_change_password: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class _Record:
    """An account with its secret; every change makes another object, so a stale one is seen."""

    account: Account
    hash: str
    identity: Identity


@dataclass(frozen=True, slots=True)
class _Remembered:
    """A credential that argon2 has confirmed, until `expires_s` on the monotonic clock."""

    digest: bytes
    expires_s: float
    record: _Record


class Accounts:
    """The accounts of one state directory; all methods may be called from any thread.

    A change is on disk before the call returns, or StateError says that it is not. `on_change` is
    called with the user's name after a password, role or lock change and after a deletion: the
    place to close that user's sessions.
    """

    def __init__(
        self,
        state: StateDirectory,
        *,
        clock: Clock | None = None,
        on_change: Callable[[str], object] | None = None,
        lockout: LockoutRule | None = None,
    ) -> None:
        self._clock = clock or SystemClock()
        self._on_change = on_change
        self._lock = threading.RLock()
        return_large_blocks()
        self._hashing = threading.BoundedSemaphore(_CONCURRENT_HASHES)
        self._digest_key = secrets.token_bytes(32)
        self._remembered: dict[str, _Remembered] = {}
        # Verified against where the user is unknown, so that it takes the same time.
        self._nobody = _HASHER.hash(secrets.token_urlsafe(32))
        self._database = state.database("state", durable=True)
        try:
            self._records = _load(self._database)
            own = state.database("state", durable=True)
            self.lockout = Lockout(own, self._clock, lockout or LockoutRule())
        except (sqlite3.Error, ValueError) as error:
            self._database.close()
            raise StateError(f"{state.path}: accounts cannot be read: {error}") from error

    def observe(self, on_change: Callable[[str], object]) -> None:
        """Set who is told the name of a user whose rights have changed."""
        self._on_change = on_change

    def close(self) -> None:
        """Close the database."""
        self.lockout.close()
        with self._lock:
            self._database.close()

    def list(self) -> tuple[Account, ...]:
        """All accounts, by name."""
        with self._lock:
            return tuple(self._records[name].account for name in sorted(self._records))

    def get(self, username: str) -> Account:
        """One account; NotFoundError when there is none of that name."""
        with self._lock:
            return self._record(username).account

    def create(
        self,
        username: str,
        password: str,
        role: str,
        enabled: bool = True,
        must_change_password: bool = False,
    ) -> Account:
        """Add an account.

        ValueError for a name, password or role that is not allowed; ConflictError when the name
        is taken or MAX_ACCOUNTS exist.
        """
        check_username(username)
        check_password(password)
        identity_of(username, role)
        account = Account(username, role, enabled, must_change_password)
        record = _record(account, self._hash(password))
        with self._lock:
            if username in self._records:
                raise ConflictError(f"account {username!r} exists already")
            if len(self._records) >= MAX_ACCOUNTS:
                raise ConflictError(f"there are {MAX_ACCOUNTS} accounts already; delete one first")
            self._store(record)
        return record.account

    def ensure(self, username: str, password: str, role: str) -> Account:
        """The account of that name, created first where it is missing; never changed otherwise."""
        with self._lock:
            known = self._records.get(username)
        return known.account if known else self.create(username, password, role)

    def set_password(self, username: str, password: str) -> None:
        """Give a user another password, which is then good for use; ValueError, NotFoundError."""
        check_password(password)
        self.get(username)
        hashed = self._hash(password)
        with self._lock:
            record = self._record(username)
            account = replace(record.account, must_change_password=False)
            self._change(replace(record, account=account, hash=hashed))
            self.lockout.unlock(username)

    def set_role(self, username: str, role: str) -> None:
        """Give a user another role.

        ValueError for an unknown role, NotFoundError, ConflictError for the last administrator.
        """
        identity_of(username, role)
        with self._lock:
            record = self._record(username)
            self._change(_record(replace(record.account, role=role), record.hash))

    def set_enabled(self, username: str, enabled: bool) -> None:
        """Let a user in or lock them out.

        NotFoundError, ConflictError for the last administrator.
        """
        with self._lock:
            record = self._record(username)
            self._change(_record(replace(record.account, enabled=enabled), record.hash))

    def set_must_change_password(self, username: str, required: bool) -> None:
        """Let a user do nothing but change the password, or lift that; NotFoundError."""
        with self._lock:
            record = self._record(username)
            account = replace(record.account, must_change_password=required)
            self._change(_record(account, record.hash))

    def set_lockout(self, rule: LockoutRule) -> None:
        """Follow another rule of locking from now on; StateError."""
        with self._lock:
            self.lockout.set_rule(rule)

    def delete(self, username: str) -> None:
        """Remove an account; NotFoundError, ConflictError for the last administrator."""
        with self._lock:
            self._record(username)
            self._require_another_administrator(username)
            self._write("DELETE FROM accounts WHERE username = ?", (username,))
            del self._records[username]
            self._remembered.pop(username, None)
        self._tell(username)

    def verify(self, username: str, password: str) -> Identity | None:
        """Who this is, or None: wrong password, locked or unknown, at the same cost in time.

        A credential confirmed within the last 300 s is recognised by its HMAC-SHA256 under a key
        of this process and costs microseconds; any other costs one argon2id run, two at a time.
        """
        digest = self._digest(username, password)
        known = self._recall(username, digest)
        if known is not None:
            return known
        with self._hashing:
            # While this one waited, the same credential may have been confirmed.
            return self._recall(username, digest) or self._confirm(username, password, digest)

    def recall(self, username: str, password: str) -> Identity | None:
        """Who this is where `verify` has confirmed the credential lately; never runs argon2."""
        return self._recall(username, self._digest(username, password))

    def privileges_of(self, username: str) -> frozenset[str]:
        """What a user may do now: nothing where there is none of that name who may log in."""
        identity = self.identity_of(username)
        return frozenset() if identity is None else identity.privileges

    def identity_of(self, username: str) -> Identity | None:
        """The user of that name as they are now; None where there is none who may log in."""
        record = self._records.get(username)
        return None if record is None or not record.account.enabled else record.identity

    def is_current(self, identity: Identity) -> bool:
        """Whether `identity` is what verify would answer now: nothing has changed since."""
        record = self._records.get(identity.username)
        return record is not None and record.identity is identity and record.account.enabled

    def _recall(self, username: str, digest: bytes) -> Identity | None:
        remembered = self._remembered.get(username)
        if self.lockout.is_locked(username):
            return None
        if (
            remembered is not None
            and hmac.compare_digest(remembered.digest, digest)
            and self._clock.monotonic_s() < remembered.expires_s
            and self._records.get(username) is remembered.record
        ):
            return remembered.record.identity
        return None

    def _confirm(self, username: str, password: str, digest: bytes) -> Identity | None:
        record = self._records.get(username)
        matches = _matches(record.hash if record else self._nobody, password)
        if record is None or not record.account.enabled or self.lockout.is_locked(username):
            return None
        if not matches:
            self.lockout.failed(username)
            return None
        self.lockout.unlock(username)
        with self._lock:
            if self._records.get(username) is not record:
                return None  # changed while argon2 ran: this answer is about the past
            expires_s = self._clock.monotonic_s() + _REMEMBER_S
            self._remembered[username] = _Remembered(digest, expires_s, record)
        return record.identity

    def _digest(self, username: str, password: str) -> bytes:
        text = f"{username}\0{password}"
        return hmac.digest(self._digest_key, text.encode("utf-8", "surrogatepass"), "sha256")

    def _hash(self, password: str) -> str:
        with self._hashing:
            return _HASHER.hash(password)

    def _record(self, username: str) -> _Record:
        try:
            return self._records[username]
        except KeyError:
            raise NotFoundError(f"no account {username!r}") from None

    def _change(self, record: _Record) -> None:
        """Put a changed record in the place of the old one; the caller holds the lock."""
        account = record.account
        if not (_administers(account) and account.enabled):
            self._require_another_administrator(account.username)
        # A new identity object, so that nobody takes the old one for current.
        self._store(replace(record, identity=_identity(account)))
        self._tell(account.username)

    def _store(self, record: _Record) -> None:
        account = record.account
        self._write(
            "INSERT OR REPLACE INTO accounts "
            "(username, role, enabled, must_change_password, hash) VALUES (?, ?, ?, ?, ?)",
            (
                account.username,
                account.role,
                account.enabled,
                account.must_change_password,
                record.hash,
            ),
        )
        self._records[account.username] = record
        self._remembered.pop(account.username, None)

    def _write(self, statement: str, values: tuple[str | bool, ...]) -> None:
        try:
            self._database.execute(statement, values)
        except sqlite3.Error as error:
            raise StateError(f"the account could not be written: {error}") from error

    def _require_another_administrator(self, username: str) -> None:
        """ConflictError when `username` is the only one who can still manage accounts."""
        able = [
            record.account.username
            for record in self._records.values()
            if record.account.enabled and _administers(record.account)
        ]
        if able == [username]:
            raise ConflictError(f"{username!r} is the last administrator who can log in")

    def _tell(self, username: str) -> None:
        if self._on_change is not None:
            self._on_change(username)


def _load(database: sqlite3.Connection) -> dict[str, _Record]:
    """All accounts of the database, whose table is made or completed first."""
    database.execute(_SCHEMA)
    columns = [row[1] for row in database.execute("PRAGMA table_info(accounts)")]
    if "must_change_password" not in columns:
        database.execute(_ADDED)
    rows = database.execute(
        "SELECT username, role, enabled, must_change_password, hash FROM accounts"
    )
    accounts = [(Account(row[0], row[1], bool(row[2]), bool(row[3])), row[4]) for row in rows]
    return {account.username: _record(account, hashed) for account, hashed in accounts}


def check_username(username: str) -> None:
    """ValueError unless 1 to 64 printable characters without `:`, which ends the name in Basic."""
    shortest, longest = USERNAME_LENGTH
    if not shortest <= len(username) <= longest:
        raise ValueError(f"a user name has {shortest} to {longest} characters")
    if ":" in username or not username.isprintable() or username != username.strip():
        raise ValueError("a user name is printable, without ':' and without space around it")


def check_password(password: str) -> None:
    """ValueError unless 8 to 256 characters that UTF-8 can carry."""
    shortest, longest = PASSWORD_LENGTH
    if not shortest <= len(password) <= longest:
        raise ValueError(f"a password has {shortest} to {longest} characters")
    try:
        password.encode()
    except UnicodeEncodeError:
        raise ValueError("a password is text that UTF-8 can carry") from None


def _record(account: Account, hashed: str) -> _Record:
    return _Record(account, hashed, _identity(account))


def _identity(account: Account) -> Identity:
    """Whoever must change the password may do nothing else until then (DSP0266 13.3.8)."""
    identity = identity_of(account.username, account.role)
    return identity.that_must_change_password() if account.must_change_password else identity


def _administers(account: Account) -> bool:
    return CONFIGURE_USERS in identity_of(account.username, account.role).privileges


def _matches(hashed: str, password: str) -> bool:
    try:
        return _HASHER.verify(hashed, password.encode("utf-8", "surrogatepass"))
    except argon2.exceptions.VerificationError:
        return False

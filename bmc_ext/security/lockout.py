"""Locks accounts for a while after wrong passwords (schema AccountService, AccountLockout*)."""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from bmc_ext.clock import Clock
from bmc_ext.errors import StateError

_LOG = logging.getLogger(__name__)

MAX_THRESHOLD: Final = 1000
MAX_SECONDS: Final = 86_400

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS account_lockout (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    threshold INTEGER NOT NULL, duration_s INTEGER NOT NULL, reset_after_s INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS account_locks (username TEXT PRIMARY KEY, until_s REAL NOT NULL);
"""


@dataclass(frozen=True, slots=True)
class LockoutRule:
    """After `threshold` failures, each within `reset_after_s` of the one before, none for 0.

    A lock lasts `duration_s`; 0 locks nobody. ValueError where the counter would outlive the lock.
    """

    threshold: int = 0
    duration_s: int = 300
    reset_after_s: int = 60

    def __post_init__(self) -> None:
        if self.duration_s and self.reset_after_s > self.duration_s:
            raise ValueError("AccountLockoutCounterResetAfter exceeds AccountLockoutDuration")


@dataclass(slots=True)
class _Failures:
    count: int
    last_s: float
    locked_until_s: float | None = None


class Lockout:
    """Who is locked out by now; locks and the rule are on disk, counts in memory.

    A count is not worth a write to flash for each guess: a restart forgives what has not come to a
    lock. `default` holds until another rule is set; `on_lock` is told who has just been locked out.
    All methods may be called from any thread; the database is this object's own. StateError where
    the rule cannot be written; a lock that cannot holds until the service ends.
    """

    def __init__(self, database: sqlite3.Connection, clock: Clock, default: LockoutRule) -> None:
        self._clock = clock
        self._database = database
        self._lock = threading.Lock()
        self.on_lock: Callable[[str], object] = lambda username: None  # noqa: ARG005
        self._failures: dict[str, _Failures] = {}
        database.executescript(_SCHEMA)
        row = database.execute(
            "SELECT threshold, duration_s, reset_after_s FROM account_lockout"
        ).fetchone()
        self.rule = default if row is None else LockoutRule(*row)
        self._recall()

    def close(self) -> None:
        """Close the database."""
        with self._lock:
            self._database.close()

    def set_rule(self, rule: LockoutRule) -> None:
        """Follow another rule from now on; StateError, and then nothing changes."""
        try:
            with self._lock:
                self._database.execute(
                    "INSERT OR REPLACE INTO account_lockout VALUES (1, ?, ?, ?)",
                    (rule.threshold, rule.duration_s, rule.reset_after_s),
                )
        except sqlite3.Error as error:
            raise StateError(f"the lockout rule could not be written: {error}") from error
        self.rule = rule

    def is_locked(self, username: str) -> bool:
        """Whether nobody comes in under that name now."""
        with self._lock:
            found = self._failures.get(username)
            if found is None or found.locked_until_s is None:
                return False
            if self._clock.monotonic_s() < found.locked_until_s:
                return True
            del self._failures[username]
            return False

    def failed(self, username: str) -> None:
        """Count a wrong password of an account that exists."""
        rule, now_s = self.rule, self._clock.monotonic_s()
        if rule.threshold == 0 or rule.duration_s == 0:
            return
        with self._lock:
            found = self._failures.setdefault(username, _Failures(0, now_s))
            if now_s - found.last_s > rule.reset_after_s:
                found.count = 0
            found.count += 1
            found.last_s = now_s
            locks = found.count >= rule.threshold and found.locked_until_s is None
            if locks:
                found.locked_until_s = now_s + rule.duration_s
                until_s = self._clock.unix_ns() / 1e9 + rule.duration_s
                self._write("INSERT OR REPLACE INTO account_locks VALUES (?, ?)", username, until_s)
        if locks:
            self.on_lock(username)

    def unlock(self, username: str) -> None:
        """Forget the failures: the right password came, or an administrator said so."""
        with self._lock:
            found = self._failures.pop(username, None)
            if found is not None and found.locked_until_s is not None:
                self._write("DELETE FROM account_locks WHERE username = ?", username)

    def _recall(self) -> None:
        """The locks of an earlier run; where the clock was set back none gets longer than it was.

        Where it was set forward a lock ends early.
        """
        now_s, unix_s = self._clock.monotonic_s(), self._clock.unix_ns() / 1e9
        for username, until_s in self._database.execute("SELECT * FROM account_locks").fetchall():
            left_s = min(until_s - unix_s, self.rule.duration_s)
            if left_s > 0:
                self._failures[username] = _Failures(self.rule.threshold, now_s, now_s + left_s)
            else:
                self._write("DELETE FROM account_locks WHERE username = ?", username)

    def _write(self, statement: str, *values: str | float) -> None:
        try:
            self._database.execute(statement, values)
        except sqlite3.Error as error:
            _LOG.warning("account locks could not be written: %s", error)

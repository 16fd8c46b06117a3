"""Subscriptions and the service's settings on disk: before the answer, and after kill -9."""

from __future__ import annotations

import json
import sqlite3
import threading
from dataclasses import asdict, dataclass, replace
from typing import Any

from bmc_ext.errors import ConflictError, NotFoundError, StateError
from bmc_ext.redfish.events.subscription import Subscription, Wanted
from bmc_ext.state import StateDirectory

MAX_SUBSCRIPTIONS = 32

_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS subscriptions (id TEXT PRIMARY KEY, document TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS event_settings (name TEXT PRIMARY KEY, value INTEGER NOT NULL)",
)


@dataclass(frozen=True, slots=True)
class Settings:
    """What a client may change of the EventService."""

    enabled: bool = True
    retry_attempts: int = 3
    retry_interval_s: int = 30


class SubscriptionStore:
    """At most 32 subscriptions; any thread. StateError where the disk refuses."""

    def __init__(self, state: StateDirectory) -> None:
        self._lock = threading.Lock()
        self._database = state.database("state", durable=True)
        try:
            for statement in _SCHEMA:
                self._database.execute(statement)
            rows = self._database.execute("SELECT id, document FROM subscriptions ORDER BY rowid")
            self._known = {row[0]: _parsed(json.loads(row[1])) for row in rows}
            found = dict(self._database.execute("SELECT name, value FROM event_settings"))
        except (sqlite3.Error, ValueError, TypeError) as error:
            self._database.close()
            raise StateError(f"{state.path}: subscriptions cannot be read: {error}") from error
        known = {name: found[name] for name in asdict(Settings()) if name in found}
        settings = Settings(**known)
        self._settings = replace(settings, enabled=bool(settings.enabled))

    @property
    def settings(self) -> Settings:
        """The settings now."""
        return self._settings

    def change_settings(self, settings: Settings) -> None:
        """Keep these instead."""
        with self._lock:
            for name, value in asdict(settings).items():
                self._write(
                    "INSERT OR REPLACE INTO event_settings VALUES (?, ?)", (name, int(value))
                )
            self._settings = settings

    def list(self) -> tuple[Subscription, ...]:
        """All, in the order in which they were made."""
        with self._lock:
            return tuple(self._known.values())

    def get(self, subscription_id: str) -> Subscription:
        """One; NotFoundError."""
        with self._lock:
            return self._get(subscription_id)

    def add(self, subscription: Subscription) -> None:
        """Keep a new one; ConflictError where there are 32."""
        with self._lock:
            if len(self._known) >= MAX_SUBSCRIPTIONS:
                raise ConflictError(
                    f"there are {MAX_SUBSCRIPTIONS} subscriptions already; delete one first"
                )
            self._store(subscription)

    def change(self, subscription_id: str, **changes: Any) -> Subscription:
        """Keep one with other fields; NotFoundError."""
        with self._lock:
            changed = replace(self._get(subscription_id), **changes)
            self._store(changed)
            return changed

    def remove(self, subscription_id: str) -> None:
        """Forget one; NotFoundError."""
        with self._lock:
            self._get(subscription_id)
            self._write("DELETE FROM subscriptions WHERE id = ?", (subscription_id,))
            del self._known[subscription_id]

    def close(self) -> None:
        """Close the database."""
        with self._lock:
            self._database.close()

    def _get(self, subscription_id: str) -> Subscription:
        try:
            return self._known[subscription_id]
        except KeyError:
            raise NotFoundError(f"no subscription {subscription_id!r}") from None

    def _store(self, subscription: Subscription) -> None:
        """The row keeps its place when it is written again."""
        self._write(
            "INSERT INTO subscriptions VALUES (?, ?) "
            "ON CONFLICT (id) DO UPDATE SET document = excluded.document",
            (subscription.id, json.dumps(asdict(subscription))),
        )
        self._known[subscription.id] = subscription

    def _write(self, statement: str, values: tuple[str | int, ...]) -> None:
        try:
            self._database.execute(statement, values)
        except sqlite3.Error as error:
            raise StateError(f"the subscription could not be written: {error}") from error


def _parsed(document: dict[str, Any]) -> Subscription:
    wanted: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in document.pop("wanted").items()
    }
    return Subscription(**document, wanted=Wanted(**wanted))

"""What people wrote on resources: labels, places, a time-out, where energy was set back."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Mapping
from typing import Any

from bmc_ext.errors import StateError
from bmc_ext.state import StateDirectory

_SCHEMA = """
CREATE TABLE IF NOT EXISTS written (
    uri TEXT, property TEXT, value TEXT NOT NULL, PRIMARY KEY (uri, property)
) WITHOUT ROWID
"""


class EquipmentBook:
    """Values by the URI of a resource and a name; on disk when a write returns. Thread-safe."""

    def __init__(self, state: StateDirectory) -> None:
        self._lock = threading.Lock()
        self._database = state.database("equipment", durable=True)
        self._database.execute(_SCHEMA)
        self._written: dict[str, dict[str, Any]] = {}
        for uri, name, value in self._database.execute("SELECT uri, property, value FROM written"):
            self._written.setdefault(uri, {})[name] = json.loads(value)

    def close(self) -> None:
        """Close the database."""
        with self._lock:
            self._database.close()

    def of(self, uri: str) -> Mapping[str, Any]:
        """What was written on the resource."""
        with self._lock:
            return dict(self._written.get(uri, {}))

    def write(self, uri: str, values: Mapping[str, Any]) -> None:
        """Write all of them or, where StateError is raised, none."""
        rows = [(uri, name, json.dumps(value)) for name, value in values.items()]
        with self._lock:
            try:
                self._database.execute("BEGIN")
                self._database.executemany("INSERT OR REPLACE INTO written VALUES (?, ?, ?)", rows)
                self._database.execute("COMMIT")
            except sqlite3.Error as error:
                if self._database.in_transaction:
                    self._database.execute("ROLLBACK")
                raise StateError(f"the book of equipment cannot be written: {error}") from error
            self._written.setdefault(uri, {}).update(values)

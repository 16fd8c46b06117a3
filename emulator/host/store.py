"""The host's state: small JSON values in one SQLite file of the state directory.

sushy-tools keeps its state in dictionaries that open a connection for every access, pickle, and
never close. These have their interface, hold the values in memory and write through.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator, MutableMapping
from typing import Any

from bmc_ext.errors import StateError
from bmc_ext.state import StateDirectory

_SCHEMA = """
CREATE TABLE IF NOT EXISTS host_state (
    section TEXT, key TEXT, value TEXT NOT NULL, PRIMARY KEY (section, key)
) WITHOUT ROWID
"""


class HostStore:
    """Sections of keys and values; StateError where the file cannot be used.

    `version` changes after every change of a value, whoever made it.
    """

    def __init__(self, state: StateDirectory) -> None:
        self.version = 0
        self._lock = threading.Lock()
        self._database = state.database("host", durable=False)
        try:
            self._database.execute(_SCHEMA)
        except sqlite3.Error as error:
            self._database.close()
            raise StateError(f"{state.path}/host.sqlite: {error}") from error

    def load(self, section: str) -> dict[str, str]:
        """All of a section, as JSON texts."""
        with self._lock:
            rows = self._database.execute(
                "SELECT key, value FROM host_state WHERE section = ?", (section,)
            )
            return dict(rows.fetchall())

    def put(self, section: str, key: str, value: str | None) -> None:
        """Write one value, or remove it (None); StateError where the disk does not take it."""
        try:
            with self._lock:
                if value is None:
                    self._database.execute(
                        "DELETE FROM host_state WHERE section = ? AND key = ?", (section, key)
                    )
                else:
                    self._database.execute(
                        "INSERT OR REPLACE INTO host_state VALUES (?, ?, ?)", (section, key, value)
                    )
        except sqlite3.Error as error:
            raise StateError(f"the host's state could not be written: {error}") from error

    def changed(self) -> None:
        """A value that is read from now on is another."""
        with self._lock:
            self.version += 1

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._database.close()


class Section(MutableMapping[Any, Any]):
    """One section as a mapping; keys are strings or tuples of strings.

    Each read gives a copy: drivers change what they read and only then put it back.
    """

    def __init__(self, store: HostStore) -> None:
        self._store = store
        self._section = ""
        self._values: dict[Any, str] = {}

    def make_permanent(self, directory: str | None, section: str) -> None:  # noqa: ARG002
        """Load a section by name; the directory is the store's own (sushy-tools' interface)."""
        self._section = section
        self._values = {_key(text): value for text, value in self._store.load(section).items()}

    def __getitem__(self, key: Any) -> Any:
        return json.loads(self._values[key])

    def __setitem__(self, key: Any, value: Any) -> None:
        text = json.dumps(value)
        if self._values.get(key) != text:
            self._store.put(self._section, json.dumps(key), text)
            self._values[key] = text
            self._store.changed()

    def __delitem__(self, key: Any) -> None:
        del self._values[key]
        self._store.put(self._section, json.dumps(key), None)
        self._store.changed()

    def __iter__(self) -> Iterator[Any]:
        return iter(list(self._values))

    def __len__(self) -> int:
        return len(self._values)


def _key(text: str) -> str | tuple[str, ...]:
    """JSON has no tuples: a list was one."""
    key = json.loads(text)
    return tuple(key) if isinstance(key, list) else key

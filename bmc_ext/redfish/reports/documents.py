"""What clients define for the telemetry service, on disk before the answer."""

from __future__ import annotations

import builtins
import json
import sqlite3
import threading
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any, Generic, Protocol, TypeVar

from bmc_ext.errors import ConflictError, NotFoundError, StateError
from bmc_ext.state import StateDirectory


class Document(Protocol):
    """A dataclass with an id."""

    @property
    def id(self) -> str:
        """What tells it from the others."""


D = TypeVar("D", bound=Document)


class Documents(Generic[D]):
    """At most `most` documents in a table of their own; any thread.

    `parse` makes one of what asdict() has written; `first` is there when the table is new.
    Raises StateError where the disk refuses.
    """

    def __init__(
        self,
        state: StateDirectory,
        table: str,
        noun: str,
        parse: Callable[[dict[str, Any]], D],
        *,
        most: int,
        first: Sequence[D] = (),
    ) -> None:
        self._table, self._noun, self._most = table, noun, most
        self._lock = threading.Lock()
        self._database = state.database("state", durable=True)
        try:
            if self._is_new():
                self._database.execute("BEGIN IMMEDIATE")
                self._database.execute(
                    f"CREATE TABLE {table} (id TEXT PRIMARY KEY, document TEXT NOT NULL)"
                )
                for document in first:
                    self._write(document)
                self._database.execute("COMMIT")
            rows = self._database.execute(f"SELECT document FROM {table} ORDER BY rowid")
            found = [parse(json.loads(row[0])) for row in rows]
        except (sqlite3.Error, ValueError, TypeError, KeyError) as error:
            self._database.close()
            raise StateError(f"{state.path}: {table} cannot be read: {error}") from error
        self._known = {document.id: document for document in found}

    def list(self) -> tuple[D, ...]:
        """All, in the order in which they were made."""
        with self._lock:
            return tuple(self._known.values())

    def get(self, document_id: str) -> D:
        """One; NotFoundError."""
        with self._lock:
            try:
                return self._known[document_id]
            except KeyError:
                raise NotFoundError(f"no {self._noun} {document_id!r}") from None

    def add(self, document: D) -> None:
        """Keep a new one; ConflictError for a name that is taken, or where there are too many."""
        with self._lock:
            if document.id in self._known:
                raise ConflictError(f"there is a {self._noun} {document.id!r} already")
            if len(self._known) >= self._most:
                raise ConflictError(
                    f"there are {self._most} of the kind {self._noun} already; delete one first"
                )
            self._keep(document)

    def replace(self, document: D) -> None:
        """Keep it in the place of the one with its id; NotFoundError, ConflictError."""
        self.get(document.id)
        with self._lock:
            self._keep(document)

    def remove(self, document_id: str) -> None:
        """Forget one; NotFoundError."""
        self.get(document_id)
        with self._lock:
            try:
                self._database.execute(f"DELETE FROM {self._table} WHERE id = ?", (document_id,))
            except sqlite3.Error as error:
                raise StateError(f"the {self._noun} could not be deleted: {error}") from error
            self._known.pop(document_id, None)

    def close(self) -> None:
        """Close the database."""
        with self._lock:
            self._database.close()

    def check(self, document: D, others: builtins.list[D]) -> None:
        """ConflictError where the document and the others are too much together."""

    def _is_new(self) -> bool:
        found = self._database.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (self._table,))
        return found.fetchone() is None

    def _keep(self, document: D) -> None:
        self.check(document, [known for known in self._known.values() if known.id != document.id])
        try:
            self._write(document)
        except sqlite3.Error as error:
            raise StateError(f"the {self._noun} could not be written: {error}") from error
        self._known[document.id] = document

    def _write(self, document: D) -> None:
        self._database.execute(
            f"INSERT INTO {self._table} VALUES (?, ?) "
            "ON CONFLICT (id) DO UPDATE SET document = excluded.document",
            (document.id, json.dumps(asdict(document))),  # type: ignore[call-overload]
        )

"""The tables of the history: aggregates by resolution, and the energy of every feed."""

from __future__ import annotations

import contextlib
import itertools
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from bmc_ext.domain.energy import EnergyRegisters
from bmc_ext.errors import StateError
from bmc_ext.state import StateDirectory
from bmc_ext.telemetry.aggregates import Aggregate, merge

SCHEMA_VERSION = 2
"""`user_version` of the database; version 1 lacks the registers and is brought to 2 when opened."""

RETENTION_S = {"1s": 86_400, "1min": 366 * 86_400}
"""How long each resolution is kept, in seconds: a day and a year."""

_DATABASE = "history"
_TABLES = {"1s": "second", "1min": "minute"}
_COLUMNS = "start_s, p_w, p_min_w, p_max_w, v_rms_v, frequency_hz, energy_import_j, valid_windows"
_SCHEMA = """
    BEGIN;
    CREATE TABLE feed (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
    CREATE TABLE energy (
        feed INTEGER PRIMARY KEY, import_j REAL, export_j REAL, window_id INTEGER NOT NULL);
"""
# The columns of EnergyRegisters, in the order of its fields.
_REGISTER_TYPES = {
    name: "INTEGER" if name.endswith(("windows", "window")) else "REAL"
    for name in EnergyRegisters._fields
}
_ADD_REGISTERS = "".join(
    f"ALTER TABLE energy ADD COLUMN {name} {kind}; " for name, kind in _REGISTER_TYPES.items()
)
# Time leads the key: the feeds of a second share a page, which bounds the bytes written.
_AGGREGATES = """
    CREATE TABLE {table} (
        start_s INTEGER NOT NULL, feed INTEGER NOT NULL, p_w REAL NOT NULL, p_min_w REAL NOT NULL,
        p_max_w REAL NOT NULL, v_rms_v REAL, frequency_hz REAL, energy_import_j REAL,
        valid_windows INTEGER NOT NULL, PRIMARY KEY (start_s, feed)) WITHOUT ROWID;
"""
# A second lived twice, because the clock was set back, keeps the fuller row.
_UPSERT = """
    INSERT INTO {table} (feed, {columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT DO UPDATE SET p_w = excluded.p_w, p_min_w = excluded.p_min_w,
        p_max_w = excluded.p_max_w, v_rms_v = excluded.v_rms_v,
        frequency_hz = excluded.frequency_hz, energy_import_j = excluded.energy_import_j,
        valid_windows = excluded.valid_windows
    WHERE excluded.valid_windows >= valid_windows
"""
_PAGE_BYTES = 1024  # a commit touches few rows: a quarter of the default halves the bytes written
_PRUNE_S = 600  # at most so much goes in one pass: a wrong clock must not empty the history


class Energy(NamedTuple):
    """Running totals of a feed in J, None where unknown, its newest window and its registers."""

    import_j: float | None
    export_j: float | None
    window_id: int
    registers: EnergyRegisters = EnergyRegisters()


class HistoryDatabase:
    """`history.sqlite` in the state directory; one thread at a time writes.

    Raises StateError when the file is damaged or of another version.
    """

    def __init__(self, state: StateDirectory) -> None:
        self._state = state
        self._path = path = state.path / f"{_DATABASE}.sqlite"
        try:
            self._writer = state.database(_DATABASE, durable=False, page_bytes=_PAGE_BYTES)
            version = self._writer.execute("PRAGMA user_version").fetchone()[0]
            if version == 0:
                self._create()
            elif version == 1:
                self._writer.executescript(
                    f"BEGIN; {_ADD_REGISTERS} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;"
                )
            elif version != SCHEMA_VERSION:
                raise StateError(
                    f"{path} has version {version}, this program reads {SCHEMA_VERSION}; "
                    "move it away to begin anew"
                )
            self._feeds: dict[str, int] = dict(self._writer.execute("SELECT name, id FROM feed"))
        except sqlite3.DatabaseError as error:
            raise StateError(f"{path}: {error}; move it away to begin anew") from error

    def close(self) -> None:
        """Close the writing connection."""
        self._writer.close()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """All writes within happen or none does. sqlite3.Error passes through."""
        self._writer.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._writer.execute("COMMIT")
        except BaseException:
            if self._writer.in_transaction:
                self._writer.execute("ROLLBACK")
            self._feeds = dict(self._writer.execute("SELECT name, id FROM feed"))
            raise

    def energies(self) -> dict[str, Energy]:
        """The stored energies by feed."""
        rows = self._writer.execute(
            f"SELECT name, import_j, export_j, window_id, {', '.join(_REGISTER_TYPES)} "
            "FROM energy JOIN feed ON feed = id"
        )
        return {
            name: Energy(import_j, export_j, window_id, EnergyRegisters(*registers))
            for name, import_j, export_j, window_id, *registers in rows
        }

    def owed_minutes(self) -> set[int]:
        """Starts of the minutes that have seconds but may lack their row."""
        rows = self._writer.execute(
            "SELECT DISTINCT start_s / 60 * 60 FROM second "
            "WHERE start_s >= (SELECT coalesce(max(start_s), 0) FROM minute)"
        )
        return {minute for (minute,) in rows}

    def write_energies(self, energies: Mapping[str, Energy]) -> None:
        """Replace the stored energies of these feeds."""
        self._writer.executemany(
            "INSERT OR REPLACE INTO energy "
            f"(feed, import_j, export_j, window_id, {', '.join(_REGISTER_TYPES)}) "
            f"VALUES (?, ?, ?, ?{', ?' * len(_REGISTER_TYPES)})",
            [
                (self._feed(name), *energy[:3], *energy.registers)
                for name, energy in energies.items()
            ],
        )

    def write_seconds(self, seconds: Iterable[tuple[str, Aggregate]]) -> None:
        """Insert seconds of feeds; a row with more valid windows stays."""
        self._upsert("second", [(self._feed(name), *_row(second)) for name, second in seconds])

    def write_minute(self, start_s: int) -> None:
        """Insert the minute that starts at `start_s`, for every feed, from its seconds."""
        rows = self._writer.execute(
            f"SELECT feed, {_COLUMNS} FROM second WHERE start_s >= ? AND start_s < ? "
            "ORDER BY feed, start_s",
            (start_s, start_s + 60),
        )
        minutes = []
        for feed, group in itertools.groupby(rows, key=lambda row: int(row[0])):
            minutes.append((feed, *_row(merge(start_s, [Aggregate(*row[1:]) for row in group]))))
        self._upsert("minute", minutes)

    def prune(self, now_s: int) -> None:
        """Drop rows beyond their retention, 10 minutes of seconds (10 rows of minutes) a pass."""
        for resolution, table in _TABLES.items():
            self._writer.execute(
                f"DELETE FROM {table} WHERE start_s < ? "
                f"AND start_s < (SELECT min(start_s) FROM {table}) + ?",
                (now_s - RETENTION_S[resolution], _PRUNE_S),
            )

    def query(
        self, feed_id: str, resolution: str, start_s: float, end_s: float, limit: int
    ) -> list[Aggregate]:
        """See History.query; opens and closes a connection of its own."""
        if resolution not in _TABLES:
            raise ValueError(f"unknown resolution {resolution!r}; known are {', '.join(_TABLES)}")
        if limit < 1:
            raise ValueError(f"limit {limit} is below 1")
        try:
            with contextlib.closing(self._state.database(_DATABASE, durable=False)) as reader:
                rows = reader.execute(
                    f"SELECT {_COLUMNS} FROM {_TABLES[resolution]} "
                    "WHERE start_s >= ? AND start_s < ? "
                    "AND feed = (SELECT id FROM feed WHERE name = ?) ORDER BY start_s LIMIT ?",
                    (start_s, end_s, feed_id, limit),
                ).fetchall()
        except sqlite3.Error as error:
            raise StateError(f"{self._path}: {error}") from error
        return [Aggregate(*row) for row in rows]

    def _create(self) -> None:
        tables = "".join(_AGGREGATES.format(table=table) for table in _TABLES.values())
        self._writer.executescript(
            f"{_SCHEMA} {_ADD_REGISTERS} {tables} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;"
        )

    def _feed(self, name: str) -> int:
        if name not in self._feeds:
            cursor = self._writer.execute("INSERT INTO feed (name) VALUES (?)", (name,))
            assert cursor.lastrowid is not None
            self._feeds[name] = cursor.lastrowid
        return self._feeds[name]

    def _upsert(self, table: str, rows: list[tuple[object, ...]]) -> None:
        self._writer.executemany(_UPSERT.format(table=table, columns=_COLUMNS), rows)


def _row(aggregate: Aggregate) -> tuple[object, ...]:
    """Its fields in the order of _COLUMNS."""
    return (
        aggregate.start_s,
        aggregate.p_w,
        aggregate.p_min_w,
        aggregate.p_max_w,
        aggregate.v_rms_v,
        aggregate.frequency_hz,
        aggregate.energy_import_j,
        aggregate.valid_windows,
    )

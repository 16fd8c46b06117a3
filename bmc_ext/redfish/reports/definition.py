"""Definitions of metric reports, on disk before the answer."""

from __future__ import annotations

import json
import sqlite3
import threading
from dataclasses import asdict, dataclass
from typing import Any

from bmc_ext.errors import ConflictError, NotFoundError, StateError
from bmc_ext.redfish.reports.metrics import SENSORS
from bmc_ext.state import StateDirectory

DEFINITIONS = "/redfish/v1/TelemetryService/MetricReportDefinitions"
REPORTS = "/redfish/v1/TelemetryService/MetricReports"
MAX_DEFINITIONS = 32
MAX_VALUES_PER_S = 10_000
"""Of all definitions together: a tenth of a core."""

MAX_HELD = 200_000
"""Values that the functions of all definitions together are of: 1.6 MB."""

MIN_INTERVAL_S = 0.1
"""One measurement window."""

TYPES = ("Periodic", "OnChange", "OnRequest")
ACTIONS = ("LogToMetricReportsCollection", "RedfishEvent")
UPDATES = ("Overwrite", "AppendWrapsWhenFull", "AppendStopsWhenFull")

_SCHEMA = "CREATE TABLE metric_report_definitions (id TEXT PRIMARY KEY, document TEXT NOT NULL)"


@dataclass(frozen=True, slots=True)
class Entry:
    """One element of Metrics: URIs, with wildcards, under one MetricId.

    With a `function` what is reported is its value over the last `duration_s`.
    """

    metric_id: str | None
    properties: tuple[str, ...]
    function: str | None = None
    duration_s: float | None = None


@dataclass(frozen=True, slots=True)
class ReportDefinition:
    """What a client wants reported; `interval_s` only where the type is Periodic.

    `wildcards` are names with their values. `metrics` is how many values a report has, `collected`
    how many of them are functions, and `held` how many values those are of.
    """

    id: str
    name: str
    type: str
    entries: tuple[Entry, ...]
    wildcards: tuple[tuple[str, tuple[str, ...]], ...] = ()
    interval_s: float | None = None
    actions: tuple[str, ...] = ("LogToMetricReportsCollection",)
    updates: str = "Overwrite"
    append_limit: int = 1000
    suppress_repeated: bool = False
    enabled: bool = True
    metrics: int = 0
    collected: int = 0
    held: int = 0

    @property
    def uri(self) -> str:
        """Its resource."""
        return f"{DEFINITIONS}/{self.id}"

    @property
    def report_uri(self) -> str:
        """The resource of its report."""
        return f"{REPORTS}/{self.id}"

    @property
    def values_per_s(self) -> float:
        """How many values it reads a second."""
        if not self.enabled:
            return 0.0
        collected = self.collected / MIN_INTERVAL_S
        if self.type == "OnRequest":
            return collected
        return collected + self.metrics / (self.interval_s or MIN_INTERVAL_S)


FIRST = ReportDefinition(
    id="FacilityPower",
    name="Power of the facility",
    type="Periodic",
    entries=(Entry("FacilityPower", (f"{SENSORS}/Facility_Power#/Reading",)),),
    interval_s=1.0,
    metrics=1,
)
"""What a new service reports to who reads it; a client may have it pushed or delete it for good."""


class DefinitionStore:
    """At most 32 definitions; any thread. StateError where the disk refuses."""

    def __init__(self, state: StateDirectory) -> None:
        self._lock = threading.Lock()
        self._database = state.database("state", durable=True)
        try:
            if self._is_new():
                self._database.execute("BEGIN IMMEDIATE")
                self._database.execute(_SCHEMA)
                self._write(FIRST)
                self._database.execute("COMMIT")
            rows = self._database.execute("SELECT document FROM metric_report_definitions "
                                          "ORDER BY rowid")  # fmt: skip
            found = [_parsed(json.loads(row[0])) for row in rows]
        except (sqlite3.Error, ValueError, TypeError, KeyError) as error:
            self._database.close()
            raise StateError(f"{state.path}: report definitions cannot be read: {error}") from error
        self._known = {definition.id: definition for definition in found}

    def list(self) -> tuple[ReportDefinition, ...]:
        """All, in the order in which they were made."""
        with self._lock:
            return tuple(self._known.values())

    def get(self, definition_id: str) -> ReportDefinition:
        """One; NotFoundError."""
        with self._lock:
            try:
                return self._known[definition_id]
            except KeyError:
                raise NotFoundError(f"no metric report definition {definition_id!r}") from None

    def add(self, definition: ReportDefinition) -> None:
        """Keep a new one; ConflictError for a name that is taken, or where there are too many."""
        with self._lock:
            if definition.id in self._known:
                raise ConflictError(f"there is a definition {definition.id!r} already")
            if len(self._known) >= MAX_DEFINITIONS:
                raise ConflictError(
                    f"there are {MAX_DEFINITIONS} definitions already; delete one first"
                )
            self._keep(definition)

    def replace(self, definition: ReportDefinition) -> None:
        """Keep it in the place of the one with its id; NotFoundError, ConflictError."""
        self.get(definition.id)
        with self._lock:
            self._keep(definition)

    def remove(self, definition_id: str) -> None:
        """Forget one; NotFoundError."""
        self.get(definition_id)
        with self._lock:
            try:
                self._database.execute(
                    "DELETE FROM metric_report_definitions WHERE id = ?", (definition_id,)
                )
            except sqlite3.Error as error:
                raise StateError(f"the definition could not be deleted: {error}") from error
            self._known.pop(definition_id, None)

    def close(self) -> None:
        """Close the database."""
        with self._lock:
            self._database.close()

    def _is_new(self) -> bool:
        found = self._database.execute(
            "SELECT 1 FROM sqlite_master WHERE name = 'metric_report_definitions'"
        )
        return found.fetchone() is None

    def _keep(self, definition: ReportDefinition) -> None:
        others = [known for known in self._known.values() if known.id != definition.id]
        rate = definition.values_per_s + sum(known.values_per_s for known in others)
        if rate > MAX_VALUES_PER_S:
            raise ConflictError(
                f"all reports together would hold {rate:.0f} values a second, more than "
                f"{MAX_VALUES_PER_S}; ask for fewer, or less often"
            )
        if definition.held + sum(known.held for known in others) > MAX_HELD:
            raise ConflictError(
                f"the functions of all reports together would be of more than {MAX_HELD} values; "
                "ask for fewer, or shorter"
            )
        try:
            self._write(definition)
        except sqlite3.Error as error:
            raise StateError(f"the definition could not be written: {error}") from error
        self._known[definition.id] = definition

    def _write(self, definition: ReportDefinition) -> None:
        self._database.execute(
            "INSERT INTO metric_report_definitions VALUES (?, ?) "
            "ON CONFLICT (id) DO UPDATE SET document = excluded.document",
            (definition.id, json.dumps(asdict(definition))),
        )


def _parsed(document: dict[str, Any]) -> ReportDefinition:
    entries = [
        Entry(**{**entry, "properties": tuple(entry["properties"])})
        for entry in document.pop("entries")
    ]
    wildcards = [(name, tuple(values)) for name, values in document.pop("wildcards")]
    actions = tuple(document.pop("actions"))
    return ReportDefinition(
        **document, entries=tuple(entries), wildcards=tuple(wildcards), actions=actions
    )

"""Definitions of metric reports, on disk before the answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bmc_ext.errors import ConflictError
from bmc_ext.redfish.reports.documents import Documents
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


class DefinitionStore(Documents[ReportDefinition]):
    """At most 32 definitions; any thread. StateError where the disk refuses."""

    def __init__(self, state: StateDirectory) -> None:
        super().__init__(
            state,
            "metric_report_definitions",
            "metric report definition",
            _parsed,
            most=MAX_DEFINITIONS,
            first=(FIRST,),
        )

    def check(self, document: ReportDefinition, others: list[ReportDefinition]) -> None:
        """ConflictError where the reports together are too much."""
        rate = document.values_per_s + sum(known.values_per_s for known in others)
        if rate > MAX_VALUES_PER_S:
            raise ConflictError(
                f"all reports together would hold {rate:.0f} values a second, more than "
                f"{MAX_VALUES_PER_S}; ask for fewer, or less often"
            )
        if document.held + sum(known.held for known in others) > MAX_HELD:
            raise ConflictError(
                f"the functions of all reports together would be of more than {MAX_HELD} values; "
                "ask for fewer, or shorter"
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

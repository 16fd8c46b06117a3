"""Triggers: what a client wants to be done when a reading passes a threshold or a state changes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from bmc_ext.errors import ConflictError
from bmc_ext.redfish.reports.definition import MAX_VALUES_PER_S, MIN_INTERVAL_S
from bmc_ext.redfish.reports.documents import Documents
from bmc_ext.state import StateDirectory

TRIGGERS: Final = "/redfish/v1/TelemetryService/Triggers"
MAX_TRIGGERS: Final = 32
MAX_FOLLOWED: Final = round(MAX_VALUES_PER_S * MIN_INTERVAL_S)
"""Values that all triggers look at in each window: what reports may read, and no more."""

LEVELS: Final = ("UpperCritical", "UpperWarning", "LowerWarning", "LowerCritical")
ACTIVATIONS: Final = ("Increasing", "Decreasing", "Either", "Disabled")
CONDITIONS: Final = ("Specified", "Changed")
ACTIONS: Final = ("LogToLogService", "RedfishEvent", "RedfishMetricReport")


@dataclass(frozen=True, slots=True)
class Threshold:
    """One of LEVELS, in the unit of the reading; a side counts once it was kept for `dwell_s`."""

    level: str
    reading: float
    activation: str
    dwell_s: float = 0.0

    def is_activated(self, *, rising: bool) -> bool:
        """Whether a passage in that direction is one that the client wants to know."""
        return self.activation in ("Either", "Increasing" if rising else "Decreasing")


@dataclass(frozen=True, slots=True)
class DiscreteValue:
    """A value that triggers once it was kept for `dwell_s`."""

    name: str
    value: str
    severity: str = "OK"
    dwell_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Trigger:
    """One trigger: numeric with `thresholds`, discrete with a `condition`.

    `properties` are URIs, with wildcards, that stand for so many `metrics`; `reports` the URIs of
    definitions to be reported.
    """

    id: str
    name: str
    properties: tuple[str, ...]
    wildcards: tuple[tuple[str, tuple[str, ...]], ...] = ()
    actions: tuple[str, ...] = ()
    thresholds: tuple[Threshold, ...] = ()
    condition: str | None = None
    values: tuple[DiscreteValue, ...] = ()
    reports: tuple[str, ...] = ()
    enabled: bool = True
    metrics: int = 0

    @property
    def uri(self) -> str:
        """Its resource."""
        return f"{TRIGGERS}/{self.id}"

    @property
    def is_numeric(self) -> bool:
        """Whether it is about numbers."""
        return self.condition is None


class TriggerStore(Documents[Trigger]):
    """At most 32 triggers; any thread. StateError where the disk refuses."""

    def __init__(self, state: StateDirectory) -> None:
        super().__init__(state, "telemetry_triggers", "trigger", _parsed, most=MAX_TRIGGERS)

    def check(self, document: Trigger, others: list[Trigger]) -> None:
        """ConflictError where the triggers together look at too much."""
        if sum(known.metrics for known in (document, *others) if known.enabled) > MAX_FOLLOWED:
            raise ConflictError(
                f"all triggers together would follow more than {MAX_FOLLOWED} values; name fewer"
            )


def _parsed(document: dict[str, Any]) -> Trigger:
    return Trigger(
        **{
            **document,
            **{name: tuple(document[name]) for name in ("properties", "actions", "reports")},
            "wildcards": tuple((name, tuple(values)) for name, values in document["wildcards"]),
            "thresholds": tuple(Threshold(**one) for one in document["thresholds"]),
            "values": tuple(DiscreteValue(**one) for one in document["values"]),
        }
    )

"""What a Sensor says: its quantity, its value, and where the value comes from."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from bmc_ext.domain.snapshot import Snapshot
from bmc_ext.domain.thresholds import Limits
from bmc_ext.redfish.fixed_members import FixedMembers, fixed_members
from bmc_ext.telemetry.peaks import PeakKey
from drivers.reading import CalibrationState, Condition, Quality, Reading

NO_EXTRAS: Mapping[str, Any] = {}
NO_LIMITS = Limits()


class Quantity(NamedTuple):
    """What a Sensor measures: its ReadingType (None where Redfish has none) and UCUM unit.

    Canonical values times `factor`, or over `divisor`, are in `units`.
    """

    reading_type: str | None
    units: str
    factor: float = 1.0
    divisor: float = 1.0

    def shown(self, value: float | None) -> float | None:
        """A canonical value in `units`; None is unknown."""
        return None if value is None else value * self.factor / self.divisor

    def canonical(self, value: float) -> float:
        """A value in `units` as a canonical one."""
        return value * self.divisor / self.factor


POWER = Quantity("Power", "W")
VOLTAGE = Quantity("Voltage", "V")
CURRENT = Quantity("Current", "A")
FREQUENCY = Quantity("Frequency", "Hz")
ENERGY = Quantity("EnergykWh", "kW.h", divisor=3.6e6)
TEMPERATURE = Quantity("Temperature", "Cel")
FLOW = Quantity("LiquidFlowLPM", "L/min")
PRESSURE = Quantity("PressurekPa", "kPa", 100.0)
PERCENT = Quantity("Percent", "%")
HEAT = Quantity("Heat", "kW", divisor=1e3)


class SensorValue(NamedTuple):
    """A reading in canonical units, with what else a Sensor says of it."""

    value: float | None
    quality: Quality
    measured_at: float | None = None
    uncertainty: float | None = None
    conditions: tuple[Condition, ...] = ()
    calibrations: tuple[CalibrationState, ...] = ()
    changed_at: float | None = None
    source_interval_s: float | None = None
    extras: Mapping[str, Any] = NO_EXTRAS
    window_id: int | None = None


Source = Callable[[Snapshot], SensorValue]


@dataclass(frozen=True)
class FacilitySensor:
    """One sensor of the facility; `value` takes its reading from a snapshot.

    `limits` are in canonical units; `peak` is where its highest value is kept, if it is.
    """

    id: str
    name: str
    quantity: Quantity
    value: Source
    context: str | None = None
    electrical_context: str | None = None
    limits: Limits = NO_LIMITS
    peak: PeakKey | None = None

    @functools.cached_property
    def fixed(self) -> FixedMembers:
        """What never changes of it; its limits are configuration and cannot be written."""
        return fixed_members(
            self.id,
            self.quantity.reading_type,
            self.quantity.units,
            {
                level: {"Reading": self.quantity.shown(limit)}
                for level, limit in self.limits.known()
            },
            Name=self.name,
            Implementation="Synthesized",
            PhysicalContext=self.context,
            ElectricalContext=self.electrical_context,
        )


def of_reading(reading: Reading) -> SensorValue:
    """What a device's point says."""
    return SensorValue(
        reading.value,
        reading.quality,
        reading.measured_at,
        reading.uncertainty,
        reading.conditions,
        reading.calibrations,
        reading.changed_at,
        reading.source_interval_s,
    )


def known_quality(value: float | None, quality: Quality) -> Quality:
    """Of a value beside the one that `quality` belongs to: a meter need not have it."""
    return Quality.ABSENT if value is None and quality is Quality.OK else quality

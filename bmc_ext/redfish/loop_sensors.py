"""The sensors of coolant loops and silicon; they equal thermal/status of the same WindowId."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator

from bmc_ext.domain.quality import worst_quality
from bmc_ext.domain.snapshot import Snapshot
from bmc_ext.domain.thresholds import Limits
from bmc_ext.redfish.quantities import kilowatt_hours
from bmc_ext.redfish.sensor_values import (
    FLOW,
    HEAT,
    NO_LIMITS,
    PERCENT,
    PRESSURE,
    TEMPERATURE,
    FacilitySensor,
    Quantity,
    SensorValue,
    known_quality,
    of_reading,
)
from bmc_ext.settings import Config, LoopConfig
from drivers.reading import Reading

_LOOP_QUANTITIES: tuple[tuple[str, str, Quantity, str, str], ...] = (
    ("SupplyTemperature", "supply temperature", TEMPERATURE, "supply", "LiquidInlet"),
    ("ReturnTemperature", "return temperature", TEMPERATURE, "return_", "LiquidOutlet"),
    ("Flow", "flow", FLOW, "flow", "LiquidInlet"),
    ("Pressure", "pressure", PRESSURE, "pressure", "LiquidInlet"),
    ("PumpSpeed", "pump speed", PERCENT, "pump_speed", "Pump"),
)


def thermal_sensors(config: Config) -> Iterator[FacilitySensor]:
    """Those of each loop, then the silicon's, in the order of configuration."""
    for number, loop in enumerate(config.loops):
        yield from _of_loop(number, loop)
    for number, silicon in enumerate(config.silicon):
        source = functools.partial(_silicon, number)
        name = f"{silicon.id} junction temperature"
        yield FacilitySensor(f"Silicon_{silicon.id}", name, TEMPERATURE, source, "Accelerator")


def _of_loop(number: int, loop: LoopConfig) -> Iterator[FacilitySensor]:
    limits = {
        "supply": Limits(upper_critical=loop.max_supply_c),
        "return_": Limits(upper_critical=loop.max_return_c),
    }
    for word, name, quantity, attribute, context in _LOOP_QUANTITIES:
        source = functools.partial(_reading, number, attribute)
        yield FacilitySensor(
            f"Loop_{loop.id}_{word}", f"{loop.id} {name}", quantity, source, context,
            limits=limits.get(attribute, NO_LIMITS),
        )  # fmt: skip
    yield FacilitySensor(
        f"Loop_{loop.id}_DeltaTemperature", f"{loop.id} temperature rise", TEMPERATURE,
        functools.partial(_rise, number), "CoolingSubsystem",
    )  # fmt: skip
    yield FacilitySensor(
        f"Loop_{loop.id}_Heat", f"{loop.id} heat removed", HEAT,
        functools.partial(_heat, number), "CoolingSubsystem",
    )  # fmt: skip


def _reading(number: int, attribute: str, snapshot: Snapshot) -> SensorValue:
    reading: Reading = getattr(snapshot.loops[number], attribute)
    return of_reading(reading)._replace(window_id=snapshot.window_id)


def _rise(number: int, snapshot: Snapshot) -> SensorValue:
    """Return minus supply; two independent sensors (JCGM 100:2008, 5.1.2)."""
    supply, return_ = snapshot.loops[number].supply, snapshot.loops[number].return_
    value = uncertainty = None
    if supply.value is not None and return_.value is not None:
        value = return_.value - supply.value
    if supply.uncertainty is not None and return_.uncertainty is not None:
        uncertainty = math.hypot(supply.uncertainty, return_.uncertainty)
    return SensorValue(
        value,
        worst_quality([supply.quality, return_.quality]),
        _oldest(supply, return_),
        None if value is None else uncertainty,
        source_interval_s=_slowest(supply, return_),
        window_id=snapshot.window_id,
    )


def _heat(number: int, snapshot: Snapshot) -> SensorValue:
    loop = snapshot.loops[number]
    return SensorValue(
        loop.heat_w,
        known_quality(loop.heat_w, loop.quality),
        loop.flow.measured_at,
        loop.heat_uncertainty_w,
        loop.heat_conditions,
        extras={"LifetimeReading": kilowatt_hours(loop.heat_energy.taken_up_j)},
        source_interval_s=_slowest(loop.flow, loop.supply, loop.return_),
        window_id=snapshot.window_id,
    )


def _silicon(number: int, snapshot: Snapshot) -> SensorValue:
    return of_reading(snapshot.silicon[number].temperature)._replace(window_id=snapshot.window_id)


def _oldest(*readings: Reading) -> float | None:
    times = [reading.measured_at for reading in readings if reading.measured_at is not None]
    return min(times) if len(times) == len(readings) else None


def _slowest(*readings: Reading) -> float | None:
    intervals = [r.source_interval_s for r in readings if r.source_interval_s is not None]
    return max(intervals) if len(intervals) == len(readings) else None

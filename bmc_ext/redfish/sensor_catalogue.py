"""Every quantity as a Sensor: of feeds, coolant loops, junctions and each point of each device.

Facility sensors render the newest snapshot, so that they equal power/realtime and thermal/status of
the same WindowId; a device's sensors show its points as they were read.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from bmc_ext.config import Config
from bmc_ext.domain.power import FeedValues, PhaseValues
from bmc_ext.domain.snapshot import WINDOW_S, LoopValues, Snapshot
from bmc_ext.redfish.quantities import kilowatt_hours
from drivers.reading import CalibrationState, Condition, Quality, Reading

_NO_EXTRAS: Mapping[str, Any] = {}


class Quantity(NamedTuple):
    """What a Sensor measures: its ReadingType (None where Redfish has none) and UCUM unit.

    Canonical values times `factor` are in `units`.
    """

    reading_type: str | None
    units: str
    factor: float = 1.0


POWER = Quantity("Power", "W")
VOLTAGE = Quantity("Voltage", "V")
CURRENT = Quantity("Current", "A")
FREQUENCY = Quantity("Frequency", "Hz")
ENERGY = Quantity("EnergykWh", "kW.h", 1 / 3.6e6)
TEMPERATURE = Quantity("Temperature", "Cel")
FLOW = Quantity("LiquidFlowLPM", "L/min")
PRESSURE = Quantity("PressurekPa", "kPa", 100.0)
PERCENT = Quantity("Percent", "%")
HEAT = Quantity("Heat", "kW", 1e-3)

OF_UNIT: Mapping[str, Quantity] = {
    "W": POWER,
    "V": VOLTAGE,
    "A": CURRENT,
    "Hz": FREQUENCY,
    "J": ENERGY,
    "Cel": TEMPERATURE,
    "L/min": FLOW,
    "bar": PRESSURE,
    "%": PERCENT,
    "/min": Quantity("Rotational", "{rev}/min"),
}
"""The quantity of each canonical unit of the drivers that Redfish has a reading type for."""


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
    extras: Mapping[str, Any] = _NO_EXTRAS
    window_id: int | None = None


Source = Callable[[Snapshot], SensorValue]


@dataclass(frozen=True, slots=True)
class FacilitySensor:
    """One sensor of the facility; `value` takes its reading from a snapshot."""

    id: str
    name: str
    quantity: Quantity
    value: Source
    context: str | None = None
    electrical_context: str | None = None


def facility_sensors(config: Config) -> dict[str, FacilitySensor]:
    """All of them by id, in the order in which a person would read them."""
    sensors = [
        FacilitySensor("Facility_Power", "Power of all feeds", POWER, _total, "ACUtilityInput"),
    ]
    for feed in config.feeds:
        sensors += _feed_sensors(feed.id, feed.name)
    for loop in config.loops:
        sensors += _loop_sensors(loop.id)
    for number, silicon in enumerate(config.silicon):
        source = functools.partial(_silicon, number)
        name = f"{silicon.id} junction temperature"
        sensors.append(
            FacilitySensor(f"Silicon_{silicon.id}", name, TEMPERATURE, source, "Accelerator")
        )
    return {sensor.id: sensor for sensor in sensors}


_FEED_QUANTITIES: tuple[tuple[str, Quantity, str], ...] = (
    ("Power", POWER, "p_w"),
    ("Frequency", FREQUENCY, "frequency_hz"),
    ("EnergyImport", ENERGY, "energy_import_j"),
    ("EnergyExport", ENERGY, "energy_export_j"),
)
_FEED_UNCERTAINTIES = {"p_w": "p_uncertainty_w", "frequency_hz": "f_uncertainty_hz"}
_PHASE_QUANTITIES: tuple[tuple[str, Quantity, str, str | None], ...] = (
    ("Power", POWER, "p_w", "p_uncertainty_w"),
    ("Voltage", VOLTAGE, "v_rms_v", "v_uncertainty_v"),
    ("Current", CURRENT, "i_rms_a", "i_uncertainty_a"),
)
_PHASES = {"L1": "Line1ToNeutral", "L2": "Line2ToNeutral", "L3": "Line3ToNeutral"}


def _feed_sensors(feed_id: str, name: str) -> Iterator[FacilitySensor]:
    for word, quantity, attribute in _FEED_QUANTITIES:
        source = functools.partial(_feed, feed_id, attribute)
        yield FacilitySensor(
            f"Feed_{feed_id}_{word}", f"{name} {_words(word)}", quantity, source, "ACInput", "Total"
        )
    for phase, context in _PHASES.items():
        for word, quantity, attribute, uncertainty in _PHASE_QUANTITIES:
            source = functools.partial(_phase, feed_id, phase, attribute, uncertainty)
            yield FacilitySensor(
                f"Feed_{feed_id}_{phase}_{word}", f"{name} {phase} {_words(word)}", quantity,
                source, "ACInput", context,
            )  # fmt: skip


_LOOP_QUANTITIES: tuple[tuple[str, Quantity, str, str], ...] = (
    ("SupplyTemperature", TEMPERATURE, "supply", "LiquidInlet"),
    ("ReturnTemperature", TEMPERATURE, "return_", "LiquidOutlet"),
    ("Flow", FLOW, "flow", "LiquidInlet"),
    ("Pressure", PRESSURE, "pressure", "LiquidInlet"),
    ("PumpSpeed", PERCENT, "pump_speed", "Pump"),
)


def _loop_sensors(loop_id: str) -> Iterator[FacilitySensor]:
    for word, quantity, attribute, context in _LOOP_QUANTITIES:
        source = functools.partial(_loop_reading, loop_id, attribute)
        yield FacilitySensor(
            f"Loop_{loop_id}_{word}", f"{loop_id} {_words(word)}", quantity, source, context
        )
    yield FacilitySensor(
        f"Loop_{loop_id}_Heat",
        f"{loop_id} heat removed",
        HEAT,
        functools.partial(_loop_heat, loop_id),
        "CoolingSubsystem",
    )


def _words(name: str) -> str:
    """`SupplyTemperature` as supply temperature."""
    return "".join(f" {c.lower()}" if c.isupper() else c for c in name).strip()


def _total(snapshot: Snapshot) -> SensorValue:
    total = snapshot.total
    extras = {
        "ApparentVA": total.s_va,
        "ReactiveVAR": total.q_var,
        "PowerFactor": total.pf,
        "LifetimeReading": kilowatt_hours(total.energy_import_j),
    }
    return SensorValue(
        total.p_w, total.quality, snapshot.start_s, total.p_uncertainty_w, extras=extras,
        source_interval_s=WINDOW_S, window_id=snapshot.window_id,
    )  # fmt: skip


def _feed(feed_id: str, attribute: str, snapshot: Snapshot) -> SensorValue:
    feed = _feed_of(snapshot, feed_id)
    value: float | None = getattr(feed, attribute)
    power = attribute == "p_w"
    return SensorValue(
        value,
        _quality(value, feed.quality),
        feed.measured_at,
        getattr(feed, _FEED_UNCERTAINTIES[attribute]) if attribute in _FEED_UNCERTAINTIES else None,
        feed.conditions if power else (),
        feed.calibrations if power else (),
        source_interval_s=WINDOW_S if feed.source == "waveform" else None,
        extras=_power_extras(feed) if power else _NO_EXTRAS,
        window_id=snapshot.window_id,
    )


def _power_extras(feed: FeedValues) -> dict[str, Any]:
    return {
        "ApparentVA": feed.s_va,
        "ReactiveVAR": feed.q_var,
        "PowerFactor": feed.pf,
        "LifetimeReading": kilowatt_hours(feed.energy_import_j),
    }


def _phase(
    feed_id: str, phase: str, attribute: str, uncertainty: str | None, snapshot: Snapshot
) -> SensorValue:
    feed = _feed_of(snapshot, feed_id)
    values = next((found for found in feed.phases if found.phase == phase), None)
    value: float | None = None if values is None else getattr(values, attribute)
    known = None if values is None or uncertainty is None else getattr(values, uncertainty)
    return SensorValue(
        value,
        _quality(value, feed.quality),
        feed.measured_at,
        known,
        source_interval_s=WINDOW_S if feed.source == "waveform" else None,
        extras=_NO_EXTRAS if values is None else _phase_extras(values, attribute),
        window_id=snapshot.window_id,
    )


def _phase_extras(phase: PhaseValues, attribute: str) -> dict[str, Any]:
    if attribute == "p_w":
        return {"ApparentVA": phase.s_va, "ReactiveVAR": phase.q_var, "PowerFactor": phase.pf}
    thd = phase.thd_v_percent if attribute == "v_rms_v" else phase.thd_i_percent
    return {"THDPercent": thd}


def _feed_of(snapshot: Snapshot, feed_id: str) -> FeedValues:
    return next(feed for feed in snapshot.feeds if feed.feed_id == feed_id)


def _quality(value: float | None, quality: Quality) -> Quality:
    """Of a value beside the one that `quality` belongs to: a meter need not have it."""
    return Quality.ABSENT if value is None and quality is Quality.OK else quality


def _loop_of(snapshot: Snapshot, loop_id: str) -> LoopValues:
    return next(loop for loop in snapshot.loops if loop.loop_id == loop_id)


def _loop_reading(loop_id: str, attribute: str, snapshot: Snapshot) -> SensorValue:
    reading: Reading = getattr(_loop_of(snapshot, loop_id), attribute)
    return of_reading(reading)._replace(window_id=snapshot.window_id)


def _loop_heat(loop_id: str, snapshot: Snapshot) -> SensorValue:
    loop = _loop_of(snapshot, loop_id)
    return SensorValue(
        loop.heat_w,
        _quality(loop.heat_w, loop.quality),
        loop.flow.measured_at,
        loop.heat_uncertainty_w,
        loop.heat_conditions,
        extras={"LifetimeReading": kilowatt_hours(loop.heat_energy.taken_up_j)},
        window_id=snapshot.window_id,
    )


def _silicon(number: int, snapshot: Snapshot) -> SensorValue:
    return of_reading(snapshot.silicon[number].temperature)._replace(window_id=snapshot.window_id)


class Devices(Protocol):
    """The field devices whose points become sensors."""

    @property
    def device_ids(self) -> tuple[str, ...]:
        """The ids of all devices."""

    def reading(self, device_id: str, point: str) -> Reading:
        """The newest reading of a point; KeyError names an unknown device or point."""

    def readings(self, device_id: str) -> Mapping[str, Reading]:
        """The newest readings of all points of a device; KeyError names an unknown one."""


class DeviceSensors:
    """The points of all devices as sensors by id; devices may come and go."""

    def __init__(self, devices: Devices) -> None:
        self._devices = devices
        self._known: tuple[str, ...] = ()
        self._points: dict[str, tuple[str, str, str]] = {}

    def points(self) -> Mapping[str, tuple[str, str, str]]:
        """Device, point and canonical unit by sensor id."""
        present = self._devices.device_ids
        if present != self._known:
            self._points = dict(self._listed(present))
            self._known = present
        return self._points

    def _listed(self, present: tuple[str, ...]) -> Iterator[tuple[str, tuple[str, str, str]]]:
        for device in present:
            with contextlib.suppress(KeyError):  # it was removed a moment ago
                for point, reading in self._devices.readings(device).items():
                    yield f"Device_{device}_{point}", (device, point, reading.unit)

    def value(self, device: str, point: str) -> SensorValue:
        """What the point reads now; KeyError where the device is gone."""
        return of_reading(self._devices.reading(device, point))


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

"""Every quantity as a Sensor: of feeds, coolant loops, junctions and each point of each device.

Facility sensors render the newest snapshot; a device's sensors show its points as they were read.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Protocol

from bmc_ext.domain.thresholds import Limits
from bmc_ext.equipment import PointRef
from bmc_ext.errors import ConfigurationError
from bmc_ext.redfish.entity_tag import etag
from bmc_ext.redfish.feed_sensors import power_sensors
from bmc_ext.redfish.fixed_members import (
    SENSOR_COLLECTION,
    SENSORS,
    FixedMembers,
    fixed_members,
)
from bmc_ext.redfish.loop_sensors import thermal_sensors
from bmc_ext.redfish.sensor_values import (
    CURRENT,
    ENERGY,
    FLOW,
    FREQUENCY,
    HEAT,
    PERCENT,
    POWER,
    PRESSURE,
    TEMPERATURE,
    VOLTAGE,
    FacilitySensor,
    Quantity,
    SensorValue,
    of_reading,
)
from bmc_ext.settings import Config
from drivers.reading import Reading

_OF_UNIT: Mapping[str, Quantity] = {
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

_LINES = (("L12", "Line1ToLine2"), ("L23", "Line2ToLine3"), ("L31", "Line3ToLine1"))


def facility_sensors(config: Config) -> dict[str, FacilitySensor]:
    """All of them by id, in the order in which a person would read them.

    ConfigurationError for limits of a sensor that there is not.
    """
    sensors = {sensor.id: sensor for sensor in (*power_sensors(config), *thermal_sensors(config))}
    for sensor_id, limits in config.thresholds.items():
        if sensor_id not in sensors:
            raise ConfigurationError(f"thresholds: no sensor {sensor_id!r} of feeds and loops")
        sensors[sensor_id] = _limited(sensors[sensor_id], limits)
    return sensors


def _limited(sensor: FacilitySensor, limits: Mapping[str, float]) -> FacilitySensor:
    """The sensor with these limits, in its own units, before those of its nameplate."""
    fields = {re.sub("(?<!^)([A-Z])", r"_\1", name).lower(): v for name, v in limits.items()}
    canonical = {name: sensor.quantity.canonical(value) for name, value in fields.items()}
    changed: Limits = dataclasses.replace(sensor.limits, **canonical)
    return dataclasses.replace(sensor, limits=changed)


class Devices(Protocol):
    """The field devices whose points become sensors."""

    @property
    def device_ids(self) -> tuple[str, ...]:
        """The ids of all devices."""

    def reading(self, device_id: str, point: str) -> Reading:
        """The newest reading of a point; KeyError names an unknown device or point."""

    def readings(self, device_id: str) -> Mapping[str, Reading]:
        """The newest readings of all points of a device; KeyError names an unknown one."""


@dataclasses.dataclass(frozen=True)
class DevicePoint:
    """A point of a device as a sensor; a pressure is `against` the vacuum, the air or another."""

    ref: PointRef
    quantity: Quantity
    electrical_context: str | None
    against: str | None = None

    @functools.cached_property
    def fixed(self) -> FixedMembers:
        """What never changes of its sensor."""
        return fixed_members(
            sensor_id(self.ref),
            self.quantity.reading_type,
            self.quantity.units,
            {},
            Name=" ".join(filter(None, (self.ref.device, self.ref.point, self.against))),
            Implementation="PhysicalSensor",
            ElectricalContext=self.electrical_context,
        )


class DeviceSensors:
    """The points of all devices as sensors by id; devices may come and go."""

    def __init__(self, devices: Devices) -> None:
        self._devices = devices
        self._known: tuple[str, ...] = ()
        self._points: dict[str, DevicePoint] = {}

    def points(self) -> Mapping[str, DevicePoint]:
        """The points by sensor id."""
        present = self._devices.device_ids
        if present is not self._known:  # the engine makes a new one when devices come or go
            self._points = dict(self._listed(present))
            self._known = present
        return self._points

    def _listed(self, present: tuple[str, ...]) -> Iterator[tuple[str, DevicePoint]]:
        for device in present:
            with contextlib.suppress(KeyError):  # it was removed a moment ago
                for point, reading in self._devices.readings(device).items():
                    quantity = _quantity(point, reading.unit)
                    ref = PointRef(device, point)
                    lines = _lines(point, quantity)
                    yield sensor_id(ref), DevicePoint(ref, quantity, lines, reading.against)

    def value(self, ref: PointRef) -> SensorValue:
        """What the point reads now; KeyError where the device is gone."""
        return of_reading(self._devices.reading(ref.device, ref.point))

    def reading(self, ref: PointRef) -> Reading:
        """The same as a Reading."""
        return self._devices.reading(ref.device, ref.point)

    def check(self, refs: Mapping[PointRef, str]) -> None:
        """ConfigurationError for a point that its device lacks, with the place that names it."""
        for ref, place in refs.items():
            try:
                self._devices.reading(ref.device, ref.point)
            except KeyError as error:
                raise ConfigurationError(f"{place}: {error.args[0]}") from error


class SensorList:
    """The collection of all sensors: the facility's first, then every point of every device."""

    def __init__(self, facility: Iterable[str], devices: DeviceSensors) -> None:
        self._facility = tuple(facility)
        self._devices = devices
        self._made: tuple[Mapping[str, DevicePoint], dict[str, Any]] | None = None

    def body(self) -> dict[str, Any]:
        """Its members, made again when devices have come or gone, with their entity tag."""
        points = self._devices.points()
        if self._made is None or self._made[0] is not points:
            self._made = points, _collection([*self._facility, *points])
        return self._made[1]


def _collection(ids: list[str]) -> dict[str, Any]:
    body = {
        "@odata.type": f"#{SENSOR_COLLECTION}",
        "@odata.id": SENSORS,
        "Name": "Sensors",
        "Members": [{"@odata.id": f"{SENSORS}/{sensor}"} for sensor in ids],
        "Members@odata.count": len(ids),
    }
    return {**body, "@odata.etag": etag(body)}


def sensor_id(ref: PointRef) -> str:
    """The sensor that shows a point."""
    return f"Device_{ref.device}_{ref.point}"


def _quantity(point: str, unit: str) -> Quantity:
    if point == "power.thermal":
        return HEAT
    return _OF_UNIT.get(unit, Quantity(None, unit))


def _lines(point: str, quantity: Quantity) -> str | None:
    """Between which conductors a point of a meter is measured, by its name."""
    if quantity not in (POWER, VOLTAGE, CURRENT, FREQUENCY, ENERGY):
        return None
    for words, context in _LINES:
        if point.endswith(words):
            return context
    phase = re.search(r"\.L([123])$", point)
    if phase is not None:
        return f"Line{phase[1]}" if quantity is CURRENT else f"Line{phase[1]}ToNeutral"
    return "Neutral" if point.endswith((".N", "neutral")) else "Total"

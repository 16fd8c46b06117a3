"""From the URI of a property to its value: what a metric report is made of."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import orjson

from bmc_ext.domain.snapshot import WINDOW_S, Snapshot
from bmc_ext.redfish.quantities import status
from bmc_ext.redfish.reports.collection import Collected
from bmc_ext.redfish.sensor_catalogue import DevicePoint, DeviceSensors
from bmc_ext.redfish.sensor_values import FacilitySensor, Quantity, SensorValue

SENSORS = "/redfish/v1/Chassis/DCPI/Sensors"
STATE = "Status/State"
PROPERTIES = (
    "Reading", "ApparentVA", "ReactiveVAR", "PowerFactor", "THDPercent", "LifetimeReading", STATE,
)  # fmt: skip
"""What of a Sensor can be reported: numbers, and its state as a text."""

MAX_METRICS = 2000
"""Values in one report."""

_URI = re.compile(rf"{SENSORS}/([A-Za-z0-9_.:-]{{1,200}})(?:#?/)({'|'.join(PROPERTIES)})")
_WILDCARD = re.compile(r"\{([^{}]*)\}")


class Measured(NamedTuple):
    """A value as text, None where it is unknown, and the Unix time in s of its measurement."""

    text: str | None
    at_s: float


class Metric(NamedTuple):
    """One value of a report: the URI as the client wrote it, and what it reads.

    With `collected` the report shows the value of a function instead.
    """

    metric_id: str | None
    uri: str
    read: Callable[[Snapshot], Measured]
    collected: Collected | None = None

    @property
    def sensor_uri(self) -> str:
        """The Sensor that it is of."""
        match = _URI.fullmatch(self.uri)
        return self.uri if match is None else f"{SENSORS}/{match[1]}"

    def gather(self, snapshot: Snapshot) -> None:
        """Take the value of a window to the others."""
        if self.collected is not None:
            self.collected.add(snapshot.window_id, self.read(snapshot).text)

    def reported(self, snapshot: Snapshot) -> Measured:
        """What a report shows: the reading, or the function up to the newest value gathered."""
        if self.collected is None:
            return self.read(snapshot)
        newest = self.collected.newest
        end_s = snapshot.start_s if newest is None else (newest + 1) * WINDOW_S
        return Measured(self.collected.result(), end_s)


class Catalogue:
    """Everything that can be reported: the sensors of the facility and of its devices."""

    def __init__(self, facility: Mapping[str, FacilitySensor], devices: DeviceSensors) -> None:
        self._facility = facility
        self._devices = devices

    def expand(self, uri: str, wildcards: Mapping[str, Sequence[str]]) -> list[str]:
        """The URIs that a URI with wildcards stands for; ValueError for an unknown wildcard.

        The value `*` of a wildcard stands for all sensors.
        """
        names = list(dict.fromkeys(_WILDCARD.findall(uri)))
        choices = []
        for name in names:
            if name not in wildcards:
                raise ValueError(f"the wildcard {name!r} has no entry in Wildcards")
            values = wildcards[name]
            choices.append([*self._facility, *self._devices.points()] if "*" in values else values)
        found = []
        for combination in itertools.islice(itertools.product(*choices), MAX_METRICS + 1):
            text = uri
            for name, value in zip(names, combination, strict=True):
                text = text.replace(f"{{{name}}}", value)
            found.append(text)
        return found

    def metric(self, uri: str, metric_id: str | None = None) -> Metric:
        """The metric of a property; ValueError where nothing of that kind is there."""
        match = _URI.fullmatch(uri)
        if match is None:
            raise ValueError(
                f"{uri[:200]!r} is nothing that can be reported of a Sensor below {SENSORS}: "
                f"{', '.join(PROPERTIES)}"
            )
        sensor, name = match.groups()
        facility = self._facility.get(sensor)
        if facility is not None:
            return Metric(metric_id, uri, _of_facility(facility, name))
        found = self._devices.points().get(sensor)
        if found is None:
            raise ValueError(f"there is no sensor {sensor!r}")
        return Metric(metric_id, uri, _of_device(self._devices, found, name))

    def by_quantity(self) -> dict[Quantity, list[str]]:
        """The ids of all sensors by what they measure, where Redfish has a name for that."""
        found: dict[Quantity, list[str]] = {}
        for sensor in self._facility.values():
            found.setdefault(sensor.quantity, []).append(sensor.id)
        for sensor_id, point in self._devices.points().items():
            found.setdefault(point.quantity, []).append(sensor_id)
        return {quantity: ids for quantity, ids in found.items() if quantity.reading_type}


def _of_facility(sensor: FacilitySensor, name: str) -> Callable[[Snapshot], Measured]:
    def read(snapshot: Snapshot) -> Measured:
        return _measured(sensor.quantity, sensor.value(snapshot), name, snapshot)

    return read


def _of_device(
    devices: DeviceSensors, point: DevicePoint, name: str
) -> Callable[[Snapshot], Measured]:
    def read(snapshot: Snapshot) -> Measured:
        try:
            value = devices.value(point.ref)
        except KeyError:
            return Measured(None, snapshot.start_s)  # the device was removed
        return _measured(point.quantity, value, name, snapshot)

    return read


def _measured(quantity: Quantity, value: SensorValue, name: str, snapshot: Snapshot) -> Measured:
    """The text of a number is the one that stands in the Sensor's JSON."""
    at_s = snapshot.start_s if value.measured_at is None else value.measured_at
    if name == STATE:
        return Measured(status(value.quality)["State"], at_s)
    number = quantity.shown(value.value) if name == "Reading" else value.extras.get(name)
    return Measured(None if number is None else orjson.dumps(number).decode(), at_s)

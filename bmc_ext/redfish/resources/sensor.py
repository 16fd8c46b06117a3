"""Sensor: every quantity where a DCIM tool that never heard of DCPI looks for it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from bmc_ext.errors import NotFoundError
from bmc_ext.redfish.confidence import conditioned_status, limited_status
from bmc_ext.redfish.context import Context, Request
from bmc_ext.redfish.fixed_members import SENSOR, SENSOR_COLLECTION, SENSORS, FixedMembers
from bmc_ext.redfish.newest import newest
from bmc_ext.redfish.quantities import timestamp
from bmc_ext.redfish.registry import Routes
from bmc_ext.redfish.sensor_values import (
    NO_EXTRAS,
    NO_LIMITS,
    FacilitySensor,
    Quantity,
    SensorValue,
)
from bmc_ext.security.identity import LOGIN
from bmc_ext.telemetry.peaks import Peak
from drivers.reading import CalibrationState

routes = Routes()

_READINGS = (
    "Reading", "ReadingTime", "ReadingAccuracy", "Status", "ApparentVA", "ReactiveVAR",
    "PowerFactor", "THDPercent", "LifetimeReading", "CalibrationTime", "Oem", "PeakReading",
    "PeakReadingTime", "SensingInterval",
)  # fmt: skip
# What DMTF's schema marks as excerpt, as far as it is shown here.
_EXCERPT = (
    "Reading", "PhysicalContext", "ApparentVA", "ReactiveVAR", "PowerFactor", "THDPercent",
    "LifetimeReading",
)  # fmt: skip


@routes.get(SENSORS, LOGIN, schema=SENSOR_COLLECTION)
def sensors(context: Context, request: Request) -> dict[str, Any]:  # noqa: ARG001
    """Sensors of the facility first, then every point of every device."""
    return context.sensor_list.body()


@routes.get(
    f"{SENSORS}/{{sensor}}",
    LOGIN,
    schema=SENSOR,
    volatile=_READINGS,
    excerpt=_EXCERPT,
    hot=True,
)
def sensor(context: Context, request: Request) -> dict[str, Any]:
    """One sensor: null with its state where the reading is not known."""
    name = request.params["sensor"]
    facility = context.facility_sensors.get(name)
    if facility is not None:
        return _of_facility(context, facility)
    found = context.device_sensors.points().get(name)
    if found is None:
        raise NotFoundError(f"no sensor {name!r}")
    try:
        value = context.device_sensors.value(found.ref)
    except KeyError as error:
        raise NotFoundError(f"no sensor {name!r}") from error
    if found.quantity.reading_type == "EnergykWh":
        # A meter counts for its life: since its last reset and since ever are one number.
        value = value._replace(extras={"LifetimeReading": found.quantity.shown(value.value)})
    status = conditioned_status(value.quality, value.conditions)
    return _shown(found.fixed, found.quantity, value, status)


def _of_facility(context: Context, sensor: FacilitySensor) -> dict[str, Any]:
    value = sensor.value(newest(context))
    status = conditioned_status(value.quality, value.conditions)
    if sensor.limits is not NO_LIMITS:
        status = limited_status(status, sensor.limits, value.value)
    peak = NO_EXTRAS if sensor.peak is None else _peak(context.peaks.of(sensor.peak))
    return _shown(sensor.fixed, sensor.quantity, value, status, peak)


def _peak(peak: Peak | None) -> dict[str, Any]:
    return {
        "PeakReading": None if peak is None else peak.power_w,
        "PeakReadingTime": None if peak is None else timestamp(peak.at_s),
    }


def _shown(
    fixed: FixedMembers,
    quantity: Quantity,
    value: SensorValue,
    status: Mapping[str, Any],
    peak: Mapping[str, Any] = NO_EXTRAS,
) -> dict[str, Any]:
    """The reading between what never changes; null where Redfish has no type for a quantity."""
    every_s = value.source_interval_s
    return {
        **fixed.head,
        "Reading": quantity.shown(value.value),
        "ReadingTime": timestamp(value.measured_at),
        "ReadingAccuracy": quantity.shown(value.uncertainty),
        "SensingInterval": None if every_s is None else f"PT{every_s:g}S",
        **(_calibrated(value.calibrations) if value.calibrations else NO_EXTRAS),
        "Status": status,
        **value.extras,
        "Oem": {
            "DCPI": {
                "@odata.type": "#DcpiSensor.v1_0_0.Sensor",
                "Quality": value.quality,
                "WindowId": value.window_id,
                "ChangedAt": timestamp(value.changed_at),
            }
        },
        **peak,
        **fixed.tail,
    }


def _calibrated(states: Iterable[CalibrationState]) -> dict[str, str]:
    """The oldest of the calibrations behind a value."""
    return {"CalibrationTime": f"{min(state.calibrated_on for state in states)}T00:00:00Z"}

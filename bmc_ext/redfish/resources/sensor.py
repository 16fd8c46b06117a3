"""Sensor: every quantity where a DCIM tool that never heard of DCPI looks for it."""

from __future__ import annotations

from typing import Any

from bmc_ext.domain.thresholds import Limits
from bmc_ext.errors import NotFoundError
from bmc_ext.redfish.confidence import conditioned_status, limited_status
from bmc_ext.redfish.context import Context, Request
from bmc_ext.redfish.excerpts import SENSORS
from bmc_ext.redfish.newest import newest
from bmc_ext.redfish.quantities import timestamp
from bmc_ext.redfish.registry import Routes
from bmc_ext.redfish.sensor_values import FacilitySensor, Quantity, SensorValue
from bmc_ext.security.identity import LOGIN
from bmc_ext.telemetry.peaks import Peak

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


@routes.get(SENSORS, LOGIN, schema="SensorCollection.SensorCollection")
def sensors(context: Context, request: Request) -> dict[str, Any]:  # noqa: ARG001
    """Sensors of the facility first, then every point of every device."""
    ids = [*context.facility_sensors, *context.device_sensors.points()]
    return {
        "Name": "Sensors",
        "Members": [{"@odata.id": f"{SENSORS}/{sensor}"} for sensor in ids],
        "Members@odata.count": len(ids),
    }


@routes.get(
    f"{SENSORS}/{{sensor}}",
    LOGIN,
    schema="Sensor.v1_13_0.Sensor",
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
    return {
        "Id": name,
        "Name": f"{found.ref.device} {found.ref.point}",
        "Implementation": "PhysicalSensor",
        **_known(ElectricalContext=found.electrical_context),
        **_reading(found.quantity, value),
    }


def _of_facility(context: Context, sensor: FacilitySensor) -> dict[str, Any]:
    value = sensor.value(newest(context))
    peak = None if sensor.peak is None else context.peaks.of(sensor.peak)
    body = {
        "Id": sensor.id,
        "Name": sensor.name,
        "Implementation": "Synthesized",
        **_known(PhysicalContext=sensor.context, ElectricalContext=sensor.electrical_context),
        **_reading(sensor.quantity, value),
        **({} if sensor.peak is None else _peak(peak)),
        **_thresholds(sensor.limits, sensor.quantity),
    }
    return {**body, "Status": limited_status(body["Status"], sensor.limits, value.value)}


def _peak(peak: Peak | None) -> dict[str, Any]:
    return {
        "PeakReading": None if peak is None else peak.power_w,
        "PeakReadingTime": None if peak is None else timestamp(peak.at_s),
    }


def _thresholds(limits: Limits, quantity: Quantity) -> dict[str, Any]:
    """The limits, which are configuration and cannot be written here."""
    shown = {level: {"Reading": quantity.shown(limit)} for level, limit in limits.known()}
    return {"Thresholds": shown} if shown else {}


def _reading(quantity: Quantity, value: SensorValue) -> dict[str, Any]:
    """The members that tell the reading; a quantity that Redfish has no type for has null."""
    calibrated = min((state.calibrated_on for state in value.calibrations), default=None)
    every_s = value.source_interval_s
    return {
        "ReadingType": quantity.reading_type,
        "ReadingUnits": quantity.units,
        "Reading": quantity.shown(value.value),
        "ReadingTime": timestamp(value.measured_at),
        "ReadingAccuracy": quantity.shown(value.uncertainty),
        "SensingInterval": None if every_s is None else f"PT{every_s:g}S",
        **({} if calibrated is None else {"CalibrationTime": f"{calibrated}T00:00:00Z"}),
        "Status": conditioned_status(value.quality, value.conditions),
        **value.extras,
        "Oem": {
            "DCPI": {
                "@odata.type": "#DcpiSensor.v1_0_0.Sensor",
                "Quality": value.quality,
                "WindowId": value.window_id,
                "ChangedAt": timestamp(value.changed_at),
            }
        },
    }


def _known(**texts: str | None) -> dict[str, str]:
    return {name: text for name, text in texts.items() if text is not None}

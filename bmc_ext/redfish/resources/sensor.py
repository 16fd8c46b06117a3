"""Sensor: every quantity where a DCIM tool that never heard of DCPI looks for it."""

from __future__ import annotations

from typing import Any

from bmc_ext.errors import NotFoundError
from bmc_ext.redfish.confidence import conditioned_status
from bmc_ext.redfish.context import Context, Request
from bmc_ext.redfish.quantities import timestamp
from bmc_ext.redfish.registry import Routes
from bmc_ext.redfish.resources.power_realtime import newest
from bmc_ext.redfish.sensor_catalogue import OF_UNIT, FacilitySensor, Quantity, SensorValue
from bmc_ext.security.identity import LOGIN

routes = Routes()

SENSORS = "/redfish/v1/Chassis/DCPI/Sensors"

_READINGS = (
    "Reading", "ReadingTime", "ReadingAccuracy", "Status", "ApparentVA", "ReactiveVAR",
    "PowerFactor", "THDPercent", "LifetimeReading", "CalibrationTime", "Oem",
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
)
def sensor(context: Context, request: Request) -> dict[str, Any]:
    """One sensor: null with its state where the reading is not known."""
    name = request.params["sensor"]
    facility = context.facility_sensors.get(name)
    if facility is not None:
        return _of_facility(facility, facility.value(newest(context)))
    found = context.device_sensors.points().get(name)
    if found is None:
        raise NotFoundError(f"no sensor {name!r}")
    device, point, unit = found
    try:
        value = context.device_sensors.value(device, point)
    except KeyError as error:
        raise NotFoundError(f"no sensor {name!r}") from error
    quantity = OF_UNIT.get(unit, Quantity(None, unit))
    return {
        "Id": name,
        "Name": f"{device} {point}",
        "Implementation": "PhysicalSensor",
        **_reading(quantity, value),
    }


def _of_facility(sensor: FacilitySensor, value: SensorValue) -> dict[str, Any]:
    shown = {"PhysicalContext": sensor.context, "ElectricalContext": sensor.electrical_context}
    return {
        "Id": sensor.id,
        "Name": sensor.name,
        "Implementation": "Synthesized",
        **{name: text for name, text in shown.items() if text is not None},
        **_reading(sensor.quantity, value),
    }


def _reading(quantity: Quantity, value: SensorValue) -> dict[str, Any]:
    """The members that tell the reading; what a kind of sensor does not have is left out."""
    calibrated = min((state.calibrated_on for state in value.calibrations), default=None)
    every_s = value.source_interval_s
    kind = {} if quantity.reading_type is None else {"ReadingType": quantity.reading_type}
    return {
        **kind,
        "ReadingUnits": quantity.units,
        "Reading": _scaled(value.value, quantity.factor),
        "ReadingTime": timestamp(value.measured_at),
        "ReadingAccuracy": _scaled(value.uncertainty, quantity.factor),
        **({} if every_s is None else {"SensingInterval": f"PT{every_s:g}S"}),
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


def _scaled(value: float | None, factor: float) -> float | None:
    return None if value is None else value * factor

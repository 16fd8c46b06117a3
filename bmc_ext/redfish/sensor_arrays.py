"""Sensors as members of the arrays that Power and Thermal had before Redfish had Sensors."""

from __future__ import annotations

from typing import Any

from bmc_ext.redfish.confidence import conditioned_status, limited_status
from bmc_ext.redfish.context import Context
from bmc_ext.redfish.excerpts import link
from bmc_ext.redfish.fixed_members import SENSORS
from bmc_ext.redfish.newest import newest
from bmc_ext.redfish.sensor_values import FacilitySensor, Quantity

_THRESHOLDS = {
    "UpperCaution": "UpperThresholdNonCritical",
    "UpperCritical": "UpperThresholdCritical",
    "LowerCaution": "LowerThresholdNonCritical",
    "LowerCritical": "LowerThresholdCritical",
}


def sensor_array(context: Context, uri: str, quantity: Quantity, reading: str) -> dict[str, Any]:
    """The facility's sensors of a quantity as the array at `uri`, a pointer; unknown is null.

    `reading` is the member for the value. A difference of two temperatures is no temperature: what
    DeltaTemperature shows is left out.
    """
    found = [
        sensor
        for sensor in context.facility_sensors.values()
        if sensor.quantity is quantity and not sensor.id.endswith("_DeltaTemperature")
    ]
    name = uri.rpartition("/")[2]
    members = [
        {"@odata.id": f"{uri}/{place}", "MemberId": str(place), **_member(context, sensor, reading)}
        for place, sensor in enumerate(found)
    ]
    return {name: members, f"{name}@odata.count": len(members)}


def _member(context: Context, sensor: FacilitySensor, reading: str) -> dict[str, Any]:
    value = sensor.value(newest(context))
    status = conditioned_status(value.quality, value.conditions)
    limits = {
        _THRESHOLDS[level]: sensor.quantity.shown(limit) for level, limit in sensor.limits.known()
    }
    return {
        "Name": sensor.name,
        reading: sensor.quantity.shown(value.value),
        **({} if sensor.context is None else {"PhysicalContext": sensor.context}),
        **limits,
        "Status": limited_status(status, sensor.limits, value.value),
        "RelatedItem": [link(f"{SENSORS}/{sensor.id}")],
        "RelatedItem@odata.count": 1,
    }

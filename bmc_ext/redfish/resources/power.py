"""Power: what the facility draws, for clients older than PowerSubsystem and EnvironmentMetrics."""

from __future__ import annotations

from typing import Any

from bmc_ext.redfish.confidence import conditioned_status
from bmc_ext.redfish.context import Context, Request
from bmc_ext.redfish.excerpts import SENSORS, link
from bmc_ext.redfish.newest import newest
from bmc_ext.redfish.registry import Routes
from bmc_ext.redfish.resources.chassis import URI
from bmc_ext.redfish.sensor_arrays import sensor_array
from bmc_ext.redfish.sensor_values import VOLTAGE
from bmc_ext.security.identity import LOGIN

routes = Routes()

POWER = f"{URI}/Power"
_READINGS = ("PowerControl", "Voltages")


@routes.get(POWER, LOGIN, schema="Power.v1_7_3.Power", volatile=_READINGS)
def power(context: Context, request: Request) -> dict[str, Any]:  # noqa: ARG001
    """The sum of all feeds with the limit that it keeps, and the feeds' voltages.

    A facility has no power supplies of its own; clients look for some.
    """
    facility = context.facility_sensors["Facility_Power"]
    value = facility.value(newest(context))
    control = {
        "@odata.id": f"{POWER}#/PowerControl/0",
        "MemberId": "0",
        "Name": facility.name,
        "PhysicalContext": "Chassis",
        "PowerConsumedWatts": value.value,
        "PowerCapacityWatts": context.config.facility.rated_power_w,
        "PowerLimit": {
            "LimitInWatts": context.commands.grid_status().import_limit_w,
            "LimitException": "LogEventOnly",
        },
        "Status": conditioned_status(value.quality, value.conditions),
        "RelatedItem": [link(URI), link(f"{SENSORS}/Facility_Power")],
        "RelatedItem@odata.count": 2,
    }
    return {
        "Id": "Power",
        "Name": "Power",
        "PowerControl": [control],
        "PowerControl@odata.count": 1,
        **sensor_array(context, f"{POWER}#/Voltages", VOLTAGE, "ReadingVolts"),
        "PowerSupplies": [],
        "PowerSupplies@odata.count": 0,
    }

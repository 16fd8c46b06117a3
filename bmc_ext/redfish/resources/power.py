"""Power: what the facility draws, for clients older than PowerSubsystem and EnvironmentMetrics."""

from __future__ import annotations

from typing import Any

from bmc_ext.redfish import import_limit, members
from bmc_ext.redfish.confidence import conditioned_status
from bmc_ext.redfish.context import Context, Request
from bmc_ext.redfish.excerpts import link
from bmc_ext.redfish.fixed_members import SENSORS
from bmc_ext.redfish.newest import newest
from bmc_ext.redfish.registry import Routes
from bmc_ext.redfish.resources.chassis import URI
from bmc_ext.redfish.sensor_arrays import sensor_array
from bmc_ext.redfish.sensor_values import VOLTAGE
from bmc_ext.security.identity import CONFIGURE_COMPONENTS, LOGIN

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


@routes.patch(POWER, CONFIGURE_COMPONENTS)
def change_power_limit(context: Context, request: Request) -> dict[str, Any]:
    """Set PowerControl/0/PowerLimit/LimitInWatts, the operator's limit; null withdraws it."""
    body = members.json_object(request.json(), ("PowerControl",), (*_READINGS, "PowerSupplies"))
    entries = members.required(body, "PowerControl")
    if not isinstance(entries, list) or len(entries) != 1 or not isinstance(entries[0], dict):
        raise members.wrong_type("PowerControl", entries, "is not an array of one object")
    (control,) = entries
    if control:  # an empty object leaves its member as it is (DSP0266, 7.8.3)
        limit = _only(control, "PowerLimit", "PowerControl/0")
        place = "PowerControl/0/PowerLimit"
        if not isinstance(limit, dict):
            raise members.wrong_type(place, limit, "is not an object")
        limit_w = _only(limit, "LimitInWatts", place)
        contract_w = context.config.facility.contract_limit_w
        wanted_w = contract_w if limit_w is None else limit_w
        import_limit.set_limit_w(context, request, wanted_w, f"/{place}/LimitInWatts")
    return power(context, request)


def _only(body: dict[str, Any], name: str, place: str) -> Any:
    """The one member that can be written; RedfishError for another one, or without it."""
    for other in body:
        if other != name and not other.startswith("@"):
            where = f"{place}/{other}"
            raise members.refused("PropertyNotWritable", f"{other} cannot be written", where)
    if name not in body:
        raise members.refused("PropertyMissing", f"{name} is missing", f"{place}/{name}")
    return body[name]

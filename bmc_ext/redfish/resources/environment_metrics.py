"""EnvironmentMetrics of the facility with the limit that it keeps, and of cooling units."""

from __future__ import annotations

from typing import Any

from bmc_ext.errors import NotFoundError
from bmc_ext.redfish import import_limit, members
from bmc_ext.redfish.context import Context, Request
from bmc_ext.redfish.cooling import CDUS, is_metered, loop_of
from bmc_ext.redfish.excerpts import point, sensor
from bmc_ext.redfish.registry import Routes
from bmc_ext.security.identity import CONFIGURE_COMPONENTS, LOGIN

routes = Routes()

_SCHEMA = "EnvironmentMetrics.v1_6_0.EnvironmentMetrics"
_READINGS = ("PowerWatts", "EnergykWh", "HumidityPercent")


@routes.get(
    "/redfish/v1/Chassis/DCPI/EnvironmentMetrics",
    LOGIN,
    schema=_SCHEMA,
    volatile=_READINGS,
)
def environment_metrics(context: Context, request: Request) -> dict[str, Any]:  # noqa: ARG001
    """The sum of all feeds, and the limit that the operator lets it reach."""
    return {
        "Id": "EnvironmentMetrics",
        "Name": "Environment metrics",
        "PowerWatts": sensor(context, "Facility_Power"),
        "EnergykWh": sensor(context, "Facility_EnergyImport"),
        "PowerLimitWatts": import_limit.excerpt(context),
    }


@routes.patch("/redfish/v1/Chassis/DCPI/EnvironmentMetrics", CONFIGURE_COMPONENTS)
def change_power_limit(context: Context, request: Request) -> dict[str, Any]:
    """Set PowerLimitWatts/SetPoint, which is the set point of the facility's power limit."""
    body = members.json_object(request.json(), ("PowerLimitWatts",), _READINGS)
    limit = members.required(body, "PowerLimitWatts")
    import_limit.set_limit(context, request, limit, "/PowerLimitWatts")
    return environment_metrics(context, request)


@routes.get(f"{CDUS}/{{unit}}/EnvironmentMetrics", LOGIN, schema=_SCHEMA, volatile=_READINGS)
def of_cooling_unit(context: Context, request: Request) -> dict[str, Any]:
    """What the unit itself takes; there is none where no meter of its own is declared."""
    loop = loop_of(context, request)
    unit = loop.cooling_unit
    if not is_metered(unit):
        raise NotFoundError(f"the cooling unit {loop.id!r} has no meter of its own")
    shown = {"PowerWatts": unit.power, "EnergykWh": unit.energy, "HumidityPercent": unit.humidity}
    return {
        "Id": "EnvironmentMetrics",
        "Name": f"Environment metrics of {loop.id}",
        **{name: point(context, ref) for name, ref in shown.items() if ref is not None},
    }

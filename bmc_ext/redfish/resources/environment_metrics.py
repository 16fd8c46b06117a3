"""EnvironmentMetrics of the facility: its power, its energy, and the limit that it keeps."""

from __future__ import annotations

from typing import Any

from bmc_ext.redfish.context import Context, Request
from bmc_ext.redfish.excerpts import sensor
from bmc_ext.redfish.registry import Routes
from bmc_ext.redfish.resources.control import POWER_LIMIT
from bmc_ext.redfish.set_points import CONTROLS
from bmc_ext.security.identity import LOGIN

routes = Routes()


@routes.get(
    "/redfish/v1/Chassis/DCPI/EnvironmentMetrics",
    LOGIN,
    schema="EnvironmentMetrics.v1_6_0.EnvironmentMetrics",
    volatile=("PowerWatts", "EnergykWh"),
)
def environment_metrics(context: Context, request: Request) -> dict[str, Any]:  # noqa: ARG001
    """The sum of all feeds. The limit is the grid's and the contract's: it cannot be written."""
    grid = context.commands.grid_status()
    return {
        "Id": "EnvironmentMetrics",
        "Name": "Environment metrics",
        "PowerWatts": sensor(context, "Facility_Power"),
        "EnergykWh": sensor(context, "Facility_EnergyImport"),
        "PowerLimitWatts": {
            "DataSourceUri": f"{CONTROLS}/{POWER_LIMIT}",
            "ControlMode": "Automatic",
            "SetPoint": grid.import_limit_w,
            "AllowableMin": 0,
            "AllowableMax": grid.contract_limit_w,
        },
    }

"""ThermalSubsystem of the facility as a chassis."""

from __future__ import annotations

from typing import Any

from bmc_ext.redfish.context import Context, Request
from bmc_ext.redfish.registry import Routes
from bmc_ext.redfish.resources.collections import CHASSIS, OWN_ID
from bmc_ext.security.identity import LOGIN

routes = Routes()


@routes.get(
    f"{CHASSIS}/{OWN_ID}/ThermalSubsystem",
    LOGIN,
    schema="ThermalSubsystem.v1_5_0.ThermalSubsystem",
)
def thermal_subsystem(context: Context, request: Request) -> dict[str, Any]:  # noqa: ARG001
    """The facility's cooling; absent where no coolant loop is configured."""
    state = "Enabled" if context.config.loops else "Absent"
    return {
        "Id": "ThermalSubsystem",
        "Name": "Thermal Subsystem",
        "Status": {"State": state, "Health": "OK"},
    }

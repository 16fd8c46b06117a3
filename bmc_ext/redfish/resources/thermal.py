"""Thermal: the facility's temperatures, for clients older than ThermalSubsystem and Sensors."""

from __future__ import annotations

from typing import Any

from bmc_ext.redfish.context import Context, Request
from bmc_ext.redfish.registry import Routes
from bmc_ext.redfish.resources.chassis import URI
from bmc_ext.redfish.sensor_arrays import sensor_array
from bmc_ext.redfish.sensor_values import TEMPERATURE
from bmc_ext.security.identity import LOGIN

routes = Routes()

THERMAL = f"{URI}/Thermal"


@routes.get(THERMAL, LOGIN, schema="Thermal.v1_7_3.Thermal", volatile=("Temperatures",))
def thermal(context: Context, request: Request) -> dict[str, Any]:  # noqa: ARG001
    """Of coolant and silicon. A facility has no fans of its own; clients look for some."""
    return {
        "Id": "Thermal",
        "Name": "Thermal",
        **sensor_array(context, f"{THERMAL}#/Temperatures", TEMPERATURE, "ReadingCelsius"),
        "Fans": [],
        "Fans@odata.count": 0,
    }

"""ThermalEquipment: the cooling units of the facility and the loops that they serve."""

from __future__ import annotations

from typing import Any

from bmc_ext.errors import NotFoundError
from bmc_ext.redfish.context import Context, Request
from bmc_ext.redfish.cooling import CDUS, EQUIPMENT, LOOPS
from bmc_ext.redfish.excerpts import collection, link
from bmc_ext.redfish.registry import Routes
from bmc_ext.security.identity import LOGIN

routes = Routes()


@routes.get(EQUIPMENT, LOGIN, schema="ThermalEquipment.v1_2_0.ThermalEquipment")
def thermal_equipment(context: Context, request: Request) -> dict[str, Any]:  # noqa: ARG001
    """Cooling units and loops; there is none where no loop is configured."""
    _check(context)
    return {
        "Id": "ThermalEquipment",
        "Name": "Cooling equipment",
        "Status": {"State": "Enabled", "Health": "OK"},
        "CDUs": link(CDUS),
        "CoolingLoops": link(LOOPS),
    }


@routes.get(CDUS, LOGIN, schema="CoolingUnitCollection.CoolingUnitCollection")
def cooling_units(context: Context, request: Request) -> dict[str, Any]:  # noqa: ARG001
    """One unit for each loop, with the loop's id."""
    _check(context)
    return collection("Coolant distribution units", CDUS, list(context.loop_places))


@routes.get(LOOPS, LOGIN, schema="CoolingLoopCollection.CoolingLoopCollection")
def cooling_loops(context: Context, request: Request) -> dict[str, Any]:  # noqa: ARG001
    """The loops by their ids."""
    _check(context)
    return collection("Cooling loops", LOOPS, list(context.loop_places))


def _check(context: Context) -> None:
    if not context.config.loops:
        raise NotFoundError("no coolant loop is configured")

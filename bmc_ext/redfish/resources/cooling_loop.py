"""CoolingLoop: the coolant between a cooling unit and its load."""

from __future__ import annotations

from typing import Any

from bmc_ext.redfish.confidence import conditioned_status
from bmc_ext.redfish.context import Context, Request
from bmc_ext.redfish.cooling import CDUS, LOOPS, coolant, loop_of, values_of
from bmc_ext.redfish.excerpts import link
from bmc_ext.redfish.registry import Routes
from bmc_ext.security.identity import LOGIN

routes = Routes()


@routes.get(
    f"{LOOPS}/{{unit}}",
    LOGIN,
    schema="CoolingLoop.v1_1_0.CoolingLoop",
    volatile=("Coolant", "Status"),
)
def cooling_loop(context: Context, request: Request) -> dict[str, Any]:
    """One loop, under the id of its cooling unit: a technology cooling system (TCS)."""
    loop = loop_of(context, request)
    values = values_of(context, loop)
    return {
        "Id": loop.id,
        "Name": f"Cooling loop {loop.id}",
        "CoolingLoopType": "TCS",
        "Coolant": coolant(loop.fluid, values.supply.value, values.return_.value),
        "RatedFlowLitersPerMinute": loop.rated_flow_lpm,
        "Status": conditioned_status(values.quality, values.conditions),
        "SupplyEquipmentNames": [f"Cooling unit of {loop.id}"],
        "SecondaryCoolantConnectors": link(f"{CDUS}/{loop.id}/SecondaryCoolantConnectors"),
        "Links": {
            "Chassis": link("/redfish/v1/Chassis/DCPI"),
            "ManagedBy": [link("/redfish/v1/Managers/DCPI")],
        },
    }

"""CoolingUnit: what cools a loop, from its nameplate, its pump and its connections."""

from __future__ import annotations

from typing import Any

from bmc_ext.redfish.confidence import conditioned_status
from bmc_ext.redfish.context import Context, Request
from bmc_ext.redfish.cooling import CDUS, coolant, is_metered, loop_of, values_of
from bmc_ext.redfish.excerpts import link, plate
from bmc_ext.redfish.registry import Routes
from bmc_ext.security.identity import LOGIN

routes = Routes()


@routes.get(
    f"{CDUS}/{{unit}}",
    LOGIN,
    schema="CoolingUnit.v1_5_0.CoolingUnit",
    volatile=("Coolant", "Status"),
)
def cooling_unit(context: Context, request: Request) -> dict[str, Any]:
    """One unit; what its nameplate does not tell is left out."""
    loop = loop_of(context, request)
    unit, values = loop.cooling_unit, values_of(context, loop)
    uri = f"{CDUS}/{loop.id}"
    declared = {"LeakDetection": unit.leak_detectors, "Filters": unit.filters,
                "Reservoirs": unit.reservoirs}  # fmt: skip
    return {
        "Id": loop.id,
        "Name": f"Cooling unit of {loop.id}",
        "EquipmentType": "CDU",
        **plate(unit.nameplate),
        **({} if unit.capacity_w is None else {"CoolingCapacityWatts": round(unit.capacity_w)}),
        "Coolant": coolant(loop.fluid, values.supply.value, values.return_.value),
        "Status": conditioned_status(values.quality, values.conditions),
        "Pumps": link(f"{uri}/Pumps"),
        "PrimaryCoolantConnectors": link(f"{uri}/PrimaryCoolantConnectors"),
        "SecondaryCoolantConnectors": link(f"{uri}/SecondaryCoolantConnectors"),
        **{name: link(f"{uri}/{name}") for name, parts in declared.items() if parts},
        **({"EnvironmentMetrics": link(f"{uri}/EnvironmentMetrics")} if is_metered(unit) else {}),
        "Links": {
            "Chassis": [link("/redfish/v1/Chassis/DCPI")],
            "ManagedBy": [link("/redfish/v1/Managers/DCPI")],
        },
    }

"""Chassis, Managers and Systems: the host's members under our root, and one of our own."""

from __future__ import annotations

from typing import Any

from bmc_ext.redfish.context import Context, Request
from bmc_ext.redfish.errors import RedfishError
from bmc_ext.redfish.registry import Routes
from bmc_ext.security.identity import LOGIN

routes = Routes()

OWN_ID = "DCPI"
CHASSIS = "/redfish/v1/Chassis"
MANAGERS = "/redfish/v1/Managers"
SYSTEMS = "/redfish/v1/Systems"


@routes.get(CHASSIS, LOGIN, schema="ChassisCollection.ChassisCollection")
def chassis_collection(context: Context, request: Request) -> dict[str, Any]:  # noqa: ARG001
    """The host's chassis first, then the facility's own and those of its rack PDUs."""
    return _collection(context, "Chassis", own_chassis(context))


@routes.get(MANAGERS, LOGIN, schema="ManagerCollection.ManagerCollection")
def manager_collection(context: Context, request: Request) -> dict[str, Any]:  # noqa: ARG001
    """The host's managers first, then this service."""
    return _collection(context, "Managers", [OWN_ID])


@routes.get(SYSTEMS, LOGIN, schema="ComputerSystemCollection.ComputerSystemCollection")
def system_collection(context: Context, request: Request) -> dict[str, Any]:
    """The host's systems; without a host there is no such collection."""
    if context.host is None:
        raise RedfishError(404, f"nothing lives at {request.path}")
    return _collection(context, "Systems", [])


def own_chassis(context: Context) -> list[str]:
    """The facility, and its rack PDUs while PowerEquipment is served."""
    config = context.config
    return [OWN_ID, *(pdu.id for pdu in config.rack_pdus if config.power_equipment)]


def _collection(context: Context, name: str, own: list[str]) -> dict[str, Any]:
    ids = [*(context.host.members(name) if context.host is not None else ()), *own]
    return {
        "Name": f"{name} Collection",
        "Members": [{"@odata.id": f"/redfish/v1/{name}/{member}"} for member in ids],
        "Members@odata.count": len(ids),
    }

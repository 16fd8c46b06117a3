"""Chassis, Managers and Systems: the host's members under our root, and one of our own."""

from __future__ import annotations

from typing import Any

from bmc_ext.errors import HostUnavailableError
from bmc_ext.redfish.context import Context, Request
from bmc_ext.redfish.errors import RedfishError
from bmc_ext.redfish.registry import Routes
from bmc_ext.security.identity import LOGIN
from bmc_ext.settings import Config

routes = Routes()

OWN_ID = "DCPI"
CHASSIS = "/redfish/v1/Chassis"
MANAGERS = "/redfish/v1/Managers"
SYSTEMS = "/redfish/v1/Systems"


@routes.get(CHASSIS, LOGIN, schema="ChassisCollection.ChassisCollection")
def chassis_collection(context: Context, request: Request) -> dict[str, Any]:  # noqa: ARG001
    """The facility's own chassis and those of its rack PDUs; the host's stand before them."""
    return _collection("Chassis", *own_chassis(context.config))


@routes.get(MANAGERS, LOGIN, schema="ManagerCollection.ManagerCollection")
def manager_collection(context: Context, request: Request) -> dict[str, Any]:  # noqa: ARG001
    """The service itself; the host's managers stand before it."""
    return _collection("Managers", OWN_ID)


@routes.get(SYSTEMS, LOGIN, schema="ComputerSystemCollection.ComputerSystemCollection")
def system_collection(context: Context, request: Request) -> dict[str, Any]:
    """The host's systems; without a host there is no such collection."""
    if context.host is None:
        raise RedfishError(404, f"nothing lives at {request.path}")
    if "Systems" not in context.host.root:
        raise HostUnavailableError("the systems of the BMC behind this service are not known yet")
    return _collection("Systems")


def own_chassis(config: Config) -> list[str]:
    """The facility, and its rack PDUs while PowerEquipment is served."""
    return [OWN_ID, *(pdu.id for pdu in config.rack_pdus if config.power_equipment)]


def _collection(name: str, *ids: str) -> dict[str, Any]:
    return {
        "Name": f"{name} Collection",
        "Members": [{"@odata.id": f"/redfish/v1/{name}/{member}"} for member in ids],
        "Members@odata.count": len(ids),
    }

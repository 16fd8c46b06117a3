"""ManagerNetworkProtocol: what this service speaks, on the ports that it really uses."""

from __future__ import annotations

from typing import Any

from bmc_ext.network_interfaces import qualified_name
from bmc_ext.redfish.context import Context, Request
from bmc_ext.redfish.registry import Routes
from bmc_ext.redfish.resources.manager import OWN
from bmc_ext.security.identity import LOGIN

routes = Routes()

PROTOCOLS = f"{OWN}/NetworkProtocol"
CERTIFICATES = f"{PROTOCOLS}/HTTPS/Certificates"


@routes.get(PROTOCOLS, LOGIN, schema="ManagerNetworkProtocol.v1_13_0.ManagerNetworkProtocol")
def network_protocol(context: Context, request: Request) -> dict[str, Any]:  # noqa: ARG001
    """HTTPS and nothing beside it: time, shell and SNMP are the machine's, not this service's."""
    name = context.host_name()
    return {
        "Id": "NetworkProtocol",
        "Name": "Network Protocol",
        "HostName": name,
        "FQDN": qualified_name(name),
        "Status": {"State": "Enabled", "Health": "OK"},
        "HTTP": {"ProtocolEnabled": False, "Port": None},
        "HTTPS": {
            "ProtocolEnabled": True,
            "Port": context.lifecycle.port,
            "Certificates": {"@odata.id": CERTIFICATES},
        },
    }

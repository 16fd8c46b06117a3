"""ManagerNetworkProtocol: what this service speaks, on the ports that it really uses."""

from __future__ import annotations

from typing import Any

from bmc_ext.control.audited import audited
from bmc_ext.network_interfaces import qualified_name
from bmc_ext.redfish import members
from bmc_ext.redfish.context import Context, Request
from bmc_ext.redfish.registry import Routes
from bmc_ext.redfish.resources.manager import OWN
from bmc_ext.security.identity import CONFIGURE_MANAGER, LOGIN

routes = Routes()

PROTOCOLS = f"{OWN}/NetworkProtocol"
SSDP_PORT = 1900  # UPnP Device Architecture 1.3.1
CERTIFICATES = f"{PROTOCOLS}/HTTPS/Certificates"


@routes.get(PROTOCOLS, LOGIN, schema="ManagerNetworkProtocol.v1_13_0.ManagerNetworkProtocol")
def network_protocol(context: Context, request: Request) -> dict[str, Any]:  # noqa: ARG001
    """HTTPS and nothing beside it: time, shell and SNMP are the machine's, not this service's."""
    name = context.host_name()
    body: dict[str, Any] = {
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
    if context.discovery is not None:
        body["SSDP"] = {"ProtocolEnabled": context.discovery.enabled, "Port": SSDP_PORT}
    return body


@routes.patch(PROTOCOLS, CONFIGURE_MANAGER)
def change_protocols(context: Context, request: Request) -> dict[str, Any]:
    """Answer searches for this service, or no longer, where any are configured."""
    present = network_protocol(context, request)
    known = () if context.discovery is None else ("SSDP",)
    body = members.json_object(request.json(), known, present)
    inner = members.json_object(members.required(body, "SSDP"), ("ProtocolEnabled",), ("Port",))
    enabled = members.flag(inner, "ProtocolEnabled", True)
    planned = {"ssdp": enabled}
    with audited(context.audit, "protocols.change", request.who, request.correlation_id, planned):
        assert context.discovery is not None
        context.discovery.enabled = enabled
    return network_protocol(context, request)

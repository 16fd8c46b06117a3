"""ManagerNetworkProtocol: what this service speaks, on the ports that it really uses."""

from __future__ import annotations

from typing import Any

from bmc_ext.network_interfaces import host_name, qualified_name
from bmc_ext.redfish.context import Context, Request
from bmc_ext.redfish.registry import Routes
from bmc_ext.redfish.resources.manager import OWN
from bmc_ext.security.identity import LOGIN

routes = Routes()

PROTOCOLS = f"{OWN}/NetworkProtocol"
CERTIFICATES = f"{PROTOCOLS}/HTTPS/Certificates"
NTP_PORT = 123  # RFC 5905 clause 7.2


@routes.get(PROTOCOLS, LOGIN, schema="ManagerNetworkProtocol.v1_13_0.ManagerNetworkProtocol")
def network_protocol(context: Context, request: Request) -> dict[str, Any]:  # noqa: ARG001
    """HTTPS and nothing beside it; NTP as the machine's own daemon has it.

    The machine's time daemon is configured on the machine, hence no NTP servers are set from here.
    """
    disciplined_by = context.time_bound().source or ""
    return {
        "Id": "NetworkProtocol",
        "Name": "Network Protocol",
        "HostName": host_name(),
        "FQDN": qualified_name(),
        "Status": {"State": "Enabled", "Health": "OK"},
        "HTTP": {"ProtocolEnabled": False, "Port": None},
        "HTTPS": {
            "ProtocolEnabled": True,
            "Port": context.lifecycle.port,
            "Certificates": {"@odata.id": CERTIFICATES},
        },
        "NTP": {
            "ProtocolEnabled": "chrony" in disciplined_by,
            "Port": NTP_PORT,
            "NTPServers": [],
        },
    }

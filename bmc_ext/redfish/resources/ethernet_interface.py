"""EthernetInterface: the machine's own interfaces, as its kernel has them."""

from __future__ import annotations

from typing import Any

from bmc_ext.control.audited import audited
from bmc_ext.errors import NotFoundError
from bmc_ext.network_interfaces import (
    InterfaceAddress,
    NetworkInterface,
    name_servers,
    network_interfaces,
    qualified_name,
)
from bmc_ext.redfish import members
from bmc_ext.redfish.context import Context, Request
from bmc_ext.redfish.registry import Routes
from bmc_ext.redfish.resources.manager import OWN
from bmc_ext.security.identity import CONFIGURE_MANAGER, LOGIN

routes = Routes()

INTERFACES = f"{OWN}/EthernetInterfaces"
COLLECTION = "EthernetInterfaceCollection.EthernetInterfaceCollection"
INTERFACE = "EthernetInterface.v1_12_5.EthernetInterface"


@routes.get(INTERFACES, LOGIN, schema=COLLECTION)
def interfaces(context: Context, request: Request) -> dict[str, Any]:  # noqa: ARG001
    """Those that are hardware or have an address of their own."""
    return collection_body(INTERFACES)


@routes.get(f"{INTERFACES}/{{interface}}", LOGIN, schema=INTERFACE)
def interface(context: Context, request: Request) -> dict[str, Any]:
    """One interface; what the kernel does not tell is null."""
    return interface_body(request.params["interface"], context.host_name())


@routes.patch(f"{INTERFACES}/{{interface}}", CONFIGURE_MANAGER)
def change_interface(context: Context, request: Request) -> dict[str, Any]:
    """Set the machine's name; addresses are the business of its own network service."""
    present = interface(context, request)
    body = members.json_object(request.json(), ("HostName",), present)
    name = members.text(body, "HostName")
    planned = {"host_name": name[:64]}
    with audited(context.audit, "host_name.change", request.who, request.correlation_id, planned):
        try:
            context.host_name.change(name)
        except ValueError as error:
            raise members.refused(
                "PropertyValueFormatError", str(error), "HostName", name
            ) from error
    return interface(context, request)


def collection_body(uri: str) -> dict[str, Any]:
    """The collection at this URI, without annotations of its own."""
    found = [{"@odata.id": f"{uri}/{one.name}"} for one in network_interfaces()]
    return {"Name": "Ethernet Interfaces", "Members": found, "Members@odata.count": len(found)}


def interface_body(name: str, host_name: str) -> dict[str, Any]:
    """The interface `name` of the machine `host_name`, without annotations; NotFoundError."""
    for one in network_interfaces():
        if one.name == name:
            return _body(one, host_name)
    raise NotFoundError(f"no interface {name!r}")


def _body(one: NetworkInterface, host_name: str) -> dict[str, Any]:
    return {
        "Id": one.name,
        "Name": f"Interface {one.name}",
        "EthernetInterfaceType": "Physical" if one.physical else "Virtual",
        "MACAddress": one.mac,
        "InterfaceEnabled": one.enabled,
        "LinkStatus": "LinkUp" if one.link_up else "LinkDown",
        "SpeedMbps": one.speed_mbps,
        "FullDuplex": one.full_duplex,
        "MTUSize": one.mtu_bytes,
        "HostName": host_name,
        "FQDN": qualified_name(host_name),
        "NameServers": list(name_servers()),
        "IPv4Addresses": [_v4(a, one) for a in one.addresses if a.interface.version == 4],
        "IPv6Addresses": [_v6(a) for a in one.addresses if a.interface.version == 6],
        "IPv6DefaultGateway": one.gateway_v6,
        "Status": {"State": "Enabled" if one.enabled else "Disabled", "Health": "OK"},
    }


def _v4(address: InterfaceAddress, one: NetworkInterface) -> dict[str, Any]:
    return {
        "Address": str(address.interface.ip),
        "SubnetMask": str(address.interface.netmask),
        "AddressOrigin": address.origin,
        "Gateway": one.gateway_v4,
    }


def _v6(address: InterfaceAddress) -> dict[str, Any]:
    return {
        "Address": str(address.interface.ip),
        "PrefixLength": address.interface.network.prefixlen,
        "AddressOrigin": address.origin,
        "AddressState": address.state,
    }

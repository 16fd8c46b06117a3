"""Chassis of each rack PDU: where it hangs, and its sensors. Configuration says how many."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from bmc_ext.equipment import references
from bmc_ext.rack_pdu import RackPdu
from bmc_ext.redfish import labels
from bmc_ext.redfish.context import Context, Request
from bmc_ext.redfish.excerpts import link, plate
from bmc_ext.redfish.fixed_members import SENSORS
from bmc_ext.redfish.rack_pdus import identity, placed, status_of, uri_of, voltage_state
from bmc_ext.redfish.registry import Routes
from bmc_ext.redfish.resources.collections import CHASSIS
from bmc_ext.redfish.sensor_catalogue import sensor_id
from bmc_ext.security.identity import CONFIGURE_COMPONENTS, LOGIN
from bmc_ext.settings import Config


def chassis_routes(config: Config) -> Iterable[Routes]:
    """The chassis of the PDUs that are served."""
    return [_routes(pdu) for pdu in config.rack_pdus] if config.power_equipment else []


def _routes(pdu: RackPdu) -> Routes:
    routes = Routes()
    uri = f"{CHASSIS}/{pdu.id}"

    @routes.get(uri, LOGIN, schema="Chassis.v1_28_0.Chassis", volatile=("PowerState", "Status"))
    def chassis(context: Context, request: Request) -> dict[str, Any]:  # noqa: ARG001
        return _body(context, pdu, uri)

    @routes.patch(uri, CONFIGURE_COMPONENTS)
    def change(context: Context, request: Request) -> dict[str, Any]:
        labels.change(context, request, ("AssetTag", "Location"), _body(context, pdu, uri))
        return _body(context, pdu, uri)

    @routes.get(f"{uri}/Sensors", LOGIN, schema="SensorCollection.SensorCollection")
    def sensors(context: Context, request: Request) -> dict[str, Any]:  # noqa: ARG001
        ids = dict.fromkeys(sensor_id(ref) for ref in references(pdu))
        return {
            "Name": f"Sensors of {pdu.name}",
            "Members": [link(f"{SENSORS}/{name}") for name in ids],
            "Members@odata.count": len(ids),
        }

    return routes


def _body(context: Context, pdu: RackPdu, uri: str) -> dict[str, Any]:
    shown = plate(pdu.nameplate, without=("FirmwareVersion", "ProductionDate"))
    location = {**shown.pop("Location", {}), "Placement": placed(context, pdu, uri)}
    return {
        "Id": pdu.id,
        "Name": pdu.name,
        "ChassisType": "PowerStrip",
        "UUID": identity(context, pdu),
        **shown,
        "AssetTag": labels.label(context, uri, "AssetTag"),
        "Location": location,
        "PowerState": voltage_state(context, *(line.voltage for line in pdu.mains.lines)),
        **status_of(context, pdu.mains.power, *(line.current for line in pdu.mains.lines)),
        "Sensors": link(f"{uri}/Sensors"),
        "Links": {
            "ManagedBy": [link("/redfish/v1/Managers/DCPI")],
            "PowerDistribution": link(uri_of(pdu)),
            "CoolingUnits": [],
        },
    }

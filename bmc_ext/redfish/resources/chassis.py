"""Chassis: the facility as one, the place where a DCIM tool finds all that belongs to it."""

from __future__ import annotations

from typing import Any

from bmc_ext.equipment import Site
from bmc_ext.redfish import cooling, labels
from bmc_ext.redfish.context import Context, Request
from bmc_ext.redfish.excerpts import link, plate
from bmc_ext.redfish.registry import Routes
from bmc_ext.redfish.resources.leak_detector import LEAK_DETECTORS
from bmc_ext.security.identity import CONFIGURE_COMPONENTS, LOGIN

routes = Routes()

URI = "/redfish/v1/Chassis/DCPI"
_ADDRESS = {
    "ISOCountryCode": "country",
    "ISOSubdivisionCode": "subdivision",
    "City": "city",
    "PostalCode": "postal_code",
}
_LEGACY = ("Power", "Thermal")


@routes.get(URI, LOGIN, schema="Chassis.v1_28_0.Chassis", volatile=("PowerState",))
def chassis(context: Context, request: Request) -> dict[str, Any]:  # noqa: ARG001
    """The facility; what nobody declared of it is left out."""
    facility = context.config.facility
    return {
        "Id": "DCPI",
        "Name": facility.name,
        "Description": "The facility as one: its power, its cooling and its heat.",
        "ChassisType": "Zone",
        "UUID": context.uuid,
        "PowerState": _power_state(context),
        **plate(facility.nameplate, without=("FirmwareVersion", "ProductionDate", "Location")),
        "Location": _location(context, facility.site),
        "Status": {"State": "Enabled", "Health": "OK"},
        "Sensors": link(f"{URI}/Sensors"),
        "Controls": link(f"{URI}/Controls"),
        "EnvironmentMetrics": link(f"{URI}/EnvironmentMetrics"),
        **({"LeakDetectors": link(LEAK_DETECTORS)} if cooling.detector_ids(context) else {}),
        "PowerSubsystem": link(f"{URI}/PowerSubsystem"),
        "ThermalSubsystem": link(f"{URI}/ThermalSubsystem"),
        **({name: link(f"{URI}/{name}") for name in _LEGACY} if context.config.legacy else {}),
        "Links": {
            "ManagedBy": [link("/redfish/v1/Managers/DCPI")],
            "CoolingUnits": [link(f"{cooling.CDUS}/{loop}") for loop in context.loop_places],
            # One link at most, and the facility has many: they are PowerEquipment's.
            "PowerDistribution": None,
        },
        "Oem": {
            "DCPI": {
                "@odata.type": "#DcpiServiceRoot.v1_0_0.ServiceRoot",
                "Service": {"@odata.id": "/redfish/v1/dcpi"},
            }
        },
    }


@routes.patch(URI, CONFIGURE_COMPONENTS)
def change(context: Context, request: Request) -> dict[str, Any]:
    """Write its place."""
    labels.change(context, request, (labels.PLACEMENT,), chassis(context, request))
    return chassis(context, request)


def _power_state(context: Context) -> str | None:
    """On while power flows at its feeds; null where that is not known."""
    snapshot = context.snapshots.latest()
    if snapshot is None or snapshot.total.p_w is None:
        return None
    return "On" if snapshot.total.p_w else "Off"


def _location(context: Context, site: Site) -> dict[str, Any]:
    """Address as far as it is declared, and place."""
    address = {name: value for name, key in _ADDRESS.items() if (value := getattr(site, key))}
    place = labels.placement(context, URI, site.row, site.rack)
    return {**({"PhysicalAddress": address} if address else {}), "Placement": place}

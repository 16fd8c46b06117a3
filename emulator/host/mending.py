"""What sushy-tools' bodies say wrongly, put right before they leave, and what it is asked."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from emulator.host.legacy import drop_legacy
from emulator.host.routes import BOOT_ENABLED, BOOT_MODES, BOOT_TARGETS, RESET_TYPES

Body = dict[str, Any]

TYPES = (
    "Chassis.v1_23_0.Chassis",
    "ComputerSystem.v1_13_0.ComputerSystem",
    "EthernetInterface.v1_1_0.EthernetInterface",
    "EthernetInterfaceCollection.EthernetInterfaceCollection",
    "Manager.v1_3_1.Manager",
    "SecureBoot.v1_1_0.SecureBoot",
    "Thermal.v1_3_0.Thermal",
    "VirtualMedia.v1_4_0.VirtualMedia",
    "VirtualMediaCollection.VirtualMediaCollection",
)
"""What sushy-tools' bodies say that they are; a test reads them."""


def mend(body: Body, is_served: Callable[[str], bool], *, legacy: bool = True) -> Body:
    """The body without dead links, wrong names and placeholders; changes it in place.

    `is_served` tells whether something answers at a URI. Without `legacy` nothing that the
    standard has deprecated stays.
    """
    _mend_everywhere(body)
    kind = str(body.get("@odata.type", "")).removeprefix("#").partition(".")[0]
    special = _SPECIAL.get(kind)
    if special is not None:
        special(body)
    if not legacy:
        drop_legacy(kind, body)
    _drop_dead_links(body, is_served)
    return body


def _mend_everywhere(value: object) -> None:
    """Drop @Redfish.Copyright, which belongs to mockups, and spell HealthRollup rightly."""
    if isinstance(value, dict):
        value.pop("@Redfish.Copyright", None)
        if "HealthRollUp" in value:
            value["HealthRollup"] = value.pop("HealthRollUp")
        for inner in value.values():
            _mend_everywhere(inner)
    elif isinstance(value, list):
        for inner in value:
            _mend_everywhere(inner)


def _drop_dead_links(value: object, is_served: Callable[[str], bool]) -> None:
    """Take out members and list entries that are nothing but a link nobody answers."""

    def dead(inner: object) -> bool:
        return (
            isinstance(inner, dict)
            and inner.keys() == {"@odata.id"}
            and not is_served(str(inner["@odata.id"]).partition("#")[0])
        )

    if isinstance(value, dict):
        for name in [name for name, inner in value.items() if dead(inner)]:
            del value[name]
        for inner in value.values():
            _drop_dead_links(inner, is_served)
    elif isinstance(value, list):
        value[:] = [inner for inner in value if not dead(inner)]
        for inner in value:
            _drop_dead_links(inner, is_served)


def _mend_system(body: Body) -> None:
    body["LocationIndicatorActive"] = body["IndicatorLED"] == "Blinking"
    body["Bios"] = {"@odata.id": f"{body['@odata.id']}/Bios"}
    boot = body["Boot"]
    # Only there because the template prints Python's None, and for UEFI HTTP boot, which would
    # make the emulator download what a client names.
    boot.pop("HttpBootUri", None)
    boot.pop("UefiTargetBootSourceOverride", None)  # for a target that is not on offer
    boot["BootSourceOverrideTarget@Redfish.AllowableValues"] = list(BOOT_TARGETS)
    boot["BootSourceOverrideMode@Redfish.AllowableValues"] = list(BOOT_MODES)
    boot["BootSourceOverrideEnabled@Redfish.AllowableValues"] = list(BOOT_ENABLED)
    reset = body["Actions"]["#ComputerSystem.Reset"]
    reset["ResetType@Redfish.AllowableValues"] = list(RESET_TYPES)


def _mend_chassis(body: Body) -> None:
    body["@odata.type"] = "#Chassis.v1_23_0.Chassis"  # the first version that has CoolingUnits
    body["ChassisType"] = "RackMount"  # by its height of 44.45 mm and its place in a rack
    body["LocationIndicatorActive"] = body["IndicatorLED"] == "Blinking"
    body["Version"] = "1.0"  # of this emulation, as the rest of its label
    for name in (
        "Sensors",
        "EnvironmentMetrics",
        "Power",
        "PowerSubsystem",
        "ThermalSubsystem",
        "Controls",
    ):
        body[name] = {"@odata.id": f"{body['@odata.id']}/{name}"}
    body["Links"]["CoolingUnits"] = []
    body["Links"]["PowerDistribution"] = None  # there is none in it


def _mend_manager(body: Body) -> None:
    if body.get("ServiceEntryPointUUID") is None:
        body.pop("ServiceEntryPointUUID", None)


def _mend_thermal(body: Body) -> None:
    for temperature in body["Temperatures"]:
        temperature["SensorNumber"] = int(temperature["SensorNumber"])
    for fan in body["Fans"]:
        fan.pop("Redundancy", None)  # points at a member of this body that is not there


def _mend_medium(body: Body) -> None:
    if not body["Inserted"]:
        body["ConnectedVia"] = "NotConnected"
    for name in ("Image", "ImageName", "UserName"):
        body[name] = body[name] or None
    body["Password"] = None  # never shown (schema VirtualMedia)
    body.pop("VerifyCertificate", None)  # nothing is fetched, so there is nothing to verify
    body["Actions"].pop("Oem", None)


def _mend_interface(body: Body) -> None:
    body["@odata.type"] = "#EthernetInterface.v1_1_0.EthernetInterface"  # the first with LinkStatus
    body["InterfaceEnabled"] = body["Status"]["State"] == "Enabled"
    body["LinkStatus"] = body["SpeedMbps"] = None  # sushy-tools' machine has no cable


_SPECIAL: dict[str, Callable[[Body], None]] = {
    "ComputerSystem": _mend_system,
    "Chassis": _mend_chassis,
    "EthernetInterface": _mend_interface,
    "Manager": _mend_manager,
    "Thermal": _mend_thermal,
    "VirtualMedia": _mend_medium,
}


def indicator(body: dict[str, Any]) -> dict[str, Any]:
    """What a change says of the lamp, in the one word that sushy-tools knows."""
    if "LocationIndicatorActive" in body:
        return {"IndicatorLED": "Blinking" if body["LocationIndicatorActive"] else "Off"}
    return {"IndicatorLED": body["IndicatorLED"]} if "IndicatorLED" in body else {}


def without_secret(body: dict[str, Any]) -> dict[str, Any]:
    """An InsertMedia request without its password: nothing is fetched, so nothing needs it."""
    known = {name: value for name, value in body.items() if name != "Password"}
    if known.get("UserName"):
        known["Password"] = "unused"  # sushy-tools takes both or none
    return known


def message_of(data: bytes) -> str:
    """What a refusal of sushy-tools says."""
    try:
        return str(json.loads(data)["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return data.decode(errors="replace")

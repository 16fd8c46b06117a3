"""The BIOS of an emulated machine: what is set waits for the machine's next start.

The attributes are those that sushy-tools shows of its virtual machines, less a password and what
this machine does not have. BootMode is the boot mode of the system, SecureBootStatus what its
SecureBoot says; the others are kept, shown and have no effect, for nothing boots here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from bmc_ext.clock import iso8601
from bmc_ext.redfish.base_messages import PREFIX
from bmc_ext.redfish.host import HostError

Body = dict[str, Any]

REGISTRY: Final = "BiosAttributeRegistry.v1_0_0"
FILE: Final = f"Registries/{REGISTRY}"
"""Below the root: where the registry is listed."""

DOCUMENT: Final = f"registries/{REGISTRY}.json"
TYPES: Final = ("Bios.v1_2_4.Bios",)
ROUTES: Final = ("bios", "bios settings", "reset bios", "bios registry", "bios attributes")
ON_RESET: Final = "OnReset"
"""When settings are applied (schema Settings)."""

_MODES: Final = {"Uefi": "UEFI", "Bios": "Legacy"}
_SETTINGS: Final = "Settings.v1_4_0.Settings"


@dataclass(frozen=True, slots=True)
class Attribute:
    """One attribute; without `values` it is true or false."""

    name: str
    title: str
    values: tuple[str, ...]
    default: str | bool
    read_only: bool = False

    def check(self, value: object, pointer: str) -> None:
        """HostError where it cannot have that value."""
        if self.read_only:
            _refuse(pointer, "cannot be written", "PropertyNotWritable")
        if not isinstance(value, str if self.values else bool):
            kind = "a string" if self.values else "true or false"
            _refuse(pointer, f"is not {kind}", "PropertyValueTypeError", json.dumps(value))
        if self.values and value not in self.values:
            reason = f"is not one of {', '.join(self.values)}"
            _refuse(pointer, reason, "PropertyValueNotInList", str(value))

    @property
    def entry(self) -> Body:
        """Itself in the registry."""
        values = [{"ValueName": one, "ValueDisplayName": one} for one in self.values]
        return {
            "AttributeName": self.name,
            "DisplayName": self.title,
            "Type": "Enumeration" if values else "Boolean",
            **({"Value": values} if values else {}),
            "DefaultValue": self.default,
            "ReadOnly": self.read_only,
            "ResetRequired": not self.read_only,
        }


_ALL: Final = (
    Attribute("BootMode", "Boot mode", tuple(_MODES), "Uefi"),
    Attribute("EmbeddedSata", "Embedded SATA", ("Ata", "Ahci", "Raid", "Off"), "Raid"),
    Attribute("NicBoot1", "Embedded NIC 1 boot", ("NetworkBoot", "Disabled"), "NetworkBoot"),
    Attribute("ProcTurboMode", "Turbo boost", ("Enabled", "Disabled"), "Enabled"),
    Attribute("QuietBoot", "Quiet boot", (), True),
    Attribute("SecureBootStatus", "Secure boot", ("Enabled", "Disabled"), "Disabled", True),
)
_KNOWN: Final = {attribute.name: attribute for attribute in _ALL}


def attributes(value: object, pointer: str) -> None:
    """A Check of emulator.host.routes: attributes with values that they can have."""
    if not isinstance(value, dict):
        raise HostError(400, "Attributes is not a JSON object", pointer)
    for name, setting in value.items():
        if name not in _KNOWN:
            _refuse(f"{pointer}/{name}", "is unknown", "PropertyUnknown")
        _KNOWN[name].check(setting, f"{pointer}/{name}")


def in_force(system: Mapping[str, Any]) -> Body:
    """The attributes of a system of sushy-tools' as they are."""
    mode = system.get("boot_mode", "UEFI")
    return {
        **{attribute.name: attribute.default for attribute in _ALL},
        **system.get("bios", {}),
        "BootMode": next(name for name, word in _MODES.items() if word == mode),
        "SecureBootStatus": "Enabled" if system.get("secure_boot") else "Disabled",
    }


def pending(system: Mapping[str, Any]) -> Body:
    """Those that the next start changes."""
    now = in_force(system)
    waiting = system.get("bios_pending") or {}
    return {name: value for name, value in waiting.items() if now[name] != value}


def with_pending(system: Mapping[str, Any], wanted: Mapping[str, Any]) -> Body:
    """What changes of the system where a client sets these attributes."""
    return {"bios_pending": {**(system.get("bios_pending") or {}), **wanted}}


def with_defaults_pending() -> Body:
    """What changes of a system whose BIOS is to be as it was when it was new."""
    defaults = {one.name: one.default for one in _ALL if not one.read_only}
    return {"bios_pending": defaults, "bios_reset": True}


def applied(system: Mapping[str, Any], now_s: float) -> Body:
    """What changes of a system that starts at `now_s` (Unix seconds)."""
    changes = system.get("bios_pending")
    if not changes:
        return {}
    kept = {name: value for name, value in changes.items() if name != "BootMode"}
    mode = {"boot_mode": _MODES[changes["BootMode"]]} if "BootMode" in changes else {}
    bios = {**system.get("bios", {}), **kept}
    return {
        **mode, "bios": bios, "bios_pending": None, "bios_reset": False, "bios_applied_s": now_s
    }  # fmt: skip


def body(route: str, path: str, system: Mapping[str, Any]) -> Body:
    """The BIOS of a system, or its settings object."""
    common = {"@odata.type": f"#{TYPES[0]}", "@odata.id": path, "AttributeRegistry": REGISTRY}
    now = in_force(system)
    if route == "bios settings":
        settings = {
            "@odata.type": "#Settings.v1_4_0.PreferredApplyTime",
            "ApplyTime": ON_RESET,
            "ApplyTime@Redfish.AllowableValues": [ON_RESET],
        }
        return {
            **common,
            "Id": "Settings",
            "Name": "BIOS settings after the next start",
            "Attributes": {**now, **pending(system)},
            "@Redfish.SettingsApplyTime": settings,
        }
    return {
        **common,
        "Id": "Bios",
        "Name": "BIOS settings in force",
        "Attributes": now,
        "ResetBiosToDefaultsPending": bool(system.get("bios_reset")),
        "@Redfish.Settings": {
            "@odata.type": f"#{_SETTINGS}",
            "SettingsObject": {"@odata.id": f"{path}/Settings"},
            "SupportedApplyTimes": [ON_RESET],
            **_last_applied(system),
        },
        "Actions": {"#Bios.ResetBios": {"target": f"{path}/Actions/Bios.ResetBios"}},
    }


def registry_body(route: str, path: str) -> Body:
    """Where the registry of the attributes is found, or that registry."""
    if route == "bios registry":
        return {
            "@odata.type": "#MessageRegistryFile.v1_1_5.MessageRegistryFile",
            "@odata.id": path,
            "Id": REGISTRY,
            "Name": "BIOS Attribute Registry File",
            "Registry": REGISTRY,
            "Languages": ["en"],
            "Location": [{"Language": "en", "Uri": f"/redfish/v1/{DOCUMENT}"}],
        }
    return {
        "@odata.type": "#AttributeRegistry.v1_3_9.AttributeRegistry",
        "Id": REGISTRY,
        "Name": "BIOS Attribute Registry",
        "Language": "en",
        "OwningEntity": "dcpi-bmc",
        "RegistryVersion": "1.0.0",
        "RegistryEntries": {"Attributes": [attribute.entry for attribute in _ALL]},
    }


def _last_applied(system: Mapping[str, Any]) -> Body:
    if system.get("bios_applied_s") is None:
        return {}
    message = {
        "@odata.type": "#Message.v1_2_1.Message",
        "MessageId": f"{PREFIX}.Success",
        "Message": "The settings were applied when the system started.",
        "MessageArgs": [],
        "MessageSeverity": "OK",
        "Resolution": "None.",
    }
    return {"Time": iso8601(system["bios_applied_s"]), "Messages": [message]}


def _refuse(pointer: str, reason: str, message: str, value: str | None = None) -> None:
    name = pointer.rpartition("/")[2]
    args = (name,) if value is None else (value[:64], name)
    text = f"{pointer.removeprefix('/').replace('/', '.')} {reason}"
    raise HostError(400, text, pointer, message=message, args=args)

"""What of sushy-tools is served, and what a request to it may say.

sushy-tools answers 500 to much of what a client can get wrong, so a request that it would trip
over is refused here, with the property at fault; what it links to but cannot serve is absent.
"""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from bmc_ext.redfish.host import HostError
from bmc_ext.redfish.members import IMMEDIATE, apply_time_fault
from emulator.host import bios

ROOT: Final = "/redfish/v1/"
COLLECTIONS: Final = ("Systems", "Chassis", "Managers")
MEDIA_ROUTES: Final = ("media", "insert media", "eject media")

RESET_TYPES: Final = (
    "On", "ForceOff", "GracefulShutdown", "GracefulRestart", "ForceRestart", "ForceOn"
)  # fmt: skip
OFF_TYPES: Final = ("ForceOff", "GracefulShutdown")
BOOT_TARGETS: Final = ("None", "Pxe", "Cd", "Hdd")
BOOT_MODES: Final = ("UEFI", "Legacy")
BOOT_ENABLED: Final = ("Disabled", "Once", "Continuous")

_INDICATORS: Final = ("Lit", "Blinking", "Off")
_IMAGE_SCHEMES: Final = ("http", "https", "ftp", "nfs", "cifs")
_OFFSET = re.compile(r"[+-](0\d|1[0-4]):[0-5]\d")

Check = Callable[[object, str], None]
"""Raises HostError when the value at a JSON Pointer is not acceptable."""


def one_of(*values: str) -> Check:
    """One of these strings."""

    def check(value: object, pointer: str) -> None:
        if value not in values:
            reason = f"is not one of {', '.join(values)}"
            if isinstance(value, str):
                _refuse(pointer, reason, "PropertyValueNotInList", value)
            _refuse(pointer, reason, "PropertyValueTypeError", json.dumps(value))

    return check


def boolean(value: object, pointer: str) -> None:
    """A truth value."""
    if not isinstance(value, bool):
        reason = "is neither true nor false"
        _refuse(pointer, reason, "PropertyValueTypeError", json.dumps(value))


def text(value: object, pointer: str) -> None:
    """A printable string of at most 255 characters."""
    if not isinstance(value, str) or len(value) > 255 or not value.isprintable():
        _refuse(pointer, "is not a printable string of at most 255 characters")


def image(value: object, pointer: str) -> None:
    """The URI of a medium."""
    try:
        parts = urlsplit(value) if isinstance(value, str) and value.isprintable() else None
    except ValueError:
        parts = None
    if parts is None or parts.scheme not in _IMAGE_SCHEMES or not parts.netloc:
        _refuse(pointer, f"is not a URI with a host and one of {', '.join(_IMAGE_SCHEMES)}")


def date_time(value: object, pointer: str) -> None:
    """An RFC 3339 date-time with its offset."""
    try:
        moment = datetime.datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None or not 1970 <= moment.year < 9999:
        _refuse(pointer, "is not a date and time with a UTC offset, from 1970 to 9998")


def offset(value: object, pointer: str) -> None:
    """A UTC offset such as +02:00."""
    if not isinstance(value, str) or not _OFFSET.fullmatch(value):
        _refuse(pointer, "is not a UTC offset such as +02:00")


def members(
    checks: Mapping[str, Check],
    *,
    required: tuple[str, ...] = (),
    empty: bool = False,
    applies: str = IMMEDIATE,
) -> Check:
    """An object of these members only; `empty` ones are allowed only where said.

    `applies` is when what it asks for is done: a client that wants it at another time is refused.
    """

    def check(value: object, pointer: str) -> None:
        if not isinstance(value, dict):
            raise HostError(400, _where(pointer, "is not a JSON object"), pointer)
        fault = apply_time_fault(value, applies)
        if fault is not None:
            _refuse(f"/{fault[0]}", f"is not {applies}", "PropertyValueNotInList", fault[1])
        named = [name for name in value if not name.startswith("@")]
        for name in named:
            if name not in checks:
                _refuse(f"{pointer}/{name}", "is unknown or cannot be written", "PropertyUnknown")
        for name in required:
            if name not in value:
                _refuse(f"{pointer}/{name}", "is missing", "PropertyMissing")
        if not named and not empty:
            message = "" if pointer else "NoOperation"
            reason = _where(pointer, "names nothing to change")
            raise HostError(400, reason, pointer, message=message)
        for name in named:
            checks[name](value[name], f"{pointer}/{name}")

    return check


def _refuse(
    pointer: str, reason: str, message: str = "PropertyValueError", value: object = None
) -> None:
    name = pointer.rpartition("/")[2]
    args = (name,) if value is None else (str(value)[:64], name)
    raise HostError(400, _where(pointer, reason), pointer, message=message, args=args)


def _where(pointer: str, reason: str) -> str:
    return f"{pointer.removeprefix('/').replace('/', '.') or 'the body'} {reason}"


_MARKS: Final[Mapping[str, Check]] = {
    "AssetTag": text,
    "IndicatorLED": one_of(*_INDICATORS),
    "LocationIndicatorActive": boolean,
}

_SYSTEM_PATCH = members(
    {
        "Boot": members(
            {
                "BootSourceOverrideTarget": one_of(*BOOT_TARGETS),
                "BootSourceOverrideMode": one_of(*BOOT_MODES),
                "BootSourceOverrideEnabled": one_of(*BOOT_ENABLED),
            }
        ),
        **_MARKS,
    }
)

_INSERT_MEDIA = members(
    {
        "Image": image,
        "Inserted": boolean,
        "WriteProtected": boolean,
        "UserName": text,
        "Password": text,
        "TransferMethod": one_of("Stream", "Upload"),
        "TransferProtocolType": text,
    },
    required=("Image",),
)

_NO_BODY = members({}, empty=True)


@dataclass(frozen=True, slots=True)
class Route:
    """A URI template below /redfish/v1/ and the methods it takes, each with its body's check."""

    name: str
    template: str
    writes: Mapping[str, Check]
    reads: bool = True

    @property
    def methods(self) -> tuple[str, ...]:
        """All methods, GET first."""
        return (("GET",) if self.reads else ()) + tuple(self.writes)


_ROUTES: Final = (
    Route("collection", "{collection}", {}),
    Route("system", "{Systems}", {"PATCH": _SYSTEM_PATCH}),
    Route(
        "reset",
        "{Systems}/Actions/ComputerSystem.Reset",
        {"POST": members({"ResetType": one_of(*RESET_TYPES)}, required=("ResetType",))},
        reads=False,
    ),
    Route("bios", "{Systems}/Bios", {}),
    Route(
        "bios settings",
        "{Systems}/Bios/Settings",
        {
            "PATCH": members(
                {"Attributes": bios.attributes}, required=("Attributes",), applies=bios.ON_RESET
            )
        },
    ),
    Route(
        "reset bios",
        "{Systems}/Bios/Actions/Bios.ResetBios",
        {"POST": members({}, empty=True, applies=bios.ON_RESET)},
        reads=False,
    ),
    Route("bios registry", bios.FILE, {}),
    Route("bios attributes", bios.DOCUMENT, {}),
    Route("ethernet", "{Systems}/EthernetInterfaces", {}),
    Route("ethernet", "{Systems}/EthernetInterfaces/{id}", {}),
    Route(
        "secure boot",
        "{Systems}/SecureBoot",
        {"PATCH": members({"SecureBootEnable": boolean}, required=("SecureBootEnable",))},
    ),
    Route("media", "{Systems}/VirtualMedia", {}),
    Route("media", "{Systems}/VirtualMedia/{id}", {}),
    Route(
        "insert media",
        "{Systems}/VirtualMedia/{id}/Actions/VirtualMedia.InsertMedia",
        {"POST": _INSERT_MEDIA},
        reads=False,
    ),
    Route(
        "eject media",
        "{Systems}/VirtualMedia/{id}/Actions/VirtualMedia.EjectMedia",
        {"POST": _NO_BODY},
        reads=False,
    ),
    Route("chassis", "{Chassis}", {"PATCH": members(_MARKS)}),
    Route("thermal", "{Chassis}/Thermal", {}),
    Route("power", "{Chassis}/Power", {}),
    Route("power subsystem", "{Chassis}/PowerSubsystem", {}),
    Route("power supplies", "{Chassis}/PowerSubsystem/PowerSupplies", {}),
    Route("power supply", "{Chassis}/PowerSubsystem/PowerSupplies/{id}", {}),
    Route("own interfaces", "{Managers}/EthernetInterfaces", {}),
    Route(
        "own interface",
        "{Managers}/EthernetInterfaces/{id}",
        {"PATCH": members({"HostName": text})},
    ),
    Route("chassis sensors", "{Chassis}/Sensors", {}),
    Route("chassis sensor", "{Chassis}/Sensors/{id}", {}),
    Route("chassis environment", "{Chassis}/EnvironmentMetrics", {}),
    Route("chassis thermal", "{Chassis}/ThermalSubsystem", {}),
    Route("chassis fans", "{Chassis}/ThermalSubsystem/Fans", {}),
    Route("chassis fan", "{Chassis}/ThermalSubsystem/Fans/{id}", {}),
    Route("chassis controls", "{Chassis}/Controls", {}),
    Route(
        "manager",
        "{Managers}",
        {"PATCH": members({"DateTime": date_time, "DateTimeLocalOffset": offset})},
    ),
)


def _pattern(template: str) -> re.Pattern[str]:
    expression = re.escape(template).replace(r"\{", "{").replace(r"\}", "}")
    expression = expression.replace("{collection}", f"(?:{'|'.join(COLLECTIONS)})")
    for collection in COLLECTIONS:
        expression = expression.replace(
            f"{{{collection}}}", f"{collection}/(?P<{collection}>[^/]+)"
        )
    return re.compile(ROOT + expression.replace("{id}", "(?P<id>[^/]+)"))


_PATTERNS: Final = tuple((_pattern(route.template), route) for route in _ROUTES)


def find(path: str) -> tuple[Route, dict[str, Any]] | None:
    """The route of a path without trailing slash and the ids in it; None when it is not served."""
    for pattern, route in _PATTERNS:
        match = pattern.fullmatch(path)
        if match:
            return route, match.groupdict()
    return None

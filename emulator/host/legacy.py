"""What the standard has deprecated in sushy-tools' bodies, and what is left without it."""

from __future__ import annotations

from typing import Any, Final

from bmc_ext.redfish.host import HostError

Body = dict[str, Any]

TYPES: Final = ("Thermal.v1_3_0.Thermal", "Power.v1_7_3.Power")
"""Types that are deprecated as a whole (DSP8010: since v1_7, for ThermalSubsystem and
PowerSubsystem)."""

ROUTES: Final = ("thermal", "power")
"""The routes that serve them."""

_MEMBERS: Final = {
    "Chassis": ("IndicatorLED", "Power", "Thermal"),  # since v1_14, v1_15 and v1_15
    "ComputerSystem": ("IndicatorLED",),  # since v1_13
    "Manager": ("VirtualMedia",),  # since v1_10: it is the system's
}
"""Deprecated members by type (DSP8010)."""

_SUMMARIES: Final = ("ProcessorSummary", "MemorySummary")  # their Status, since v1_16


def drop_legacy(kind: str, body: Body) -> None:
    """Take what is deprecated out of a body of that type; changes it in place."""
    for name in _MEMBERS.get(kind, ()):
        body.pop(name, None)
    if kind == "ComputerSystem":
        for name in _SUMMARIES:
            body.get(name, {}).pop("Status", None)


def refuse_legacy(body: Body) -> None:
    """HostError for a write of a member that is deprecated: without it, it is unknown."""
    if "IndicatorLED" in body:  # the only one that is written
        reason = "IndicatorLED is unknown or cannot be written"
        args = ("IndicatorLED",)
        raise HostError(400, reason, "/IndicatorLED", message="PropertyUnknown", args=args)

"""The machines that a mock host BMC manages."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class HostSystem:
    """A computer system and its manager; both bear the UUID, which is their id."""

    uuid: str
    name: str
    mac_addresses: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class HostChassis:
    """A chassis, whose UUID is its id; the one with the lowest UUID holds all systems."""

    uuid: str
    name: str


# The machines that stock sushy-tools shows, so that scripts written for it find theirs.
STOCK_SYSTEM: Final = HostSystem(
    "27946b59-9e44-4fa7-8e91-f3527a1ef094", "fake", ("00:5c:52:31:3a:9c",)
)
STOCK_CHASSIS: Final = HostChassis("15693887-7984-9484-3272-842188918912", "Chassis")


def numbered_machines(number: int) -> tuple[HostSystem, HostChassis]:
    """The machines of the BMC of that number, the same at every start; of number 1 the stock ones.

    ValueError below 1.
    """
    if number < 1:
        raise ValueError(f"BMCs are counted from 1, not {number}")
    if number == 1:
        return STOCK_SYSTEM, STOCK_CHASSIS
    system, chassis = (
        str(uuid.uuid5(uuid.UUID(stock.uuid), str(number)))
        for stock in (STOCK_SYSTEM, STOCK_CHASSIS)
    )
    mac = int(STOCK_SYSTEM.mac_addresses[0].replace(":", ""), 16) + number - 1
    return (
        HostSystem(system, f"{STOCK_SYSTEM.name}-{number}", (mac.to_bytes(6, "big").hex(":"),)),
        HostChassis(chassis, STOCK_CHASSIS.name),
    )


def check_machines(kind: str, uuids: Iterable[str]) -> None:
    """ValueError unless there is at least one UUID, each in canonical form and given once."""
    seen: set[str] = set()
    for text in uuids:
        try:
            canonical = str(uuid.UUID(text))
        except ValueError:
            canonical = ""
        if text != canonical or text in seen:
            raise ValueError(f"{kind}: {text!r} is not a lower-case UUID, or is given twice")
        seen.add(text)
    if not seen:
        raise ValueError(f"{kind}: a BMC has at least one")

"""The two power supplies of each emulated chassis, and what becomes of them.

One of them can carry the chassis alone. Nothing here measures: they are there and deliver, or not.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from bmc_ext.redfish.excerpts import collection, link
from bmc_ext.redfish.host import HostError

Body = dict[str, Any]

TYPES: Final = (
    "PowerSubsystem.v1_1_4.PowerSubsystem",
    "PowerSupply.v1_6_0.PowerSupply",
    "PowerSupplyCollection.PowerSupplyCollection",
    "Power.v1_7_3.Power",
)
"""Beside what sushy-tools serves."""

ROUTES: Final = ("power subsystem", "power supplies", "power supply", "power")
"""The routes that are answered here."""

SUPPLIES: Final = ("PSU1", "PSU2")
CAUSES: Final = ("failure", "input", "removal")

_OF_OLD = (
    "Name", "PowerSupplyType", "PowerCapacityWatts", "Manufacturer", "Model", "SerialNumber",
    "HotPluggable", "Status",
)  # fmt: skip
"""Of a PowerSupply what a member of Power.PowerSupplies has under the same name."""

_NEEDED = 1
_RATED_W = 800.0
_OK = {"State": "Enabled", "Health": "OK"}
_OFF = {"State": "UnavailableOffline", "Health": "Critical"}
_STATUS = {"failure": _OFF, "input": _OFF, "removal": {"State": "Absent", "Health": "Critical"}}


class PowerSupplies:
    """Those of all chassis; not thread-safe."""

    def __init__(self, chassis: Sequence[str]) -> None:
        self._chassis = tuple(chassis)
        self._lost: dict[str, tuple[tuple[str, str], str]] = {}

    def lose(self, key: str, chassis: str | None, supply: str, cause: str) -> None:
        """Let one deliver nothing until `restore` with the same key; LookupError names what is not.

        Without a chassis the first one's is meant.
        """
        self._lost[key] = self.place(chassis, supply), cause

    def place(self, chassis: str | None, supply: str) -> tuple[str, str]:
        """Chassis and supply; LookupError when there is no such one."""
        where = self._chassis[0] if chassis is None else chassis
        if where not in self._chassis:
            raise LookupError(f"no chassis {where!r} (there are: {', '.join(self._chassis)})")
        if supply not in SUPPLIES:
            raise LookupError(f"no power supply {supply!r} (there are: {', '.join(SUPPLIES)})")
        return where, supply

    def restore(self, key: str) -> None:
        """Undo `lose`. Unknown: KeyError."""
        del self._lost[key]

    def deliver(self, chassis: str) -> bool:
        """Whether any supply of a chassis does."""
        return any(self._cause(chassis, supply) is None for supply in SUPPLIES)

    def health(self, chassis: str) -> str:
        """The worst of a chassis' supplies."""
        causes = [self._cause(chassis, supply) for supply in SUPPLIES]
        return "OK" if causes == [None] * len(SUPPLIES) else "Critical"

    def body(self, route: str, path: str) -> Body:
        """The resource at `path`; HostError 404 for a supply that there is not."""
        parts = path.split("/")
        subsystem = "/".join(parts[:6])
        if route == "power subsystem":
            return _typed(0, path, self._subsystem(parts[4], subsystem))
        if route == "power supplies":
            return _typed(2, path, collection("Power supplies", path, [*SUPPLIES]))
        if route == "power":
            return _typed(3, path, self._power(parts[4], path))
        if parts[-1] not in SUPPLIES:
            raise HostError(404, f"nothing lives at {path}")
        return _typed(1, path, self._supply(parts[4], parts[-1]))

    def _cause(self, chassis: str, supply: str) -> str | None:
        """Why it delivers nothing, of several causes the latest; None where it delivers."""
        causes = [cause for place, cause in self._lost.values() if place == (chassis, supply)]
        return causes[-1] if causes else None

    def _subsystem(self, chassis: str, uri: str) -> Body:
        lost = sum(self._cause(chassis, supply) is not None for supply in SUPPLIES)
        redundancy = _OFF if lost == len(SUPPLIES) else {**_OK, "Health": "Warning"}
        return {
            "Id": "PowerSubsystem",
            "Name": "Power subsystem",
            "CapacityWatts": _NEEDED * _RATED_W,
            "PowerSupplies": link(f"{uri}/PowerSupplies"),
            "PowerSupplyRedundancy": [
                {
                    "RedundancyType": "NPlusM",
                    "MinNeededInGroup": _NEEDED,
                    "MaxSupportedInGroup": len(SUPPLIES),
                    "RedundancyGroup": [link(f"{uri}/PowerSupplies/{id_}") for id_ in SUPPLIES],
                    "Status": redundancy if lost else _OK,
                }
            ],
            "Status": {**_OK, "HealthRollup": self.health(chassis)},
        }

    def _power(self, chassis: str, uri: str) -> Body:
        """The same supplies as clients older than PowerSubsystem look for them."""
        supplies = []
        for number, id_ in enumerate(SUPPLIES):
            found = self._supply(chassis, id_)
            supplies.append(
                {
                    "@odata.id": f"{uri}#/PowerSupplies/{number}",
                    "MemberId": str(number),
                    **{name: found[name] for name in _OF_OLD if name in found},
                    "RelatedItem": [link(uri.removesuffix("/Power"))],
                    "RelatedItem@odata.count": 1,
                }
            )
        redundancy = self._subsystem(chassis, uri)["PowerSupplyRedundancy"][0]
        return {
            "Id": "Power",
            "Name": "Power",
            "PowerControl": [
                {
                    "@odata.id": f"{uri}#/PowerControl/0",
                    "MemberId": "0",
                    "Name": "Power of the chassis",
                    "PowerConsumedWatts": None,
                    "PowerCapacityWatts": _NEEDED * _RATED_W,
                    "RelatedItem": [link(uri.removesuffix("/Power"))],
                    "RelatedItem@odata.count": 1,
                    "Status": {**_OK, "Health": self.health(chassis)},
                }
            ],
            "PowerControl@odata.count": 1,
            "PowerSupplies": supplies,
            "PowerSupplies@odata.count": len(supplies),
            "Redundancy": [
                {
                    "@odata.id": f"{uri}#/Redundancy/0",
                    "MemberId": "0",
                    "Name": "Power supplies",
                    "Mode": "N+m",
                    "MinNumNeeded": redundancy["MinNeededInGroup"],
                    "MaxNumSupported": redundancy["MaxSupportedInGroup"],
                    "RedundancySet": [link(one["@odata.id"]) for one in supplies],
                    "RedundancySet@odata.count": len(supplies),
                    "Status": redundancy["Status"],
                }
            ],
            "Redundancy@odata.count": 1,
        }

    def _supply(self, chassis: str, supply: str) -> Body:
        cause = self._cause(chassis, supply)
        body: Body = {
            "Id": supply,
            "Name": f"Power supply {supply.removeprefix('PSU')}",
            "HotPluggable": True,
            "Status": _OK if cause is None else _STATUS[cause],
        }
        if cause == "removal":
            return body
        return {
            **body,
            "PowerSupplyType": "AC",
            "PowerCapacityWatts": _RATED_W,
            "LineInputStatus": "LossOfInput" if cause == "input" else "Normal",
            "Manufacturer": "dcpi-bmc",
            "Model": f"Simulated power supply {_RATED_W:.0f} W",
            "SerialNumber": f"SIM-{chassis[:8].upper()}-{supply}",
        }


def _typed(number: int, path: str, body: Body) -> Body:
    return {"@odata.type": f"#{TYPES[number]}", "@odata.id": path, **body}

"""A rack PDU: its mains, branches and outlets, as the configuration declares them.

It is no feed: what it gives is drawn through a feed that is counted already.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from bmc_ext.equipment import Nameplate, PointRef, point_ref
from bmc_ext.errors import ConfigurationError

Line = Literal["L1", "L2", "L3"]
RestorePolicy = Literal["AlwaysOn", "AlwaysOff", "LastState"]

_POINTS = ("voltage", "current", "power", "energy", "frequency", "state", "switch")


@dataclass(frozen=True, slots=True)
class PduLine:
    """The points of one line: voltage and power to neutral, and its current."""

    line: Line
    voltage: PointRef | None = None
    current: PointRef | None = None
    power: PointRef | None = None


@dataclass(frozen=True, slots=True)
class PduMains:
    """The incoming circuit; names of wiring, voltage and plug are those of Redfish's Circuit."""

    rated_current_a: float | None = None
    wiring: str | None = None
    nominal_voltage: str | None = None
    plug: str | None = None
    power: PointRef | None = None
    energy: PointRef | None = None
    frequency: PointRef | None = None
    lines: tuple[PduLine, ...] = ()


@dataclass(frozen=True, slots=True)
class PduBranch:
    """A circuit between the mains and outlets; of several lines without `line`."""

    id: str
    line: Line | None = None
    rated_current_a: float | None = None
    wiring: str | None = None
    nominal_voltage: str | None = None
    restore: RestorePolicy | None = None
    voltage: PointRef | None = None
    current: PointRef | None = None
    power: PointRef | None = None
    energy: PointRef | None = None


@dataclass(frozen=True, slots=True)
class PduOutlet:
    """An outlet on a branch.

    `state` tells whether it is live (1) or not (0), `switch` takes 1 and 0; without it nobody can
    switch the outlet here.
    """

    id: str
    branch: str
    type: str | None = None
    rated_current_a: float | None = None
    wiring: str | None = None
    nominal_voltage: str | None = None
    restore: RestorePolicy | None = None
    voltage: PointRef | None = None
    current: PointRef | None = None
    power: PointRef | None = None
    energy: PointRef | None = None
    state: PointRef | None = None
    switch: PointRef | None = None


@dataclass(frozen=True, slots=True)
class Placement:
    """Where the PDU hangs, until somebody writes another place over Redfish."""

    row: str | None = None
    rack: str | None = None


@dataclass(frozen=True, slots=True)
class RackPdu:
    """One PDU; what is not declared of it is not shown."""

    id: str
    name: str
    nameplate: Nameplate = field(default_factory=Nameplate)
    placement: Placement = Placement()
    mains: PduMains = PduMains()
    branches: tuple[PduBranch, ...] = ()
    outlets: tuple[PduOutlet, ...] = ()

    def branch(self, name: str) -> PduBranch | None:
        """The branch of that id."""
        return next((branch for branch in self.branches if branch.id == name), None)

    def outlet(self, name: str) -> PduOutlet | None:
        """The outlet of that id."""
        return next((outlet for outlet in self.outlets if outlet.id == name), None)


def rack_pdu(document: Mapping[str, Any]) -> RackPdu:
    """Of an entry of `rack_pdus`, checked against the schema before."""
    mains = _pointed(document.get("mains", {}))
    lines = mains.pop("lines", {})
    mains["lines"] = tuple(PduLine(line, **_pointed(lines[line])) for line in sorted(lines))
    return RackPdu(
        document["id"],
        document.get("name", document["id"]),
        Nameplate(**document.get("nameplate", {})),
        Placement(**document.get("placement", {})),
        PduMains(**mains),
        tuple(PduBranch(**_pointed(entry)) for entry in document.get("branches", ())),
        tuple(PduOutlet(**_pointed(entry)) for entry in document["outlets"]),
    )


def check_rack_pdus(pdus: Sequence[RackPdu], taken: set[str], origin: str) -> None:
    """ConfigurationError for an id that is `taken` or given twice, or an unknown branch."""
    seen = set(taken)
    for pdu in pdus:
        if pdu.id in seen:
            raise ConfigurationError(f"{origin}: rack_pdus: id {pdu.id!r} is given twice")
        seen.add(pdu.id)
        place = f"{origin}: rack_pdus/{pdu.id}"
        for kind, name in _twice(pdu):
            raise ConfigurationError(f"{place}/{kind}: id {name!r} is given twice")
        for outlet in pdu.outlets:
            if pdu.branch(outlet.branch) is None:
                text = f"{place}/outlets/{outlet.id}: no branch {outlet.branch!r}"
                raise ConfigurationError(text)


def _twice(pdu: RackPdu) -> Iterator[tuple[str, str]]:
    groups: tuple[tuple[str, Sequence[PduBranch | PduOutlet]], ...] = (
        ("branches", pdu.branches),
        ("outlets", pdu.outlets),
    )
    for kind, entries in groups:
        names = [entry.id for entry in entries]
        yield from ((kind, name) for name in names if names.count(name) > 1)


def _pointed(document: Mapping[str, Any]) -> dict[str, Any]:
    return {k: point_ref(v) if k in _POINTS else v for k, v in document.items()}

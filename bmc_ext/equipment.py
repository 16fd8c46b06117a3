"""What stands behind a feed, a loop or the facility: what its maker and its owner declare of it.

Nothing here is measured; what is not declared is None and is not shown.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, NamedTuple


class PointRef(NamedTuple):
    """A point of a configured device, written `device/point`."""

    device: str
    point: str


@dataclass(frozen=True, slots=True)
class Nameplate:
    """What the label says; `production_date` is a date such as 2025-03-31."""

    manufacturer: str | None = None
    model: str | None = None
    part_number: str | None = None
    serial_number: str | None = None
    version: str | None = None
    firmware_version: str | None = None
    production_date: str | None = None
    service_label: str | None = None


@dataclass(frozen=True, slots=True)
class Site:
    """Where the facility stands; country and subdivision by ISO 3166."""

    country: str | None = None
    subdivision: str | None = None
    city: str | None = None
    postal_code: str | None = None
    row: str | None = None
    rack: str | None = None


@dataclass(frozen=True, slots=True)
class Battery:
    """The battery behind a feed: capacity in J, and the point that tells its charge in %."""

    nameplate: Nameplate = Nameplate()
    capacity_j: float | None = None
    charge: PointRef | None = None
    chemistry: Literal["LeadAcid", "LithiumIon", "NickelCadmium"] | None = None


@dataclass(frozen=True, slots=True)
class Distribution:
    """What distributes a feed's power; `kind` is its collection under PowerEquipment."""

    kind: Literal["Switchgear", "ElectricalBuses", "FloorPDUs", "RackPDUs"] = "Switchgear"
    nameplate: Nameplate = Nameplate()
    rated_current_a: float | None = None
    wiring: str | None = None
    nominal_voltage: str | None = None
    battery: Battery | None = None


@dataclass(frozen=True, slots=True)
class PrimarySide:
    """The facility's water on the other side of a cooling unit's exchanger."""

    fluid: str | None = None
    rated_flow_lpm: float | None = None
    supply: PointRef | None = None
    return_: PointRef | None = None
    flow: PointRef | None = None
    supply_pressure: PointRef | None = None
    return_pressure: PointRef | None = None


@dataclass(frozen=True, slots=True)
class LeakSensor:
    """A detector that is read as a point: 0 is dry, 1 is wet."""

    id: str
    wet: PointRef
    type: Literal["Moisture", "FloatSwitch"] = "Moisture"
    nameplate: Nameplate = Nameplate()


@dataclass(frozen=True, slots=True)
class FilterPlate:
    """A filter and its service: date and hours as last noted, hours that its maker allows."""

    id: str
    nameplate: Nameplate = Nameplate()
    rated_service_hours: float | None = None
    serviced_date: str | None = None
    hot_pluggable: bool | None = None
    replaceable: bool | None = None


@dataclass(frozen=True, slots=True)
class ReservoirPlate:
    """A reservoir: capacity in L, and the point that tells its level in %."""

    id: str
    type: Literal["Reserve", "Overflow", "Inline", "Immersion"] = "Reserve"
    nameplate: Nameplate = Nameplate()
    capacity_l: float | None = None
    level: PointRef | None = None


@dataclass(frozen=True, slots=True)
class CoolingUnit:
    """The unit that cools a loop: capacity in W; its pump, connections and detectors.

    `power` and `energy` are the points of a meter of its own.
    """

    nameplate: Nameplate = Nameplate()
    capacity_w: float | None = None
    pump: Nameplate = Nameplate()
    primary: PrimarySide = PrimarySide()
    return_pressure: PointRef | None = None
    humidity: PointRef | None = None
    power: PointRef | None = None
    energy: PointRef | None = None
    leak_detectors: tuple[LeakSensor, ...] = ()
    filters: tuple[FilterPlate, ...] = ()
    reservoirs: tuple[ReservoirPlate, ...] = ()


def point_ref(text: str) -> PointRef:
    """`device/point` in its two parts."""
    device, _, point = text.partition("/")
    return PointRef(device, point)


def distribution(document: Mapping[str, Any]) -> Distribution:
    """Of a feed's `equipment`, checked against the schema before."""
    values = _plated(document)
    if "battery" in values:
        values["battery"] = Battery(**_pointed(_plated(values["battery"]), "charge"))
    return Distribution(**values)


def cooling_unit(document: Mapping[str, Any]) -> CoolingUnit:
    """Of a loop's `cooling_unit`, checked against the schema before."""
    values = _pointed(_plated(document), "return_pressure", "humidity", "power", "energy")
    if "pump" in values:
        values["pump"] = Nameplate(**values["pump"])
    if "primary" in values:
        values["primary"] = _primary(values["primary"])
    for name, kind, points in (
        ("leak_detectors", LeakSensor, ("wet",)),
        ("filters", FilterPlate, ()),
        ("reservoirs", ReservoirPlate, ("level",)),
    ):
        entries = values.get(name, ())
        values[name] = tuple(kind(**_pointed(_plated(entry), *points)) for entry in entries)
    return CoolingUnit(**values)


def references(owner: object) -> Iterator[PointRef]:
    """Every point that a piece of equipment names, at any depth."""
    if isinstance(owner, PointRef):
        yield owner
    elif isinstance(owner, tuple):
        for entry in owner:
            yield from references(entry)
    elif hasattr(owner, "__dataclass_fields__"):
        for field in fields(owner):  # type: ignore[arg-type] # it is a dataclass
            yield from references(getattr(owner, field.name))


def _primary(document: Mapping[str, Any]) -> PrimarySide:
    values = {("return_" if name == "return" else name): entry for name, entry in document.items()}
    points = ("supply", "return_", "flow", "supply_pressure", "return_pressure")
    return PrimarySide(**_pointed(values, *points))


def _plated(document: Mapping[str, Any]) -> dict[str, Any]:
    values = dict(document)
    if "nameplate" in values:
        values["nameplate"] = Nameplate(**values["nameplate"])
    return values


def _pointed(values: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: point_ref(entry) if name in names else entry for name, entry in values.items()}

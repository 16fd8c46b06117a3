"""Labels and places of equipment, which people write: AssetTag, UserLabel, Location/Placement."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from bmc_ext.control.audited import audited
from bmc_ext.errors import MessageError
from bmc_ext.redfish import members
from bmc_ext.redfish.context import Context, Request

PLACEMENT: Final = "Location"
"""The name in `allowed` of a place that can be written."""

_TEXTS = ("Row", "Rack")
_UNITS = ("OpenU", "EIA_310")
_MAX_OFFSET = 1000
_MAX_CHARACTERS = 255


def label(context: Context, uri: str, name: str) -> str:
    """A label, empty until somebody writes one."""
    return str(context.equipment.of(uri).get(name, ""))


def placement(
    context: Context, uri: str, row: str | None = None, rack: str | None = None
) -> dict[str, Any]:
    """Placement as it was written, else as it is declared; null is unknown."""
    written = context.equipment.of(uri)
    found: dict[str, Any] = {"Row": written.get("Row", row), "Rack": written.get("Rack", rack)}
    offset = {n: written[n] for n in ("RackOffset", "RackOffsetUnits") if n in written}
    return {**found, **offset}


def change(
    context: Context, request: Request, allowed: Iterable[str], readable: Iterable[str]
) -> None:
    """Carry out a PATCH of labels and, where Location is allowed, of its Placement."""
    body = members.json_object(request.json(), allowed, tuple(readable))
    values: dict[str, Any] = {}
    for name in body:
        if name == PLACEMENT:
            values |= _placement(body[name])
        elif not name.startswith("@"):
            values[name] = _text(body, name, name)
    if not values:
        raise MessageError("the body names nothing to change")
    uri = request.path.rstrip("/")
    planned = {"resource": uri, "properties": sorted(values)}
    with audited(context.audit, "equipment.label", request.who, request.correlation_id, planned):
        context.equipment.write(uri, values)


def _placement(location: object) -> dict[str, Any]:
    at = f"{PLACEMENT}/Placement"
    inner = _inside(location, ("Placement",), PLACEMENT)
    place = _inside(inner.get("Placement"), (*_TEXTS, "RackOffset", "RackOffsetUnits"), at)
    values: dict[str, Any] = {n: _text(place, n, f"{at}/{n}") for n in _TEXTS if n in place}
    if "RackOffset" in place:
        values["RackOffset"] = _offset(place["RackOffset"], f"{at}/RackOffset")
    if "RackOffsetUnits" in place:
        if place["RackOffsetUnits"] not in _UNITS:
            reason = f"RackOffsetUnits is none of {', '.join(_UNITS)}"
            value = place["RackOffsetUnits"]
            raise members.refused("PropertyValueNotInList", reason, f"{at}/RackOffsetUnits", value)
        values["RackOffsetUnits"] = place["RackOffsetUnits"]
    return values


def _inside(value: object, allowed: tuple[str, ...], name: str) -> dict[str, Any]:
    """The object at a member, with nothing but these members in it."""
    if not isinstance(value, dict):
        raise members.refused("PropertyValueTypeError", f"{name} is no object", name, value)
    for inner in value:
        if inner not in allowed:
            reason = f"{inner} is unknown or cannot be written"
            raise members.refused("PropertyUnknown", reason, f"{name}/{inner}")
    return value


def _text(body: dict[str, Any], name: str, at: str) -> str:
    value = body[name]
    if not isinstance(value, str):
        raise members.refused("PropertyValueTypeError", f"{name} is not a string", at, value)
    if len(value) > _MAX_CHARACTERS or not value.isprintable():
        reason = f"{name} is not a printable text of at most {_MAX_CHARACTERS} characters"
        raise members.refused("PropertyValueFormatError", reason, at, value)
    return value


def _offset(value: object, at: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        reason = "RackOffset is not a whole number"
        raise members.refused("PropertyValueTypeError", reason, at, value)
    if not 0 <= value <= _MAX_OFFSET:
        reason = f"RackOffset is not in 0 to {_MAX_OFFSET}"
        raise members.refused("PropertyValueOutOfRange", reason, at, value)
    return value

"""The parts of a profile from its document: each entry of the file as the value that it means."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from drivers.errors import ProfileError
from drivers.expression import Expression, name_in_expressions
from drivers.profile_document import ProfileDocument
from drivers.profile_types import (
    Accuracy,
    Check,
    Condition,
    Golden,
    Group,
    Point,
    Source,
    TextCondition,
    Transport,
    WriteRule,
)
from drivers.protocol import DeviceProtocol, protocol_named
from drivers.register_types import is_float, is_signed, mask_shift, register_count


def sources(content: Mapping[str, Any]) -> tuple[Source, ...]:
    """Where the facts come from."""
    return tuple(Source(**entry) for entry in content["sources"])


def group(name: str, entry: Mapping[str, Any]) -> Group:
    """A group; times in seconds."""
    return Group(
        name=name,
        every_s=entry["every_ms"] / 1000.0,
        serial_every_s=entry.get("serial_every_ms", entry["every_ms"]) / 1000.0,
        source_s=entry["source_ms"] / 1000.0,
        stale_after_s=entry["stale_after_ms"] / 1000.0,
    )


def transport(entry: Mapping[str, Any]) -> Transport:
    """What the device's wire can take; times in seconds."""
    settings: dict[str, Any] = {}
    for key, value in entry.items():
        if key == "max_regs" and isinstance(value, Mapping):
            settings["max_regs_of"] = {int(fc.removeprefix("fc")): n for fc, n in value.items()}
        elif key.endswith("_ms"):
            settings[f"{key.removesuffix('_ms')}_s"] = value / 1000.0
        elif key != "addr_base":
            settings[key] = tuple(value) if isinstance(value, list) else value
    return Transport(**settings)


def point(name: str, document: ProfileDocument) -> Point:
    """A point with what the file's defaults say of it."""
    entry = document.content["points"][name]
    settings = _placed(name, document)
    stuck_after_ms = entry.get("stuck_after_ms")
    absent = entry.get("absent", document.content.get("absent", {}).get(settings["type"], []))
    # A field's own sentinel is of the field: its register's other bits say something else.
    bits = 0xFF if settings["type"] == "i8" else entry.get("mask") if "absent" in entry else None
    try:
        sentinels = _sentinels(absent, settings["type"], bits)
    except ValueError as error:
        raise document.error(("points", name, "absent"), str(error)) from error
    bounds = entry.get("range")
    return Point(
        name=name,
        unit=entry["unit"],
        scale=float(entry.get("scale", 1.0)),
        offset=float(entry.get("offset", 0.0)),
        mask=entry.get("mask"),
        scale_by=entry.get("scale_by"),
        factor_by=entry.get("factor_by"),
        fraction=entry.get("fraction"),
        range=None if bounds is None else (float(bounds[0]), float(bounds[1])),
        absent=sentinels,
        absent_bits=bits,
        accuracy=_accuracy(entry.get("accuracy")),
        reference=entry.get("reference"),
        monotonic=entry.get("monotonic", False),
        max_rate=None if "max_rate" not in entry else float(entry["max_rate"]),
        stuck_after_s=None if stuck_after_ms is None else stuck_after_ms / 1000.0,
        write=_write_rule(entry.get("write"), settings["type"]),
        redfish=entry.get("redfish"),
        dcpi=entry.get("dcpi"),
        note=entry.get("note"),
        **settings,
    )


def _protocol(document: ProfileDocument) -> DeviceProtocol:
    try:
        return protocol_named(document.content["protocol"])
    except ProfileError as error:
        raise document.error(("protocol",), str(error)) from error


def _placed(name: str, document: ProfileDocument) -> dict[str, Any]:
    """Where the point is: its group, and its register or what its protocol calls a place."""
    defaults = document.content.get("defaults", {})
    entry = document.content["points"][name]
    modbus = document.content.get("protocol", "modbus") == "modbus"
    settings: dict[str, Any] = {}
    for key in ("fc", "type", "order", "group") if modbus else ("group",):
        settings[key] = entry.get(key, defaults.get(key, "ABCD" if key == "order" else None))
        if settings[key] is None:
            raise document.error(("points", name), f"{key!r} is given neither here nor in defaults")
    if modbus:
        return settings | {"address": entry["addr"]}
    document.check(("points", name, "at"), _protocol(document).point_schema)
    return settings | {"address": 0, "fc": 0, "type": "", "order": "", "at": entry["at"]}


def _accuracy(entry: Mapping[str, float] | None) -> Accuracy | None:
    if entry is None:
        return None
    return Accuracy(
        float(entry.get("pct_reading", 0.0)),
        float(entry.get("pct_range", 0.0)),
        float(entry.get("abs", 0.0)),
    )


def _write_rule(entry: Mapping[str, Any] | None, register_type: str) -> WriteRule | None:
    if entry is None:
        return None
    low, high = entry["range"]
    interval_s = entry.get("min_interval_ms", 0) / 1000.0
    if not register_type:
        return WriteRule(float(low), float(high), 0, interval_s)
    usual_fc = 6 if register_count(register_type) == 1 else 16
    return WriteRule(float(low), float(high), entry.get("fc", usual_fc), interval_s)


def _sentinels(entry: Any, register_type: str, field: int | None) -> tuple[float, ...]:
    """Raw numbers as the type gives them; NaN is left out, for floats it always means absent.

    Those of a `field` of bits as they stand in the register. ValueError when it has no such number.
    """
    entries: list[Any] = entry if isinstance(entry, list) else [entry]
    numbers = [number for number in entries if number != "nan" and not math.isnan(number)]
    if not register_type or is_float(register_type):
        return tuple(float(number) for number in numbers)
    high = (1 << 16 * register_count(register_type)) - 1
    if field is not None:
        high = field >> mask_shift(field)
    # Half below zero, as a signed number has it; of a masked field no number is.
    low = 0 if field is not None and register_type != "i8" else -(high // 2) - 1
    for number in numbers:
        if number != int(number) or not low <= number <= high:
            raise ValueError(f"{number:g} is no raw number of it: whole, {low} to {high}, unscaled")
    if field is not None:
        return tuple(int(number) << mask_shift(field) & field for number in numbers)
    top = high + 1
    patterns = [int(number) % top for number in numbers]
    return tuple(p - top if is_signed(register_type) and p > high // 2 else p for p in patterns)


def check(number: int, document: ProfileDocument) -> Check:
    """A cross-check; its expressions are parsed, and name only points that there are."""
    entry = document.content["checks"][number]
    sides = {}
    known = {name_in_expressions(name) for name in document.content["points"]}
    for key in ("expr", "max"):
        try:
            sides[key] = Expression(str(entry[key]))
        except ValueError as error:
            raise document.error(("checks", number, key), str(error)) from error
        for name in sorted(sides[key].names - known):
            raise document.error(("checks", number, key), f"no point {name!r}")
    named = sides["expr"].names | sides["max"].names
    points = tuple(p for p in document.content["points"] if name_in_expressions(p) in named)
    text = f"|{entry['expr']}| <= {entry['max']}"
    return Check(sides["expr"], sides["max"], points, text, entry.get("why"))


def golden(entry: Mapping[str, Any]) -> Golden:
    """A vector of registers and what they mean; of another protocol than Modbus only `read`."""
    read = entry["read"]
    return Golden(
        fc=read.get("fc", 0),
        address=read.get("addr", 0),
        registers=tuple(read.get("regs", ())),
        expect=entry["expect"],
        origin=entry.get("origin"),
        made_by=entry.get("made_by"),
        read=read,
    )


def conditions(content: Mapping[str, Any]) -> tuple[Condition, ...]:
    """The intervals that identify the device."""
    return tuple(
        Condition(entry["point"], float(entry["in"][0]), float(entry["in"][1]))
        for entry in content.get("identify", [])
        if "point" in entry
    )


def text_conditions(content: Mapping[str, Any]) -> tuple[TextCondition, ...]:
    """The texts that identify the device."""
    usual_fc = content.get("defaults", {}).get("fc", 3)
    return tuple(
        TextCondition(
            entry["text"], entry["addr"], entry.get("fc", usual_fc), entry.get("order", "ABCD")
        )
        for entry in content.get("identify", [])
        if "text" in entry
    )

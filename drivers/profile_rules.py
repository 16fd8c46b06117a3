"""What a profile must keep beyond its schema: what its parts say of each other."""

from __future__ import annotations

import math

from drivers.expression import name_in_expressions
from drivers.profile_document import ProfileDocument
from drivers.profile_types import Golden, Point, Profile
from drivers.read_plan import plan_reads
from drivers.register_types import MASKABLE, mask_shift
from drivers.units import KNOWN_UNITS, conversion


def enforce(profile: Profile, document: ProfileDocument) -> None:
    """Raise the ProfileError of the first rule that the profile breaks, with its line."""
    _points(profile, document)
    _references(profile, document)
    _conditions(document)
    _distinct_in_expressions(profile, document)
    _evidence(profile, document)


def _conditions(document: ProfileDocument) -> None:
    """An interval that no value lies in identifies nothing."""
    for k, entry in enumerate(document.content.get("identify", [])):
        if "in" in entry and entry["in"][0] > entry["in"][1]:
            raise document.error(("identify", k, "in"), "the lower bound is above the upper")


def _points(profile: Profile, document: ProfileDocument) -> None:
    """What a schema cannot say about points."""
    for point in profile.points.values():
        place = ("points", point.name)
        faults = [_unit_fault(point), _group_fault(point, profile), _interval_fault(point)]
        faults += [_reference_fault(point), _link_fault(point, profile)]
        if profile.protocol == "modbus":
            faults += [_width_fault(point, profile), _coil_fault(point), _write_fault(point)]
        for key, reason in filter(None, faults):
            raise document.error((*place, key), reason)


def _unit_fault(point: Point) -> tuple[str, str] | None:
    if point.unit not in KNOWN_UNITS:
        known = ", ".join(sorted(KNOWN_UNITS))
        return "unit", f"unknown unit {point.unit!r} (UCUM; known: {known})"
    return None


def _group_fault(point: Point, profile: Profile) -> tuple[str, str] | None:
    if point.group not in profile.groups:
        return "group", f"no group {point.group!r} (there are: {', '.join(profile.groups)})"
    return None


def _width_fault(point: Point, profile: Profile) -> tuple[str, str] | None:
    if point.address + point.registers > 0x10000:
        return "addr", f"a {point.type} at {point.address} ends after the last register"
    if point.registers > profile.transport.limit(point.fc):
        return "type", f"a {point.type} is longer than transport/max_regs"
    if point.mask is None:
        return None
    if point.type not in MASKABLE:
        return "mask", f"a mask needs one of {', '.join(MASKABLE)}, this is {point.type}"
    if point.mask >> (16 * point.registers):
        return "mask", f"{point.mask:#x} has bits that a {point.type} has not"
    if (field := point.mask >> mask_shift(point.mask)) & (field + 1):
        return "mask", f"{point.mask:#x} is not one row of bits: give each field a point of its own"
    return None


def _coil_fault(point: Point) -> tuple[str, str] | None:
    coil = point.fc in (1, 2)
    if coil != (point.type == "bool"):
        return "type", "functions 1 and 2 read a bool, functions 3 and 4 everything else"
    return None


def _reference_fault(point: Point) -> tuple[str, str] | None:
    if point.unit in KNOWN_UNITS and conversion(point.unit).unit == "bar":
        if point.reference is None:
            return "unit", "a pressure says its reference: absolute, gauge or differential"
    elif point.reference is not None:
        return "reference", f"{point.unit} is no pressure"
    return None


def _link_fault(point: Point, profile: Profile) -> tuple[str, str] | None:
    """What is wrong with `scale_by`, `factor_by` or `fraction`."""
    for key in ("fraction", "scale_by", "factor_by"):
        name = getattr(point, key)
        if name is None:
            continue
        other = profile.points.get(name)
        if other is None:
            return key, f"no point {name!r}"
        if other.links or other is point:
            return key, f"{name} is itself made of other points"
        if (
            key == "fraction"
            and other.unit != "1"
            and (other.unit, 1.0) != (point.unit, point.scale)
        ):
            return key, f'{name} is a share of the integer before its scale: its unit is "1"'
        if other.group != point.group or not _read_together(point, other, profile):
            return key, (
                f"{name} is not read in the same request: put both into one group, and let one "
                "read reach both (transport: max_regs, max_gap, gap_readable)"
            )
    return None


def _read_together(point: Point, other: Point, profile: Profile) -> bool:
    if profile.protocol != "modbus":
        return True
    members = [entry for entry in profile.points.values() if entry.group == point.group]
    return any(
        block.fc == point.fc == other.fc
        and {point.address, other.address} <= set(range(block.address, block.address + block.count))
        for block in plan_reads(members, profile.transport).blocks
    )


def _interval_fault(point: Point) -> tuple[str, str] | None:
    if point.range is not None and point.range[0] >= point.range[1]:
        return "range", "the lower bound is not below the upper"
    if point.accuracy is not None and point.accuracy.pct_range and point.range is None:
        return "accuracy", "pct_range needs a range"
    if point.write is not None and point.write.low > point.write.high:
        return "write", "the lower bound is above the upper"
    low, high = point.range or (-math.inf, math.inf)
    if point.write is not None and not low <= point.write.low <= point.write.high <= high:
        return "write", "its range is wider than the point's: what is written could not be read"
    return None


def _write_fault(point: Point) -> tuple[str, str] | None:
    if point.write is None:
        return None
    if point.links:
        return "write", "a value that is made of several points cannot be written"
    if point.mask is not None and point.write.fc != 22:
        return (
            "write",
            "a field of a register cannot be written without its other bits, but by fc 22",
        )
    if point.fc != 3:
        return "write", "only holding registers (fc 3) can be written"
    if point.write.fc in (6, 22) and point.registers > 1:
        return "write", f"fc {point.write.fc} writes one register, a {point.type} needs fc 16"
    if point.write.fc == 22 and point.mask is None:
        return "write", "fc 22 sets the bits of a mask, the point has none"
    return None


def _references(profile: Profile, document: ProfileDocument) -> None:
    """Every point that is named exists."""
    named: list[tuple[tuple[str | int, ...], str]] = []
    for k, entry in enumerate(document.content.get("identify", [])):
        if "point" in entry:
            named.append((("identify", k, "point"), entry["point"]))
    for k, golden in enumerate(profile.golden):
        named += [(("golden", k, "expect", name), name) for name in golden.expect]
    for target, wave in profile.simulation.items():
        named.append((("sim", target), target))
        named += [(("sim", target, "sum"), name) for name in wave.get("sum", [])]
        for key in {"integrate", "follow"} & wave.keys():
            named.append((("sim", target, key), wave[key]))
    for place, name in named:
        if name not in profile.points:
            raise document.error(place, f"no point {name!r}")


def _distinct_in_expressions(profile: Profile, document: ProfileDocument) -> None:
    seen: dict[str, str] = {}
    for name in profile.points:
        other = seen.setdefault(name_in_expressions(name), name)
        if other != name:
            reason = f"reads like {other} in an expression, where dots are underscores"
            raise document.error(("points", name), reason)


def _evidence(profile: Profile, document: ProfileDocument) -> None:
    """Golden vectors cover what they expect; facts from a manual are proved by some of its own."""
    strong = profile.evidence in ("standard", "manual")
    if strong and not profile.golden:
        reason = (
            f"a source is verified: {profile.evidence}, so give golden vectors from outside: the "
            "document's example, a capture, or IEEE 754 by hand"
        )
        raise document.error(("sources",), reason)
    for k, vector in enumerate(profile.golden):
        if strong and (vector.origin is None or vector.made_by is None):
            reason = "say where the vector comes from (origin) and who made it (made_by)"
            raise document.error(("golden", k), reason)
        if profile.protocol == "modbus":
            _coverage(k, vector, profile, document)


def _coverage(k: int, vector: Golden, profile: Profile, document: ProfileDocument) -> None:
    read = range(vector.address, vector.address + len(vector.registers))
    for name in vector.expect:
        point = profile.points[name]
        for needed in (point, *(profile.points[link] for link in point.links)):
            registers = range(needed.address, needed.address + needed.registers)
            if needed.fc != vector.fc or not set(registers) <= set(read):
                reason = f"the registers of {needed.name} are not among those of read"
                raise document.error(("golden", k, "expect", name), reason)

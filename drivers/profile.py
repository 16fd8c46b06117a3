"""Device profiles: what a device's registers mean, from one YAML file each.

Shipped profiles are `devices/*.yaml`; a configured folder may hold more. The one file drives
batching, the driver, the simulator and the checks.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
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
    Profile,
    Source,
    Transport,
    WriteRule,
)
from drivers.protocol import DeviceProtocol, protocol_named
from drivers.register_types import is_float, register_count
from drivers.units import KNOWN_UNITS

__all__ = [
    "SHIPPED_DIRECTORY",
    "Accuracy",
    "Check",
    "Condition",
    "Golden",
    "Group",
    "Point",
    "Profile",
    "Source",
    "Transport",
    "WriteRule",
    "list_profiles",
    "load_profile",
]

SHIPPED_DIRECTORY = Path(__file__).parent / "devices"


def load_profile(name_or_path: str | Path, dirs: Iterable[str | Path] = ()) -> Profile:
    """The profile with that id, from `dirs` first and then the shipped ones, or a file.

    An argument that ends in .yaml or .yml is a path. Raises ProfileError, which names file, line
    and reason, or the profiles that there are.
    """
    if str(name_or_path).endswith((".yaml", ".yml")):
        return _load(Path(name_or_path))
    folders = [Path(folder) for folder in dirs]
    for path in _files(folders):
        # A vendor's broken file must not hide the profile that was asked for.
        if _identity(path) == name_or_path:
            return _load(path)
    known = ", ".join(dict.fromkeys(_identity(path) for path in _files(folders)))
    raise ProfileError(f"no device profile {str(name_or_path)!r}; there are: {known}")


def list_profiles(dirs: Iterable[str | Path] = ()) -> list[Profile]:
    """All profiles of `dirs` and the shipped ones, by id; the first of an id counts.

    Raises ProfileError at the first file that is wrong.
    """
    found: dict[str, Profile] = {}
    for path in _files([Path(folder) for folder in dirs]):
        profile = _load(path)
        found.setdefault(profile.id, profile)
    return [found[identity] for identity in sorted(found)]


def _files(folders: Sequence[Path]) -> Iterator[Path]:
    for folder in (*folders, SHIPPED_DIRECTORY):
        if not folder.is_dir():
            raise ProfileError(f"{folder}: no such folder of device profiles")
        yield from sorted((*folder.glob("*.yaml"), *folder.glob("*.yml")))


def _identity(path: Path) -> str:
    """The id that a file declares, read without judging the rest of it."""
    return _declared_identity(path, path.stat().st_mtime_ns)


@functools.lru_cache(maxsize=512)
def _declared_identity(path: Path, changed_ns: int) -> str:  # noqa: ARG001  (part of the cache's key)
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return path.stem
    declared = [line.removeprefix("id:") for line in lines if line.startswith("id:")]
    return declared[0].split("#")[0].strip(" \"'") if declared else path.stem


def _load(path: Path) -> Profile:
    try:
        changed_ns = path.stat().st_mtime_ns
    except OSError as error:
        raise ProfileError(f"{path}: {error.strerror}") from error
    return _load_version(path, changed_ns)


@functools.lru_cache(maxsize=512)
def _load_version(path: Path, changed_ns: int) -> Profile:  # noqa: ARG001  (part of the cache's key)
    document = ProfileDocument(path)
    content = document.content
    groups = {name: _group(name, entry) for name, entry in content["groups"].items()}
    points = {name: _point(name, document) for name in content["points"]}
    profile = Profile(
        id=content["id"],
        vendor=content["vendor"],
        model=content["model"],
        kind=content["kind"],
        path=path,
        description=content.get("description", ""),
        protocol=content.get("protocol", "modbus"),
        sources=tuple(Source(**entry) for entry in content["sources"]),
        transport=_transport(content["transport"]),
        groups=MappingProxyType(groups),
        points=MappingProxyType(points),
        identify=tuple(
            Condition(entry["point"], float(entry["in"][0]), float(entry["in"][1]))
            for entry in content.get("identify", [])
        ),
        checks=tuple(_check(k, document) for k in range(len(content.get("checks", [])))),
        golden=tuple(_golden(entry) for entry in content.get("golden", [])),
        simulation=MappingProxyType(content.get("sim", {})),
    )
    _check_points(profile, document)
    _check_references(profile, document)
    return profile


def _group(name: str, entry: Mapping[str, Any]) -> Group:
    return Group(
        name=name,
        every_s=entry["every_ms"] / 1000.0,
        serial_every_s=entry.get("serial_every_ms", entry["every_ms"]) / 1000.0,
        source_s=entry["source_ms"] / 1000.0,
        stale_after_s=entry["stale_after_ms"] / 1000.0,
    )


def _transport(entry: Mapping[str, Any]) -> Transport:
    settings: dict[str, Any] = {}
    for key, value in entry.items():
        if key.endswith("_ms"):
            settings[f"{key.removesuffix('_ms')}_s"] = value / 1000.0
        elif key != "addr_base":
            settings[key] = tuple(value) if isinstance(value, list) else value
    return Transport(**settings)


def _point(name: str, document: ProfileDocument) -> Point:
    entry = document.content["points"][name]
    settings = _placed(name, document)
    absent = entry.get("absent", document.content.get("absent", {}).get(settings["type"], []))
    bounds = entry.get("range")
    return Point(
        name=name,
        unit=entry["unit"],
        scale=float(entry.get("scale", 1.0)),
        offset=float(entry.get("offset", 0.0)),
        mask=entry.get("mask"),
        range=None if bounds is None else (float(bounds[0]), float(bounds[1])),
        absent=_sentinels(absent, settings["type"]),
        accuracy=_accuracy(entry.get("accuracy")),
        reference=entry.get("reference"),
        monotonic=entry.get("monotonic", False),
        write=_write_rule(entry.get("write"), settings["type"]),
        redfish=entry.get("redfish"),
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
    if not register_type:
        return WriteRule(float(low), float(high), 0)
    usual_fc = 6 if register_count(register_type) == 1 else 16
    return WriteRule(float(low), float(high), entry.get("fc", usual_fc))


def _sentinels(entry: Any, register_type: str) -> tuple[float, ...]:
    """Raw numbers as the type gives them; NaN is left out, for floats it always means absent."""
    entries: list[Any] = entry if isinstance(entry, list) else [entry]
    numbers = [number for number in entries if number != "nan" and not math.isnan(number)]
    if not register_type or is_float(register_type):
        return tuple(float(number) for number in numbers)
    bits = 16 * register_count(register_type)
    signed = register_type.startswith("i")
    top = 1 << bits
    patterns = [int(number) % top for number in numbers]
    return tuple(p - top if signed and p >> (bits - 1) else p for p in patterns)


def _check(number: int, document: ProfileDocument) -> Check:
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


def _golden(entry: Mapping[str, Any]) -> Golden:
    read = entry["read"]
    registers = tuple(read["regs"])
    return Golden(read["fc"], read["addr"], registers, entry["expect"], entry.get("origin"))


def _check_points(profile: Profile, document: ProfileDocument) -> None:
    """What a schema cannot say about points."""
    for point in profile.points.values():
        place = ("points", point.name)
        faults = [_unit_fault(point), _group_fault(point, profile), _interval_fault(point)]
        if profile.protocol == "modbus":
            faults += [_width_fault(point, profile), _write_fault(point)]
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
    if point.registers > profile.transport.max_regs:
        return "type", f"a {point.type} is longer than transport/max_regs"
    if point.mask is not None and point.type not in ("u16", "bits"):
        return "mask", f"a mask needs a u16 or bits register, this is {point.type}"
    return None


def _interval_fault(point: Point) -> tuple[str, str] | None:
    if point.range is not None and point.range[0] >= point.range[1]:
        return "range", "the lower bound is not below the upper"
    if point.accuracy is not None and point.accuracy.pct_range and point.range is None:
        return "accuracy", "pct_range needs a range"
    if point.write is not None and point.write.low > point.write.high:
        return "write", "the lower bound is above the upper"
    return None


def _write_fault(point: Point) -> tuple[str, str] | None:
    if point.write is None:
        return None
    if point.fc != 3:
        return "write", "only holding registers (fc 3) can be written"
    if point.write.fc == 6 and point.registers > 1:
        return "write", f"fc 6 writes one register, a {point.type} needs fc 16"
    return None


def _check_references(profile: Profile, document: ProfileDocument) -> None:
    """Every point that is named exists."""
    named: list[tuple[tuple[str | int, ...], str]] = []
    named += [(("identify", k, "point"), entry.point) for k, entry in enumerate(profile.identify)]
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

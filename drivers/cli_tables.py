"""The tables of `dcpi-bmc device`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import RenderableType
from rich.markup import escape
from rich.table import Table

from drivers.codec import PointCodec
from drivers.engine import Engine
from drivers.probe import FoundUnit
from drivers.profile_types import Accuracy, Point, Profile


def profiles(known: Sequence[Profile]) -> Table:
    """One line a profile."""
    table = Table("profile", "device", "kind", "transport", "points", "writable", "evidence")
    for entry in known:
        writable = sum(point.write is not None for point in entry.points.values())
        table.add_row(
            entry.id,
            escape(f"{entry.vendor} {entry.model}"),
            entry.kind,
            ", ".join(entry.transport.modes),
            str(len(entry.points)),
            str(writable or ""),
            ", ".join(dict.fromkeys(source.verified for source in entry.sources)),
        )
    return table


def profile(shown: Profile) -> Iterator[RenderableType]:
    """Everything about one profile."""
    yield f"[bold]{shown.id}[/]  {escape(f'{shown.vendor} {shown.model}')}  ({shown.kind})"
    if shown.description:
        yield escape(shown.description.strip())
    yield _points(shown)
    yield _groups(shown)
    for source in shown.sources:
        yield f"source ({source.verified}): {escape(source.ref)}"


def _points(shown: Profile) -> Table:
    table = Table("point", "fc", "address", "type", "unit", "read as", "range", "accuracy", "group")
    table.add_column("write")
    for point in shown.points.values():
        order = "" if point.registers == 1 else f" {point.order}"
        table.add_row(
            point.name,
            str(point.fc),
            f"0x{point.address:04X}",
            f"{point.type}{order}",
            escape(point.unit),
            escape(PointCodec(point).unit + (f" {point.reference}" if point.reference else "")),
            "" if point.range is None else f"{point.range[0]:g} to {point.range[1]:g}",
            _accuracy(point.accuracy),
            point.group,
            _bounds(point),
        )
    return table


def _accuracy(accuracy: Accuracy | None) -> str:
    if accuracy is None:
        return ""
    terms = (
        (accuracy.pct_reading, " % rdg"),
        (accuracy.pct_range, " % range"),
        (accuracy.absolute, ""),
    )
    return " + ".join(f"{number:g}{what}" for number, what in terms if number)


def _bounds(point: Point) -> str:
    if point.write is None:
        return ""
    return f"{point.write.low:g} to {point.write.high:g} (fc {point.write.fc})"


def _groups(shown: Profile) -> Table:
    table = Table("group", "polled every", "on serial", "device refreshes every", "stale after")
    for group in shown.groups.values():
        times = (group.every_s, group.serial_every_s, group.source_s, group.stale_after_s)
        table.add_row(group.name, *(f"{time_s:g} s" for time_s in times))
    return table


def found_units(target: str, found: Sequence[FoundUnit]) -> Table:
    """Who answers on a bus."""
    table = Table("unit", "identified as", "would fit too", title=escape(target))
    for entry in found:
        ids = [match.id for match in entry.profiles]
        table.add_row(str(entry.unit), ids[0] if ids else "unknown", ", ".join(ids[1:]))
    return table


def readings(engine: Engine) -> Table:
    """The newest readings of all devices of an engine."""
    table = Table("device", "point", "value", "unit", "quality", "uncertainty")
    for device_id in engine.device_ids:
        for point, reading in engine.readings(device_id).items():
            table.add_row(
                device_id,
                point,
                "" if reading.value is None else f"{reading.value:.6g}",
                escape(reading.unit),
                reading.quality.value,
                "" if reading.uncertainty is None else f"± {reading.uncertainty:.3g}",
            )
    return table

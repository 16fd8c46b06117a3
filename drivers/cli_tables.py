"""The tables of `dcpi-bmc device`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.box import SIMPLE
from rich.console import Console, Group, RenderableType
from rich.markup import escape
from rich.table import Table

from drivers.check import BENCH, Finding, Verdict
from drivers.codec import PointCodec
from drivers.engine import Engine
from drivers.probe import FoundUnit
from drivers.profile_types import Accuracy, Check, Point, Profile

# What is piped into a file or a pager has no terminal's width to fit.
_PIPED_WIDTH = 160


def console() -> Console:
    """The console on stdout."""
    standard = Console()
    return standard if standard.is_terminal else Console(width=_PIPED_WIDTH)


def _table(*columns: str, title: str | None = None) -> Table:
    """A table whose first column, the name, is never wrapped."""
    table = Table(
        box=SIMPLE, title=title, title_justify="left", pad_edge=False, padding=(0, 1, 0, 0)
    )
    for column in columns:
        table.add_column(column, no_wrap=not table.columns, overflow="fold", min_width=len(column))
    return table


def profiles(known: Sequence[Profile]) -> Table:
    """One line a profile."""
    table = _table("profile", "kind", "points", "writable", "device")
    table.columns[1].no_wrap = True  # a kind is a name too
    for entry in known:
        writable = sum(point.write is not None for point in entry.points.values())
        table.add_row(
            entry.id,
            entry.kind,
            str(len(entry.points)),
            str(writable or ""),
            escape(f"{entry.vendor} {entry.model}"),
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
    writable = any(point.write is not None for point in shown.points.values())
    columns = ["point", "register", "unit", "range", "accuracy", "group"]
    table = _table(*columns, *(["write"] if writable else []))
    table.columns[1].no_wrap = shown.protocol == "modbus"  # an address is read in one piece
    for point in shown.points.values():
        table.add_row(
            point.name,
            _place(point),
            _unit(point),
            "" if point.range is None else f"{point.range[0]:g} to {point.range[1]:g}",
            _accuracy(point.accuracy),
            point.group,
            *([_bounds(point)] if writable else []),
        )
    return table


def _place(point: Point) -> str:
    """The register, or what another protocol than Modbus calls a place."""
    if point.at:
        return escape(", ".join(f"{name} {value}" for name, value in point.at.items()))
    order = "" if point.registers == 1 else f" {point.order}"
    return f"{point.fc}:0x{point.address:04X} {point.type}{order}"


def _unit(point: Point) -> str:
    """The unit that readings have and, where it differs, the register's own."""
    unit = PointCodec(point).unit
    kind = f" {point.reference}" if point.reference else ""
    return escape(f"{unit}{kind}" if unit == point.unit else f"{unit}{kind} (from {point.unit})")


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
    table = _table("group", "polled every", "on serial", "device measures every", "stale after")
    for group in shown.groups.values():
        times = (group.every_s, group.serial_every_s, group.source_s, group.stale_after_s)
        table.add_row(group.name, *(f"{time_s:g} s" for time_s in times))
    return table


def found_units(target: str, found: Sequence[FoundUnit]) -> Table:
    """Who answers on a bus."""
    table = _table("unit", "identified as", "would fit too", title=escape(target))
    for entry in found:
        ids = [match.id for match in entry.profiles]
        untried = f"{entry.untried} profiles not tried, it answers too slowly"
        others = [*ids[1:], *([untried] if entry.untried else [])]
        table.add_row(str(entry.unit), ids[0] if ids else "unknown", ", ".join(others))
    return table


_COLOURS = {
    Verdict.PASS: "green",
    Verdict.FAIL: "bold red",
    Verdict.INCONCLUSIVE: "yellow",
    Verdict.NOT_APPLICABLE: "dim",
}


def verdict(shown: Verdict) -> str:
    """A verdict in its colour."""
    return f"[{_COLOURS[shown]}]{shown.value}[/]"


def findings(title: str, found: Sequence[Finding]) -> Table:
    """A line a requirement; those of one point stand under its name."""
    table = _table("verdict", "requirement", "measured", "limit", "why", title=escape(title))
    last: str | None = None
    for each in found:
        what, _, requirement = each.title.rpartition(": ")
        if each.point is not None and each.point != last:
            table.add_section()
            table.add_row("", f"[bold]{escape(each.point)}[/] {escape(what)}")
        last = each.point
        shown = each.title if each.point is None else requirement[:1].upper() + requirement[1:]
        clause = "" if each.clause == BENCH else f" [dim]({escape(each.clause)})[/]"
        limit = escape(each.limit) + clause
        table.add_row(
            verdict(each.verdict), escape(shown), escape(each.measured), limit, escape(each.reason)
        )
    return table


def checks(engine: Engine) -> Group:
    """Whether the cross-checks of the profiles hold, a line a check of a device."""
    return Group(
        *(
            _check(device_id, check, holds)
            for device_id in engine.device_ids
            for check, holds in engine.checks(device_id)
        )
    )


def _check(device_id: str, check: Check, holds: bool | None) -> str:
    failed = "[red]FAILS, no value is believed[/]"
    said = {True: "holds", False: failed, None: "cannot be told"}[holds]
    why = f" ({escape(check.why)})" if check.why else ""
    return f"{escape(device_id)}: check {said}: {escape(check.text)}{why}"


def readings(engine: Engine) -> Group:
    """The newest readings of an engine, a table a device."""
    return Group(*(_readings(engine, device_id) for device_id in engine.device_ids))


def _readings(engine: Engine, device_id: str) -> Table:
    table = _table("point", "value", "unit", "quality", "uncertainty", title=device_id)
    for point, reading in engine.readings(device_id).items():
        table.add_row(
            point,
            "" if reading.value is None else f"{reading.value:.10g}",
            escape(" ".join(filter(None, (reading.unit, reading.against)))),
            reading.quality.value,
            "" if reading.uncertainty is None else f"± {reading.uncertainty:.3g}",
        )
    return table

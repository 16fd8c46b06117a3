"""What a device is compared with: a table of another instrument, or another device read beside it.

A table is CSV with a header: `time` (Unix seconds, or ISO 8601 with its zone) and one column a
point, named as the point, with its unit in brackets when it is not the canonical one:
`power.active.total [kW]`. A column `POINT.uncertainty`, in the same unit unless it says another,
gives the half width (k = 2); none is exact, so 0 is an unknown one. An empty cell is an unknown
value. Each time stands once, and the table may grow while the check runs.
"""

from __future__ import annotations

import contextlib
import csv
import io
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np

from drivers.check.series import Series
from drivers.codec import PointCodec
from drivers.errors import CheckError
from drivers.profile_types import Point, Profile
from drivers.units import conversion

_HEADING = re.compile(r"^(?P<name>[^\[\]]+?)\s*(?:\[(?P<unit>[^\s].*)\])?$")
_UNCERTAINTY = ".uncertainty"


@dataclass(frozen=True, slots=True)
class DeviceReference:
    """A device of its own profile, read at the same time."""

    profile: Profile
    target: str
    unit: int


@dataclass(frozen=True, slots=True)
class TableReference:
    """A CSV file; raises CheckError, with the line, for what is no such table."""

    path: Path

    def series(self, profile: Profile, pairs: dict[str, str]) -> dict[str, Series]:
        """The samples of each point of `profile` that the table has, by the point's name.

        `pairs` names the column of a point that is called otherwise.
        """
        try:
            text = self.path.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise CheckError(f"{self.path}: {error}") from error
        # A line that is still being written has no end yet.
        rows = list(csv.reader(io.StringIO(text[: text.rfind("\n") + 1])))
        if not rows:
            raise CheckError(f"{self.path}: no header line")
        columns = self._columns(rows[0])
        times, order = self._times(rows, columns)
        found = {}
        for name in profile.points:
            column = pairs.get(name, name)
            if column in columns:
                found[name] = self._point(name, column, profile, columns, rows, times, order)
        if not found:
            raise CheckError(
                f"{self.path}: no column is named as a point of {profile.id} "
                f"(columns: {', '.join(columns)})"
            )
        return found

    def _columns(self, heading: Sequence[str]) -> dict[str, tuple[int, str]]:
        """By name, where each column stands and the unit it says ("" for none)."""
        columns: dict[str, tuple[int, str]] = {}
        for index, cell in enumerate(heading):
            match = _HEADING.match(cell.strip().lstrip("\ufeff"))
            if match is None:
                raise CheckError(f"{self.path}:1: column {index + 1} has no name")
            if match["name"] in columns:
                raise CheckError(f"{self.path}:1: column {match['name']!r} is there twice")
            columns[match["name"]] = (index, match["unit"] or "")
        if "time" not in columns:
            raise CheckError(f"{self.path}:1: no column 'time'")
        return columns

    def _times(
        self, rows: Sequence[Sequence[str]], columns: dict[str, tuple[int, str]]
    ) -> tuple[list[float], np.ndarray[tuple[int], np.dtype[np.intp]]]:
        times: dict[float, int] = {}
        for line, cell in self._cells(rows, columns["time"][0], "time"):
            first = times.setdefault(self._time(line, cell), line)
            if first != line:
                raise CheckError(f"{self.path}:{line}: the time {cell!r} is that of line {first}")
        return list(times), np.argsort(np.asarray(list(times)), kind="stable")

    def _cells(
        self, rows: Sequence[Sequence[str]], index: int, name: str
    ) -> Iterator[tuple[int, str]]:
        for line, row in enumerate(rows[1:], 2):
            if index >= len(row):
                raise CheckError(f"{self.path}:{line}: no cell for {name!r}")
            yield line, row[index].strip()

    def _time(self, line: int, cell: str) -> float:
        with contextlib.suppress(ValueError):
            if math.isfinite(seconds := float(cell)):
                return seconds
        try:
            moment = datetime.fromisoformat(cell)
        except ValueError:
            raise CheckError(f"{self.path}:{line}: {cell!r} is no time") from None
        if moment.tzinfo is None:
            raise CheckError(f"{self.path}:{line}: {cell!r} does not say its zone")
        return moment.timestamp()

    def _point(
        self,
        name: str,
        column: str,
        profile: Profile,
        columns: dict[str, tuple[int, str]],
        rows: Sequence[Sequence[str]],
        times: list[float],
        order: np.ndarray[tuple[int], np.dtype[np.intp]],
    ) -> Series:
        index, unit = columns[column]
        wanted = PointCodec(profile.points[name]).unit
        factor, offset = self._conversion(column, unit or wanted, wanted)
        values = self._numbers(rows, index, column) * factor + offset
        uncertainty = np.full(len(values), np.nan)
        if column + _UNCERTAINTY in columns:
            index, its_unit = columns[column + _UNCERTAINTY]
            factor, _ = self._conversion(column, its_unit or unit or wanted, wanted)
            uncertainty = np.abs(self._numbers(rows, index, column + _UNCERTAINTY) * factor)
            uncertainty[uncertainty == 0.0] = np.nan
        return Series(np.asarray(times)[order], values[order], uncertainty[order])

    def _conversion(self, column: str, unit: str, wanted: str) -> tuple[float, float]:
        try:
            rule = conversion(unit)
        except ValueError as error:
            raise CheckError(f"{self.path}:1: column {column!r}: {error}") from None
        if rule.unit != wanted:
            raise CheckError(
                f"{self.path}:1: column {column!r} is in {unit}, the point in {wanted}"
            )
        return rule.factor, rule.offset

    def _numbers(
        self, rows: Sequence[Sequence[str]], index: int, name: str
    ) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        numbers = []
        for line, cell in self._cells(rows, index, name):
            try:
                numbers.append(float(cell) if cell else np.nan)
            except ValueError:
                raise CheckError(f"{self.path}:{line}: {name}: {cell!r} is no number") from None
        found = np.asarray(numbers, np.float64)
        # Infinity is how instruments log an overload.
        return np.where(np.isfinite(found), found, np.nan)


def matched_points(profile: Profile, reference: Profile, pairs: dict[str, str]) -> dict[str, str]:
    """The reference's point of each point of the device; CheckError when none goes with any."""
    matched = {}
    for name, point in profile.points.items():
        other = pairs.get(name, name)
        if other not in reference.points:
            if name in pairs:
                raise CheckError(f"{reference.id} has no point {other!r} to pair with {name}")
            continue
        mine, theirs = _unit(point), _unit(reference.points[other])
        if mine != theirs:
            raise CheckError(f"{name} is in {mine}, {other} of {reference.id} in {theirs}")
        matched[name] = other
    if not matched:
        raise CheckError(
            f"no point of {reference.id} is named as one of {profile.id}: pair them with --pair"
        )
    return matched


def _unit(point: Point) -> str:
    """The canonical unit, and of a pressure what it is against: bar gauge is no bar absolute."""
    return " ".join(filter(None, (PointCodec(point).unit, point.reference)))

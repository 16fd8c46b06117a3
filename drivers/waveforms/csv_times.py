"""The column of time of a table: seconds and the like, or ISO 8601."""

from __future__ import annotations

import datetime
import re
from array import array
from collections.abc import Callable, Sequence
from decimal import Decimal, InvalidOperation

import numpy as np

from drivers.errors import RecordingError
from drivers.waveforms.recording import SampleTimes, even_times

_UNITS = {
    "s": 0, "sec": 0, "second": 0, "seconds": 0,
    "ms": -3, "us": -6, "µs": -6, "μs": -6, "ns": -9,
}  # fmt: skip
"""Powers of ten in seconds."""
_NAMES = frozenset(
    {"t", "time", "zeit", "timestamp", "time stamp", "time_stamp", "datetime", "date time", "utc"}
)
_SUFFIXED = re.compile(r"(?:t|time|timestamp)_(?P<unit>s|ms|us|ns)", re.IGNORECASE)
_ISO = re.compile(
    r"(?P<day>\d{4}-\d{2}-\d{2})[T ](?P<clock>\d{2}:\d{2}:\d{2})(?:[.,](?P<fraction>\d{1,12}))?"
    r"\s*(?P<zone>Z|[+-]\d{2}:?\d{2})?"
)
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_UNIX_SECONDS = Decimal(10**9)
"""Seconds from here on (September 2001) are Unix time: no recording is 31 years long."""
_MAX_DIGITS = 40


def is_time_unit(text: str) -> bool:
    """Whether this is a unit of time that is read."""
    return text.strip().lower() in _UNITS


def is_iso(cell: str) -> bool:
    """Whether a cell holds date and time in ISO 8601."""
    return _ISO.fullmatch(cell.strip()) is not None


def time_column(columns: Sequence[tuple[str, str]]) -> int | None:
    """Index of the column of time by its unit or its name (name, unit); None without one.

    Raises RecordingError when several columns may be it.
    """
    found = [
        index
        for index, (name, unit) in enumerate(columns)
        if is_time_unit(unit)
        or (not unit and (name.casefold() in _NAMES or _SUFFIXED.fullmatch(name)))
    ]
    if len(found) > 1:
        names = ", ".join(repr(columns[index][0]) for index in found)
        raise RecordingError(f"several columns of time: {names}")
    return found[0] if found else None


class TimeColumn:
    """The times of a table's samples as they are read; `index` is the column's, from 0."""

    def __init__(self, index: int, name: str, unit: str) -> None:
        self.index = index
        self.notes: list[str] = []
        self.start: datetime.datetime | None = None
        self._name = name
        suffixed = _SUFFIXED.fullmatch(name)
        told = unit or (suffixed["unit"] if suffixed else "")
        self._stated = bool(told)
        self._scale = Decimal(1).scaleb(_UNITS[told.lower() or "s"])
        self._iso = False
        self._first = Decimal(0)
        self._times_s = array("d")
        self._decimals = self._digits = 0
        self._largest = Decimal(0)

    def add(self, cell: str, line: int, decimal: str) -> None:
        """Take the next time; raises RecordingError naming the line of one that is none."""
        text = cell.strip()
        if not self._times_s:
            self._iso = is_iso(text)
        try:
            moment = _iso_seconds(text) if self._iso else _seconds(text.replace(decimal, "."))
        except (ValueError, OverflowError, InvalidOperation):
            kind = "ISO 8601 date and time" if self._iso else "time"
            raise RecordingError(
                f"line {line}, column {self.index + 1} ({self._name}): {text[:40]!r} is no {kind}"
            ) from None
        if not self._times_s:
            self._first = moment
            self._begin(text, line)
        written = moment.as_tuple()
        self._decimals = max(self._decimals, -int(written.exponent))
        self._digits = max(self._digits, len(written.digits))
        self._largest = max(self._largest, abs(moment))
        # Differences are taken exactly: a float holds Unix time to 0.2 µs only.
        self._times_s.append(float((moment - self._first) * self._scale))

    def sampling(self, place: Callable[[int], str]) -> SampleTimes:
        """The rate behind the times; raises RecordingError, by `place(index)`, if uneven."""
        return even_times(np.array(self._times_s), float(self._tick() * self._scale), place)

    def _begin(self, text: str, line: int) -> None:
        if self._iso:
            self._scale = Decimal(1)
            self.start = _iso_start(text)
            return
        first_s = self._first * self._scale
        if not self._stated:
            self.notes.append(f"no unit is stated for {self._name}: taken as seconds")
        if first_s >= _UNIX_SECONDS:
            self.start = _unix(first_s, line, self._name)
            self.notes.append(f"{self._name} is read as Unix time")

    def _tick(self) -> Decimal:
        """What the times are rounded to, in their unit.

        Written with a fixed number of decimals it is the last of these, with a fixed number of
        digits it grows with the time: of both the coarser.
        """
        place = self._largest.adjusted() - self._digits + 1 if self._largest else 0
        return Decimal(1).scaleb(max(-self._decimals, min(place, 0)))


def _seconds(text: str) -> Decimal:
    if len(text) > _MAX_DIGITS or "_" in text:
        raise ValueError(text)
    moment = Decimal(text)
    if not moment.is_finite() or abs(moment.adjusted()) > _MAX_DIGITS:
        raise ValueError(text)
    return moment


def _iso_seconds(text: str) -> Decimal:
    """Unix time of an ISO 8601 text; without an offset as if it were UTC."""
    match = _ISO.fullmatch(text.strip())
    if match is None:
        raise ValueError(text)
    whole = (_iso_whole(match) - _EPOCH) // datetime.timedelta(seconds=1)
    return whole + Decimal(f"0.{match['fraction'] or '0'}")


def _iso_whole(match: re.Match[str]) -> datetime.datetime:
    zone = (match["zone"] or "Z").replace("Z", "+00:00")
    return datetime.datetime.fromisoformat(f"{match['day']}T{match['clock']}{zone}")


def _iso_start(text: str) -> datetime.datetime:
    """The time of a text that was read before; naive where it states no offset."""
    match = _ISO.fullmatch(text.strip())
    assert match is not None
    start = _iso_whole(match).replace(microsecond=int((match["fraction"] or "").ljust(6, "0")[:6]))
    return start if match["zone"] else start.replace(tzinfo=None)


def _unix(seconds: Decimal, line: int, name: str) -> datetime.datetime:
    try:
        return _EPOCH + datetime.timedelta(microseconds=int(seconds * 10**6))
    except OverflowError:
        raise RecordingError(f"line {line}, column {name}: {seconds} s is no Unix time") from None

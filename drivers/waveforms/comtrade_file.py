"""COMTRADE recordings (IEEE C37.111-1991, -1999, -2013), paired and scaled to primary V and A."""

from __future__ import annotations

import datetime
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import comtrade
import numpy as np
from numpy.typing import NDArray

from drivers.errors import RecordingError
from drivers.waveforms.comtrade_data import DataColumns, DataSection, read_columns, sample_places
from drivers.waveforms.pairing import Channel, unit_of
from drivers.waveforms.recording import (
    MAX_RATE_HZ,
    Recording,
    channel_pairs,
    choose_channels,
    chosen_channels,
    even_times,
)

SUFFIXES = (".cfg", ".cff")

_MAX_HEADER_BYTES = 16 * 1024 * 1024
"""Longest configuration: more than the standard's 999 999 channels need."""

# What the package raises on a configuration that breaks the format.
_PARSE_ERRORS = (ValueError, IndexError, TypeError, KeyError, OverflowError, comtrade.ComtradeError)
_CFF_SECTION = re.compile(
    rb"^--- *file type: *([a-z]+)(?: +([a-z0-9]+))?[^\r\n]*---[ \t]*(?:\r\n|\r|\n)",
    re.IGNORECASE | re.M,
)
_LINE_END = re.compile(r"\r\n|\r|\n")
_COUNTS = re.compile(r"\s*(\d{1,9})\s*,\s*(\d{1,9})\s*A\s*,\s*(\d{1,9})\s*D\s*", re.IGNORECASE)
_TIME = re.compile(
    r"\s*(\d{1,2})/(\d{1,2})/(\d{4}|\d{2})\s*,\s*"
    r"(\d{1,2}):(\d{2}):(\d{1,2})(?:\.(?P<fraction>\d{1,12}))?\s*"
)
_TIME_CODE = re.compile(r"(?P<sign>[+-]?)(?P<hours>\d{1,2})(?:h(?P<minutes>\d{2}))?")


def read_comtrade(path: Path, mapping: Mapping[str, str] | None) -> Recording:
    """Read a recording (`.cfg` with its `.dat`, or `.cff`) and pair its channels.

    Raises RecordingError naming the reason, and the line where there is one; and OSError.
    """
    text, section = _contents(path)
    lines = _LINE_END.split(text)
    cfg = _configuration(lines)
    section = section or _data_section(path)
    analog = [
        Channel(index, channel.n, channel.name, channel.ph, channel.ccbm, channel.uu)
        for index, channel in enumerate(cfg.analog_channels)
    ]
    pairing = choose_channels(analog, mapping)
    chosen = chosen_channels(pairing)
    phases = len(pairing.pairs)
    declared = cfg.sample_rates[-1][1]
    columns = read_columns(cfg, section, [channel.index for channel in chosen], declared)
    places, number_note = sample_places(columns, declared)
    values = _scaled(cfg, chosen, columns.raw)
    if places is not None:
        spread = np.full((len(chosen), int(places[-1]) + 1), np.nan)
        spread[:, places] = values
        values = spread
    skew_us = [cfg.analog_channels[channel.index].skew for channel in chosen]
    rate_hz, rate_note = _sample_rate_hz(cfg, columns, places)
    start, start_note = _start(cfg, lines)
    return Recording(
        path=path,
        station=cfg.station_name,
        sample_rate_hz=rate_hz,
        nominal_hz=cfg.frequency if 0.0 < cfg.frequency < math.inf else None,
        pairs=channel_pairs(pairing),
        skew_s=tuple(
            (late_us - early_us) * 1e-6
            for early_us, late_us in zip(skew_us, skew_us[phases:], strict=False)
        ),
        waveforms=values,
        start=start,
        alternatives=pairing.alternatives,
        notes=tuple(
            note
            for note in (
                *_notes(cfg, lines, skew_us[:phases], columns.available),
                *_side_notes(cfg, chosen),
                number_note,
                rate_note,
                start_note,
            )
            if note
        ),
    )


def _contents(path: Path) -> tuple[str, DataSection | None]:
    """Configuration text of a recording, and its data when they are in the same file."""
    with path.open("rb") as file:
        content = file.read(_MAX_HEADER_BYTES)
        size = file.seek(0, 2)
    if not content.strip():
        raise RecordingError("the file is empty")
    if path.suffix.lower() == ".cff":
        return _split_cff(path, content, size)
    if size > len(content):
        raise RecordingError(f"{size} bytes are too many for a configuration")
    return _text(content), None


def _data_section(path: Path) -> DataSection:
    """The .dat file beside a .cfg file, whatever the case of its suffix."""
    for candidate in sorted(path.parent.iterdir()):
        if candidate.stem == path.stem and candidate.suffix.lower() == ".dat":
            if not candidate.is_file():
                raise RecordingError(f"{candidate.name} is not a regular file")
            return DataSection(candidate, 0, candidate.stat().st_size)
    raise RecordingError(f"its data file {path.with_suffix('.dat').name} is missing")


def _split_cff(path: Path, content: bytes, size: int) -> tuple[str, DataSection]:
    """The CFG and DAT sections of a combined file (IEEE C37.111-2013, clause 8)."""
    headers = list(_CFF_SECTION.finditer(content))
    sections: dict[bytes, re.Match[bytes]] = {}
    for header in headers:
        sections.setdefault(header[1].upper(), header)
        if header[1].upper() == b"DAT":
            break
    cfg, data = sections.get(b"CFG"), sections.get(b"DAT")
    if cfg is None or data is None:
        raise RecordingError("the combined file lacks its CFG or its DAT section")
    end = min(header.start() for header in headers if header.start() >= cfg.end())
    section = DataSection(path, data.end(), size - data.end())
    return _text(content[cfg.end() : end]), section


def _text(content: bytes) -> str:
    """Text of a configuration; recorders that do not write UTF-8 are read as Latin-1."""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("latin-1")


class _Lines:
    """The configuration for the package, line by line, counted so that an error can name one."""

    def __init__(self, lines: Sequence[str], times_at: Sequence[int]) -> None:
        self.number = 0
        self._lines = lines
        self._times_at = times_at

    def readline(self) -> str:
        self.number += 1
        if self.number > len(self._lines):
            return ""
        line = self._lines[self.number - 1]
        return _package_time(line) if self.number - 1 in self._times_at else line


def _package_time(line: str) -> str:
    """What the package takes from a time stamp: the digits of its fraction tell the time base.

    The time itself is read by `_start`: the package refuses whole seconds and forgets year 00.
    """
    match = _TIME.fullmatch(line)
    return "" if match is None else f"01/01/2000,00:00:00.{match['fraction'] or '0'}"


def _configuration(lines: list[str]) -> Any:
    counts = _COUNTS.fullmatch(lines[1]) if len(lines) > 1 else None
    if counts is None:
        raise RecordingError("not a COMTRADE configuration: line 2 gives no counts of channels")
    channels = int(counts[2]) + int(counts[3])
    if channels > len(lines):
        raise RecordingError("not a COMTRADE configuration: more channels than lines")
    cfg = comtrade.Cfg(ignore_warnings=True)
    first_time = _first_time_line(lines, channels)
    reader = _Lines(lines, (first_time, first_time + 1))
    try:
        cfg.read(reader)
    except (*_PARSE_ERRORS, AttributeError) as error:
        raise RecordingError(
            f"not a COMTRADE configuration: line {reader.number}: {error}"
        ) from error
    if cfg.sample_rates[-1][1] < 1:
        raise RecordingError("the recording declares no samples")
    return cfg


def _first_time_line(lines: Sequence[str], channels: int) -> int:
    """Index of the line that holds the time of the first sample, by the counts before it."""
    rates = 3 + channels
    try:
        count = int(lines[rates])
    except (ValueError, IndexError):
        count = 0
    return rates + 1 + max(1, count)


def _notes(
    cfg: Any, lines: Sequence[str], v_skews_us: Sequence[float], available: int
) -> Iterator[str]:
    """What is unusual about the recording, in words."""
    declared = cfg.sample_rates[-1][1]
    if available < declared:
        yield f"the data hold {available} of {declared} declared samples"
    elif available > declared:
        yield f"the data hold more than the {declared} declared samples, which are read"
    if cfg.rev_year not in ("1991", "1999", "2001", "2013"):
        yield f"revision {cfg.rev_year!r} is not known; its time stamps count in microseconds"
    total = int(lines[1].split(",")[0])
    if total != cfg.analog_count + cfg.status_count:
        yield f"line 2 states {total} channels, but lists {cfg.analog_count + cfg.status_count}"
    if spread_us := max(v_skews_us) - min(v_skews_us):
        yield f"the phases are sampled up to {spread_us:g} µs apart, which is not corrected"


def _side_notes(cfg: Any, chosen: Sequence[Channel]) -> Iterator[str]:
    """Channels that do not say, though their revision asks for it, on which side they measure."""
    sides = {c.name: cfg.analog_channels[c.index].pors.strip().upper() for c in chosen}
    unknown = [name for name, side in sides.items() if side not in ("P", "S")]
    if unknown and cfg.rev_year != "1991":
        names = ", ".join(unknown)
        yield f"{names}: neither primary (P) nor secondary (S) values; taken as primary"


def _sample_rate_hz(
    cfg: Any, columns: DataColumns, places: NDArray[np.int64] | None
) -> tuple[float, str]:
    """The one sampling rate and a note: as stated or, where 0 is stated, from the time stamps."""
    rates = {float(rate) for rate, _ in cfg.sample_rates}
    if len(rates) > 1:
        listed = ", ".join(f"{rate:g} to sample {last}" for rate, last in cfg.sample_rates)
        raise RecordingError(f"several sampling rates (Hz: {listed}); one is needed")
    rate = rates.pop()
    if not 0.0 <= rate <= MAX_RATE_HZ:
        raise RecordingError(f"the sampling rate of {rate:g} Hz is not 0 to {MAX_RATE_HZ:g}")
    tick_s = cfg.time_base * cfg.timemult
    time_s = columns.stamps * tick_s
    if rate > 0.0:
        return rate, _contradiction(rate, time_s, places)
    if not np.isfinite(time_s).all():
        k = int(np.argmin(np.isfinite(time_s)))
        raise RecordingError(f"no sampling rate is stated and {columns.place(k)} has no time stamp")
    if len(time_s) < 2 or not time_s[-1] > time_s[0]:
        raise RecordingError("no sampling rate is stated and the time stamps do not advance")
    try:
        times = even_times(time_s, tick_s, columns.place)
    except RecordingError as error:
        raise RecordingError(
            f"no sampling rate is stated and the time stamps are uneven: {error}"
        ) from error
    every = np.arange(len(time_s))
    timed = every if times.places is None else times.places
    if not np.array_equal(timed, every if places is None else places):
        raise RecordingError(
            "no sampling rate is stated and the time stamps are uneven: they leave out other "
            "samples than the sample numbers"
        )
    return times.rate_hz, ""


def _contradiction(
    rate_hz: float, time_s: NDArray[np.float64], places: NDArray[np.int64] | None
) -> str:
    """A note when the time stamps tell another rate than the one that is stated and taken."""
    if not (np.isfinite(time_s[[0, -1]]).all() and time_s[-1] > time_s[0]):
        return ""
    counted = len(time_s) - 1 if places is None else int(places[-1])
    told_hz = counted / float(time_s[-1] - time_s[0])
    if abs(told_hz - rate_hz) <= 0.01 * rate_hz:
        return ""
    return f"the time stamps tell {told_hz:.6g} samples a second, {rate_hz:g} are stated and taken"


def _scaled(cfg: Any, chosen: Sequence[Channel], raw: NDArray[np.float64]) -> NDArray[np.float64]:
    """Primary V or A: a·raw + b (C37.111-1999, 5.3.3), by unit and transformer ratio."""
    described = [cfg.analog_channels[channel.index] for channel in chosen]
    gain = np.array([[channel.a] for channel in described])
    offset = np.array([[channel.b] for channel in described])
    primary = np.array([[_to_primary(channel)] for channel in described])
    return np.asarray((gain * raw + offset) * primary)


def _to_primary(described: Any) -> float:
    """Factor from a channel's values to primary V or A (C37.111-1999, 5.3.3: unit, ratio, PS)."""
    unit = unit_of(described.uu)
    assert unit is not None, "pairing admits only channels in V or A"
    factor = unit[1]
    if described.pors.strip().upper() == "S":
        if not described.primary > 0.0 or not described.secondary > 0.0:
            raise RecordingError(
                f"channel {described.name!r} holds secondary values, but its transformer ratio is "
                f"{described.primary:g}:{described.secondary:g}"
            )
        factor *= described.primary / described.secondary
    return factor


def _start(cfg: Any, lines: Sequence[str]) -> tuple[datetime.datetime | None, str]:
    """Time of the first sample and a note; None when the file leaves the date out."""
    index = _first_time_line(lines, cfg.analog_count + cfg.status_count)
    match = _TIME.fullmatch(lines[index])
    if match is None or int(match[3]) == 0 == int(match[2]):
        blank = not lines[index].strip(" ,\t\x1a") or match is not None
        return None, "" if blank else f"line {index + 1} is no date and time: {lines[index]!r}"
    first, second, year, hour, minute, whole_s = (int(text) for text in match.groups()[:6])
    # 1991 writes month/day/year, with two digits; no COMTRADE recording is older than 1970.
    month, day = (first, second) if cfg.rev_year == "1991" else (second, first)
    if len(match[3]) == 2:
        year += 2000 if year < 70 else 1900
    microsecond = int((match["fraction"] or "0").ljust(6, "0")[:6])
    try:
        start = datetime.datetime(year, month, day, hour, minute, whole_s, microsecond)
        return start.replace(tzinfo=_zone(cfg, lines, index)), ""
    except ValueError as error:
        return None, f"line {index + 1}: {error}: {lines[index].strip()!r}; the start is unknown"


def _zone(cfg: Any, lines: Sequence[str], first_time: int) -> datetime.timezone | None:
    """The offset from UTC of the file's times (time_code, C37.111-2013 7.4.12), where it is told.

    Raises ValueError for an offset of a day or more.
    """
    place = first_time + 4  # two times, the file type, the time multiplier
    if cfg.rev_year != "2013" or len(lines) <= place:
        return None
    match = _TIME_CODE.fullmatch(lines[place].split(",")[0].strip())
    if match is None:
        return None
    offset = datetime.timedelta(hours=int(match["hours"]), minutes=int(match["minutes"] or 0))
    return datetime.timezone(-offset if match["sign"] == "-" else offset)

"""The samples of a COMTRADE data file (IEEE C37.111-1991 7.4, -1999 6, -2013 8), column by column.

The comtrade package reads the configuration. Its data reader reserves what a configuration claims
and cannot say which line is wrong, so the data are read here, in bounded pieces.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, TextIO

import numpy as np
from numpy.typing import NDArray

from drivers.errors import RecordingError
from drivers.waveforms.recording import check_samples

MISSING_STAMP = 0xFFFF_FFFF
"""Time stamp of a sample whose time is not known (C37.111-1999, 6.4)."""

_CODES = {"BINARY": "<i2", "BINARY32": "<i4", "FLOAT32": "<f4"}
_PIECE_BYTES = 1 << 20
_PIECE_LINES = 20_000
_MAX_FIELD_CHARS = 64


@dataclass(frozen=True, slots=True)
class DataSection:
    """Where the data are: from `offset` to the end of a file, `size` bytes."""

    path: Path
    offset: int
    size: int


@dataclass(frozen=True, slots=True, eq=False)
class DataColumns:
    """Sample numbers, time stamps in ticks (NaN where missing) and raw values of some channels.

    `raw` has shape (channels, samples), NaN where missing. `available` counts the complete samples
    of the data as far as they were read: one more than were asked for when there are more.
    """

    numbers: NDArray[np.int64]
    stamps: NDArray[np.float64]
    raw: NDArray[np.float64]
    available: int

    def place(self, index: int) -> str:
        """A sample in words, for errors."""
        return f"sample {index + 1} of the data, number {self.numbers[index]}"


_Piece = tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]


def read_columns(
    cfg: Any, section: DataSection, channels: Sequence[int], declared: int
) -> DataColumns:
    """At most `declared` samples of these analog channels (indices from 0).

    Raises RecordingError naming the file and the line, and OSError.
    """
    if cfg.ft.upper() == "ASCII":
        with section.path.open(encoding="latin-1", newline=None) as text:
            text.seek(section.offset)
            pieces = list(_ascii_pieces(cfg, text, section.path.name, channels, declared))
    else:
        with section.path.open("rb") as file:
            file.seek(section.offset)
            pieces = list(_binary_pieces(cfg, file, section.size, channels, declared))
    if not pieces:
        raise RecordingError(f"{section.path.name} holds no samples")
    numbers, stamps, raw = zip(*pieces, strict=True)
    joined = np.concatenate(numbers)
    return DataColumns(
        joined[:declared],
        np.concatenate(stamps)[:declared],
        np.concatenate(raw, axis=1)[:, :declared],
        len(joined),
    )


def _binary_pieces(
    cfg: Any, file: BinaryIO, size: int, channels: Sequence[int], declared: int
) -> Iterator[_Piece]:
    code = _CODES.get(cfg.ft.upper())
    if code is None:
        raise RecordingError(f"data format {cfg.ft!r} is none of COMTRADE's")
    status_words = -(-cfg.status_count // 16)
    row = np.dtype(
        [
            ("number", "<u4"),
            ("stamp", "<u4"),
            ("analog", code, (cfg.analog_count,)),
            ("status", "<u2", (status_words,)),
        ]
    )
    left = min(size // row.itemsize, declared + 1)
    check_samples(left)
    at_once = max(1, _PIECE_BYTES // row.itemsize)
    while left:
        content = file.read(min(left, at_once) * row.itemsize)
        rows = np.frombuffer(content, row, count=len(content) // row.itemsize)
        if not len(rows):
            return
        left -= len(rows)
        stamps = rows["stamp"].astype(np.float64)
        stamps[rows["stamp"] == MISSING_STAMP] = np.nan
        raw = np.array([_binary_values(cfg, rows["analog"][:, index], index) for index in channels])
        yield rows["number"].astype(np.int64), stamps, raw


def _binary_values(cfg: Any, raw: NDArray[Any], index: int) -> NDArray[np.float64]:
    """Values of a channel, NaN where it marks them as missing (C37.111-1999 6.2, -2013 8.6)."""
    values = raw.astype(np.float64)
    if raw.dtype.kind == "f":
        # A recorder marks what it does not know by no number or by the lowest one.
        values[~(np.abs(raw) < np.finfo(np.float32).max)] = np.nan
        return values
    channel = cfg.analog_channels[index]
    if cfg.rev_year == "1991":
        # 0xFFFF marks a missing sample in 1991, but is −1 where the range is signed.
        missing = (raw == -1) & (not channel.cmin < 0)
    else:
        missing = raw == np.iinfo(raw.dtype).min
    if raw.dtype.itemsize == 2 and channel.cmin >= 0 and channel.cmax > np.iinfo(np.int16).max:
        values = raw.astype("<u2").astype(np.float64)  # offset binary: the range is unsigned
    values[missing] = np.nan
    return values


def _ascii_pieces(
    cfg: Any, file: TextIO, name: str, channels: Sequence[int], declared: int
) -> Iterator[_Piece]:
    width = 2 + cfg.analog_count + cfg.status_count
    total = 0
    rows: list[list[str]] = []
    lines: list[int] = []
    for number, text, whole in _text_lines(file, name, width * _MAX_FIELD_CHARS):
        row = text.split(",")
        if len(row) == width + 1 and not row[-1]:
            row.pop()
        if not whole and (len(row) < width or total + len(rows) + 1 < declared):
            break  # the file is cut off within this line: its last number may lack digits
        if len(row) != width:
            raise RecordingError(
                f"{name}, line {number}: {len(row)} fields; number, time stamp, "
                f"{cfg.analog_count} analog and {cfg.status_count} status values are {width}"
            )
        rows.append(row)
        lines.append(number)
        if total + len(rows) > declared:
            break
        if len(rows) == _PIECE_LINES:
            yield _parsed(cfg, name, rows, lines, channels)
            total += len(rows)
            check_samples(total)
            rows, lines = [], []
    if rows:
        yield _parsed(cfg, name, rows, lines, channels)


def _text_lines(text: TextIO, name: str, longest: int) -> Iterator[tuple[int, str, bool]]:
    """Number and text of each line that is not blank, and whether it has its end of line."""
    number = 0
    while line := text.readline(longest):
        number += 1
        whole = line.endswith("\n")
        if not whole and len(line) == longest:
            raise RecordingError(f"{name}, line {number}: longer than {longest} characters")
        # Some recorders end the text with DOS's end-of-file mark.
        cleaned = line.replace(" ", "").strip("\n\t\x1a")
        if cleaned:
            yield number, cleaned, whole or "\x1a" in line


def _parsed(
    cfg: Any, name: str, rows: list[list[str]], lines: list[int], channels: Sequence[int]
) -> _Piece:
    columns = list(zip(*rows, strict=True))
    numbers = _numbers(name, columns[0], lines, "sample number")
    stamps = _numbers(name, columns[1], lines, "time stamp")
    raw = np.array(
        [
            _numbers(name, columns[2 + index], lines, cfg.analog_channels[index].name)
            for index in channels
        ]
    )
    if cfg.rev_year != "1991":
        raw[raw == 99999.0] = np.nan  # C37.111-1999, 5.4: the mark of a missing value
    if not (np.abs(numbers) < 2.0**62).all():
        k = int(np.argmin(np.abs(numbers) < 2.0**62))
        raise RecordingError(f"{name}, line {lines[k]}: {rows[k][0]!r} is no sample number")
    return numbers.astype(np.int64), stamps, raw


def _numbers(
    name: str, texts: Sequence[str], lines: Sequence[int], what: str
) -> NDArray[np.float64]:
    """The numbers of a column; an empty field is a missing one."""
    try:
        return np.array([float(text or "nan") for text in texts])
    except ValueError:
        for line, text in zip(lines, texts, strict=True):
            if not _is_number(text or "nan"):
                raise RecordingError(
                    f"{name}, line {line}: {what} {text[:40]!r} is not a number"
                ) from None
        raise


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def sample_places(columns: DataColumns, declared: int) -> tuple[NDArray[np.int64] | None, str]:
    """Where each sample belongs when the numbers leave some out, and a note.

    None when the samples follow one another, by their numbers or by even time stamps. Raises
    RecordingError when the numbers neither count up nor stand still and the time stamps are no
    better: then the channel counts of the configuration are not those of the data.
    """
    steps = np.diff(columns.numbers)
    if (steps == 1).all():
        return None, ""
    if (steps == 0).all():
        return None, "the samples are not numbered; their order in the file is taken"
    if _are_even(columns.stamps):
        k = int(np.argmax(steps != 1))
        return None, f"{columns.place(k + 1)}, is out of order, but the time stamps are even"
    places = columns.numbers - columns.numbers[0]
    if (steps < 1).any():
        k = int(np.argmax(steps < 1)) + 1
        fault = f"follows number {columns.numbers[k - 1]}"
    elif places[-1] >= declared:
        k = int(np.argmax(places >= declared))
        fault = f"is beyond the {declared} declared"
    else:
        missing, gaps = int(places[-1]) + 1 - len(places), int((steps > 1).sum())
        return places, f"{missing} samples are missing in {gaps} gaps; they are not numbers"
    raise RecordingError(
        f"{columns.place(k)} {fault}: the data do not fit the channels of the configuration"
    )


def _are_even(stamps: NDArray[np.float64]) -> bool:
    """Whether the time stamps advance by one step, each rounded to its tick."""
    step = float(stamps[-1] - stamps[0]) / (len(stamps) - 1)
    astray = np.abs(stamps - stamps[0] - step * np.arange(len(stamps)))
    return bool(step > 0.0 and (astray <= 1.0 + 0.01 * step).all())

"""Recordings as text tables: a header row that names the columns, then one row a sample.

    time [s];VA [kV];IA [A]
    0,0000;20,11;-312,4

Units may have a row of their own below the names, as oscilloscopes write them. What stands above
the header, settings of a recorder for example, is left out. Delimiter (`;` tab `,` `|`) and decimal
sign are found by trying them on the first rows: what gives every row as many cells as the header is
taken, and if nothing does, the error says so. A column of time, in a unit of time or in ISO 8601,
gives rate and start. Empty and NaN cells are samples that are not known.
"""

from __future__ import annotations

import csv
import io
import itertools
import re
from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from drivers.errors import RecordingError
from drivers.waveforms.csv_times import TimeColumn, is_iso, is_time_unit, time_column
from drivers.waveforms.pairing import Channel, unit_of
from drivers.waveforms.recording import (
    Recording,
    SampleTimes,
    channel_pairs,
    check_samples,
    checked_rate_hz,
    choose_channels,
    chosen_channels,
)

SUFFIXES = (".csv", ".tsv", ".txt")

_DELIMITERS = (";", "\t", ",", "|")
_SAMPLE_ROWS = 20
_HEAD_LINES = 200
"""Where header and first rows must be: what is above them are comments."""
_PIECE_ROWS = 20_000
_MAX_LINE_CHARS = 65_536
_ESCAPED = re.compile("[\udc80-\udcff]")
_UNIT = re.compile(r"(?P<name>.*?)\s*(?:\[(?P<a>[^\[\]]*)\]|\((?P<b>[^()]*)\)|/\s*(?P<c>[^\s/]+))")
_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2}(,\d{3})+")
_PLAIN = re.compile(r"([VUI])_?(?:[ABCRSTYUVW]|L?[123])N?", re.IGNORECASE)
_BOMS = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}


@dataclass(frozen=True, slots=True)
class TableFormat:
    """What a table does not say: sampling rate in Hz, delimiter and decimal sign."""

    rate_hz: float | None = None
    delimiter: str | None = None
    decimal: str | None = None


@dataclass(frozen=True, slots=True)
class _Column:
    """A column's name and unit as the header states them."""

    name: str
    unit: str


@dataclass(frozen=True, slots=True)
class _Row:
    """The cells of a row and the line it ends on."""

    line: int
    cells: list[str]


def read_csv(path: Path, mapping: Mapping[str, str] | None, table: TableFormat) -> Recording:
    """Read a recording; raises RecordingError naming line, column and reason, and OSError."""
    with path.open("rb") as file:
        encoding = _BOMS.get(file.read(2), "utf-8-sig")
        file.seek(0)
        with io.TextIOWrapper(file, encoding, errors="surrogateescape", newline="") as text:
            try:
                return _read(path, text, mapping, table)
            except UnicodeError as error:
                raise RecordingError(f"not {encoding}: {error}") from error


def _read(
    path: Path, text: io.TextIOWrapper, mapping: Mapping[str, str] | None, table: TableFormat
) -> Recording:
    lines = _bounded_lines(text)
    head = list(itertools.islice(lines, _HEAD_LINES))
    table, header = _format(head, table)
    columns = [_column(cell) for cell in header.cells]
    channels, notes = _channels(columns, mapping)
    pairing = choose_channels(channels, mapping)
    chosen = chosen_channels(pairing)
    _check_names(columns, chosen, mapping)
    time_index = time_column([(column.name, column.unit) for column in columns])
    if time_index is None and table.rate_hz is None:
        raise RecordingError(
            "no column of time, and no rate is given (--rate); the columns are: "
            + ", ".join(repr(column.name) for column in columns)
        )
    if time_index is not None and table.rate_hz is not None:
        notes.append(f"column {columns[time_index].name!r} is not used: the rate is given")
        time_index = None
    times = None
    if time_index is not None:
        times = TimeColumn(time_index, columns[time_index].name, columns[time_index].unit)
    rows = _data_rows(itertools.chain(head, lines), table, header, len(columns))
    wanted = [channel.index for channel in chosen]
    values, numbers = _values(rows, table, columns, wanted, times)
    factors = np.array([[_factor(channel.unit)] for channel in chosen])
    if times is None:
        sampling = SampleTimes(checked_rate_hz(table.rate_hz or 0.0), None)
        start = None
    else:
        sampling = times.sampling(lambda k: f"line {numbers[k]}")
        start = times.start
        notes += [*times.notes, *sampling.note]
    return Recording(
        path=path,
        station="",
        sample_rate_hz=sampling.rate_hz,
        nominal_hz=None,
        pairs=channel_pairs(pairing),
        skew_s=(0.0,) * len(pairing.pairs),
        waveforms=sampling.spread(values * factors),
        start=start,
        alternatives=pairing.alternatives,
        notes=tuple(notes),
    )


def _bounded_lines(text: io.TextIOWrapper) -> Iterator[str]:
    """The lines, none longer than _MAX_LINE_CHARS."""
    number = 0
    while line := text.readline(_MAX_LINE_CHARS):
        number += 1
        if len(line) == _MAX_LINE_CHARS:
            raise RecordingError(f"line {number}: longer than {_MAX_LINE_CHARS} characters")
        yield line


def _format(head: Sequence[str], told: TableFormat) -> tuple[TableFormat, _Row]:
    """The table's delimiter and decimal sign, and its header row."""
    if not "".join(head).strip():
        raise RecordingError("the file is empty")
    if told.delimiter is not None and len(told.delimiter) != 1:
        raise RecordingError(f"delimiter {told.delimiter!r} is not one character")
    if told.decimal not in (None, ".", ","):
        raise RecordingError(f"decimal sign {told.decimal!r} is neither '.' nor ','")
    if told.decimal is not None and told.decimal == told.delimiter:
        raise RecordingError(f"{told.decimal!r} cannot be delimiter and decimal sign at once")
    fitting: list[tuple[TableFormat, _Row]] = []
    faults = [(0, "no delimiter parts the first row")]
    for delimiter in (told.delimiter,) if told.delimiter else _DELIMITERS:
        try:
            rows = _table(list(_rows(head, delimiter)))[: _SAMPLE_ROWS + 1]
            if not rows or len(rows[0].cells) < 2:
                continue
            decimal = told.decimal or _decimal(rows[1:])
        except RecordingError as error:
            faults.append((1, str(error)))
            continue
        if fault := _fault(rows, decimal):
            faults.append((len(rows[0].cells), fault))
        else:
            fitting.append((replace(told, delimiter=delimiter, decimal=decimal), rows[0]))
    if not fitting:
        raise RecordingError(max(faults, key=lambda found: found[0])[1])
    # Of several the one that tells more columns apart.
    return max(fitting, key=lambda found: len(found[1].cells))


def _rows(lines: Sequence[str] | Iterator[str], delimiter: str) -> Iterator[_Row]:
    """The rows that are neither blank nor a comment (#)."""
    reader = csv.reader(lines, delimiter=delimiter, strict=True, skipinitialspace=True)
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells) and not cells[0].lstrip().startswith("#"):
                yield _Row(reader.line_num, cells)
    except csv.Error as error:
        raise RecordingError(f"line {reader.line_num}: {error}") from error


def _table(rows: list[_Row]) -> list[_Row]:
    """The header, with the units of the row below if that holds units, and all rows of numbers."""
    for k, (header, below) in enumerate(itertools.pairwise(rows)):
        if _holds_data(below):
            return rows[k:]
        units = [cell.strip().strip("[]()").strip() for cell in below.cells]
        if len(units) != len(header.cells) or not any(units):
            continue
        if all(not unit or unit_of(unit) or is_time_unit(unit) for unit in units):
            pairs = zip(header.cells, units, strict=True)
            cells = [f"{name} [{unit}]" if unit else name for name, unit in pairs]
            return [_Row(below.line, cells), *rows[k + 2 :]]
    return rows


def _holds_data(row: _Row) -> bool:
    """Whether most cells are numbers or times, so that one that is not is a fault of the row."""
    cells = [cell for cell in row.cells if cell.strip()]
    count = sum(is_iso(c) or _is_number(c, ".") or _is_number(c, ",") for c in cells)
    return len(cells) > 1 and 2 * count > len(cells)


def _decimal(rows: Sequence[_Row]) -> str:
    """The decimal sign: a comma where cells hold commas and none a point.

    Raises RecordingError where the commas may as well part thousands.
    """
    cells = [cell.strip() for row in rows for cell in row.cells if not is_iso(cell)]
    commas = [cell for cell in cells if "," in cell]
    if not commas or any("." in cell for cell in cells):
        return "."
    if all(_THOUSANDS.fullmatch(cell) for cell in commas):
        raise RecordingError(
            f"is the comma in {commas[0]!r} a decimal sign? It must be told (--decimal)"
        )
    return ","


def _fault(rows: Sequence[_Row], decimal: str) -> str:
    """Why these rows are no table of numbers under a header; empty when they are."""
    header, *data = rows
    if all(_is_number(cell, decimal) for cell in header.cells):
        return f"line {header.line} holds numbers; a header row that names the columns is needed"
    if not data:
        return f"no row of numbers follows the header in line {header.line}"
    for row in data:
        if _width(row, header) != len(header.cells):
            return f"line {row.line} has {len(row.cells)} cells, the header {len(header.cells)}"
    return ""


def _width(row: _Row, header: _Row) -> int:
    """How many cells the row has, but for an empty one behind a delimiter at its end."""
    width = len(row.cells)
    return width - (width == len(header.cells) + 1 and not row.cells[-1].strip())


def _is_number(cell: str, decimal: str) -> bool:
    try:
        _number(cell, decimal)
    except ValueError:
        return False
    return True


def _number(cell: str, decimal: str) -> float:
    """The number in a cell, NaN where it is empty; raises ValueError for anything else."""
    if decimal == ",":
        if "." in cell:
            raise ValueError(cell)
        cell = cell.replace(",", ".")
    if "_" in cell:
        raise ValueError(cell)  # Python's own separator of digits, nobody else's
    return float(cell.strip() or "nan")


def _column(cell: str) -> _Column:
    """Name and unit of a header cell: `VA [kV]`, `IA (A)`, `U_L1 / V`, or a plain name."""
    if _ESCAPED.search(cell):
        # Recorders that do not write UTF-8: as with COMTRADE, names are read as Latin-1.
        cell = cell.encode("utf-8", "surrogateescape").decode("latin-1")
    match = _UNIT.fullmatch(cell.strip())
    if match is None:
        return _Column(cell.strip(), "")
    unit = (match["a"] or match["b"] or match["c"] or "").strip()
    if unit_of(unit) is None and not is_time_unit(unit):
        return _Column(cell.strip(), "")
    return _Column(match["name"].strip() or cell.strip(), unit)


def _channels(
    columns: Sequence[_Column], mapping: Mapping[str, str] | None
) -> tuple[list[Channel], list[str]]:
    """The columns as channels. A plain name has the unit V or A, and a note says so."""
    told = {
        name.strip().casefold(): key.strip()[:1].upper() for key, name in (mapping or {}).items()
    }
    channels, assumed = [], []
    for index, column in enumerate(columns):
        unit = column.unit
        if not unit:
            plain = _PLAIN.fullmatch(column.name)
            quantity = told.get(column.name.casefold()) or told.get(str(index + 1))
            if quantity is None and plain is not None and not mapping:
                quantity = plain[1].upper()
            if quantity:
                unit = "A" if quantity == "I" else "V"
                assumed.append(column.name)
        channels.append(Channel(index, index + 1, column.name, "", "", unit))
    notes = [f"no unit is stated for {', '.join(assumed)}: taken as V and A"] if assumed else []
    return channels, notes


def _check_names(
    columns: Sequence[_Column], chosen: Sequence[Channel], mapping: Mapping[str, str] | None
) -> None:
    """Raises RecordingError when a column was taken of which there are two."""
    for channel in chosen:
        alike = [k + 1 for k, column in enumerate(columns) if column.name == channel.name]
        if len(alike) > 1 and not mapping:
            numbers = " and ".join(map(str, alike))
            raise RecordingError(
                f"columns {numbers} are named {channel.name!r}: map them by number"
            )


def _factor(unit: str) -> float:
    known = unit_of(unit)
    assert known is not None, "pairing admits only channels in V or A"
    return known[1]


def _data_rows(
    lines: Iterator[str], table: TableFormat, header: _Row, width: int
) -> Iterator[_Row]:
    """The rows after the header, each of its width."""
    assert table.delimiter is not None
    for row in _rows(lines, table.delimiter):
        if row.line <= header.line:
            continue
        if _width(row, header) != width:
            raise RecordingError(f"line {row.line}: {len(row.cells)} cells, the header has {width}")
        yield row


def _values(
    rows: Iterator[_Row],
    table: TableFormat,
    columns: Sequence[_Column],
    wanted: Sequence[int],
    times: TimeColumn | None,
) -> tuple[NDArray[np.float64], array[int]]:
    """Values of the wanted columns and the line of each sample; `times` takes its own."""
    assert table.decimal is not None
    pieces: list[NDArray[np.float64]] = []
    numbers = array("q")
    while piece := list(itertools.islice(rows, _PIECE_ROWS)):
        pieces.append(_piece(piece, table.decimal, columns, wanted))
        numbers.extend(row.line for row in piece)
        check_samples(len(numbers))
        if times is not None:
            for row in piece:
                times.add(row.cells[times.index], row.line, table.decimal)
    return np.concatenate(pieces, axis=1), numbers


def _piece(
    rows: Sequence[_Row], decimal: str, columns: Sequence[_Column], wanted: Sequence[int]
) -> NDArray[np.float64]:
    values = np.empty((len(wanted), len(rows)))
    for k, index in enumerate(wanted):
        for position, row in enumerate(rows):
            try:
                values[k, position] = _number(row.cells[index], decimal)
            except ValueError:
                raise RecordingError(
                    f"line {row.line}, column {index + 1} ({columns[index].name}): "
                    f"{_ESCAPED.sub('?', row.cells[index])[:40]!r} is not a number"
                ) from None
    return values

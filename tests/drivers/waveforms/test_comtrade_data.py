"""COMTRADE data against two independent readers, and files that lie about what they hold."""

from __future__ import annotations

import math
import os
import struct
from collections.abc import Callable
from pathlib import Path

import comtrade
import numpy as np
import pytest

from drivers.errors import RecordingError
from drivers.waveforms.recording_file import read_recording

RATE = 1200
FORMATS = {"ASCII": "", "BINARY": "h", "BINARY32": "i", "FLOAT32": "f"}
CHANNELS = (
    "1,VA,A,F1,kV,0.01,0.25,0,{low},{high},1,1,P",
    "2,VB,B,F1,kV,0.01,0,0,{low},{high},20,0.1,S",
    "3,IA,A,F1,A,0.5,-3,0,{low},{high},1,1,P",
    "4,IB,B,F1,mA,2,0,0,{low},{high},2000,5,S",
    "5,other,,,Hz,1,0,0,{low},{high},1,1,P",
)
Change = Callable[[list[list[object]]], object]


def raw(index: int, count: int) -> np.ndarray:
    """Raw values of a channel, whole numbers within 16 bits."""
    turns = 50 * np.arange(count) / RATE - index / 6
    return np.rint((3000 + 500 * index) * np.cos(2 * np.pi * turns)).astype(int)


def write(
    folder: Path, revision: str = "1999", form: str = "BINARY", *, count: int = 240,
    declared: int | None = None, status: int = 17, rate: str = str(RATE), end: str = "\r\n",
    start: str = "04/03/2026,10:15:30.100000", counts: str | None = None,
    low: int = -32767, high: int = 32767, zone: str = "+5h30,+5h30", station: str = "Mill",
    rows: Change | None = None, head: Callable[[list[str]], object] | None = None,
) -> Path:  # fmt: skip
    """A recording of five analog and `status` status channels; `rows` and `head` change it."""
    lines = [f"{station},7" + ("" if revision == "1991" else f",{revision}")]
    lines += [counts or f"{5 + status},5A,{status}D"]
    lines += [channel.format(low=low, high=high) for channel in CHANNELS]
    lines += [f"{k + 1},S{k},,,0" for k in range(status)]
    lines += ["50", "1", f"{rate},{count if declared is None else declared}", start, start, form]
    lines += [] if revision == "1991" else ["1"]
    lines += [zone, "0,0"] if revision == "2013" else []
    if head is not None:
        head(lines)
    path = folder / "r.cfg"
    path.write_bytes(end.join([*lines, ""]).encode())
    samples: list[list[object]] = [
        [k + 1, round(k * 1e6 / RATE), *(int(raw(c, count)[k]) for c in range(5))]
        for k in range(count)
    ]
    if rows is not None:
        rows(samples)
    words = -(-status // 16)
    if form == "ASCII":
        content = "".join(",".join(map(str, [*row, *[k % 2] * status])) + end
                          for k, row in enumerate(samples)).encode()  # fmt: skip
    else:
        content = b"".join(struct.pack(f"<II5{FORMATS[form]}{words}H", *row, *[k % 2] * words)
                           for k, row in enumerate(samples))  # fmt: skip
    (folder / "r.dat").write_bytes(content)
    return path


def primary(count: int = 240) -> np.ndarray:
    """VA, VB, IA, IB in V and A, by the standard's formula."""
    return np.array(
        [
            (0.01 * raw(0, count) + 0.25) * 1e3,
            0.01 * raw(1, count) * 1e3 * 20 / 0.1,
            0.5 * raw(2, count) - 3,
            2 * raw(3, count) * 1e-3 * 2000 / 5,
        ]
    )


@pytest.mark.parametrize("end", ["\r\n", "\n", "\r"])
@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("revision", ["1991", "1999", "2001", "2013"])
def test_values_are_those_of_the_standard_and_of_the_package(
    tmp_path: Path, revision: str, form: str, end: str
) -> None:
    """Scaled by gain, offset, unit and ratio; and before ratio as the comtrade package has it."""
    path = write(tmp_path, revision, form, end=end)
    recording = read_recording(path)
    assert recording.waveforms == pytest.approx(primary(), rel=1e-12, abs=1e-9)
    assert (recording.sample_rate_hz, recording.nominal_hz) == (RATE, 50.0)
    assert recording.notes == ()
    peer = comtrade.load(str(path), use_double_precision=True, use_numpy_arrays=True)
    factors = [1e3, 1e3 * 200, 1.0, 1e-3 * 400]
    known = ~np.isnan(np.array(peer.analog[:4]))  # 1991: it takes −1 for a missing sample
    expected = np.array(peer.analog[:4]) * np.array(factors)[:, None]
    assert recording.waveforms[known] == pytest.approx(expected[known], rel=1e-12)
    assert known.mean() > 0.98


@pytest.mark.parametrize(
    ("revision", "start", "zone", "expected"),
    [
        ("1991", "12/31/99,23:59:59.5", "", "1999-12-31T23:59:59.500000"),
        ("1991", "02/29/00,00:00:00.000001", "", "2000-02-29T00:00:00.000001"),
        ("1999", "29/02/2024,10:15:30", "", "2024-02-29T10:15:30"),
        ("1999", " 1/2/2024 , 1:15:3.25 ", "", "2024-02-01T01:15:03.250000"),
        ("2013", "04/03/2026,10:15:30.123456789", "-5h30,0", "2026-03-04T10:15:30.123456-05:30"),
        ("2013", "04/03/2026,10:15:30.1", "0,0", "2026-03-04T10:15:30.100000+00:00"),
        ("2013", "04/03/2026,10:15:30.1", "+9,+9", "2026-03-04T10:15:30.100000+09:00"),
        ("2013", "04/03/2026,10:15:30.1", "x,x", "2026-03-04T10:15:30.100000"),
    ],
)
def test_starts_are_read(
    tmp_path: Path, revision: str, start: str, zone: str, expected: str
) -> None:
    """Month first in 1991, whole seconds, year 00, nanoseconds, and time codes."""
    recording = read_recording(write(tmp_path, revision, start=start, zone=zone))
    assert recording.start is not None
    assert recording.start.isoformat() == expected
    # Nanoseconds in the start say that the stamps count them, which they do not here.
    assert all("1.2e+06 samples a second" in note for note in recording.notes)
    assert len(recording.notes) == start.endswith("789")


@pytest.mark.parametrize(
    ("start", "zone"),
    [("31/02/2026,10:15:30.1", "0,0"), ("04/03/2026,10:15:60.1", "0,0"), ("soon", "0,0"),
     ("04/03/2026,10:15:30.1", "+99,0"), ("2026-03-04T10:15:30", "0,0")],
)  # fmt: skip
def test_a_start_that_is_none_is_unknown_with_a_note(tmp_path: Path, start: str, zone: str) -> None:
    """The samples are good all the same; the line is named."""
    recording = read_recording(write(tmp_path, "2013", start=start, zone=zone))
    assert recording.start is None
    assert len(recording.notes) == 1
    assert recording.notes[0].startswith("line 28")
    assert recording.waveforms == pytest.approx(primary())


def test_samples_that_the_numbers_leave_out_are_gaps(tmp_path: Path) -> None:
    """A jump of the sample number is a gap of NaN, never a shift."""
    for form in ("ASCII", "BINARY"):
        path = write(tmp_path, form=form, rows=lambda rows: rows.__delitem__(slice(50, 57)))
        recording = read_recording(path)
        expected = primary()
        expected[:, 50:57] = np.nan
        assert recording.waveforms == pytest.approx(expected, nan_ok=True)
        assert recording.notes == (
            "the data hold 233 of 240 declared samples",
            "7 samples are missing in 1 gaps; they are not numbers",
        )


def _renumber(
    rows: list[list[object]], number: Callable[[int], int], *, stamped: bool = True
) -> None:
    for k, row in enumerate(rows):
        row[:2] = number(k), row[1] if stamped else 0


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        (lambda k: 240 - k, "sample 2 of the data, number 239 follows number 240"),
        (lambda k: k + 1 if k < 9 else k - 8, "sample 10 of the data, number 1 follows number 9"),
        (lambda k: 1000 * k, "sample 2 of the data, number 1000 is beyond the 240 declared"),
    ],
)
@pytest.mark.parametrize("form", ["ASCII", "BINARY"])
def test_numbers_that_do_not_count_are_refused(
    tmp_path: Path, number: Callable[[int], int], reason: str, form: str
) -> None:
    """Numbers that go back or beyond say that the layout is another, unless times are even."""
    path = write(tmp_path, form=form, rows=lambda rows: _renumber(rows, number, stamped=False))
    with pytest.raises(RecordingError, match=reason):
        read_recording(path)
    path = write(tmp_path, form=form, rows=lambda rows: _renumber(rows, number))
    recording = read_recording(path)
    assert recording.waveforms == pytest.approx(primary())
    (note,) = recording.notes
    assert note.endswith("is out of order, but the time stamps are even")


def test_unnumbered_samples_are_taken_in_their_order(tmp_path: Path) -> None:
    """All numbers 0: the order counts, and a note says so."""
    recording = read_recording(write(tmp_path, rows=lambda rows: _renumber(rows, lambda _: 0)))
    assert recording.waveforms == pytest.approx(primary())
    assert recording.notes == ("the samples are not numbered; their order in the file is taken",)


@pytest.mark.parametrize("form", ["BINARY", "BINARY32", "FLOAT32"])
def test_a_configuration_that_lies_about_its_channels_is_found(tmp_path: Path, form: str) -> None:
    """One status word or one analog channel more or less: the data do not fit, and it is said."""
    (tmp_path / "other").mkdir()
    for status in (0, 1, 33):
        path = write(tmp_path, form=form)
        other = write(tmp_path / "other", form=form, status=status)
        path.write_bytes(other.read_bytes())
        with pytest.raises(RecordingError, match="do not fit the channels"):
            read_recording(path)


def _field(row: int, column: int, text: object) -> Change:
    return lambda rows: rows[row].__setitem__(column, text)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (_field(99, 2, "words"), r"r\.dat, line 100: VA 'words' is not a number"),
        (_field(99, 5, "0x7f"), r"r\.dat, line 100: IB '0x7f' is not a number"),
        (_field(99, 0, "nan"), r"r\.dat, line 100: 'nan' is no sample number"),
        (_field(99, 1, "soon"), r"r\.dat, line 100: time stamp 'soon' is not a number"),
        (_field(99, 3, "1,2"), r"r\.dat, line 100: 25 fields; .* are 24"),
        (_field(99, 3, "7" * 5000), r"r\.dat, line 100: longer than"),
    ],
)
def test_a_wrong_field_is_named_by_file_and_line(
    tmp_path: Path, change: Change, reason: str
) -> None:
    """Text, a field too many, a field without end."""
    with pytest.raises(RecordingError, match=reason):
        read_recording(write(tmp_path, form="ASCII", rows=change))


def test_a_text_that_is_cut_off_ends_before_the_cut(tmp_path: Path) -> None:
    """Of a cut line nothing is taken, not even where the cut is within its last number."""
    path = write(tmp_path, form="ASCII", status=0)
    whole = (tmp_path / "r.dat").read_bytes()
    line = whole.index(b"\r\n101,") + 2
    for cut in (line + 1, line + 8, whole.index(b"\r\n", line) - 1, whole.index(b"\r\n", line)):
        (tmp_path / "r.dat").write_bytes(whole[:cut])
        recording = read_recording(path)
        assert recording.waveforms == pytest.approx(primary()[:, :100])
        assert recording.notes == ("the data hold 100 of 240 declared samples",)
    (tmp_path / "r.dat").write_bytes(whole.rstrip() + b"\x1a")
    assert read_recording(path).notes == ()
    (tmp_path / "r.dat").write_bytes(whole.rstrip())
    assert read_recording(path).waveforms == pytest.approx(primary())


@pytest.mark.parametrize("form", FORMATS)
def test_more_data_than_declared_are_not_read(tmp_path: Path, form: str) -> None:
    """What is declared is read, and a note tells that there is more."""
    recording = read_recording(write(tmp_path, form=form, declared=200))
    assert recording.waveforms == pytest.approx(primary()[:, :200])
    assert recording.notes == ("the data hold more than the 200 declared samples, which are read",)


def test_a_file_of_ten_gigabytes_costs_what_is_declared(tmp_path: Path) -> None:
    """A sparse file of 10 GB behind 240 declared samples is left where it is."""
    path = write(tmp_path)
    os.truncate(tmp_path / "r.dat", 10 << 30)
    assert read_recording(path).waveforms == pytest.approx(primary())
    path = write(tmp_path, declared=2_000_000_000)
    os.truncate(tmp_path / "r.dat", 10 << 30)
    with pytest.raises(RecordingError, match="samples of a channel are too many"):
        read_recording(path)


def test_an_unsigned_range_is_read_unsigned(tmp_path: Path) -> None:
    """Offset binary of 16 bits: what looks negative is above 32767; 0xFFFF is missing in 1991."""

    def shift(rows: list[list[object]]) -> None:
        for row in rows:
            row[2:] = [value + 32768 - 65536 if value >= 0 else value + 32768 for value in row[2:]]
        rows[7][2] = -1

    path = write(tmp_path, "1991", rows=shift, low=0, high=65535, start="03/04/93,1:00:00.0")
    recording = read_recording(path)
    expected = (0.01 * (raw(0, 240) + 32768) + 0.25) * 1e3
    expected[7] = np.nan
    assert recording.voltage[0] == pytest.approx(expected, nan_ok=True)


@pytest.mark.parametrize("marker", [math.nan, -3.4028234663852886e38, -math.inf])
def test_floats_that_are_no_samples_are_missing(tmp_path: Path, marker: float) -> None:
    """No number, and the lowest one, mark what a recorder does not know; 0 is a value."""

    def mark(rows: list[list[object]]) -> None:
        rows[5][2] = marker
        rows[6][2] = 0

    recording = read_recording(write(tmp_path, "2013", "FLOAT32", rows=mark))
    assert np.flatnonzero(np.isnan(recording.voltage[0])).tolist() == [5]
    assert recording.voltage[0, 6] == 250.0


def test_missing_time_stamps_matter_only_without_a_rate(tmp_path: Path) -> None:
    """0xFFFFFFFF and empty stamps are unknown times; without a rate the sample is named."""
    for form, missing in (("BINARY", 0xFFFFFFFF), ("ASCII", "")):
        change = _field(30, 1, missing)
        assert read_recording(write(tmp_path, form=form, rows=change)).notes == ()
        with pytest.raises(RecordingError, match="sample 31 of the data, number 31 has no time"):
            read_recording(write(tmp_path, form=form, rows=change, rate="0"))
    recording = read_recording(write(tmp_path, rate="0"))
    assert recording.sample_rate_hz == pytest.approx(RATE, rel=1e-5)


def test_contradictions_are_noted(tmp_path: Path) -> None:
    """Time stamps of another rate, a wrong total of channels, an unknown revision."""
    recording = read_recording(write(tmp_path, rate="2400"))
    assert recording.notes == (
        "the time stamps tell 1200 samples a second, 2400 are stated and taken",
    )
    recording = read_recording(write(tmp_path, counts="30,5A,17D"))
    assert recording.notes == ("line 2 states 30 channels, but lists 22",)
    recording = read_recording(
        write(tmp_path, head=lambda lines: lines.__setitem__(4, lines[4][:-1] + "x"))
    )
    assert recording.notes == (
        "IA: neither primary (P) nor secondary (S) values; taken as primary",
    )
    recording = read_recording(write(tmp_path, "1997"))
    assert recording.notes[0].startswith("revision '1997' is not known")


def test_a_character_that_some_take_for_a_line_end_is_none(tmp_path: Path) -> None:
    """NEL, form feed and their like within a name part no lines."""
    for station in ("Mill\u0085East", "Mill\x0cEast", "Mill\u2028East"):
        recording = read_recording(write(tmp_path, station=station))
        assert recording.station == station


@pytest.mark.parametrize(
    ("line", "text", "reason"),
    [
        (3, "1,VA,A,F1,kV,gain,0,0,0,1,1,1,P", "line 4: could not convert .*'gain'"),
        (24, "fifty", "line 25: could not convert .*'fifty'"),
        (25, "many", "line 26: invalid literal .*'many'"),
        (26, "1200", "line 27: not enough values"),
        (1, "22;5A;17D", "line 2 gives no counts"),
        (0, "Mill", "line 1: "),
    ],
)
def test_a_wrong_line_of_the_configuration_is_named(
    tmp_path: Path, line: int, text: str, reason: str
) -> None:
    """The line's number and what could not be read."""
    path = write(tmp_path, head=lambda lines: lines.__setitem__(line, text))
    with pytest.raises(RecordingError, match=reason):
        read_recording(path)

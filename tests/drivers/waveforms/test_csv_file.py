"""Tables: delimiters, decimal signs, units, times, and errors that name line and column."""

from __future__ import annotations

import datetime
from pathlib import Path

import numpy as np
import pytest

from drivers.errors import RecordingError
from drivers.waveforms.csv_file import TableFormat
from drivers.waveforms.recording import Recording
from drivers.waveforms.recording_file import read_recording

RATE = 4800


def wave(count: int = 960, rate: float = RATE) -> tuple[np.ndarray, np.ndarray]:
    """Voltage in V and current in A, to three decimals, so that text holds them exactly."""
    angle = 2 * np.pi * 50 * np.arange(count) / rate
    return np.round(325 * np.cos(angle), 3), np.round(14 * np.cos(angle - 0.4), 3)


def write(
    folder: Path, header: str = "time [s],VA [V],IA [A]", *, delimiter: str = ",",
    decimal: str = ".", time: str = "{:.9f}", step: float = 1 / RATE, start: float = 0.0,
    end: str = "\n", encoding: str = "utf-8", scale: tuple[float, float] = (1.0, 1.0),
    name: str = "table.csv", timed: bool = True,
) -> Path:  # fmt: skip
    """A table of the wave."""
    lines = [header.replace(",", delimiter)]
    for k, (volts, amperes) in enumerate(zip(*wave(), strict=True)):
        cells = [time.format(start + k * step)] if timed else []
        cells += [f"{volts * scale[0]:.9f}", f"{amperes * scale[1]:.9f}"]
        lines.append(delimiter.join(cell.replace(".", decimal) for cell in cells))
    path = folder / name
    path.write_bytes((end.join(lines) + end).encode(encoding))
    return path


def assert_wave(recording: Recording, rate: float = RATE) -> None:
    """The recording holds the wave."""
    assert recording.sample_rate_hz == pytest.approx(rate, rel=1e-9)
    assert recording.waveforms == pytest.approx(np.array(wave()), abs=1e-6)
    assert recording.waveforms.flags.c_contiguous


@pytest.mark.parametrize(
    ("head", "delimiter", "decimal"),
    [
        ("Time,VA,IA\n(ms),(kV),(A)\n\n", ",", "."),
        ("Zeit;VA;IA\n[ms];[kV];[A]\n", ";", ","),
        ("sep=;\nt [ms];VA [kV];IA [A]\n", ";", ","),
        ("Model,MSO44\nSample Interval,2e-4\n\nTIME_ms,VA (kV),IA\n", ",", "."),
        ("Model,X,\nPoints,960,\nTime,VA,IA\nms,kV,\n", ",", "."),
    ],
)
def test_tables_of_recorders_are_read_as_they_come(
    tmp_path: Path, head: str, delimiter: str, decimal: str
) -> None:
    """Settings above the header, units in a row of their own, a delimiter that ends each row."""
    lines = [
        delimiter.join(f"{number:.9f}" for number in (k * 1e3 / RATE, volts / 1e3, amperes))
        for k, (volts, amperes) in enumerate(zip(*wave(), strict=True))
    ]
    path = tmp_path / "scope.csv"
    path.write_text(head + "".join(f"{line}{delimiter}\n" for line in lines).replace(".", decimal))
    assert_wave(read_recording(path))


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_delimiters_and_line_ends_are_found(tmp_path: Path, delimiter: str, end: str) -> None:
    """Comma, semicolon, tab and bar; Unix, DOS and old Mac."""
    recording = read_recording(write(tmp_path, delimiter=delimiter, end=end))
    assert_wave(recording)
    assert recording.start is None
    assert recording.notes == ()
    assert [(pair.phase, pair.v_name, pair.i_name) for pair in recording.pairs] == [
        ("L1", "VA", "IA")
    ]


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
def test_a_decimal_comma_is_found(tmp_path: Path, delimiter: str) -> None:
    """Commas where no cell has a point are decimal signs."""
    assert_wave(read_recording(write(tmp_path, delimiter=delimiter, decimal=",")))


def test_quoted_cells_may_hold_the_delimiter(tmp_path: Path) -> None:
    """`"0,1","2,5"` is two cells of decimal commas."""
    rows = "\n".join(f'"{k / 1000:.3f}","{k},5","-{k},25"'.replace("0.", "0,") for k in range(9))
    path = tmp_path / "quoted.csv"
    path.write_text('"time [s]","VA [V]","IA [A]"\n' + rows + "\n")
    recording = read_recording(path)
    assert recording.voltage[0].tolist() == [k + 0.5 for k in range(9)]
    assert recording.sample_rate_hz == 1000.0


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "latin-1"])
def test_encodings_of_the_header_are_read(tmp_path: Path, encoding: str) -> None:
    """UTF-8 with and without mark, UTF-16 with one, and Latin-1 names."""
    path = write(tmp_path, "time [s],VA Süd [V],IA Süd [A]", encoding=encoding)
    recording = read_recording(path)
    assert_wave(recording)
    assert recording.pairs[0].v_name == "VA Süd"


@pytest.mark.parametrize(
    ("header", "scale"),
    [
        ("time [s],VA [kV],IA (mA)", (1e-3, 1e3)),
        ("t,U_L1 / V,I_L1 / kA", (1.0, 1e-3)),
        ("Time (s),Voltage A [V],Current A [A]", (1.0, 1.0)),
        ("Zeit,u1 [mV],i1 [µA]", (1e3, 1e6)),
    ],
)
def test_units_stand_in_the_header(tmp_path: Path, header: str, scale: tuple[float, float]) -> None:
    """[unit], (unit) and / unit, with prefixes."""
    assert_wave(read_recording(write(tmp_path, header, scale=scale)))


def test_plain_names_are_v_and_a_and_a_note_says_so(tmp_path: Path) -> None:
    """Without units: by the names that say it, or by the mapping; never silently."""
    recording = read_recording(write(tmp_path, "time,va,ia"))
    assert_wave(recording)
    assert "no unit is stated for va, ia: taken as V and A" in recording.notes
    assert "no unit is stated for time: taken as seconds" in recording.notes
    path = write(tmp_path, "time,left,right")
    assert_wave(read_recording(path, {"VA": "left", "IA": "3"}))
    with pytest.raises(RecordingError, match="no voltage and current of the same circuit"):
        read_recording(path)
    with pytest.raises(RecordingError, match="no analog channel 'middle'"):
        read_recording(path, {"VA": "left", "IA": "middle"})


@pytest.mark.parametrize(
    ("header", "step"),
    [("time [ms],VA [V],IA [A]", 1e3 / RATE), ("t_us,VA [V],IA [A]", 1e6 / RATE),
     ("x [ns],VA [V],IA [A]", 1e9 / RATE), ("x (µs),VA [V],IA [A]", 1e6 / RATE)],
)  # fmt: skip
def test_times_have_units(tmp_path: Path, header: str, step: float) -> None:
    """Milli-, micro- and nanoseconds, in brackets or behind the name."""
    assert_wave(read_recording(write(tmp_path, header, step=step)))


@pytest.mark.parametrize("time", ["{:.4f}", "{:.5f}", "{:.6f}", "{:.6g}", "{!r}", "{:.8e}"])
def test_rounded_times_still_tell_the_rate(tmp_path: Path, time: str) -> None:
    """Fixed decimals, fixed digits, full precision: 4800 S/s each time."""
    assert_wave(read_recording(write(tmp_path, time=time)))


def test_iso_8601_gives_rate_and_start(tmp_path: Path) -> None:
    """With an offset the start has one, without it is naive; nanoseconds count for the rate."""
    base = datetime.datetime(2026, 3, 4, 23, 59, 59, 900_000)
    for zone, offset in (("Z", 0), ("+02:00", 120), ("-0530", -330), ("", None)):
        lines = ["utc;VA [V];IA [A]"]
        for k, (volts, amperes) in enumerate(zip(*wave(), strict=True)):
            ns = round(k * 1e9 / RATE)
            moment = base + datetime.timedelta(microseconds=ns // 1000)
            lines.append(f"{moment:%Y-%m-%dT%H:%M:%S.%f}{ns % 1000:03d}{zone};{volts};{amperes}")
        path = tmp_path / "iso.csv"
        path.write_text("\n".join(lines))
        recording = read_recording(path)
        assert_wave(recording)
        zoned = None if offset is None else datetime.timezone(datetime.timedelta(minutes=offset))
        assert recording.start == base.replace(tzinfo=zoned)


def test_unix_time_gives_a_start(tmp_path: Path) -> None:
    """Seconds since 1970 are told from seconds since the start, exactly."""
    lines = ["t,VA [V],IA [A]"]
    lines += [f"{1_772_619_330}.{k * 125:06d},{k},{-k}" for k in range(1000)]
    path = tmp_path / "unix.csv"
    path.write_text("\n".join(lines))
    recording = read_recording(path)
    assert recording.sample_rate_hz == 8000.0
    assert recording.start == datetime.datetime.fromtimestamp(1_772_619_330, datetime.UTC)
    assert "t is read as Unix time" in recording.notes


def test_a_given_rate_takes_the_place_of_times(tmp_path: Path) -> None:
    """--rate for a table without times; beside a column of time it wins, with a note."""
    path = write(tmp_path, "VA [V],IA [A]", timed=False)
    assert_wave(read_recording(path, table=TableFormat(RATE)))
    with pytest.raises(RecordingError, match=r"no column of time.*--rate.*'VA', 'IA'"):
        read_recording(path)
    timed = read_recording(write(tmp_path), table=TableFormat(9600.0))
    assert timed.sample_rate_hz == 9600.0
    assert timed.notes == ("column 'time' is not used: the rate is given",)


def test_missing_samples_are_gaps_and_unknown_cells_nan(tmp_path: Path) -> None:
    """Times that leave samples out leave NaN there; empty and NaN cells are NaN, not 0."""
    path = write(tmp_path)
    lines = path.read_text().splitlines()
    lines[20] = lines[20].rpartition(",")[0] + ","
    lines[30] = lines[30].rpartition(",")[0] + ",NaN"
    del lines[101:131], lines[700]
    path.write_text("\n".join(lines))
    recording = read_recording(path)
    volts, amperes = wave()
    volts[100:130] = amperes[100:130] = np.nan
    volts[729] = amperes[729] = amperes[19] = amperes[29] = np.nan
    assert recording.voltage[0] == pytest.approx(volts, nan_ok=True, abs=1e-6)
    assert recording.current[0] == pytest.approx(amperes, nan_ok=True, abs=1e-6)
    assert recording.notes == ("31 samples are missing in 2 gaps; they are not numbers",)


@pytest.mark.parametrize(
    ("line", "text", "reason"),
    [
        (500, "{0},{1},five", r"line 500, column 3 \(IA\): 'five' is not a number"),
        (500, "{0},1_000,{2}", r"line 500, column 2 \(VA\): '1_000' is not a number"),
        (500, "{0},\udcfc,{2}", r"line 500, column 2 \(VA\): '\?' is not a number"),
        (500, "soon,{1},{2}", r"line 500, column 1 \(time\): 'soon' is no time"),
        (500, ",{1},{2}", r"line 500, column 1 \(time\): '' is no time"),
        (500, "inf,{1},{2}", r"line 500, column 1 \(time\): 'inf' is no time"),
        (500, "1e999999,{1},{2}", r"line 500, column 1 \(time\): '1e999999' is no time"),
        (500, "{0},{1}", r"line 500: 2 cells, the header has 3"),
        (500, "{0},{1},{2},4", r"line 500: 4 cells, the header has 3"),
        (500, "0.0,{1},{2}", r"line 500: the time does not advance"),
        (500, "0.10390,{1},{2}", r"line 50[01]: the time steps by .* uneven"),
        (500, '"{0},{1},{2}', r"line \d+: "),
        (3, '"{0}"x,{1},{2}', r"line 3: "),
    ],
)
def test_what_is_wrong_is_named_by_line_and_column(
    tmp_path: Path, line: int, text: str, reason: str
) -> None:
    """Text, wrong counts of cells, times that are none, stand still or are uneven."""
    path = write(tmp_path)
    lines = path.read_text().splitlines()
    lines[line - 1] = text.format(*lines[line - 1].split(","))
    path.write_bytes("\n".join(lines).encode("utf-8", "surrogateescape"))
    with pytest.raises(RecordingError, match=reason) as caught:
        read_recording(path)
    assert str(caught.value).startswith(str(path))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "the file is empty"),
        ("\n\n", "the file is empty"),
        ("# only words\n", "no delimiter parts the first row"),
        ("time [s],VA [V],IA [A]\n", "no row of numbers follows the header in line 1"),
        ("0,1,2\n1,2,3\n", "line 1 holds numbers; a header row"),
        ("time [s] VA [V]\n0 1\n", "no delimiter parts the first row"),
        ("time [s],VA [V],IA [A]\n0,001,1,5,2,3\n", "line 2 has 6 cells, the header 3"),
        ("time [s],VA [V],VA [V],IA [A]\n0,1,1,2\n1,2,2,3\n", "columns 2 and 3 are named 'VA'"),
        ("Model,X\ntime,va,ia\n0,1\n1,2\n", "line 3 has 2 cells, the header 3"),
        ("time,va,ia\n0,1,2\n1,2,3,4\n", "line 3 has 4 cells, the header 3"),
        ("time,va,ia\n0,x,2\n1,2,3\n", "line 2, column 2 .va.: 'x' is not a number"),
        ('t [ms],VA [V],IA [A]\n0,"12,000","-3,500"\n1,1,2\n', "comma in '12,000' a decimal sign"),
        ('t [ms],VA [V],IA [A]\n0.5,"12,000",3\n1.5,1,2\n', "'12,000' is not a number"),
        (
            "t [s],VA [V],IA [A]\n0,1,2\n1.300,1,2\n2,1,2\n3.3,1,2\n",
            "line 3: the time steps by 1.3",
        ),
        ("time [s];t [ms];VA [V];IA [A]\n0;0;1;2\n1;1;2;3\n", "several columns of time"),
        ("time [s],VA [V],IA [A]\n0,1,2\n", "one sample has no sampling rate"),
        ("time [s],VA [V],IA [V]\n0,1,2\n1,2,3\n", "no voltage and current of the same circuit"),
        ("time [s],VA [V],IA [A]\n0,1,2\n1e-7,1,2\n2e-7,1,2\n", "not above 0 and at most"),
        ("time [s],VA [V],IA [A]\n0,1,2\n0.001,1,2\n1e12,1,2\n", "too many"),
        ("time [s],VA [V],IA [A]\n" + "1" * 70_000 + ",1,2\n", "line 2: longer than 65536"),
        ("t,VA [V],IA [A]\n1e30,1,2\n" + "1.000001e30,1,2\n", "line 2, column t.*no Unix time"),
    ],
)
def test_tables_that_cannot_be_read_are_named(tmp_path: Path, content: str, reason: str) -> None:
    """No header, no rows, no rate, ambiguous columns, absurd times and lines."""
    path = tmp_path / "table.csv"
    path.write_text(content)
    with pytest.raises(RecordingError, match=reason):
        read_recording(path)


def test_a_told_format_is_kept(tmp_path: Path) -> None:
    """Delimiter and decimal sign as given, and refused when they cannot be."""
    assert_wave(read_recording(write(tmp_path, delimiter=":"), table=TableFormat(delimiter=":")))
    path = write(tmp_path, delimiter=";", decimal=",")
    assert_wave(read_recording(path, table=TableFormat(None, ";", ",")))
    for table, reason in (
        (TableFormat(delimiter=",", decimal=","), "at once"),
        (TableFormat(delimiter="::"), "not one character"),
        (TableFormat(decimal="'"), "neither"),
        (TableFormat(delimiter=";", decimal="."), "is not a number|is no time"),
    ):
        with pytest.raises(RecordingError, match=reason):
            read_recording(path, table=table)
    with pytest.raises(RecordingError, match="for CSV files alone"):
        read_recording(tmp_path / "x.npz", table=TableFormat(RATE))

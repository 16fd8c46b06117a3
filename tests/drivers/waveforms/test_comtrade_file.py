"""COMTRADE recordings of each revision and format, written by hand, and the recorded ones."""

from __future__ import annotations

import contextlib
import datetime
import math
import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.errors import RecordingError
from drivers.waveforms.recording_file import read_recording

RATE = 1000
COUNT = 250


def wave(channel: int, i: int) -> float:
    """Raw value of sample i: 50 Hz, amplitude 1000, each channel 60° further."""
    return 1000.0 * math.cos(2 * math.pi * 50 * i / RATE - channel * math.pi / 3)


def write_recording(
    folder: Path,
    *,
    revision: str = "1999",
    data_format: str = "ASCII",
    analog: Sequence[str] = (
        "1,VA,A,F1,kV,0.02,0.5,0,-32767,32767,1,1,P",
        "2,IA,A,F1,A,0.5,0,0,-32767,32767,1,1,P",
    ),
    rates: str = f"1\n{RATE},{COUNT}",
    first_line: str = "Station,1",
    start: str = "04/03/2026,10:15:30.100000",
    tail: str = "1",
    count: int = COUNT,
    encoding: str = "utf-8",
    missing: frozenset[tuple[int, int]] = frozenset(),
    step_us: float = 1e6 / RATE,
) -> Path:
    """Write a recording with one status channel; `missing` holds (channel, sample)."""
    head = first_line + ("" if revision == "1991" else f",{revision}")
    header = [head, f"{len(analog) + 1},{len(analog)}A,1D", *analog]
    header += [f"{1},TRIP,,,0", "50", *rates.split("\n"), start, start, data_format]
    header += [] if revision == "1991" else tail.split("\n")
    path = folder / "recording.cfg"
    path.write_bytes("\r\n".join(header).encode(encoding) + b"\r\n")
    code, marker = {
        "ASCII": ("", "99999"),
        "BINARY": ("h", -1 if revision == "1991" else -32768),
        "BINARY32": ("i", -(2**31)),
        "FLOAT32": ("f", 0),
    }[data_format]
    rows = []
    for i in range(count):
        raw = [round(wave(channel, i)) for channel in range(len(analog))]
        values = [marker if (c, i) in missing else value for c, value in enumerate(raw)]
        if data_format == "ASCII":
            fields = [str(i + 1), str(round(i * step_us)), *map(str, values), "0"]
            rows.append(", ".join(fields).encode() + b"\r\n")
        else:
            packed = struct.pack(f"<II{len(values)}{code}H", i + 1, round(i * step_us), *values, 0)
            rows.append(packed)
    (folder / "recording.dat").write_bytes(b"".join(rows))
    return path


def expected_v() -> np.ndarray:
    """The voltage of the default recording in V."""
    return np.array([(0.02 * round(wave(0, i)) + 0.5) * 1000 for i in range(COUNT)])


@pytest.mark.parametrize("data_format", ["ASCII", "BINARY", "BINARY32", "FLOAT32"])
@pytest.mark.parametrize("revision", ["1991", "1999", "2013"])
def test_every_revision_and_format_gives_the_same_values(
    tmp_path: Path, revision: str, data_format: str
) -> None:
    """V and A come scaled by unit, gain and offset, whatever the file's revision and format."""
    start = "03/04/26,10:15:30.100000" if revision == "1991" else "04/03/2026,10:15:30.100000"
    tail = "1\n+9,+9\n0,0" if revision == "2013" else "1"
    path = write_recording(
        tmp_path, revision=revision, data_format=data_format, start=start, tail=tail
    )
    recording = read_recording(path)
    assert recording.sample_rate_hz == RATE
    assert recording.nominal_hz == 50.0
    assert recording.voltage.shape == recording.current.shape == (1, COUNT)
    assert recording.voltage.flags.c_contiguous
    assert np.allclose(recording.voltage[0], expected_v(), atol=1e-9)
    assert np.allclose(
        recording.current[0], [0.5 * round(wave(1, i)) for i in range(COUNT)], atol=1e-9
    )
    zone = datetime.timezone(datetime.timedelta(hours=9)) if revision == "2013" else None
    assert recording.start == datetime.datetime(2026, 3, 4, 10, 15, 30, 100_000, zone)
    assert recording.duration_s == COUNT / RATE
    assert recording.notes == ()


def test_a_combined_file_reads_like_its_parts(tmp_path: Path) -> None:
    """A .cff file, ASCII or binary, gives the same samples as .cfg and .dat."""
    for data_format, marker in (("ASCII", "ASCII"), ("BINARY", "BINARY: 3000")):
        path = write_recording(tmp_path, revision="2013", data_format=data_format)
        parts = read_recording(path)
        combined = tmp_path / "recording.CFF"
        combined.write_bytes(
            b"--- file type: CFG ---\r\n" + path.read_bytes()
            + b"--- file type: INF ---\r\n\r\n--- file type: HDR ---\r\nwords\r\n"
            + f"--- file type: DAT {marker} ---\r\n".encode()
            + path.with_suffix(".dat").read_bytes()
        )  # fmt: skip
        assert np.array_equal(read_recording(combined).waveforms, parts.waveforms)
    combined.write_bytes(b"--- file type: CFG ---\r\n" + path.read_bytes())
    with pytest.raises(RecordingError, match="lacks its CFG or its DAT section"):
        read_recording(combined)


def test_a_header_that_is_not_utf8_is_read(tmp_path: Path) -> None:
    """Latin-1 names of stations and channels survive."""
    analog = (
        "1,VA Süd,A,F1,V,1,0,0,-32767,32767,1,1,P",
        "2,IA Süd,A,F1,A,1,0,0,-32767,32767,1,1,P",
    )
    path = write_recording(tmp_path, analog=analog, encoding="latin-1", first_line="Südwerk,1")
    recording = read_recording(path)
    assert recording.station == "Südwerk"
    assert recording.pairs[0].v_name == "VA Süd"


@pytest.mark.parametrize("unit", ["mA", "A", "kA"])
def test_secondary_values_become_primary(tmp_path: Path, unit: str) -> None:
    """Values marked S are multiplied by primary/secondary and by the unit; P values only by it."""
    analog = (
        "1,VA,A,F1,V,1,0,0,-32767,32767,20000,100,s",
        f"2,IA,A,F1,{unit},1,0,0,-32767,32767,2000,5,S",
    )
    recording = read_recording(write_recording(tmp_path, analog=analog))
    factor = {"mA": 0.4, "A": 400.0, "kA": 400_000.0}[unit]
    assert recording.voltage[0, 0] == pytest.approx(1000 * 200)
    assert recording.current[0, 0] == pytest.approx(round(wave(1, 0)) * factor)


@pytest.mark.parametrize(
    ("revision", "data_format"), [("1999", "ASCII"), ("2013", "BINARY"), ("1999", "BINARY32")]
)
def test_missing_samples_are_nan(tmp_path: Path, revision: str, data_format: str) -> None:
    """A sample that the file marks as missing is NaN, never the marker's number."""
    path = write_recording(
        tmp_path, revision=revision, data_format=data_format, missing=frozenset({(0, 10), (1, 20)})
    )
    recording = read_recording(path)
    assert np.flatnonzero(np.isnan(recording.voltage[0])).tolist() == [10]
    assert np.flatnonzero(np.isnan(recording.current[0])).tolist() == [20]


def test_minus_one_is_a_value_in_a_signed_recording_of_1991(tmp_path: Path) -> None:
    """0xFFFF marks a missing sample of an unsigned 1991 channel, and is −1 of a signed one."""
    signed = (
        "1,VA,A,F1,V,2,5,0,-2048,2047,1,1",
        "2,IA,A,F1,A,1,0,0,0,4095,1,1",
    )
    path = write_recording(
        tmp_path, revision="1991", data_format="BINARY", analog=signed,
        start="03/04/93,10:15:30.100000", missing=frozenset({(0, 10), (1, 20)}),
    )  # fmt: skip
    recording = read_recording(path)
    assert recording.voltage[0, 10] == 2 * -1 + 5
    assert not np.isnan(recording.voltage).any()
    assert np.isnan(recording.current[0, 20])
    assert recording.start is not None
    assert recording.start.year == 1993


def test_a_truncated_data_file_gives_what_it_holds_and_says_so(tmp_path: Path) -> None:
    """Samples that are declared but absent are not zeros: the recording ends, with a note."""
    for data_format in ("ASCII", "BINARY"):
        path = write_recording(tmp_path, data_format=data_format, count=100)
        recording = read_recording(path)
        assert recording.voltage.shape == (1, 100)
        assert recording.notes == ("the data hold 100 of 250 declared samples",)


def test_time_skew_between_voltage_and_current_is_told(tmp_path: Path) -> None:
    """Each phase says how much later its current was sampled; skew between phases is noted."""
    analog = (
        "1,VA,A,F1,V,1,0,2.5,-32767,32767,1,1,P",
        "2,VB,B,F1,V,1,0,10,-32767,32767,1,1,P",
        "3,IA,A,F1,A,1,0,12.5,-32767,32767,1,1,P",
        "4,IB,B,F1,A,1,0,0,-32767,32767,1,1,P",
    )
    recording = read_recording(write_recording(tmp_path, analog=analog))
    assert recording.skew_s == pytest.approx((10e-6, -10e-6))
    assert recording.notes == ("the phases are sampled up to 7.5 µs apart, which is not corrected",)


def test_rate_from_even_time_stamps(tmp_path: Path) -> None:
    """A file that states rate 0 but has even time stamps has one rate; several equal ones too."""
    path = write_recording(tmp_path, rates=f"0\n0,{COUNT}", step_us=1e6 / 960)
    assert read_recording(path).sample_rate_hz == pytest.approx(960.0, rel=1e-5)
    path = write_recording(tmp_path, rates=f"2\n{RATE},100\n{RATE},{COUNT}")
    assert read_recording(path).sample_rate_hz == RATE


def test_a_file_without_date_has_no_start(tmp_path: Path) -> None:
    """An empty time stamp is unknown, not the year 1."""
    assert read_recording(write_recording(tmp_path, start=",")).start is None


def test_several_rates_are_refused(tmp_path: Path) -> None:
    """A recording that changes its rate names the rates."""
    path = write_recording(tmp_path, rates=f"2\n{RATE},100\n500,{COUNT}")
    with pytest.raises(
        RecordingError, match=r"several sampling rates .*1000 to sample 100, 500 to"
    ):
        read_recording(path)


@pytest.mark.parametrize("rate", ["nan", "inf", "-4800", "1e12"])
def test_an_impossible_rate_is_refused(tmp_path: Path, rate: str) -> None:
    """A rate that no recorder has is named instead of believed."""
    path = write_recording(tmp_path, rates=f"1\n{rate},{COUNT}")
    with pytest.raises(RecordingError, match=r"the sampling rate of .* Hz is not 0 to 1e"):
        read_recording(path)


def test_uneven_time_stamps_are_refused(tmp_path: Path) -> None:
    """Without a stated rate, time stamps that jump or stand still give an error, not a guess."""
    path = write_recording(tmp_path, rates=f"0\n0,{COUNT}")
    data = path.with_suffix(".dat")
    lines = data.read_bytes().splitlines(keepends=True)
    shifted = lines[:100] + [line.replace(b"000, ", b"400, ", 1) for line in lines[100:]]
    data.write_bytes(b"".join(shifted))
    with pytest.raises(RecordingError, match="time stamps are uneven"):
        read_recording(path)
    path = write_recording(tmp_path, rates=f"0\n0,{COUNT}", step_us=0)
    with pytest.raises(RecordingError, match="time stamps do not advance"):
        read_recording(path)


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("recording.xlsx", b"1,2", r"\.xlsx is not read; give the \.cfg or \.cff"),
        ("recording", b"1,2", "a file without suffix is not read"),
        ("recording.dat", b"1,2", r"\.dat is not read; give the \.cfg"),
        ("recording.cfg", b"", "the file is empty"),
        ("recording.cfg", b"\xff\xfe\x00words", "not a COMTRADE configuration"),
        ("recording.cfg", b"a,b,1999\n1,999999999A,0D\n1,VA\n", "more channels than lines"),
        ("recording.cfg", b"a,b,1999\n1,1A,0D\n1,VA\n", "not a COMTRADE configuration"),
        ("recording.cfg", b"a,b,1999\n0,0A,0D\n50\n1\n1000,0\n,\n,\nASCII\n1\n", "no samples"),
        ("recording.cfg", b"a,b,1999\n1,99999999999999A,0D\n1,VA\n", "line 2 gives no counts"),
        ("recording.cfg", b"a,b,1999\n1,0A,0D\nfifty\n", "line 3: could not convert"),
    ],
)
def test_an_unreadable_file_is_named(
    tmp_path: Path, name: str, content: bytes, reason: str
) -> None:
    """Each file that is no recording gives one error with its path and the reason."""
    (tmp_path / name).write_bytes(content)
    with pytest.raises(RecordingError, match=reason) as caught:
        read_recording(tmp_path / name)
    assert str(tmp_path / name) in str(caught.value)


def test_values_beyond_all_bounds_are_infinite(tmp_path: Path) -> None:
    """A gain that overflows gives infinite samples, which an analysis flags, and no warning."""
    analog = (
        "1,VA,A,F1,kV,1e308,0,0,-32767,32767,1,1,P",
        "2,IA,A,F1,A,1,0,0,-32767,32767,1,1,P",
    )
    recording = read_recording(write_recording(tmp_path, analog=analog))
    assert np.isinf(recording.voltage[0, 0])
    assert np.isfinite(recording.current).all()


TOKENS = ("", "-1", "0", "nan", "1e308", "9" * 20, "S", "1991", "2013", "FLOAT32", "\n", "A", "\0")


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(["ASCII", "BINARY", "FLOAT32"]),
    st.lists(st.tuples(st.integers(0, 60), st.sampled_from(TOKENS)), min_size=1, max_size=4),
)
def test_a_damaged_header_never_escapes_as_another_error(
    tmp_path_factory: pytest.TempPathFactory, data_format: str, damage: list[tuple[int, str]]
) -> None:
    """Whatever fields of the header are overwritten, a recording comes or a RecordingError."""
    path = write_recording(tmp_path_factory.mktemp("damaged"), data_format=data_format, count=20)
    fields = path.read_text().split(",")
    for position, token in damage:
        fields[position % len(fields)] = token
    path.write_text(",".join(fields))
    with contextlib.suppress(RecordingError):
        recording = read_recording(path)
        assert recording.voltage.shape == recording.current.shape


def test_missing_files_are_named(tmp_path: Path) -> None:
    """No .cfg, and a .cfg without its .dat, are named."""
    with pytest.raises(RecordingError, match=r"recording\.cfg: No such file"):
        read_recording(tmp_path / "recording.cfg")
    path = write_recording(tmp_path)
    path.with_suffix(".dat").rename(tmp_path / "recording.DAT")
    assert read_recording(path).voltage.shape == (1, COUNT)
    (tmp_path / "recording.DAT").unlink()
    with pytest.raises(RecordingError, match=r"its data file recording\.dat is missing"):
        read_recording(path)


@pytest.mark.parametrize("data", [b"", b"words\n", b"1,0,5\n"])
def test_wrong_data_are_named(tmp_path: Path, data: bytes) -> None:
    """Data that are empty or do not fit the configuration give an error, not zeros."""
    path = write_recording(tmp_path)
    path.with_suffix(".dat").write_bytes(data)
    with pytest.raises(RecordingError, match=r"holds no samples|recording\.dat, line 1: . fields"):
        read_recording(path)


def test_an_unknown_data_format_is_named(tmp_path: Path) -> None:
    """A data format outside the standard is named."""
    path = write_recording(tmp_path)
    path.write_bytes(path.read_bytes().replace(b"ASCII", b"PARQUET"))
    with pytest.raises(RecordingError, match="'PARQUET' is none of COMTRADE's"):
        read_recording(path)


def test_a_secondary_value_without_ratio_is_refused(tmp_path: Path) -> None:
    """S values whose transformer ratio is 0 cannot be scaled."""
    analog = (
        "1,VA,A,F1,V,1,0,0,-32767,32767,0,0,S",
        "2,IA,A,F1,A,1,0,0,-32767,32767,1,1,P",
    )
    with pytest.raises(RecordingError, match="channel 'VA' holds secondary values"):
        read_recording(write_recording(tmp_path, analog=analog))


RECORDED = {
    "generator_1": (
        [("VA_G1", "IA_G1"), ("VB_G1", "IB_G1"), ("VC_G1", "IC_G1")],
        (), 50.0, 5760.0, "2007-06-25T19:13:57.789757",
    ),
    "generator_2": (
        [("VA_GC1", "IA_GC1"), ("VB_GC1", "IB_GC1"), ("VC_GC1", "IC_GC1")],
        (
            "VA_GC2 VB_GC2 VC_GC2 with IA_GC2 IB_GC2 IC_GC2",
            "IA_TF8 IB_TF8 IC_TF8 (no voltage of that circuit)",
        ),
        60.0, 5760.0, "2007-01-01T12:22:50.407500",
    ),
    "transformer_inrush": (
        [("HV Bus VR", "HV IR"), ("HV Bus VS", "HV IS"), ("HV Bus VT", "HV IT")],
        ("LV IR LV IS LV IT (no voltage of that circuit)",),
        60.0, 1200.0, "2023-07-27T09:19:53.156666+09:00",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", RECORDED)
def test_recorded_files_are_paired_and_scaled(shared: Path, name: str) -> None:
    """Real recordings give the right channels, with the values that the bytes hold."""
    pairs, alternatives, nominal_hz, rate_hz, start = RECORDED[name]
    recording = read_recording(shared / "data" / "comtrade" / f"{name}.cfg")
    assert [(pair.v_name, pair.i_name) for pair in recording.pairs] == pairs
    assert [pair.phase for pair in recording.pairs] == ["L1", "L2", "L3"]
    assert recording.alternatives == alternatives
    assert recording.nominal_hz == nominal_hz
    assert recording.sample_rate_hz == rate_hz
    assert recording.start is not None
    assert recording.start.isoformat() == start
    plain = plain_values(recording.path)
    chosen = [v for v, _ in pairs] + [i for _, i in pairs]
    measured = np.sqrt(np.mean(recording.waveforms**2, axis=1))
    expected = [math.sqrt(float(np.mean(plain[channel] ** 2))) for channel in chosen]
    assert np.allclose(measured, expected, rtol=1e-9)


def plain_values(path: Path) -> dict[str, np.ndarray]:
    """Every analog channel of a binary recording in V and A, with struct, numpy and no package."""
    lines = path.read_text().splitlines()
    count = int(lines[1].split(",")[1].rstrip("A"))
    status = int(lines[1].split(",")[2].rstrip("D"))
    fields = [line.split(",") for line in lines[2 : 2 + count]]
    code = "<f4" if "FLOAT32" in lines else "<i2"
    row = np.dtype(
        [("n", "<u4"), ("t", "<u4"), ("a", code, (count,)), ("d", "<u2", (-(-status // 16),))]
    )
    data = np.frombuffer(path.with_suffix(".dat").read_bytes(), row)["a"].astype(np.float64)
    return {
        field[1]: (data[:, index] * float(field[5]) + float(field[6]))
        * (1000.0 if field[4] == "kV" else 1.0)
        for index, field in enumerate(fields)
    }

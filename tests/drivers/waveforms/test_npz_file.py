"""npz recordings: what NumPy writes is read, and nothing that a header only claims."""

from __future__ import annotations

import datetime
import io
import pickle
import resource
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from drivers.errors import RecordingError
from drivers.waveforms.recording_file import read_recording

VOLTAGE = np.arange(3000.0).reshape(3, 1000)
CURRENT = VOLTAGE - 1500.0
GOOD: dict[str, Any] = {"voltage": VOLTAGE, "current": CURRENT, "sample_rate_hz": 8000}


def write(folder: Path, **change: Any) -> Path:
    """A recording with these arrays changed; None leaves one out."""
    path = folder / "recording.npz"
    arrays = {name: array for name, array in (GOOD | change).items() if array is not None}
    np.savez(path, **arrays)
    return path


@pytest.mark.parametrize("dtype", ["<f4", ">f8", "<i2", "u1", "<f2"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_arrays_of_any_type_and_order_are_read(tmp_path: Path, dtype: str, order: str) -> None:
    """Volts and amperes as written, C-contiguous, float64."""
    array = np.asarray(np.arange(120).reshape(3, 40), dtype=dtype, order=order)
    recording = read_recording(write(tmp_path, voltage=array, current=array[::-1].copy(order)))
    assert np.array_equal(recording.voltage, array)
    assert np.array_equal(recording.current, array[::-1])
    assert recording.waveforms.flags.c_contiguous
    assert recording.waveforms.dtype == np.float64
    assert recording.sample_rate_hz == 8000.0
    assert [pair.phase for pair in recording.pairs] == ["L1", "L2", "L3"]
    assert recording.start is None


def test_one_phase_compressed_with_start_and_skew(tmp_path: Path) -> None:
    """(samples,) is one phase; start, skew and nominal frequency are taken."""
    path = tmp_path / "recording.npz"
    np.savez_compressed(
        path, voltage=VOLTAGE[0], current=CURRENT[0], sample_rate_hz=np.float32(12800),
        start_ns=1_772_619_330_123_456_789, skew_s=[2e-6], nominal_hz=60, more=np.zeros(3),
    )  # fmt: skip
    recording = read_recording(path)
    assert recording.waveforms.shape == (2, 1000)
    assert recording.skew_s == (2e-6,)
    assert recording.nominal_hz == 60.0
    assert recording.start == datetime.datetime(2026, 3, 4, 10, 15, 30, 123_456, datetime.UTC)


def test_phases_can_be_mapped(tmp_path: Path) -> None:
    """A mapping takes the arrays' rows by name or number."""
    recording = read_recording(
        write(tmp_path, skew_s=[1e-6, 2e-6, 3e-6]), {"VA": "voltage[1]", "IA": "6"}
    )
    assert np.array_equal(recording.waveforms, [VOLTAGE[1], CURRENT[2]])
    assert recording.skew_s == (3e-6,)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"voltage": None}, "array 'voltage' is missing"),
        ({"sample_rate_hz": None}, "array 'sample_rate_hz' is missing"),
        ({"sample_rate_hz": [1, 2]}, r"sample_rate_hz has shape \(2,\), not one number"),
        ({"sample_rate_hz": np.nan}, "sample_rate_hz is nan"),
        ({"sample_rate_hz": -1}, "the sampling rate of -1 Hz"),
        ({"sample_rate_hz": "fast"}, "array 'sample_rate_hz' holds <U4, not numbers"),
        ({"voltage": VOLTAGE.T, "current": CURRENT.T}, r"shape \(1000, 3\).*samples come second"),
        ({"voltage": VOLTAGE[:2]}, "they must be alike"),
        ({"voltage": VOLTAGE[None]}, "3 dimensions"),
        ({"voltage": np.zeros((4, 9)), "current": np.zeros((4, 9))}, "not 1 to 3 phases"),
        ({"voltage": np.zeros((3, 0)), "current": np.zeros((3, 0))}, "not 1 to 3 phases"),
        ({"voltage": np.array(5.0)}, "not \\(phases, samples\\)"),
        ({"voltage": VOLTAGE + 1j}, "array 'voltage' holds complex128"),
        ({"voltage": VOLTAGE > 0}, "array 'voltage' holds bool"),
        ({"voltage": np.array([{}])}, "array 'voltage' holds object"),
        ({"start_ns": 1.5}, "start_ns is float64"),
        ({"start_ns": -1}, "start_ns -1 is not a UTC time"),
        ({"skew_s": [1.0, 2.0]}, "skew_s has shape"),
        ({"skew_s": np.inf}, "skew_s holds inf"),
    ],
)
def test_wrong_arrays_are_named(tmp_path: Path, change: dict[str, Any], reason: str) -> None:
    """Missing, misshapen, of another type, or without sense: by its name."""
    with pytest.raises(RecordingError, match=reason) as caught:
        read_recording(write(tmp_path, **change))
    assert str(caught.value).startswith(str(tmp_path))


def member(header: str, content: bytes = b"") -> bytes:
    """An .npy file with this header, whatever it claims."""
    text = header.encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + content


@pytest.mark.parametrize(
    ("voltage", "reason"),
    [
        (member("{'descr': '<f8', 'fortran_order': False, 'shape': (3, 400000000)}"), "too many"),
        (member("{'descr': '<f8', 'fortran_order': False, 'shape': (3, 10000000)}"), "has 0"),
        (member("{'descr': '<f8', 'fortran_order': False, 'shape': (2,)}", b"x" * 24), "needs 16"),
        (member("{'descr': '<f8', 'shape': (2,)}"), "not an .npz file"),
        (member("(" * 900), "not an .npz file"),
        (b"\x93NUMPY\x09\x00", r"version \(9, 0\)"),
        (b"words", "not an .npz file"),
        (pickle.dumps(VOLTAGE), "not an .npz file"),
    ],
)
def test_a_header_that_lies_reserves_nothing(tmp_path: Path, voltage: bytes, reason: str) -> None:
    """What an array claims is held against what is there before anything is read."""
    path = tmp_path / "recording.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("voltage.npy", voltage)
        archive.writestr("current.npy", voltage)
    with pytest.raises(RecordingError, match=reason):
        read_recording(path)


def test_memory_is_bounded_whatever_the_headers_claim(tmp_path: Path) -> None:
    """With 400 MB of memory in all, files that claim 10 GB are refused or read for what they are.

    Claims in a COMTRADE configuration, in an .npy header, and 10 GB of zeros packed into a zip.
    """
    header = ["Mill,7,2013", "2,2A,0D", "1,VA,A,,V,1,0,0,-9,9,1,1,P", "2,IA,A,,A,1,0,0,-9,9,1,1,P"]
    tail = ["04/03/2026,10:15:30.0"] * 2 + ["BINARY", "1", "0,0", "0,0", ""]
    (tmp_path / "r.cfg").write_text("\n".join([*header, "50", "1", "4800,900000000", *tail]))
    (tmp_path / "r.dat").write_bytes(bytes(12 * 1000))
    shape = "{'descr': '<f8', 'fortran_order': False, 'shape': (3, 40000000)}"
    with zipfile.ZipFile(tmp_path / "lie.npz", "w") as archive:
        archive.writestr("voltage.npy", member(shape))
    with zipfile.ZipFile(tmp_path / "bomb.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("voltage.npy", member(shape, bytes(100_000_000)))
    script = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_DATA, (400 << 20,) * 2)\n"
        "from drivers.errors import RecordingError\n"
        "from drivers.waveforms.recording_file import read_recording\n"
        "for path in sys.argv[1:]:\n"
        "    try: print('read', read_recording(path).waveforms.shape)\n"
        "    except RecordingError as error: print('refused', error)\n"
    )
    files = [str(tmp_path / name) for name in ("r.cfg", "lie.npz", "bomb.npz")]
    done = subprocess.run(
        [sys.executable, "-c", script, *files], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "read (2, 1000)"
    assert all(line.startswith("refused") for line in lines[1:])
    assert resource.getrlimit(resource.RLIMIT_DATA)[0] == resource.RLIM_INFINITY


def test_what_is_no_archive_is_named(tmp_path: Path) -> None:
    """Words, an empty file, a lone .npy, a damaged archive."""
    good = write(tmp_path).read_bytes()
    lone = io.BytesIO()
    np.save(lone, VOLTAGE)
    for content in (b"", b"words", lone.getvalue(), good[:-30], good[:200] + b"!" + good[201:]):
        path = tmp_path / "wrong.npz"
        path.write_bytes(content)
        with pytest.raises(RecordingError, match=r"wrong\.npz: "):
            read_recording(path)

"""Recordings in NumPy's .npz: arrays `voltage`, `current`, `sample_rate_hz`.

`voltage` in V and `current` in A have shape (phases, samples) or (samples,); `sample_rate_hz` is
one number. Optional: `start_ns`, UTC of the first sample in ns; `skew_s`, how many seconds later
than its voltage the current of each phase was sampled, one number or one a phase; `nominal_hz`.
"""

from __future__ import annotations

import datetime
import math
import tokenize
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from drivers.errors import RecordingError
from drivers.waveforms.pairing import Channel
from drivers.waveforms.recording import (
    MAX_SAMPLES,
    Recording,
    channel_pairs,
    check_samples,
    checked_rate_hz,
    choose_channels,
    chosen_channels,
)

SUFFIXES = (".npz",)

_REQUIRED = ("voltage", "current", "sample_rate_hz")
_MAX_PHASES = 3
_MAX_HEADER_CHARS = 1000
_PIECE_BYTES = 1 << 24

# What zipfile, zlib and NumPy raise on a file that breaks their formats.
_FORMAT_ERRORS = (
    zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError,
    KeyError, IndexError, TypeError, SyntaxError, OverflowError, RecursionError, MemoryError,
    tokenize.TokenError,
)  # fmt: skip


def read_npz(path: Path, mapping: Mapping[str, str] | None) -> Recording:
    """Read a recording; raises RecordingError naming the array and the reason, and OSError."""
    try:
        with zipfile.ZipFile(path) as archive:
            arrays = _arrays(archive)
    except _FORMAT_ERRORS as error:
        raise RecordingError(f"not an .npz file: {error}") from error
    missing = [name for name in _REQUIRED if name not in arrays]
    if missing:
        raise RecordingError(f"array {missing[0]!r} is missing; {', '.join(_REQUIRED)} are needed")
    voltage = _rows(arrays["voltage"], "voltage")
    current = _rows(arrays["current"], "current")
    if voltage.shape != current.shape:
        raise RecordingError(
            f"voltage has shape {voltage.shape} and current {current.shape}; they must be alike"
        )
    phases = len(voltage)
    channels = [
        Channel(index, index + 1, f"{name}[{phase}]", f"L{phase + 1}", "", unit)
        for index, (name, unit, phase) in enumerate(
            [("voltage", "V", k) for k in range(phases)]
            + [("current", "A", k) for k in range(phases)]
        )
    ]
    pairing = choose_channels(channels, mapping)
    chosen = [channel.index for channel in chosen_channels(pairing)]
    pairs = pairing.pairs
    rows = np.concatenate((voltage, current))
    skews = _skews(arrays.get("skew_s"), phases)
    nominal_hz = _number(arrays["nominal_hz"], "nominal_hz") if "nominal_hz" in arrays else None
    return Recording(
        path=path,
        station="",
        sample_rate_hz=checked_rate_hz(_number(arrays["sample_rate_hz"], "sample_rate_hz")),
        nominal_hz=nominal_hz if nominal_hz is not None and nominal_hz > 0.0 else None,
        pairs=channel_pairs(pairing),
        # A voltage of one phase with the current of another: how late each is, is known apart.
        skew_s=tuple(skews[pair.i_channel.index - phases] for pair in pairs),
        waveforms=rows if chosen == list(range(2 * phases)) else rows[chosen],
        start=_start(arrays.get("start_ns")),
    )


def _arrays(archive: zipfile.ZipFile) -> dict[str, NDArray[Any]]:
    """The known arrays of the archive; others are not read."""
    known = {*_REQUIRED, "start_ns", "skew_s", "nominal_hz"}
    arrays = {}
    for member in archive.infolist():
        name = member.filename.removesuffix(".npy")
        if name in known and name != member.filename:
            with archive.open(member) as file:
                arrays[name] = _array(file, member.file_size, name)
    return arrays


def _array(file: Any, size: int, name: str) -> NDArray[Any]:
    """One array, whose header may claim no more than its member holds. Never unpickles."""
    shape, fortran, dtype = _header(file, name)
    if dtype.kind not in "iuf":
        raise RecordingError(f"array {name!r} holds {dtype}, not numbers")
    if len(shape) > 2:
        raise RecordingError(f"array {name!r} has {len(shape)} dimensions; 2 at most are read")
    count = math.prod(shape)
    if count > 2 * _MAX_PHASES * MAX_SAMPLES:
        check_samples(count)
    if count * dtype.itemsize != size - file.tell():
        raise RecordingError(
            f"array {name!r} of shape {shape} and type {dtype} needs {count * dtype.itemsize} "
            f"bytes and has {size - file.tell()}"
        )
    content = bytearray()
    # In pieces: a directory that claims more than is there reserves nothing.
    while piece := file.read(_PIECE_BYTES):
        content += piece
    return np.frombuffer(content, dtype).reshape(shape, order="F" if fortran else "C")


def _header(file: BinaryIO, name: str) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    version = npy.read_magic(file)
    if version == (1, 0):
        return npy.read_array_header_1_0(file, max_header_size=_MAX_HEADER_CHARS)
    if version == (2, 0):
        return npy.read_array_header_2_0(file, max_header_size=_MAX_HEADER_CHARS)
    raise RecordingError(f"array {name!r} has .npy version {version}; 1.0 and 2.0 are read")


def _rows(array: NDArray[Any], name: str) -> NDArray[np.float64]:
    """The array as (phases, samples), C-contiguous."""
    if array.ndim not in (1, 2):
        raise RecordingError(f"{name} has shape {array.shape}, not (phases, samples)")
    rows = array.reshape(1, -1) if array.ndim == 1 else array
    if not 1 <= len(rows) <= _MAX_PHASES or rows.shape[1] < 1:
        turned = " (samples come second)" if rows.shape[1] <= _MAX_PHASES else ""
        raise RecordingError(
            f"{name} has shape {array.shape}, not 1 to {_MAX_PHASES} phases of samples{turned}"
        )
    check_samples(rows.shape[1])
    return np.ascontiguousarray(rows, dtype=np.float64)


def _number(array: NDArray[Any], name: str) -> float:
    if array.size != 1:
        raise RecordingError(f"{name} has shape {array.shape}, not one number")
    number = float(array.reshape(()))
    if not math.isfinite(number):
        raise RecordingError(f"{name} is {number}")
    return number


def _skews(array: NDArray[Any] | None, phases: int) -> list[float]:
    if array is None:
        return [0.0] * phases
    if array.size not in (1, phases) or array.ndim > 1:
        raise RecordingError(f"skew_s has shape {array.shape}, not one number or one a phase")
    skews = np.broadcast_to(array.astype(np.float64).reshape(-1), (phases,))
    if not np.isfinite(skews).all():
        raise RecordingError(f"skew_s holds {skews[~np.isfinite(skews)][0]}")
    return [float(skew) for skew in skews]


def _start(array: NDArray[Any] | None) -> datetime.datetime | None:
    if array is None:
        return None
    if array.size != 1 or array.dtype.kind not in "iu":
        raise RecordingError(f"start_ns is {array.dtype} of shape {array.shape}, not one integer")
    start_ns = int(array.reshape(()))
    if not 0 <= start_ns < 2**63:
        raise RecordingError(f"start_ns {start_ns} is not a UTC time in ns")
    epoch = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
    return epoch + datetime.timedelta(microseconds=start_ns // 1000)

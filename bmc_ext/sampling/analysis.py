"""Analysis of one window of samples by the compiled core."""

from __future__ import annotations

import math
import struct
import threading
from collections.abc import Callable, Sequence
from functools import cache, cached_property
from typing import Any, NamedTuple, overload

import numpy as np
from numpy.typing import NDArray

from bmc_ext.sampling._core import ffi, lib
from bmc_ext.sampling.results import Flag, PhaseAnalysis, TotalAnalysis

Samples = NDArray[np.float32] | NDArray[np.float64]

_DTYPES = frozenset({np.dtype(np.float32), np.dtype(np.float64)})

# The core's structures as their header lays them out, cut where the kind of the values changes.
_HEAD = struct.Struct("dIi")
_PHASE_START = ffi.offsetof("dcpi_analysis", "phase")
_PHASE_SIZE = ffi.sizeof("dcpi_phase")
_HARMONICS_START = ffi.offsetof("dcpi_phase", "v_harmonics_rms")
_COUNTS_START = ffi.offsetof("dcpi_phase", "flags")
_SCALARS = struct.Struct(f"{_HARMONICS_START // 8}d")
_COUNTS = struct.Struct("I3i")
_TOTAL_START = ffi.offsetof("dcpi_analysis", "total")
_TOTAL = struct.Struct(f"{ffi.sizeof('dcpi_total') // 8}d")

_flag = cache(Flag)


class ChannelCorrection(NamedTuple):
    """What is known of the sensor of one channel, to be taken out of its samples.

    Value in V or A = gain · (sample - offset), then each order's phasor is turned back by
    phase_rad + 2π·order·f·delay_s. Limits: gain of magnitude 1e-6 to 1e9 (negative: connected the
    wrong way round), offset up to 1e15, phase up to 0.5 rad, delay up to 10 ms.
    """

    gain: float = 1.0
    """V or A for a sample of 1."""
    offset: float = 0.0
    """The sample at 0 V or 0 A."""
    phase_rad: float = 0.0
    """rad by which the sensor's signal leads, the same at every order (phase displacement of
    IEC 61869-1): with `gain`, a complex gain."""
    delay_s: float = 0.0
    """Seconds by which the channel's samples are taken late, as `skew_s`; a signal that itself
    comes late by a time is a negative one."""


class Analysis:
    """One window: a copy of the core's answer, whose parts are made when they are asked for.

    Pickled it stays a copy, for another process of the same program.
    """

    def __init__(self, memory: bytes) -> None:
        self._memory = memory
        self.frequency_hz, flags, self._phases = _HEAD.unpack_from(memory)
        """Hz: of the strongest voltage, or of the strongest current where there is no voltage."""
        self.flags = _flag(flags)
        """What is wrong with the window or any of its phases."""

    def __reduce__(self) -> tuple[Callable[[bytes], Analysis], tuple[bytes]]:
        return Analysis, (self._memory,)

    @cached_property
    def phases(self) -> tuple[PhaseAnalysis, ...]:
        """One or more."""
        starts = range(_PHASE_START, _PHASE_START + self._phases * _PHASE_SIZE, _PHASE_SIZE)
        return tuple([_phase(self._memory, start) for start in starts])

    @cached_property
    def total(self) -> TotalAnalysis:
        """All phases together."""
        return TotalAnalysis._make(_TOTAL.unpack_from(self._memory, _TOTAL_START))

    def to_dict(self) -> dict[str, object]:
        """The window for JSON: NaN becomes None, flags a list of names."""
        return {
            "frequency_hz": self.frequency_hz if math.isfinite(self.frequency_hz) else None,
            "flags": list(self.flags.labels),
            "phases": [phase.to_dict() for phase in self.phases],
            "total": self.total.to_dict(),
        }


class _Scratch(threading.local):
    """The core's memory, one per thread, so that windows can be analysed in parallel."""

    def __init__(self) -> None:
        self.window = ffi.new("dcpi_window *")
        self.workspace = ffi.new("dcpi_workspace *")
        self.analysis = ffi.new("dcpi_analysis *")


_scratch = _Scratch()


def analyze(
    voltage: Samples,
    current: Samples,
    sample_rate_hz: float,
    *,
    nominal_hz: float | None = None,
    skew_s: float | Sequence[float] = 0.0,
    demand_current_a: float | None = None,
    corrections: Sequence[ChannelCorrection] | None = None,
) -> Analysis:
    """Power quality of one window of one to three phases, 42.5 to 69 Hz.

    `voltage` in V and `current` in A (positive into the load) are float32 or float64 of shape
    (phases, samples) or (samples,), C-contiguous; they are read in place, without the GIL.
    `nominal_hz` only serves to flag a frequency more than 15 % off. `skew_s` is how many seconds
    late the current samples were taken, one value or one per phase. `demand_current_a` is the rms
    demand current for `tdd_percent`. `corrections` are one per channel, of the voltages, then of
    the currents; a delay adds to the skew. Without a line frequency only gain and offset apply.

    ValueError names the argument that does not fit. Bad samples are no error but a `Flag`.
    """
    voltage_rows = _rows("voltage", voltage)
    current_rows = _rows("current", current)
    if voltage_rows.shape != current_rows.shape:
        raise ValueError(f"voltage is {voltage.shape} but current is {current.shape}")
    window, analysis = _scratch.window, _scratch.analysis
    # The window only points at them.
    held = (
        _describe(window, voltage_rows, current_rows, sample_rate_hz),
        _options(window, len(voltage_rows), nominal_hz, skew_s, demand_current_a, corrections),
    )
    _check(lib.dcpi_analyze(window, _scratch.workspace, analysis))
    del held
    return Analysis(bytes(ffi.buffer(analysis)))


def analyze_many(
    voltage: Samples,
    current: Samples,
    sample_rate_hz: float,
    *,
    nominal_hz: float | None = None,
    skew_s: float | Sequence[float] = 0.0,
    demand_current_a: float | None = None,
    corrections: Sequence[ChannelCorrection] | None = None,
) -> AnalysisBatch:
    """Power quality of many windows in one call, without the GIL; options as in `analyze`.

    `voltage` and `current` have the shape (windows, phases, samples); each window is C-contiguous,
    the windows may stand any whole number of samples apart. ValueError names what does not fit.
    """
    for name, samples in (("voltage", voltage), ("current", current)):
        if not isinstance(samples, np.ndarray) or samples.ndim != 3:
            raise ValueError(f"{name} is no array of shape (windows, phases, samples)")
    if voltage.shape != current.shape:
        raise ValueError(f"voltage is {voltage.shape} but current is {current.shape}")
    windows = len(voltage)
    memory = np.empty(windows, ANALYSIS_DTYPE)
    if not windows:
        return AnalysisBatch(memory)
    voltage_rows, current_rows = _rows("voltage", voltage[0]), _rows("current", current[0])
    window = _scratch.window
    held = (
        _describe(window, voltage_rows, current_rows, sample_rate_hz),
        _options(window, len(voltage_rows), nominal_hz, skew_s, demand_current_a, corrections),
    )
    _check(
        lib.dcpi_analyze_many(
            window,
            windows,
            _stride("voltage", voltage),
            _stride("current", current),
            _scratch.workspace,
            ffi.cast("dcpi_analysis *", memory.ctypes.data),
        )
    )
    del held
    return AnalysisBatch(memory)


def _stride(name: str, samples: Samples) -> int:
    """From window to window, in samples."""
    stride, rest = divmod(samples.strides[0], samples.itemsize)
    if len(samples) > 1 and (rest or stride < samples[0].size):
        raise ValueError(f"{name} has windows {samples.strides[0]} bytes apart")
    return stride


def _describe(
    window: Any, voltage_rows: Samples, current_rows: Samples, sample_rate_hz: float
) -> object:
    """Fill in the samples; what comes back holds them."""
    held = ffi.from_buffer(voltage_rows), ffi.from_buffer(current_rows)
    window.voltage, window.current = held
    window.voltage_is_float32 = voltage_rows.dtype == np.float32
    window.current_is_float32 = current_rows.dtype == np.float32
    window.phases, window.samples = voltage_rows.shape
    window.sample_rate_hz = sample_rate_hz
    return held


def _options(
    window: Any,
    phases: int,
    nominal_hz: float | None,
    skew_s: float | Sequence[float],
    demand_current_a: float | None,
    corrections: Sequence[ChannelCorrection] | None,
) -> object:
    """Fill in all that is not samples; what comes back holds the corrections."""
    window.nominal_hz = 0.0 if nominal_hz is None else nominal_hz
    window.demand_current_a = 0.0 if demand_current_a is None else demand_current_a
    window.skew_s = _skews(skew_s, phases)
    held = _corrections(corrections, phases)
    window.corrections = held
    return held


def _check(status: int) -> None:
    if status != lib.DCPI_OK:
        raise ValueError(ffi.string(lib.dcpi_status_text(status)).decode())


def _rows(name: str, samples: Samples) -> Samples:
    """The array as (phases, samples), still without a copy."""
    if not isinstance(samples, np.ndarray):
        raise ValueError(f"{name} is {type(samples).__name__}, not a NumPy array")
    if isinstance(samples, np.ma.MaskedArray):
        raise ValueError(f"{name} has a mask, which the core does not know; NaN voids a phase")
    if samples.dtype not in _DTYPES:
        raise ValueError(f"{name} has dtype {samples.dtype}, not native float32 or float64")
    if samples.ndim not in (1, 2):
        raise ValueError(
            f"{name} has {samples.ndim} dimensions, not (phases, samples) or (samples,)"
        )
    if not samples.flags.c_contiguous or not samples.flags.aligned:
        raise ValueError(f"{name} is not C-contiguous and aligned")
    if not samples.size:
        raise ValueError(f"{name} has no samples")
    return samples if samples.ndim == 2 else samples.reshape(1, -1)


def _skews(skew_s: float | Sequence[float], phases: int) -> list[float]:
    """One skew per phase that the core has."""
    if isinstance(skew_s, float):
        return [skew_s] * lib.DCPI_PHASES_MAX
    skews = [float(skew) for skew in np.atleast_1d(np.asarray(skew_s, dtype=np.float64))]
    if len(skews) == 1:
        skews *= phases
    if len(skews) != phases:
        raise ValueError(f"skew_s has {len(skews)} values for {phases} phases")
    return (skews + [0.0] * lib.DCPI_PHASES_MAX)[: lib.DCPI_PHASES_MAX]


def _corrections(corrections: Sequence[ChannelCorrection] | None, phases: int) -> object:
    """The corrections as the core's array; NULL without any."""
    if corrections is None:
        return ffi.NULL
    if len(corrections) != 2 * phases:
        raise ValueError(
            f"corrections has {len(corrections)} entries for {2 * phases} channels of "
            f"{phases} phases"
        )
    return ffi.new("dcpi_correction[]", list(corrections))


def _dtype(name: str) -> np.dtype[np.void]:
    """The core's structure of that name as a NumPy record, straight from its header."""
    names, formats, offsets = [], [], []
    for field, place in ffi.typeof(name).fields:
        names.append(field)
        formats.append(_format(place.type))
        offsets.append(place.offset)
    size = ffi.sizeof(name)
    return np.dtype({"names": names, "formats": formats, "offsets": offsets, "itemsize": size})


def _format(kind: Any) -> Any:
    if kind.kind == "array":
        return (_format(kind.item), (kind.length,))
    if kind.kind == "struct":
        return _dtype(kind.cname)
    return {"double": "f8", "uint32_t": "u4", "int32_t": "i4"}[kind.cname]


ANALYSIS_DTYPE = _dtype("dcpi_analysis")
"""One window: frequency_hz, flags, phases, phase (3, of the fields of `PhaseAnalysis`; those beyond
`phases` are NaN) and total (of the fields of `TotalAnalysis`)."""


class AnalysisBatch(Sequence[Analysis]):
    """The analyses of many windows; one is made when it is asked for.

    `array` holds all of them as records of `ANALYSIS_DTYPE`, read-only: `array["total"]["p_w"]` is
    one value per window, `array["phase"]["v_rms"]` three, `array["flags"]` those of `Flag`.
    """

    def __init__(self, array: NDArray[np.void]) -> None:
        self.array = array
        self.array.flags.writeable = False

    def __len__(self) -> int:
        return len(self.array)

    @overload
    def __getitem__(self, index: int) -> Analysis: ...

    @overload
    def __getitem__(self, index: slice) -> AnalysisBatch: ...

    def __getitem__(self, index: int | slice) -> Analysis | AnalysisBatch:
        if isinstance(index, slice):
            return AnalysisBatch(self.array[index])
        return Analysis(self.array[index].tobytes())


def _phase(memory: bytes, start: int) -> PhaseAnalysis:
    """Harmonics are views of the memory, read-only as it is."""
    harmonics = np.frombuffer(memory, np.float64, 4 * lib.DCPI_ORDERS, start + _HARMONICS_START)
    flags, *counts = _COUNTS.unpack_from(memory, start + _COUNTS_START)
    return PhaseAnalysis._make(
        (
            *_SCALARS.unpack_from(memory, start),
            *harmonics.reshape(4, lib.DCPI_ORDERS),
            _flag(flags),
            *counts,
        )
    )

"""Values over actual cycles (IEC 61000-4-30, IEC 61000-4-7) of a stream of samples."""

from __future__ import annotations

import logging
import math
import struct
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from bmc_ext.sampling._core import ffi, lib
from bmc_ext.sampling.analysis import ChannelCorrection, Samples, analyze
from bmc_ext.sampling.channel_calibration import ChannelCalibrations
from bmc_ext.sampling.cycle_results import (
    CycleChannel,
    CycleFlag,
    CyclePhase,
    CycleValues,
    HalfCycle,
    TenSecondFrequency,
)
from drivers.waveforms.block import Block, WaveformSource

_log = logging.getLogger(__name__)

_DTYPES = (np.dtype(np.float32), np.dtype(np.float64))
_NS_PER_S = 1_000_000_000
_BETWEEN_NOMINALS_HZ = 55.0
"""Below it a line is one of 50 Hz (IEC 61000-4-30:2015 4.4)."""
_LAST_EPOCH_NS = 4 * 10**18
_SEEN_S = 0.1
"""How much of a stream tells its nominal frequency."""

# The core's structures as their header lays them out, cut where the kind of the values changes.
_HEAD = struct.Struct("2qd4iIi5d")
_PHASES_START = ffi.offsetof("dcpi_cycle_values", "phase")
_PHASE_CELLS = ffi.sizeof("dcpi_cycle_phase") // 8
_CHANNEL_CELLS = ffi.sizeof("dcpi_cycle_channel") // 8
_SCALARS = ffi.offsetof("dcpi_cycle_channel", "harmonics") // 8
_ARRAYS = (_CHANNEL_CELLS - _SCALARS) // lib.DCPI_ORDERS

_flag = cache(CycleFlag)


@dataclass(frozen=True, slots=True)
class TenTwelveCycle:
    """10 cycles at 50 Hz, 12 at 60 Hz (IEC 61000-4-30:2015 4.4)."""

    values: CycleValues


@dataclass(frozen=True, slots=True)
class ShortAggregate:
    """150 cycles at 50 Hz, 180 at 60 Hz, fifteen 10/12-cycle values (4.5.2)."""

    values: CycleValues


@dataclass(frozen=True, slots=True)
class LongAggregate:
    """10 min of UTC (4.5.3)."""

    values: CycleValues


CycleResult: TypeAlias = (
    HalfCycle | TenSecondFrequency | TenTwelveCycle | ShortAggregate | LongAggregate
)


class _Scratch(threading.local):
    """The core's workspace, one per thread."""

    def __init__(self) -> None:
        self.workspace = ffi.new("dcpi_cycle_workspace *")
        lib.dcpi_cycle_workspace_init(self.workspace)


_scratch = _Scratch()


class CycleAggregator:
    """One to three phases of one line, from blocks of samples to values over actual cycles.

    Sample i was taken at `epoch_ns` + i·10⁹/`sample_rate_hz` ns UTC, 1 kS/s to 256 kS/s.
    `nominal_hz` is 50 or 60. `declared_v` is the declared input voltage in V, against which dips,
    swells and interruptions are judged; without it that is the sliding reference of IEC
    61000-4-30:2015 5.4.4. `skew_s` is how many seconds late the current samples are taken, one
    value or one per phase. With `half_cycles` the values of each half-cycle come, too.

    Cycles are found in the fundamental of a voltage under a window of six cycles: what has come is
    known up to some 100 ms before the newest sample.

    Raises ValueError naming what does not fit.
    """

    def __init__(
        self,
        phases: int,
        sample_rate_hz: float,
        nominal_hz: float,
        *,
        epoch_ns: int = 0,
        declared_v: float | None = None,
        skew_s: float | Sequence[float] = 0.0,
        half_cycles: bool = False,
    ) -> None:
        config = ffi.new("dcpi_cycle_config *")
        config.phases = phases
        config.wants_halves = half_cycles
        config.sample_rate_hz = sample_rate_hz
        config.nominal_hz = nominal_hz
        config.declared_v = 0.0 if declared_v is None else declared_v
        if not 0 <= epoch_ns <= _LAST_EPOCH_NS:
            raise ValueError(f"epoch_ns {epoch_ns} is not a time from 1970 to 2096")
        skews = [skew_s] * phases if isinstance(skew_s, float) else list(skew_s)
        if len(skews) != phases:
            raise ValueError(f"skew_s has {len(skews)} values for {phases} phases")
        config.epoch_ns = epoch_ns
        config.skew_s = skews[: lib.DCPI_PHASES_MAX]
        cells = lib.dcpi_cycles_cells(config)
        # Also where the configuration is refused, so that the core says why.
        self._memory = np.empty(max(1, cells))
        self._cycles = ffi.new("dcpi_cycles *")
        memory = ffi.from_buffer("double[]", self._memory)
        status = lib.dcpi_cycles_init(self._cycles, config, memory, cells)
        if status != lib.DCPI_OK:
            raise ValueError(_problem(status, sample_rate_hz, nominal_hz))
        self.phases = phases
        self._block = ffi.new("dcpi_cycle_block *")
        self._taken = ffi.new("int32_t *")
        self._kind = ffi.new("dcpi_cycle_kind *")

    @property
    def dropped(self) -> int:
        """10/12-cycle intervals that were begun and lost: to a gap, or as they did not end."""
        return int(self._cycles.dropped)

    @property
    def measuring(self) -> bool:
        """Whether a 10/12-cycle interval is open."""
        return bool(self._cycles.current.active)

    def set_time(self, index: int, utc_ns: int, sample_rate_hz: float) -> None:
        """From now on sample `index` counts as taken at `utc_ns`, those beside it at this rate.

        For a source whose clock is measured while it runs; ValueError when the rate is more than
        1 % off the first one.
        """
        status = lib.dcpi_cycles_set_time(self._cycles, index, utc_ns, sample_rate_hz)
        if status != lib.DCPI_OK:
            raise ValueError(
                f"sample {index} at {utc_ns} ns, {sample_rate_hz:g} S/s: no time of this stream"
            )

    def set_corrections(self, corrections: Sequence[ChannelCorrection]) -> None:
        """What is known of the sensors, of the voltages and then of the currents.

        Gain and offset count for the samples from now on, phase error and delay for the intervals
        that end from now on. ValueError where one does not fit.
        """
        if len(corrections) != 2 * self.phases:
            raise ValueError(f"{len(corrections)} corrections for {2 * self.phases} channels")
        wanted = ffi.new("dcpi_correction[]", [tuple(channel) for channel in corrections])
        status = lib.dcpi_cycles_set_corrections(self._cycles, wanted)
        if status != lib.DCPI_OK:
            raise ValueError(ffi.string(lib.dcpi_status_text(status)).decode())

    def feed(
        self, voltage: Samples, current: Samples, first_index: int | None = None
    ) -> Iterator[CycleResult]:
        """Take samples in; the values that they complete, in the order of their ends.

        `voltage` in V and `current` in A (positive into the load) are float32 or float64 of shape
        (phases, samples) or (samples,), alike in type and strides; rows may lie apart. They are
        copied before the next value is asked for only as far as there is room: exhaust the
        iterator before the arrays change. `first_index` counts from sample 0 and is by default the
        next one; any other breaks what was begun, which is dropped and counted.
        """
        v_rows, i_rows = self._rows("voltage", voltage), self._rows("current", current)
        if v_rows.shape != i_rows.shape or v_rows.dtype != i_rows.dtype:
            raise ValueError(
                f"voltage is {v_rows.dtype}{v_rows.shape}, current {i_rows.dtype}{i_rows.shape}"
            )
        if v_rows.strides != i_rows.strides:
            raise ValueError(f"voltage has strides {v_rows.strides}, current {i_rows.strides}")
        index = int(self._cycles.next_index) if first_index is None else first_index
        return self._results(v_rows, i_rows, index)

    def _rows(self, name: str, samples: Samples) -> Samples:
        if not isinstance(samples, np.ndarray) or samples.dtype not in _DTYPES:
            raise ValueError(f"{name} is no NumPy array of native float32 or float64")
        rows = samples.reshape(1, -1) if samples.ndim == 1 else samples
        if rows.ndim != 2 or rows.shape[0] != self.phases or not rows.size:
            raise ValueError(f"{name} has shape {samples.shape}, not ({self.phases}, samples)")
        if rows.shape[1] > 1 and rows.strides[1] != rows.itemsize:
            raise ValueError(f"{name}: the samples of a phase do not follow each other")
        if rows.strides[0] < 0 or rows.strides[0] % rows.itemsize or not rows.flags.aligned:
            raise ValueError(f"{name}: the rows are not whole samples apart")
        return rows

    def _results(self, voltage: Samples, current: Samples, index: int) -> Iterator[CycleResult]:
        block, size, item = self._block, voltage.shape[1], voltage.itemsize
        v_address, i_address = _address(voltage), _address(current)
        workspace = _scratch.workspace
        block.is_float32 = voltage.dtype == np.float32
        block.stride = max(voltage.strides[0] // item, size)
        offset = 0
        while offset < size:
            block.voltage = ffi.cast("void *", v_address + offset * item)
            block.current = ffi.cast("void *", i_address + offset * item)
            block.samples, block.first_index = size - offset, index + offset
            status = lib.dcpi_cycles_take_next(
                self._cycles, workspace, block, self._taken, self._kind
            )
            if status != lib.DCPI_OK:
                raise ValueError(ffi.string(lib.dcpi_status_text(status)).decode())
            offset += self._taken[0]
            kind = self._kind[0]
            while kind:
                yield self._result(kind)
                kind = lib.dcpi_cycles_next(self._cycles, workspace)

    def _result(self, kind: int) -> CycleResult:
        cycles = self._cycles
        if kind == lib.DCPI_CYCLE_HALF:
            half = cycles.half
            flags = _flag(half.flags)
            return HalfCycle(half.start_ns, half.end_ns, half.phase, half.v_rms, half.i_rms, flags)
        if kind == lib.DCPI_CYCLE_FREQUENCY:
            found = cycles.frequency
            return TenSecondFrequency(
                found.start_ns, found.frequency_hz, found.cycles, found.duration_s
            )
        if kind == lib.DCPI_CYCLE_TEN_TWELVE:
            return TenTwelveCycle(_values(cycles.ten_twelve))
        if kind == lib.DCPI_CYCLE_SHORT:
            return ShortAggregate(_values(cycles.short_mean))
        return LongAggregate(_values(cycles.long_mean))


def _problem(status: int, sample_rate_hz: float, nominal_hz: float) -> str:
    """Why a configuration is refused; the limits are narrower than those of a single window."""
    if status == lib.DCPI_BAD_RATE:
        return f"sample_rate_hz {sample_rate_hz:g} is not 1000 to 256000"
    if status == lib.DCPI_BAD_NOMINAL:
        return f"nominal_hz {nominal_hz:g} is not 50 or 60, or declared_v is negative"
    return str(ffi.string(lib.dcpi_status_text(status)).decode())


def _address(rows: Samples) -> int:
    return int(ffi.cast("intptr_t", ffi.from_buffer(rows[0])))


def _values(found: object) -> CycleValues:
    """From a copy of the core's answer, whose own memory is used again."""
    memory = bytes(ffi.buffer(ffi.addressof(found)))
    start_ns, end_ns, duration_s, cycles, h_max, intervals, flagged, flags, phases, *scalars = (
        _HEAD.unpack_from(memory)
    )
    cells = np.frombuffer(memory, np.float64, phases * _PHASE_CELLS, _PHASES_START)
    return CycleValues._make(
        (
            *(start_ns, end_ns, duration_s, cycles, h_max, intervals, flagged, _flag(flags)),
            *scalars,
            tuple([_phase(row) for row in cells.reshape(phases, _PHASE_CELLS)]),
        )
    )


def _phase(cells: np.ndarray) -> CyclePhase:
    p_w, q1_var = cells[:2].tolist()
    return CyclePhase(
        p_w, q1_var, _channel(cells[2 : 2 + _CHANNEL_CELLS]), _channel(cells[2 + _CHANNEL_CELLS :])
    )


def _channel(cells: np.ndarray) -> CycleChannel:
    """Arrays are views, read-only as their memory is."""
    orders = cells[_SCALARS:].reshape(_ARRAYS, lib.DCPI_ORDERS)
    return CycleChannel(*cells[:_SCALARS].tolist(), *orders)


def nominal_of(voltage: NDArray[Any], current: NDArray[Any], sample_rate_hz: float) -> float | None:
    """50 or 60 Hz, by the frequency of 100 ms of samples or more; None where they tell none."""
    frequency_hz = analyze(voltage, current, sample_rate_hz).frequency_hz
    if not math.isfinite(frequency_hz):
        return None
    return _nearest(frequency_hz)


class CycleObserver:
    """The `BlockObserver` that hands a feed's values over actual cycles to `emit`.

    `nominal_hz` is read from the first 100 ms of samples where it is not given; it is the nearer
    one of 50 and 60 otherwise. A source that opens again begins anew. A source that cannot be
    measured so, for example of 400 S/s, is named in the log and gives nothing. `calibration` is
    the source's own, whose ranges follow its 100 ms windows.
    """

    def __init__(
        self,
        feed_id: str,
        emit: Callable[[CycleResult], None],
        *,
        nominal_hz: float | None = None,
        declared_v: float | None = None,
        half_cycles: bool = False,
        calibration: ChannelCalibrations | None = None,
    ) -> None:
        self._feed_id = feed_id
        self._emit = emit
        self._nominal_hz = nominal_hz
        self._declared_v = declared_v
        self._half_cycles = half_cycles
        self._calibration = calibration
        self._source: WaveformSource | None = None
        self._aggregator: CycleAggregator | None = None
        self._cycles_hz: float | None = None
        self._time: tuple[int, int, float] | None = None
        self._seen: list[NDArray[Any]] = []
        self._dropped = 0

    @property
    def dropped(self) -> int:
        """10/12-cycle intervals that were begun and lost, over all openings of the source."""
        return self._dropped + (self._aggregator.dropped if self._aggregator else 0)

    def begin(self, source: WaveformSource) -> None:
        """The source is open (again)."""
        self._end()
        self._source, self._time, self._seen = source, None, []
        nominal_hz = self._nominal_hz
        if nominal_hz is None and source.sample_rate_hz < lib.DCPI_CYCLE_RATE_MIN_HZ:
            nominal_hz = 50.0  # too slow for either, which is said at the first block
        self._cycles_hz = None if nominal_hz is None else _nearest(nominal_hz)

    def set_time(self, index: int, utc_ns: int, sample_rate_hz: float) -> None:
        """What has been measured of the source's clock, from the next block on."""
        self._time = (index, utc_ns, sample_rate_hz)
        if self._aggregator is not None:
            self._retime(self._aggregator)

    def take(self, block: Block) -> None:
        """The next block; of a source that does not keep UTC they count once it is measured."""
        is_timed = block.received_ns is None or block.claims_utc or self._time is not None
        if self._source is None or not is_timed:
            return
        if self._cycles_hz is None:
            self._look_for_nominal(block, self._source)
        elif self._aggregator is None:
            self._start(self._source, self._cycles_hz)
        if self._aggregator is None:
            return
        rows, phases = block.samples, self._aggregator.phases
        if self._calibration is not None:
            self._aggregator.set_corrections(self._calibration.corrections(phases))
        for result in self._aggregator.feed(rows[:phases], rows[phases:], block.first_index):
            self._emit(result)

    def _look_for_nominal(self, block: Block, source: WaveformSource) -> None:
        self._seen.append(block.samples.copy())
        samples = np.concatenate(self._seen, axis=1)
        if samples.shape[1] < _SEEN_S * source.sample_rate_hz:
            return
        self._seen = []
        phases = source.phases
        try:
            self._cycles_hz = nominal_of(samples[:phases], samples[phases:], source.sample_rate_hz)
        except ValueError:
            return  # longer than a window may be; the next block may fit

    def _start(self, source: WaveformSource, nominal_hz: float) -> None:
        try:
            self._aggregator = CycleAggregator(
                source.phases,
                source.sample_rate_hz,
                nominal_hz,
                epoch_ns=source.epoch_ns,
                declared_v=self._declared_v,
                skew_s=tuple(source.skew_s),
                half_cycles=self._half_cycles,
            )
        except ValueError as error:
            _log.warning("feed %s: no values over 10/12 cycles: %s", self._feed_id, error)
            self._source = None
            return
        self._retime(self._aggregator)

    def _retime(self, aggregator: CycleAggregator) -> None:
        if self._time is None:
            return
        try:
            aggregator.set_time(*self._time)
        except ValueError as error:
            _log.debug("feed %s: %s", self._feed_id, error)
            self._end()
            self._time = None

    def _end(self) -> None:
        if self._aggregator is not None:
            self._dropped += self._aggregator.dropped + self._aggregator.measuring
        self._aggregator = None


def _nearest(hz: float) -> float:
    return 50.0 if hz < _BETWEEN_NOMINALS_HZ else 60.0

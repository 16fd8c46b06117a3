"""A source's samples as windows of the UTC grid, whether it keeps UTC or must be measured."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import NamedTuple

from bmc_ext.clock import WINDOW_NS
from bmc_ext.sampling.grid import CutWindow, SteeredGrid, WindowCutter, WindowGrid
from bmc_ext.sampling.source_clock import SourceClock
from drivers.waveforms.block import Block

_log = logging.getLogger(__name__)

TIME_JUMP = "time-jump"
"""Flag of the first window after the source's time has jumped against the system clock's."""

JUMP_S = 20e-3
"""A larger error of the grid is a jump; a smaller one is slewed away."""

_CLAIM_RATE_ERROR = 100e-6  # the system clock's own crystal may be off by so much
_CLAIM_MOVED_S = 0.1  # a window; a busy machine may be late by less for seconds
_SLEW_S = 2.0  # time constant of the slew
_MAX_SLEW = 1e-3  # a window becomes 100 µs longer or shorter at most
_NS = 1e9


class TimeBase(NamedTuple):
    """How a window's samples are timed.

    `sample_rate_hz` is the rate to analyse with and `rate_error` the bound on its relative error,
    `time_error_s` the bound on the error of the samples' times: both against the system clock,
    beside the least delay of the transport, and 0 where the source keeps UTC by itself.
    """

    sample_rate_hz: float
    rate_error: float = 0.0
    time_error_s: float = 0.0


class Timeline:
    """Cuts the blocks of one open source into windows; its first block tells which kind it is.

    Of a source that keeps UTC, sample i lies at epoch + i/rate. Of one that does not, nothing comes
    for 1 s, in which its time is measured; from then on the grid is steered after its clock by
    moving the ends of windows by whole samples. A jump of more than 20 ms tears one window, and the
    next one has the flag `time-jump`. One that only claims to keep UTC is measured too, and steered
    from when it is found to be off by more than 100 ppm, or to have moved by more than 0.1 s.
    """

    def __init__(self, feed_id: str, sample_rate_hz: float, epoch_ns: int) -> None:
        self._feed_id = feed_id
        self._nominal_hz = sample_rate_hz
        self._claimed = WindowGrid(sample_rate_hz, epoch_ns)
        self._first_lag_ns: int | None = None
        self._clock: SourceClock | None = None
        self._grid: SteeredGrid | None = None
        self._cutter: WindowCutter | None = None

    def time_base(self, cut: CutWindow) -> TimeBase:
        """How the samples of this window, which was cut last, are timed."""
        if self._clock is None or self._grid is None:
            return TimeBase(self._nominal_hz)
        placed_ns = cut.window_id * WINDOW_NS
        error_ns = self._clock.time_ns(cut.first_index) - placed_ns
        # Up to one sample late is where a window on the grid begins.
        period_ns = _NS / self._clock.rate_hz
        error_ns = error_ns - min(max(error_ns, 0), round(period_ns))
        return TimeBase(
            self._clock.rate_hz,
            self._clock.rate_error,
            abs(error_ns) / _NS + self._clock.phase_error_s,
        )

    @property
    def is_measured(self) -> bool:
        """Whether the grid is steered after the source's measured time."""
        return self._grid is not None

    def measured_time(self, index: int) -> tuple[int, float] | None:
        """UTC of a sample in ns, and the rate; None of a source that keeps UTC by itself."""
        if self._clock is None or self._grid is None:
            return None
        return self._grid.time_ns(index), self._clock.rate_hz

    def cut(self, block: Block) -> Iterator[CutWindow]:
        """Windows that this block completes, and torn ones that it shows to be lost."""
        if self._cutter is None and (block.received_ns is None or block.claims_utc):
            self._cutter = WindowCutter(self._claimed)
        if block.received_ns is not None:
            yield from self._follow(block, block.received_ns)
        if self._cutter is not None:
            yield from self._cutter.cut(block)

    def flush(self) -> Iterator[CutWindow]:
        """The window that is begun, torn as it is; none when no window is begun."""
        if self._cutter is not None:
            yield from self._cutter.flush()

    def _follow(self, block: Block, received_ns: int) -> Iterator[CutWindow]:
        """Measure with this arrival, and steer; the torn window, if the time has jumped."""
        if self._clock is None:
            self._clock = SourceClock(self._nominal_hz)
        clock = self._clock
        clock.arrived(block.first_index + block.samples.shape[1] - 1, received_ns)
        if self._cutter is None:
            if clock.settled:
                self._lay_grid(clock, block.first_index, frozenset())
            return
        if self._cutter.boundary is None:
            return
        boundary = max(self._cutter.boundary, block.first_index)
        if self._grid is None:
            if not self._is_contradicted(clock, boundary):
                return
            period_ns = _NS / clock.rate_hz
            self._grid = SteeredGrid(boundary, self._claimed.time_ns(boundary), period_ns)
            self._cutter.follow(self._grid)
        yield from self._steer(clock, self._grid, self._cutter, boundary, block.first_index)

    def _steer(
        self,
        clock: SourceClock,
        grid: SteeredGrid,
        cutter: WindowCutter,
        boundary: int,
        first_index: int,
    ) -> Iterator[CutWindow]:
        error_ns = clock.time_ns(boundary) - grid.time_ns(boundary)
        if abs(error_ns) <= JUMP_S * _NS:
            slew = min(_MAX_SLEW, max(-_MAX_SLEW, error_ns / _NS / _SLEW_S))
            grid.bend(boundary, _NS / clock.rate_hz * (1.0 + slew))
            return
        _log.warning(
            "feed %s: its time jumped by %.3f s against the system clock",
            self._feed_id,
            error_ns / _NS,
        )
        yield from cutter.flush()
        self._lay_grid(clock, first_index, frozenset({TIME_JUMP}))

    def _is_contradicted(self, clock: SourceClock, index: int) -> bool:
        """Whether the source's claim to keep UTC cannot be held."""
        if not clock.settled:
            return False
        lag_ns = clock.time_ns(index) - self._claimed.time_ns(index)
        if self._first_lag_ns is None:
            self._first_lag_ns = lag_ns
        off = abs(clock.rate_hz / self._nominal_hz - 1.0)
        moved_s = abs(lag_ns - self._first_lag_ns) / _NS
        if off <= clock.rate_error + _CLAIM_RATE_ERROR and moved_s <= _CLAIM_MOVED_S:
            return False
        _log.warning(
            "feed %s: it does not keep UTC as it says, its rate is %.6g Hz and it moved by %.3f s: "
            "its time is measured from now on",
            self._feed_id,
            clock.rate_hz,
            moved_s,
        )
        return True

    def _lay_grid(self, clock: SourceClock, index: int, flags: frozenset[str]) -> None:
        self._grid = SteeredGrid(index, clock.time_ns(index), _NS / clock.rate_hz)
        self._cutter = WindowCutter(self._grid, flags)

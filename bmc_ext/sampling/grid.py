"""The grid of measurement windows: which samples of a source belong to which window."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol

import numpy as np

from bmc_ext.clock import WINDOW_NS
from drivers.waveforms.block import Block, Samples

_NS_PER_S = 1_000_000_000


class Grid(Protocol):
    """Which window a sample is in."""

    def window_of(self, index: int) -> int:
        """The window that holds this sample."""

    def first_index(self, window_id: int) -> int:
        """The window's first sample, below 0 before sample 0."""


class WindowGrid:
    """Windows [k·w, (k+1)·w) of a source whose sample i is taken at epoch + i/rate.

    `epoch_ns` is the UTC time of sample 0 in ns, `window_ns` is w. All arithmetic is exact, so
    that a rate which does not divide into windows (4096 Hz in 100 ms: 409 or 410 samples) never
    drifts against the grid. Raises ValueError for a rate or a window that is not positive.
    """

    def __init__(self, sample_rate_hz: float, epoch_ns: int, window_ns: int = WINDOW_NS) -> None:
        if not 0.0 < sample_rate_hz < float("inf"):
            raise ValueError(f"sample_rate_hz {sample_rate_hz!r} is not positive and finite")
        if window_ns <= 0:
            raise ValueError(f"window_ns {window_ns!r} is not positive")
        rate = Fraction(sample_rate_hz)
        self._samples, self._in_ns = rate.numerator, _NS_PER_S * rate.denominator
        self._epoch_ns = epoch_ns
        self._window_ns = window_ns

    def window_of(self, index: int) -> int:
        """The window that holds this sample: floor(t / w)."""
        return self.time_ns(index) // self._window_ns

    def time_ns(self, index: int) -> int:
        """UTC ns of this sample, rounded down."""
        return self._epoch_ns + index * self._in_ns // self._samples

    def first_index(self, window_id: int) -> int:
        """The window's first sample: the smallest i with t(i) ≥ k·w, below 0 before sample 0."""
        offset_ns = window_id * self._window_ns - self._epoch_ns
        return -(-offset_ns * self._samples // self._in_ns)

    def start_ns(self, window_id: int) -> int:
        """UTC time of the window's start in ns."""
        return window_id * self._window_ns


class SteeredGrid:
    """Windows [k·w, (k+1)·w) of a source whose rate is its own: a line that is bent ahead only.

    Sample `index` is taken at `time_ns` (UTC), and those after it every `period_ns`. `bend` goes on
    along another line from a sample on, without a jump there: no sample is dropped or repeated.
    """

    def __init__(
        self, index: int, time_ns: int, period_ns: float, window_ns: int = WINDOW_NS
    ) -> None:
        self._index, self._time_ns, self._period_ns = index, time_ns, period_ns
        self._window_ns = window_ns

    def bend(self, index: int, period_ns: float) -> None:
        """From this sample on, which is ahead of all that were asked for, use another period."""
        self._time_ns, self._index = self.time_ns(index), index
        self._period_ns = period_ns

    def time_ns(self, index: int) -> int:
        """UTC ns of this sample."""
        return self._time_ns + round((index - self._index) * self._period_ns)

    def window_of(self, index: int) -> int:
        """The window that holds this sample: floor(t / w)."""
        return self.time_ns(index) // self._window_ns

    def first_index(self, window_id: int) -> int:
        """The window's first sample: the smallest i with t(i) ≥ k·w."""
        offset_ns = window_id * self._window_ns - self._time_ns
        return self._index + math.ceil(offset_ns / self._period_ns)


@dataclass(frozen=True, slots=True)
class CutWindow:
    """The samples of one window, shape (2 × phases, expected); None when `count` < `expected`.

    `first_index` is the index of its first sample. `samples` is only valid until the next block is
    cut. `flags` are those of its blocks, and `gap` where samples are missing.
    """

    window_id: int
    first_index: int
    samples: Samples | None
    count: int
    expected: int
    flags: tuple[str, ...]


class WindowCutter:
    """Cuts a source's blocks into windows of its grid.

    The first window is the first that is whole from its start. A window that misses samples comes
    as a gap, and one that misses all does not come; the others stay where they are. A grid that is
    bent at `boundary` does not touch the window that is begun. `first_flags` are the first
    window's.
    """

    def __init__(self, grid: Grid, first_flags: frozenset[str] = frozenset()) -> None:
        self._grid = grid
        self._first_flags = first_flags
        self._next_index: int | None = None
        self._window_id = 0
        self._start = 0
        self._end = 0
        self._count = 0
        self._flags: frozenset[str] = frozenset()
        self._buffer: Samples = np.empty((0, 0))

    def cut(self, block: Block) -> Iterator[CutWindow]:
        """Windows that this block completes, and the torn one that it shows to be lost."""
        end = block.first_index + block.samples.shape[1]
        if self._next_index is None:
            self._next_index = self._first_whole(block.first_index)
        position = max(block.first_index, self._next_index)
        while position < end:
            if position >= self._end:
                yield from self.flush()
                self._begin(position)
            stop = min(end, self._end)
            part = block.samples[:, position - block.first_index : stop - block.first_index]
            self._flags |= block.flags
            whole = self._add(part, position)
            self._next_index = position = stop
            if whole is not None:
                yield whole

    def flush(self) -> Iterator[CutWindow]:
        """The window that is begun, torn as it is; none when no window is begun."""
        if self._count:
            flags = tuple(sorted(self._flags | {"gap"}))
            yield CutWindow(self._window_id, self._start, None, self._count, self._expected, flags)
        self._count = 0

    def follow(self, grid: Grid) -> None:
        """Go on along this grid from `boundary` on, where it has the time of the one before."""
        self._grid = grid

    @property
    def boundary(self) -> int | None:
        """The sample after the window that is begun or done; None before the first."""
        return self._end if self._next_index is not None and self._end else self._next_index

    @property
    def _expected(self) -> int:
        return self._end - self._start

    def _first_whole(self, index: int) -> int:
        window_id = self._grid.window_of(index)
        if self._grid.first_index(window_id) == index:
            return index
        return self._grid.first_index(window_id + 1)

    def _begin(self, index: int) -> None:
        if index == self._end and index > self._start:
            # The next one begins where the last one ended, though the grid was bent there.
            self._window_id, self._start = self._window_id + 1, index
        else:
            self._window_id = self._grid.window_of(index)
            self._start = min(index, self._grid.first_index(self._window_id))
        self._end = max(index + 1, self._grid.first_index(self._window_id + 1))
        self._count = 0
        self._flags, self._first_flags = self._first_flags, frozenset()

    def _add(self, part: Samples, position: int) -> CutWindow | None:
        """Take these samples; the window, when they were its last and none is missing."""
        size = part.shape[1]
        if size == self._expected:
            # The whole window in one block: no copy when the block holds nothing else.
            samples = np.ascontiguousarray(part)
        else:
            shape = (part.shape[0], self._expected)
            if self._buffer.shape != shape or self._buffer.dtype != part.dtype:
                self._buffer = np.empty(shape, part.dtype)
            offset = position - self._start
            self._buffer[:, offset : offset + size] = part
            samples = self._buffer
        self._count += size
        if self._count < self._expected:
            return None
        self._count = 0
        flags = tuple(sorted(self._flags))
        return CutWindow(
            self._window_id, self._start, samples, self._expected, self._expected, flags
        )

"""Raw samples of many sources, window by window, and the batches that analyse them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bmc_ext.sampling.analysis import AnalysisBatch, analyze_many

Rows = NDArray[np.float32]


class SampleRing:
    """The last few windows of so many sources of one rate, in memory that is taken once.

    A window of a source stands in one piece, voltages before currents, so that `analyze` reads all
    sources in place with one call of the core. A window that is not whole keeps NaN where samples
    are missing, which voids the phases (`Flag.NOT_FINITE`): nothing of an older window shows.
    """

    def __init__(
        self,
        sources: int,
        samples: int,
        sample_rate_hz: float,
        *,
        phases: int = 3,
        windows: int = 2,
    ) -> None:
        """`samples` in a window, `windows` that are kept, the one that is being written included.

        ValueError when any of them is less than 1.
        """
        if min(sources, samples, phases, windows) < 1:
            raise ValueError("a ring needs sources, samples, phases and windows")
        self.sample_rate_hz = sample_rate_hz
        self._window_ids = np.full(windows, -1, np.int64)
        shape = (windows, sources, 2, phases, samples)
        self._memory = np.zeros(shape, np.float32)
        self._written = np.zeros((windows, sources), np.int64)

    @property
    def nbytes(self) -> int:
        """Bytes of memory for the samples."""
        return self._memory.nbytes

    def put(self, source: int, window_id: int, start: int, rows: Rows) -> None:
        """Samples of one source, V and A, (2, phases, n) float32, from `start` in that window on.

        ValueError when they reach beyond the window, or it is older than the ring remembers.
        """
        slot = self._slot(window_id)
        written, end = self._written[slot, source], start + rows.shape[-1]
        if start < 0 or end > self._memory.shape[-1]:
            raise ValueError(f"samples {start} to {end} of {self._memory.shape[-1]}")
        self._memory[slot, source, :, :, start:end] = rows
        if start > written:
            self._memory[slot, source, :, :, written:start] = np.nan
        if end > written:
            self._written[slot, source] = end

    def _slot(self, window_id: int) -> int:
        slot = window_id % len(self._window_ids)
        if window_id < self._window_ids[slot]:
            raise ValueError(f"window {window_id} is gone")
        if window_id > self._window_ids[slot]:
            self._written[slot] = 0
            self._window_ids[slot] = window_id
        return slot

    def analyze(self, window_id: int, *, nominal_hz: float | None = None) -> AnalysisBatch:
        """One analysis per source; ValueError when the ring does not hold that window."""
        slot = window_id % len(self._window_ids)
        if self._window_ids[slot] != window_id:
            raise ValueError(f"window {window_id} is not in the ring")
        rows, written = self._memory[slot], self._written[slot]
        for source in np.flatnonzero(written < rows.shape[-1]):
            rows[source, :, :, written[source] :] = np.nan
        return analyze_many(rows[:, 0], rows[:, 1], self.sample_rate_hz, nominal_hz=nominal_hz)

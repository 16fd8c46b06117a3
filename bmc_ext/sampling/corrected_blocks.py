"""Blocks of a calibrated source for an observer that has no corrections of its own."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bmc_ext.sampling.analysis import ChannelCorrection
from bmc_ext.sampling.channel_calibration import ChannelCalibrations
from bmc_ext.sampling.sampler import BlockObserver
from drivers.waveforms.block import Block, WaveformSource

_KEPT_S = 0.03
"""What lies between two channels at most: 10 ms of delay each, and phase errors of 0.5 rad."""


class CorrectedBlocks:
    """Hands an observer each block with the channels' errors taken out, sample by sample.

    They are those of the ranges that the newest window chose: a step into another range is in its
    new coefficients from the window after it on.

    Delays, those of the source's `skew_s` included, and phase errors move the samples of the
    channels that are ahead back to the last one's, between samples along a straight line, which
    takes up to 1 - cos(π h f / rate) off order h (5e-4 off the fundamental at 4.8 kS/s). A phase
    error counts as a delay at the frequency of the newest window, and not before the first: that
    is exact for the fundamental, while the windows' own values have it taken out of every order.
    Where a delay is negative all samples come early by it. The samples before the first block, and
    before one that does not follow the last, are NaN.
    """

    def __init__(self, observer: BlockObserver, calibration: ChannelCalibrations) -> None:
        self._observer = observer
        self._calibration = calibration
        self._rate_hz = 1.0
        self._skew_s: tuple[float, ...] = ()
        self._next_index = -1
        self._before: NDArray[np.float64] = np.empty((0, 0))

    def begin(self, source: WaveformSource) -> None:
        """As the observer's own."""
        self._rate_hz, self._skew_s = source.sample_rate_hz, tuple(source.skew_s)
        self._next_index = -1
        self._observer.begin(source)

    def take(self, block: Block) -> None:
        """The block corrected, in the same precision; the source's samples stay as they are."""
        phases = len(block.samples) // 2
        known = self._calibration.corrections(phases)
        gain = np.array([[entry.gain] for entry in known])
        offset = np.array([[entry.offset] for entry in known])
        rows = gain * (block.samples - offset)
        rows = self._together(block, rows, self._ahead(known, phases))
        self._observer.take(replace(block, samples=rows.astype(block.samples.dtype)))

    def _ahead(self, known: Sequence[ChannelCorrection], phases: int) -> list[float]:
        """By how many samples each channel is ahead of the last one, or of its time."""
        frequency_hz = self._calibration.frequency_hz
        turn_s = 0.0 if frequency_hz is None else 1.0 / (2.0 * math.pi * frequency_hz)
        skew_s = (*(0.0,) * phases, *self._skew_s)
        ahead_s = [
            entry.delay_s + entry.phase_rad * turn_s + late_s
            for entry, late_s in zip(known, skew_s, strict=True)
        ]
        last_s = min(0.0, *ahead_s)
        return [(seconds - last_s) * self._rate_hz for seconds in ahead_s]

    def _together(
        self, block: Block, rows: NDArray[np.float64], ahead: Sequence[float]
    ) -> NDArray[np.float64]:
        """The rows, each moved back by so many samples."""
        kept = int(_KEPT_S * self._rate_hz) + 2
        if block.first_index != self._next_index or "seam" in block.flags:
            self._before = np.full((len(rows), kept), np.nan)
        self._next_index = block.first_index + rows.shape[1]
        joined = np.concatenate((self._before, rows), axis=1)
        self._before = joined[:, -kept:].copy()
        moved = [_moved(row, rows.shape[1], by) for row, by in zip(joined, ahead, strict=True)]
        return np.stack(moved)


def _moved(row: NDArray[Any], count: int, by: float) -> NDArray[Any]:
    """The last `count` samples as they were `by` samples before, on the line between two."""
    whole = math.floor(by)
    end = len(row) - whole
    share, newer = by - whole, row[end - count : end]
    return newer if share == 0.0 else newer + share * (row[end - count - 1 : end - 1] - newer)


def corrected(
    observers: Sequence[BlockObserver], calibration: ChannelCalibrations | None
) -> list[BlockObserver]:
    """The observers as they are to be given to a sampler of such a source."""
    if calibration is None:
        return list(observers)
    return [CorrectedBlocks(observer, calibration) for observer in observers]

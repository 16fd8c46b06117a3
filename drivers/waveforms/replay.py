"""A recording as a waveform source at true speed."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from fractions import Fraction

import numpy as np

from drivers.waveforms.block import Block
from drivers.waveforms.recording import Recording

_BLOCK_NS = 100_000_000
"""A replayed block is one 100 ms window (DCPI Table 1, power monitoring)."""
_CATCH_UP_S = 1.0
"""A replay that is further behind drops what it missed instead of sending it in a burst."""


class RecordingReplay:
    """A recording as a WaveformSource at true speed.

    Sample 0 falls on the next 100 ms boundary of UTC after `open`; each block is one 100 ms window
    and comes when that window has passed. With `loop` the recording repeats for ever and the block
    that holds the first sample of a repetition is flagged `seam`; without, the source is silent
    after the last whole window. Clocks are arguments so that a test brings its own.
    """

    def __init__(
        self,
        recording: Recording,
        loop: bool = True,
        *,
        wall_ns: Callable[[], int] = time.time_ns,
        monotonic_ns: Callable[[], int] = time.monotonic_ns,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.recording = recording
        self.phases = len(self.recording.pairs)
        self.sample_rate_hz = self.recording.sample_rate_hz
        self.epoch_ns = 0
        self.skew_s: Sequence[float] = self.recording.skew_s
        self._loop = loop
        self._length = self.recording.waveforms.shape[1]
        self._rate = Fraction(self.sample_rate_hz)
        self._wall_ns = wall_ns
        self._monotonic_ns = monotonic_ns
        self._sleep = sleep
        self._block = 0
        self._anchor_ns = 0

    def open(self) -> None:
        """Begin at the first sample, on the next 100 ms boundary."""
        now_ns = self._wall_ns()
        self.epoch_ns = (now_ns // _BLOCK_NS + 1) * _BLOCK_NS
        self._anchor_ns = self._monotonic_ns() + self.epoch_ns - now_ns
        self._block = 0

    def read(self, timeout_s: float) -> Block | None:
        """The next window's samples when it has passed; None when that takes longer."""
        wait_s = (self._anchor_ns + (self._block + 1) * _BLOCK_NS - self._monotonic_ns()) * 1e-9
        if wait_s < -_CATCH_UP_S:
            # Long asleep: the samples of that time are lost, as those of a live source would be.
            self._block += int(-wait_s * 1e9) // _BLOCK_NS
            wait_s = 0.0
        if wait_s > timeout_s or self._ended():
            self._sleep(timeout_s)
            return None
        if wait_s > 0.0:
            self._sleep(wait_s)
        first, following = self._first_index(self._block), self._first_index(self._block + 1)
        self._block += 1
        samples = self.recording.waveforms.take(np.arange(first, following), axis=1, mode="wrap")
        seam = first > 0 and (first - 1) // self._length != (following - 1) // self._length
        return Block(first, samples, frozenset({"seam"}) if seam else frozenset())

    def close(self) -> None:
        """Nothing is held open between blocks."""

    def _ended(self) -> bool:
        return not self._loop and self._first_index(self._block + 1) > self._length

    def _first_index(self, block: int) -> int:
        """The first sample at or after the start of this block, exactly."""
        return math.ceil(block * _BLOCK_NS * self._rate / 1_000_000_000)

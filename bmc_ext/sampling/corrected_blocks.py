"""Blocks of a calibrated source for an observer that has no corrections of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from bmc_ext.sampling.channel_calibration import ChannelCalibrations
from bmc_ext.sampling.sampler import BlockObserver
from drivers.waveforms.block import Block, Samples, WaveformSource


class CorrectedBlocks:
    """Hands an observer each block with the channels' gains and offsets taken out.

    They are those of the ranges that the newest window chose: a step into another range is in its
    new coefficients from the window after it on. Phase errors and delays stay in the samples: a
    power of them is off by tan φ · δ, 3 % of it at PF 0.5 for 17 mrad; magnitudes are not. The
    windows' own values have them taken out.
    """

    def __init__(self, observer: BlockObserver, calibration: ChannelCalibrations) -> None:
        self._observer = observer
        self._calibration = calibration

    def begin(self, source: WaveformSource) -> None:
        """As the observer's own."""
        self._observer.begin(source)

    def take(self, block: Block) -> None:
        """The block corrected, in the same precision; the source's samples stay as they are."""
        samples = _corrected(block.samples, self._calibration)
        self._observer.take(replace(block, samples=samples))


def _corrected(samples: Samples, calibration: ChannelCalibrations) -> Samples:
    """Value = gain · (sample - offset), in double precision until the end."""
    known = calibration.corrections(len(samples) // 2)
    gain = np.array([[entry.gain] for entry in known])
    offset = np.array([[entry.offset] for entry in known])
    corrected: Samples = (gain * (samples - offset)).astype(samples.dtype)
    return corrected


def corrected(
    observers: Sequence[BlockObserver], calibration: ChannelCalibrations | None
) -> list[BlockObserver]:
    """The observers as they are to be given to a sampler of such a source."""
    if calibration is None:
        return list(observers)
    return [CorrectedBlocks(observer, calibration) for observer in observers]

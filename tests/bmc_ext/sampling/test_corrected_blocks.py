"""What observers see of a calibrated source: its blocks with gains and offsets taken out."""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from datetime import date

import numpy as np
import pytest
from numpy.typing import NDArray

from bmc_ext.domain.calibration import CalibratedRange, Calibration, TemperatureEffect, Uncertainty
from bmc_ext.sampling.channel_calibration import ChannelCalibrations
from bmc_ext.sampling.corrected_blocks import CorrectedBlocks
from bmc_ext.sampling.sampler import Sampler, Window
from bmc_ext.sampling.sensor_calibration import SensorCalibration
from drivers.errors import TransportError
from drivers.reading import Quality, Reading
from drivers.waveforms.block import Block, WaveformSource

RATE_HZ, BLOCK, BLOCKS = 10_000, 200, 15
GAIN, OFFSET_A = 1.031, 7.5
HARMONICS = ((1, 1.0, 0.9), (5, 0.3, 0.2), (11, 0.08, -1.1))


def current_a(first: int) -> NDArray[np.float64]:
    """A block of the true current: 49.7 Hz with harmonics and 2 A of DC."""
    angle = 2 * np.pi * 49.7 * np.arange(first, first + BLOCK) / RATE_HZ
    waves = [share * np.cos(order * angle - lag) for order, share, lag in HARMONICS]
    return 2.0 + 90.0 * math.sqrt(2) * np.sum(waves, axis=0)


def voltage_v(first: int) -> NDArray[np.float64]:
    """A block of the true voltage."""
    angle = 2 * np.pi * 49.7 * np.arange(first, first + BLOCK) / RATE_HZ
    return 231.0 * math.sqrt(2) * np.cos(angle)


class OnePhase:
    """A source whose current sensor shows (truth / GAIN + OFFSET_A), in float32, then is lost."""

    def __init__(self) -> None:
        self.phases, self.sample_rate_hz, self.epoch_ns = 1, float(RATE_HZ), 0
        self.skew_s: Sequence[float] = (0.0,)
        self.shown: list[NDArray[np.float32]] = []

    def open(self) -> None:
        """It has just been closed or never open."""

    def read(self, timeout_s: float) -> Block | None:
        """The next block."""
        assert timeout_s > 0
        if len(self.shown) == BLOCKS:
            raise TransportError("it is over")
        first = BLOCK * len(self.shown)
        rows = np.stack([voltage_v(first), current_a(first) / GAIN + OFFSET_A])
        self.shown.append(rows.astype(np.float32))
        return Block(first, self.shown[-1], frozenset({"odd"}))

    def close(self) -> None:
        """Nothing is held."""


class Keeper:
    """An observer that keeps its blocks, each as it was during the call."""

    def __init__(self) -> None:
        self.blocks: list[Block] = []
        self.samples: list[NDArray[np.float32]] = []
        self.done = threading.Event()

    def begin(self, source: WaveformSource) -> None:
        """The source itself is handed on."""
        assert source.phases == 1

    def take(self, block: Block) -> None:
        """Keep it."""
        self.blocks.append(block)
        self.samples.append(block.samples.astype(np.float32))
        if len(self.blocks) == BLOCKS:
            self.done.set()


def calibrated(
    *ranges: CalibratedRange, effect: TemperatureEffect | None = None, temperature_c: float = 0.0
) -> ChannelCalibrations:
    """A certificate for the current."""
    now = Reading(temperature_c, "Cel", Quality.OK)
    known = Calibration(
        "f/IA", "A", "C-1", date(2026, 3, 2), date(2027, 3, 2), ranges, effect
    )  # fmt: skip
    return ChannelCalibrations({"IA": SensorCalibration(known, lambda _: now)})


def watch(calibration: ChannelCalibrations) -> tuple[Keeper, OnePhase, list[Window]]:
    """All blocks of the source through a sampler."""
    source, keeper, windows = OnePhase(), Keeper(), list[Window]()
    observer = CorrectedBlocks(keeper, calibration)
    sampler = Sampler("f", source, windows.append, observers=[observer], calibration=calibration)
    sampler.start()
    try:
        assert keeper.done.wait(5)
    finally:
        sampler.stop()
    return keeper, source, windows


def test_an_observer_reads_what_the_windows_read() -> None:
    """Samples are the truth to single precision; the source's own are as they were."""
    within = CalibratedRange(0.0, 1e4, Uncertainty(), gain=GAIN, offset=OFFSET_A)
    keeper, source, windows = watch(calibrated(within))
    for number, (block, rows) in enumerate(zip(keeper.blocks, keeper.samples, strict=True)):
        first = number * BLOCK
        assert (block.first_index, block.flags) == (first, frozenset({"odd"}))
        assert block.samples.dtype == np.float32
        assert block.samples.flags.c_contiguous
        np.testing.assert_array_equal(rows[0], voltage_v(first).astype(np.float32))
        np.testing.assert_allclose(rows[1], current_a(first), rtol=0, atol=3e-5)
        raw = current_a(first) / GAIN + OFFSET_A
        np.testing.assert_array_equal(source.shown[number][1], raw.astype(np.float32))
    power_w = np.mean([np.mean(rows[0] * rows[1]) for rows in keeper.samples[:5]])
    assert windows[0].analysis is not None
    assert power_w == pytest.approx(windows[0].analysis.total.p_mean_w, rel=1e-6)


def test_the_range_and_the_temperature_are_those_of_the_newest_window() -> None:
    """The first window still has the lowest range; the blocks after it have its own."""
    ranges = (
        CalibratedRange(0.0, 50.0, Uncertainty(), gain=3.0),
        CalibratedRange(45.0, 1e4, Uncertainty(), gain=2.0),
    )
    effect = TemperatureEffect(20.0, gain_per_k=1e-3, offset_per_k=0.1, point="t/c")
    keeper, source, _ = watch(calibrated(*ranges, effect=effect, temperature_c=45.0))
    for number, gain in ((0, 3.0), (4, 3.0), (5, 2.0), (14, 2.0)):
        expected = gain * 1.025 * (source.shown[number][1] - 2.5)
        np.testing.assert_allclose(keeper.samples[number][1], expected, rtol=2e-6, atol=1e-4)


def test_channels_are_brought_together() -> None:
    """Phase error, delay and skew of the current: the power is the truth's at PF 0.5, and stays."""
    lag, lead_rad, late_s, skew_s = math.pi / 3, 0.017, 130e-6, 40e-6
    ahead_s = lead_rad / (2 * math.pi * 50.0) + late_s + skew_s
    within = CalibratedRange(0.0, 1e4, Uncertainty(), phase_rad=lead_rad, delay_s=late_s)
    calibration, keeper = calibrated(within), Powers()
    calibration.frequency_hz = 50.0
    observer = CorrectedBlocks(keeper, calibration)
    source = OnePhase()
    source.skew_s = (skew_s,)
    observer.begin(source)
    for number in range(10):
        at_s = np.arange(BLOCK * number, BLOCK * (number + 1)) / RATE_HZ
        volts = np.cos(2 * np.pi * 50.0 * at_s)
        amperes = np.cos(2 * np.pi * 50.0 * (at_s + ahead_s) - lag)
        observer.take(Block(BLOCK * number, np.stack((volts, amperes))))
    assert keeper.mean_w[1:] == pytest.approx([0.25] * 9, rel=3e-4)
    raw_w = 0.5 * math.cos(lag - 2 * math.pi * 50.0 * ahead_s)
    assert abs(raw_w / 0.25 - 1) > 0.1  # what would be without


class Powers:
    """Keeps the mean power of each block, and how many samples of it are unknown."""

    def __init__(self) -> None:
        self.mean_w: list[float] = []
        self.unknown: list[int] = []

    def begin(self, source: WaveformSource) -> None:
        """It is the same for all."""

    def take(self, block: Block) -> None:
        """Of the first phase."""
        power_w = block.samples[0] * block.samples[1]
        self.mean_w.append(float(np.nanmean(power_w)))
        self.unknown.append(int(np.isnan(power_w).sum()))


@pytest.mark.parametrize(("delay_s", "unknown"), [(1e-3, 10), (-1e-3, 10), (1.05e-3, 11)])
def test_what_is_moved_in_from_a_gap_is_unknown(delay_s: float, unknown: int) -> None:
    """At the start, after lost samples and after a seam, by either sign; otherwise nothing is."""
    keeper = Powers()
    within = CalibratedRange(0.0, 1e4, Uncertainty(), delay_s=delay_s)
    observer = CorrectedBlocks(keeper, calibrated(within))
    observer.begin(OnePhase())
    ones = np.ones((2, BLOCK))
    for first, flags in ((0, ()), (BLOCK, ()), (3 * BLOCK, ()), (4 * BLOCK, ("seam",))):
        observer.take(Block(first, ones, frozenset(flags)))
    assert keeper.unknown == [unknown, 0, unknown, unknown]
    assert keeper.mean_w == [1.0] * 4


def test_whole_samples_are_moved_as_they_are() -> None:
    """Over the borders of blocks shorter than the delay, not a bit changes."""

    class Joined(Keeper):
        def take(self, block: Block) -> None:
            self.samples.append(block.samples.copy())

    keeper = Joined()
    within = CalibratedRange(0.0, 1e4, Uncertainty(), delay_s=30 / RATE_HZ)
    observer = CorrectedBlocks(keeper, calibrated(within))
    observer.begin(OnePhase())
    rows = np.random.default_rng(3).normal(size=(2, 400))
    for first in range(0, 400, 7):
        observer.take(Block(first, rows[:, first : first + 7]))
    joined = np.concatenate(keeper.samples, axis=1)
    np.testing.assert_array_equal(joined[0], rows[0])
    np.testing.assert_array_equal(joined[1, 30:], rows[1, :-30])

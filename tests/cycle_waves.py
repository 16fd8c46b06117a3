"""Polyphase lines in closed form for values over actual cycles, and their exact transform.

Written from the definitions alone; nothing of the analysis is used. Samples are those of a signal
that is known at any time, so that the reference is a plain DFT of exactly 10 or 12 cycles of it,
sampled anew at 8192 points.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bmc_ext.sampling.cycle_results import CycleValues
from bmc_ext.sampling.cycles import CycleAggregator, CycleResult, TenTwelveCycle

Times = NDArray[np.float64]
POINTS = 8192


@dataclass(frozen=True)
class Tone:
    """√2·rms·(1 + depth·cos(2π·beat_hz·t))·cos(2π·hz·t + angle)."""

    rms: float
    hz: float
    angle: float = 0.0
    depth: float = 0.0
    beat_hz: float = 0.0

    def at(self, times: Times) -> Times:
        """The tone at these times in s."""
        size = np.sqrt(2) * self.rms * (1 + self.depth * np.cos(2 * np.pi * self.beat_hz * times))
        return np.asarray(size * np.cos(2 * np.pi * self.hz * times + self.angle))


@dataclass(frozen=True)
class Channel:
    """A sum of tones on a mean."""

    tones: Sequence[Tone]
    mean: float = 0.0

    def at(self, times: Times) -> Times:
        """The signal at these times in s."""
        return np.asarray(self.mean + sum(tone.at(times) for tone in self.tones))

    def bins(self, start_s: float, duration_s: float) -> Times:
        """Rms of each bin of the DFT over this time, index 0 the mean: a rectangular window."""
        times = start_s + duration_s * np.arange(POINTS) / POINTS
        spectrum = np.abs(np.fft.rfft(self.at(times))) / POINTS
        return np.asarray(np.concatenate([spectrum[:1], np.sqrt(2) * spectrum[1:]]))


def times_of(rate_hz: float, seconds: float) -> Times:
    """Of the samples of so many seconds."""
    return np.asarray(np.arange(round(rate_hz * seconds)) / rate_hz)


def sampled(channels: Sequence[Channel], rate_hz: float, seconds: float) -> Times:
    """Shape (channels, samples)."""
    times = times_of(rate_hz, seconds)
    return np.array([channel.at(times) for channel in channels])


def line(hz: float, v_rms: float = 230.0, i_rms: float = 10.0, lag: float = 0.4) -> list[Channel]:
    """Three symmetrical voltages, then their currents, late by `lag` rad."""
    angles = [-2 * np.pi * k / 3 for k in range(3)]
    return [Channel([Tone(v_rms, hz, angle)]) for angle in angles] + [
        Channel([Tone(i_rms, hz, angle - lag)]) for angle in angles
    ]


def turning(turns: Times, v_rms: float | Times = 230.0, i_rms: float = 10.0) -> Times:
    """Three voltages and currents in phase whose fundamental has made so many turns."""
    angles = 2 * np.pi * (turns - np.arange(3)[:, None] / 3)
    wave = np.sqrt(2) * np.cos(angles)
    return np.concatenate([v_rms * wave, i_rms * wave])


def groups_of(bins: Times, cycles: int, h_max: int) -> dict[str, Times]:
    """Harmonics, groups, subgroups and centred interharmonic subgroups by IEC 61000-4-7."""
    found = {name: np.full(h_max + 1, np.nan) for name in ("h", "g", "sg", "isg")}
    square, half = bins**2, cycles // 2
    for order in range(1, h_max + 1):
        k = order * cycles
        found["h"][order] = bins[k]
        inner = square[k - half + 1 : k + half].sum()
        found["g"][order] = np.sqrt(inner + (square[k - half] + square[k + half]) / 2)
        found["sg"][order] = np.sqrt(square[k - 1 : k + 2].sum())
        found["isg"][order] = np.sqrt(square[k + 2 : k + cycles - 1].sum())
    return found


def run(
    samples: Times, rate_hz: float, nominal_hz: float, block: int | None = None, **options: object
) -> list[CycleResult]:
    """All results of a stream of so many samples a block."""
    phases = samples.shape[0] // 2
    aggregator = CycleAggregator(phases, rate_hz, nominal_hz, **options)  # type: ignore[arg-type]
    size = block or samples.shape[1]
    results: list[CycleResult] = []
    for start in range(0, samples.shape[1], size):
        part = np.ascontiguousarray(samples[:, start : start + size])
        results += aggregator.feed(part[:phases], part[phases:])
    return results


def of(results: Sequence[CycleResult], kind: Callable[..., CycleResult]) -> list[CycleValues]:
    """The values of one kind."""
    return [result.values for result in results if isinstance(result, kind)]  # type: ignore


def ten_twelve(
    samples: Times, rate_hz: float, nominal_hz: float, **options: object
) -> list[CycleValues]:
    """The 10/12-cycle values."""
    return of(run(samples, rate_hz, nominal_hz, **options), TenTwelveCycle)

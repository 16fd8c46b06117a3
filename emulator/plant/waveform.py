"""Samples of all hall feeds from their phasors; voltages in V, currents in A."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emulator.plant.campus import STEP_S, Campus
from emulator.plant.chance import generator
from emulator.plant.errors import FacilityError
from emulator.plant.facility import Facility
from emulator.plant.feeds import ORDERS, PHASES

CHANNELS = 2 * PHASES
"""Channels of one feed: v1 v2 v3 i1 i2 i3."""


@dataclass(frozen=True, slots=True)
class Interval:
    """One physics step for the synthesizer.

    `start_rad` is the fundamental's angle at its start and `frequency_hz` constant in it;
    `phasors` (halls, CHANNELS, orders) hold at its end and are approached linearly.
    """

    start_rad: float
    frequency_hz: float
    phasors: NDArray[np.complex128]


def phasors_of(campus: Campus) -> NDArray[np.complex128]:
    """RMS phasors of all channels now, shape (halls, CHANNELS, orders)."""
    return np.concatenate([campus.halls.voltage_v, campus.halls.current_a], axis=1)


class Synthesizer:
    """Turns consecutive intervals into samples, continuous in phase and amplitude.

    All feeds hang on one grid, so the powers of exp(j·θ) are made once for all, by multiplication;
    each channel is then a dot product with its phasors.
    """

    def __init__(self, facility: Facility, seed: int, phasors: NDArray[np.complex128]) -> None:
        per_step = facility.waveform.sample_rate_hz * STEP_S
        if per_step != int(per_step):
            rate = f"waveform/sample_rate_hz: {facility.waveform.sample_rate_hz:g}"
            raise FacilityError(f"{rate} gives no whole number of samples in {STEP_S:g} s")
        self.samples_per_step = int(per_step)
        self._time_s = np.arange(self.samples_per_step) / facility.waveform.sample_rate_hz
        self._ramp = (np.arange(self.samples_per_step) / per_step).astype(np.float32)
        self._chance = generator(seed, "waveform noise")
        phase_v = facility.grid.phase_voltage_v
        full_scale = np.repeat([phase_v, facility.halls.rated_power_w / (PHASES * phase_v)], PHASES)
        noise = full_scale * 10 ** (-facility.waveform.noise_db / 20)
        self._noise = np.tile(noise, facility.halls.count).astype(np.float32)[:, None]
        self._last = self._coefficients(phasors[None])

    def block(self, intervals: Sequence[Interval]) -> NDArray[np.float32]:
        """Samples of these intervals, shape (halls, CHANNELS, samples), C-contiguous."""
        waves = self._waves(intervals)
        ends = self._coefficients(np.stack([interval.phasors for interval in intervals]))
        starts = np.concatenate([self._last, ends[:-1]])
        self._last = ends[-1:]
        samples = np.concatenate([starts, ends], axis=2) @ np.concatenate(
            [waves * (1 - self._ramp), waves * self._ramp], axis=1
        )
        joined = samples.transpose(1, 0, 2).reshape(samples.shape[1], -1)
        joined += self._noise * self._chance.standard_normal(joined.shape, dtype=np.float32)
        feeds: NDArray[np.float32] = joined.reshape(-1, CHANNELS, joined.shape[1])
        return feeds

    def _waves(self, intervals: Sequence[Interval]) -> NDArray[np.float32]:
        """cos(h·θ) and then sin(h·θ) of every order, shape (intervals, 2·orders, samples)."""
        start = np.array([interval.start_rad for interval in intervals])
        turn = np.array([math.tau * interval.frequency_hz for interval in intervals])
        fundamental = np.exp(1j * (start[:, None] + np.outer(turn, self._time_s)))
        second = fundamental * fundamental
        rise = {2: second, 4: second * second}
        waves = np.empty((len(intervals), 2 * len(ORDERS), self.samples_per_step), np.float32)
        wave, last = fundamental, ORDERS[0]
        for position, order in enumerate(ORDERS):
            if order != last:
                wave, last = wave * rise[order - last], order
            waves[:, position] = wave.real
            waves[:, position + len(ORDERS)] = wave.imag
        return waves

    @staticmethod
    def _coefficients(phasors: NDArray[np.complex128]) -> NDArray[np.float32]:
        """√2·(Re X, −Im X) per channel, shape (intervals, channels, 2·orders)."""
        flat = phasors.reshape(len(phasors), -1, len(ORDERS))
        parts = np.concatenate([flat.real, -flat.imag], axis=2)
        return (math.sqrt(2) * parts).astype(np.float32)

"""Polyphase windows in closed form: samples together with what they must read.

Written from the definitions alone, in rms phasors per order; nothing of the analysis is used.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Phasors = NDArray[np.complex128]


@dataclass(frozen=True)
class Channels:
    """Phasors [phase][order] in rms, order 0 the DC value, and their samples [phase][sample]."""

    phasors: Phasors
    samples: NDArray[np.float64]

    @property
    def rms(self) -> NDArray[np.float64]:
        """Root of the sum of all orders' squares, DC included (Parseval)."""
        return np.sqrt((np.abs(self.phasors) ** 2).sum(axis=1))

    @property
    def thd_percent(self) -> NDArray[np.float64]:
        """Orders from 2 over order 1."""
        harmonics = np.sqrt((np.abs(self.phasors[:, 2:]) ** 2).sum(axis=1))
        return np.asarray(100 * harmonics / np.abs(self.phasors[:, 1]))


def power(voltage: Channels, current: Channels) -> NDArray[np.float64]:
    """Active power of each phase: sum over the orders of Re(V I*)."""
    return np.real(voltage.phasors * np.conj(current.phasors)).sum(axis=1)


def reachable(frequency_hz: float, rate_hz: float) -> int:
    """Highest order below 0.49 of the rate, at most 50."""
    return min(50, int(0.49 * rate_hz / frequency_hz))


def three_phase(rms: float, lag_rad: float = 0.0) -> Phasors:
    """Fundamentals of a symmetrical system, each lagging by so much."""
    return np.asarray(rms * np.exp(-1j * (2 * np.pi * np.arange(3) / 3 + lag_rad)))


def only_fundamental(fundamentals: Phasors) -> Phasors:
    """Phasors [phase][order] without DC and harmonics."""
    return np.hstack([np.zeros((len(fundamentals), 1)), fundamentals[:, None]])


def distorted(
    rng: np.random.Generator, fundamentals: Phasors, *, highest: int, thd: float, dc: float
) -> Phasors:
    """All orders at random with a total of `thd`, and DC up to `dc`, both over the fundamental."""
    phases = len(fundamentals)
    size = np.abs(fundamentals)[:, None]
    shape = (phases, highest - 1)
    harmonics = rng.exponential(size=shape) * np.exp(2j * np.pi * rng.random(shape))
    total = np.sqrt((np.abs(harmonics) ** 2).sum(axis=1, keepdims=True))
    offsets = size * rng.uniform(-dc, dc, (phases, 1))
    return np.hstack([offsets, fundamentals[:, None], size * thd * harmonics / total])


def sampled(
    phasors: Phasors,
    frequency_hz: float,
    rate_hz: float,
    samples: int,
    *,
    noise_db: float | None = None,
    bits: int | None = None,
    rng: np.random.Generator | None = None,
) -> Channels:
    """Sum of √2 |X| cos(2π h f t + ∠X), with white noise, by an ADC of ±1.6 times the peak."""
    orders = np.arange(phasors.shape[1])
    turns = np.outer(orders, np.arange(samples) * frequency_hz / rate_hz)
    rows = np.real((phasors * np.where(orders == 0, 1, np.sqrt(2))) @ np.exp(2j * np.pi * turns))
    fundamental = np.abs(phasors[:, 1:2])
    if noise_db is not None and rng is not None:
        rows += rng.normal(size=rows.shape) * fundamental * 10 ** (-noise_db / 20)
    if bits is not None:
        step = 1.6 * np.sqrt(2) * fundamental / 2 ** (bits - 1)
        rows = np.round(rows / step) * step
    return Channels(phasors, np.ascontiguousarray(rows))

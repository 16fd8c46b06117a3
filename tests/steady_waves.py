"""Random windows in which nothing moves, of loads as they are: what a flag must never be raised on.

Sums of cosines in closed form; nothing of the analysis is used.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

RATES_HZ = (4800, 5120, 6400, 7200, 8000, 9600, 12800, 15360, 20000, 25600, 32000, 48000, 51200)
LINES_HZ = (42.5, 49.9, 49.999, 50.0, 50.001, 50.1, 59.99, 60.0, 69.0)
LOADS = ("none", "6-pulse", "12-pulse", "triplen", "odd", "pulses", "notches", "any", "highest")
HIGHEST_SHARE = 0.4899

Orders = NDArray[np.complex128]


@dataclass(frozen=True)
class SteadyWindow:
    """Samples [phase][sample] in V and A, and what they are of."""

    voltage: NDArray[Any]
    current: NDArray[Any]
    rate_hz: float
    frequency_hz: float
    about: str


def _random(rng: np.random.Generator, count: int) -> Orders:
    return np.asarray(rng.exponential(size=count) * np.exp(2j * np.pi * rng.random(count)))


def _scaled(orders: Orders, total: float) -> Orders:
    size = np.sqrt((np.abs(orders) ** 2).sum())
    return orders * (total / size) if size > 0 else orders


def load_orders(rng: np.random.Generator, load: str, highest: int) -> Orders:
    """Orders 0 to `highest` of a load's current over its fundamental."""
    order = np.arange(highest + 1)
    above = order >= 2
    shape = np.zeros(highest + 1, dtype=complex)
    if load in ("6-pulse", "12-pulse"):
        pulses = int(load.split("-")[0])
        characteristic = above & ((order % pulses == 1) | (order % pulses == pulses - 1))
        shape[characteristic] = 1 / order[characteristic]
    elif load == "triplen":
        triple = order % 6 == 3
        shape[triple] = 3 * rng.uniform(0.3, 0.9) / order[triple]
    elif load == "odd":
        odd = above & (order % 2 == 1)
        shape[odd] = _scaled(_random(rng, int(odd.sum())), rng.uniform(0.6, 1.4))
    elif load == "pulses":
        odd = above & (order % 2 == 1)
        shape[odd] = np.exp(-((order[odd] / rng.uniform(8, 40)) ** 2))
    elif load == "notches":
        width, depth, at = rng.uniform(0.003, 0.02), rng.uniform(0.1, 0.6), rng.uniform(0, 0.3)
        turn = np.exp(-2j * np.pi * order[2:] * at) * (1 - (-1.0) ** order[2:])
        shape[2:] = -2 * depth * np.sin(np.pi * order[2:] * width) / (np.pi * order[2:]) * turn
    elif load == "any":
        shape[2:] = _scaled(_random(rng, highest - 1), rng.uniform(0.1, 1))
    elif load == "highest":
        shape[highest] = rng.uniform(0.01, 0.3)
    shape[1] = 1
    return shape


def _samples(
    shares: Orders, rms: float, angle_rad: float, phases: int, turns: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Each phase lags the one before by a third of a turn, its orders along with it."""
    rows = np.empty((phases, len(turns)))
    for phase in range(phases):
        turning = np.exp(1j * (2 * np.pi * (turns - phase / 3) + angle_rad))
        sum_of_orders = np.zeros(len(turns), dtype=complex)
        for share in shares[:0:-1]:
            sum_of_orders = (sum_of_orders + share) * turning
        rows[phase] = np.sqrt(2) * rms * sum_of_orders.real
    return rows


def _converted(
    rng: np.random.Generator, rows: NDArray[np.float64], rms: float, *, bits: int | None
) -> NDArray[np.float64]:
    """With 60 to 100 dB of noise or none, up to 1 % of DC, and a converter's steps."""
    noise_db = rng.choice([0, 0, 60, 70, 80, 90, 100])
    rows = rows + rms * rng.choice([0, 0.01]) * rng.uniform(-1, 1)
    if noise_db:
        rows = rows + rng.normal(size=rows.shape) * rms * 10 ** (-noise_db / 20)
    if bits:
        step = 1.1 * max(np.abs(rows).max(), np.sqrt(2) * rms) / 2 ** (bits - 1)
        rows = np.round(rows / step) * step
    return rows


def steady_window(rng: np.random.Generator) -> SteadyWindow:
    """80 to 200 ms of one to three phases, 4.8 to 51.2 kS/s, 42.5 to 69 Hz, THD of V up to 8 %."""
    rate_hz, load = float(rng.choice(RATES_HZ)), str(rng.choice(LOADS))
    frequency_hz = float(rng.choice(LINES_HZ)) if rng.random() < 0.3 else rng.uniform(42.5, 69)
    length_s = rng.uniform(0.08, 0.2) if rng.random() < 0.3 else 0.1
    highest = int(HIGHEST_SHARE * rate_hz / frequency_hz)
    if rng.random() < 0.5:
        highest = min(highest, 50)
    phases, bits = int(rng.integers(1, 4)), 16 if rng.random() < 0.4 else None
    light, angle_rad = rng.choice([1, 1, 0.05]), rng.choice([0, rng.uniform(-np.pi, np.pi)])
    dtype = np.float32 if rng.random() < 0.5 else np.float64
    turns = np.arange(round(rate_hz * length_s)) * (frequency_hz / rate_hz)
    of_voltage = np.hstack([[0, 1], _scaled(_random(rng, highest - 1), rng.uniform(0, 0.08))])
    of_current = load_orders(rng, load, highest)
    lag_rad = rng.uniform(-np.pi, np.pi)
    rows = (
        _converted(rng, _samples(of_voltage, 230, angle_rad, phases, turns), 230, bits=bits),
        _converted(
            rng,
            _samples(of_current, 16 * light, angle_rad - lag_rad, phases, turns),
            16,
            bits=bits,
        ),
    )
    return SteadyWindow(
        *(np.ascontiguousarray(each, dtype=dtype) for each in rows),
        rate_hz,
        frequency_hz,
        f"{load} load at {rate_hz:g} S/s, {frequency_hz:.6g} Hz, {length_s:.4g} s, {bits} bits",
    )

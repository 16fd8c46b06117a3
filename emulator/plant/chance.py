"""Seeded chance: the spread of real equipment round its nameplate, and slow random walks."""

from __future__ import annotations

import math
import zlib

import numpy as np
from numpy.typing import NDArray

SPREAD = 0.03
"""Half width of the spread of true constants round the nameplate."""


def generator(seed: int, purpose: str) -> np.random.Generator:
    """An independent stream of random numbers for each purpose of one seed."""
    return np.random.default_rng([seed, zlib.crc32(purpose.encode())])


def perturbed(
    chance: np.random.Generator, nameplate: float, size: int | tuple[int, ...] = ()
) -> NDArray[np.float64]:
    """True constants in the nameplate's unit, uniform within ±3 % of it."""
    return np.asarray(nameplate * chance.uniform(1 - SPREAD, 1 + SPREAD, size))


class MeanReverting:
    """An Ornstein-Uhlenbeck process round zero, in its exact discrete form.

    x' = a·x + sigma·√(1 − a²)·ξ with a = exp(−step/time constant) (Gillespie, Phys. Rev. E 54,
    2084, 1996).
    """

    def __init__(self, *, sigma: float, time_constant_s: float, step_s: float, size: int) -> None:
        self.value = np.zeros(size)
        self._keep = math.exp(-step_s / time_constant_s)
        self._kick = sigma * math.sqrt(1 - self._keep**2)

    def step(self, normals: NDArray[np.float64]) -> NDArray[np.float64]:
        """Advance by one step with standard normal draws, one per element."""
        self.value = self._keep * self.value + self._kick * normals
        return self.value

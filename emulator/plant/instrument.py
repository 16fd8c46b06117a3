"""What real instruments make of a true value: lag, gain, offset and noise within their class."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


class Instruments:
    """Several instruments of one kind, each with its own fixed errors.

    `gain` bounds the relative error, `offset` the absolute one in the value's unit; `noise` is a
    standard deviation in that unit. The first measurement shows no lag.
    """

    def __init__(
        self,
        chance: np.random.Generator,
        size: int,
        *,
        gain: float = 0.0,
        offset: float = 0.0,
        noise: float = 0.0,
        lag_s: float = 0.0,
    ) -> None:
        self._chance = chance
        self._gain = 1 + chance.uniform(-gain, gain, size)
        self._offset = chance.uniform(-offset, offset, size)
        self._noise, self._lag_s = noise, lag_s
        self._felt: Array | None = None

    def measure(self, true: Array, elapsed_s: float) -> Array:
        """What they show `elapsed_s` after the last measurement."""
        if self._felt is None or self._lag_s == 0:
            self._felt = true.copy()
        else:
            self._felt += (true - self._felt) * -math.expm1(-elapsed_s / self._lag_s)
        noise = self._noise * self._chance.standard_normal(true.size)
        return self._felt * self._gain + self._offset + noise

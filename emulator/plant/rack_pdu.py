"""The rack PDU in the first hall: outlets with IT gear on them, two on each of three lines.

The gear is part of the hall's announced and background load; a few hundred watts that are switched
off are too little to be seen in it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from emulator.plant.chance import generator, perturbed
from emulator.plant.facility import RackPduPlate
from emulator.plant.feeds import PHASES

Array = NDArray[np.float64]

OUTLETS_PER_LINE = 2
OUTLETS = PHASES * OUTLETS_PER_LINE
POWER_FACTOR = 0.97
"""Of server power supplies with active correction at half load."""

_IDLE_SHARE = 0.4  # of its full power, that gear without work draws
_LINE_SPREAD = 0.003  # between the voltages of the lines


class RackPdu:
    """Outlets by their place from 0; place 0 and 1 are on L1, and so on. All are on at the start.

    `energy_j` counts what each outlet gave; the meter keeps it over a restart.
    """

    def __init__(self, plate: RackPduPlate, seed: int) -> None:
        chance = generator(seed, "rack pdu")
        self._full_w = perturbed(chance, plate.outlet_power_w, OUTLETS)
        self._line_v = plate.line_voltage_v * (
            1 + chance.uniform(-_LINE_SPREAD, _LINE_SPREAD, PHASES)
        )
        self.is_on: NDArray[np.bool_] = np.ones(OUTLETS, dtype=bool)
        self.energy_j: Array = np.zeros(OUTLETS)

    def switch(self, outlet: int, on: bool) -> None:
        """Close or open the relay of an outlet."""
        self.is_on[outlet] = on

    def power_w(self, load: float) -> Array:
        """What each outlet gives while the hall runs at that share of its rating."""
        drawn = self._full_w * (_IDLE_SHARE + (1 - _IDLE_SHARE) * min(max(load, 0.0), 1.0))
        return np.where(self.is_on, drawn, 0.0)

    def voltage_v(self, voltage_pu: float) -> Array:
        """From line to neutral, L1 to L3."""
        return self._line_v * voltage_pu

    def count(self, power_w: Array, elapsed_s: float) -> None:
        """Add the energy of a while with that power."""
        self.energy_j += power_w * elapsed_s


def per_line(values: Array) -> Array:
    """Sums over the outlets of each line."""
    return np.asarray(values.reshape(PHASES, OUTLETS_PER_LINE).sum(axis=1))

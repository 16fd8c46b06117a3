"""Heat energy of coolant loops, counted window by window, and what is missing from it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from bmc_ext.domain.energy import EnergyRegisters, sum_of
from bmc_ext.domain.power import add_known


class HeatEnergy(NamedTuple):
    """Energies in J since the counting began, each upwards; None is unknown.

    `taken_up_j` of windows whose heat is not negative, `given_off_j` of the others. The windows of
    `registers` and its error of time are as EnergyRegisters says, its reactive ones mean nothing
    here. `counted_at` is the Unix time of the end of the newest window that counts.
    """

    taken_up_j: float | None = None
    given_off_j: float | None = None
    registers: EnergyRegisters = EnergyRegisters()
    counted_at: float | None = None

    @property
    def time_error_percent(self) -> float | None:
        """What the windows' durations may have falsified of both energies, in %."""
        return self.registers.time_error_percent(self.taken_up_j, self.given_off_j)


NO_HEAT_ENERGY = HeatEnergy()
"""Of a loop whose heat nobody counts."""


def total_heat_energy(loops: Sequence[HeatEnergy]) -> HeatEnergy:
    """Over loops: energies are known where all are; the newest window is one that all counted."""
    counted = [loop.counted_at for loop in loops if loop.counted_at is not None]
    return HeatEnergy(
        add_known([loop.taken_up_j for loop in loops]),
        add_known([loop.given_off_j for loop in loops]),
        sum_of([loop.registers for loop in loops]),
        min(counted) if counted and len(counted) == len(loops) else None,
    )

"""One consistent picture of the facility: everything that both faces render for one WindowId."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from bmc_ext.domain.energy import WINDOW_S
from bmc_ext.domain.heat_accuracy import combined_uncertainty_w
from bmc_ext.domain.heat_energy import NO_HEAT_ENERGY, HeatEnergy, total_heat_energy
from bmc_ext.domain.power import FeedValues, TotalValues, add_known
from bmc_ext.domain.quality import worst_quality
from bmc_ext.domain.redundancy import Redundancy
from drivers.reading import Condition, Quality, Reading

__all__ = ["TIME_LIMIT_S", "WINDOW_S", "LoopValues", "SiliconValues", "Snapshot"]

TIME_LIMIT_S = 1e-3
"""Time stamps right to ±1 ms are asked for (DCPI 5.2.2)."""


@dataclass(frozen=True, slots=True)
class LoopValues:
    """One coolant loop. Readings carry their own quality; heat needs all its inputs.

    Units: supply, return_ in Cel; flow in L/min; pressure in bar absolute; pump speeds in %;
    heat in W with the half width in W that its sensors allow (root sum square), whose signed terms
    in W `heat_terms_w` holds by sensor. A quantity with several sensors reads their vote, whose
    state `redundancy` holds by the name of the field. `heat_energy` is what was counted so far,
    known at any quality.
    """

    loop_id: str
    fluid: str
    quality: Quality
    supply: Reading
    return_: Reading
    flow: Reading
    pressure: Reading
    pump_speed: Reading
    pump_setpoint: Reading
    heat_w: float | None = None
    heat_uncertainty_w: float | None = None
    heat_terms_w: Mapping[str, float] = field(default_factory=dict)
    heat_conditions: tuple[Condition, ...] = ()
    heat_energy: HeatEnergy = NO_HEAT_ENERGY
    phase_state: str | None = None
    redundancy: Mapping[str, Redundancy] = field(default_factory=dict)

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """Those of all its readings and of its heat."""
        readings = (
            self.supply, self.return_, self.flow, self.pressure, self.pump_speed, self.pump_setpoint
        )  # fmt: skip
        of_readings = (entry for reading in readings for entry in reading.conditions)
        return (*of_readings, *self.heat_conditions)


@dataclass(frozen=True, slots=True)
class SiliconValues:
    """A junction temperature in Cel."""

    sensor_id: str
    temperature: Reading


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The facility in the 100 ms window `window_id` = floor(Unix time / 0.1 s) of its start.

    `time_bound_s` bounds the error of the time stamps, that of the feeds' own clocks included, by
    the word of `time_source`; both are None when the clock is not synchronised.
    """

    window_id: int
    time_bound_s: float | None
    total: TotalValues
    feeds: tuple[FeedValues, ...]
    loops: tuple[LoopValues, ...]
    silicon: tuple[SiliconValues, ...]
    time_source: str | None = None

    @property
    def time_alarm(self) -> str | None:
        """What is wrong with the time stamps, in words; None where they are within ±1 ms."""
        if self.time_bound_s is None:
            return "the clock is not synchronised: the times' error is not bounded"
        if self.time_bound_s > TIME_LIMIT_S:
            bound_ms, limit_ms = self.time_bound_s * 1e3, TIME_LIMIT_S * 1e3
            return f"the times' error is bounded by {bound_ms:.3g} ms, beyond ±{limit_ms:g} ms"
        return None

    @property
    def loops_quality(self) -> Quality:
        """The worst quality of all loops."""
        return worst_quality([loop.quality for loop in self.loops])

    @property
    def total_heat_w(self) -> float | None:
        """Heat of all loops in W; None as soon as one is unknown."""
        return add_known([loop.heat_w for loop in self.loops])

    @property
    def total_heat_uncertainty_w(self) -> float | None:
        """Half width of `total_heat_w` in W; None as soon as a loop's is unknown.

        What several loops share, a sensor or their coolant, is one error in all of them.
        """
        if self.total_heat_w is None:
            return None
        return combined_uncertainty_w(loop.heat_terms_w for loop in self.loops)

    @property
    def total_heat_energy(self) -> HeatEnergy:
        """Of all loops; unknown as soon as one is."""
        return total_heat_energy([loop.heat_energy for loop in self.loops])

    @property
    def start_s(self) -> float:
        """Unix time of the window's start in seconds."""
        return self.window_id / 10

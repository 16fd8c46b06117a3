"""One consistent picture of the facility: everything that both faces render for one WindowId."""

from __future__ import annotations

from dataclasses import dataclass

from bmc_ext.domain.power import FeedValues, TotalValues, add_known, worst_quality
from drivers.reading import Quality, Reading

WINDOW_S = 0.1
"""Length of a window in seconds (DCPI Table 1, power monitoring)."""


@dataclass(frozen=True, slots=True)
class LoopValues:
    """One coolant loop. Readings carry their own quality; heat needs all its inputs.

    Units: supply, return_ in Cel; flow in L/min; pressure in bar absolute; pump speeds in %;
    heat in W with the half width in W that its sensors allow (root sum square).
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
    phase_state: str | None = None


@dataclass(frozen=True, slots=True)
class SiliconValues:
    """A junction temperature in Cel."""

    sensor_id: str
    temperature: Reading


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The facility in the 100 ms window `window_id` = floor(Unix time / 0.1 s) of its start.

    `time_bound_s` bounds the error of the time stamps; None when the clock is not synchronised.
    """

    window_id: int
    time_bound_s: float | None
    total: TotalValues
    feeds: tuple[FeedValues, ...]
    loops: tuple[LoopValues, ...]
    silicon: tuple[SiliconValues, ...]

    @property
    def loops_quality(self) -> Quality:
        """The worst quality of all loops."""
        return worst_quality([loop.quality for loop in self.loops])

    @property
    def total_heat_w(self) -> float | None:
        """Heat of all loops in W; None as soon as one is unknown."""
        return add_known([loop.heat_w for loop in self.loops])

    @property
    def start_s(self) -> float:
        """Unix time of the window's start in seconds."""
        return self.window_id / 10

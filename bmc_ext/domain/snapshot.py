"""One consistent picture of the facility: everything that both faces render for one WindowId."""

from __future__ import annotations

from dataclasses import dataclass

from bmc_ext.domain.power import FeedValues, TotalValues
from drivers.reading import Quality, Reading

WINDOW_S = 0.1
"""Length of a window in seconds (DCPI Table 1, power monitoring)."""


@dataclass(frozen=True, slots=True)
class LoopValues:
    """One coolant loop. Readings carry their own quality; heat is None unless all its inputs are OK.

    Units: supply, return_ in Cel; flow in L/min; pressure in bar absolute; pump speeds in %;
    heat in W with its standard uncertainty in W.
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
    def start_s(self) -> float:
        """Unix time of the window's start in seconds."""
        return self.window_id / 10

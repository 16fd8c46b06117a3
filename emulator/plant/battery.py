"""The battery: state of charge, losses, and local control that needs no one above it.

Powers in W, energies in J.
"""

from __future__ import annotations

import math

import numpy as np

from emulator.plant.chance import generator, perturbed
from emulator.plant.facility import BatteryPlate

_RESPONSE_TIME_S = 0.1  # inverter and its measurement
_LOWEST_SOC, _HIGHEST_SOC = 0.05, 0.95
_RESTORE_POWER = 0.05  # of rated power, reached at a tenth of the capacity away from the target


class Battery:
    """One battery on its own feed; power is import positive, so charging is positive.

    It answers frequency by droop, discharges to hold the site under its limit, and otherwise drifts
    back to its initial state of charge. `standby_w` always comes from the feed.
    """

    def __init__(self, plate: BatteryPlate, nominal_hz: float, seed: int, step_s: float) -> None:
        chance = generator(seed, "battery")
        self._rated_w = plate.rated_power_w
        self._capacity_j = float(perturbed(chance, plate.capacity_j))
        self._efficiency = 1 - float(perturbed(chance, 1 - plate.one_way_efficiency))
        self.standby_w = float(perturbed(chance, plate.standby_power_w))
        self._droop_w_per_hz, self._deadband_hz = plate.droop_w_per_hz, plate.droop_deadband_hz
        self._nominal_hz, self._step_s = nominal_hz, step_s
        self._target_soc = plate.initial_soc
        self.soc = plate.initial_soc
        self._inverter_w = 0.0

    @property
    def power_w(self) -> float:
        """Power at the feed's meter: inverter and standby."""
        return self._inverter_w + self.standby_w

    def step(self, frequency_hz: float, others_w: float, limit_w: float) -> None:
        """Advance by one step; `others_w` is the rest of the site, `limit_w` its contract."""
        wanted_w = min(
            self._droop_w(frequency_hz) + self._restore_w(),
            limit_w - others_w - self.standby_w,
        )
        allowed_w = float(np.clip(wanted_w, *self._window_w()))
        lag = -math.expm1(-self._step_s / _RESPONSE_TIME_S)
        self._inverter_w += (allowed_w - self._inverter_w) * lag
        efficiency = self._efficiency if self._inverter_w > 0 else 1 / self._efficiency
        self.soc += self._inverter_w * efficiency * self._step_s / self._capacity_j

    def _window_w(self) -> tuple[float, float]:
        """Lowest and highest inverter power that rating and state of charge allow."""
        discharge_w = -self._rated_w if self.soc > _LOWEST_SOC else 0.0
        charge_w = self._rated_w if self.soc < _HIGHEST_SOC else 0.0
        return discharge_w, charge_w

    def _droop_w(self, frequency_hz: float) -> float:
        deviation_hz = frequency_hz - self._nominal_hz
        beyond_hz = max(abs(deviation_hz) - self._deadband_hz, 0.0)
        return self._droop_w_per_hz * math.copysign(beyond_hz, deviation_hz)

    def _restore_w(self) -> float:
        share = max(-1.0, min(1.0, (self._target_soc - self.soc) / 0.1))
        return _RESTORE_POWER * self._rated_w * share

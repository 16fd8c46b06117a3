"""The whole campus as pure physics in fixed steps: no I/O, no clock, bit-identical for a seed."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from emulator.plant.battery import Battery
from emulator.plant.chance import generator, perturbed
from emulator.plant.coolant import Coolant
from emulator.plant.facility import Facility
from emulator.plant.feeds import Grid, HallFeeds, MeteredFeed
from emulator.plant.it_load import ItLoad
from emulator.plant.rack_pdu import RackPdu

STEP_S = 0.01
"""Length of one physics step in s."""

_FAN_TIME_S = 20.0  # fans and facility pumps follow the heat
_METERED_PF = {"cooling": 0.93, "battery": 0.995}  # drives with line reactors; an active inverter


class Campus:
    """A campus that advances by `step()`; all of its randomness comes from `seed`.

    P_grid = P_halls + P_cooling + P_battery, import and charging positive, in W. Everything that a
    hall draws becomes heat in its silicon and leaves through its loops. Power changes linearly
    within a step, so energies are trapezoidal sums in J.
    """

    def __init__(self, facility: Facility, seed: int, start_unix_s: float) -> None:
        self.facility = facility
        self.steps = 0
        self.leaking: set[str] = set()
        """Loops under which it is wet; what is lost is too little to be seen in the flow."""
        self._start_unix_s = start_unix_s
        self.grid = Grid(facility.grid, seed, STEP_S)
        self.it = ItLoad(facility.halls, seed, STEP_S)
        self.coolant = Coolant(facility, seed, STEP_S, self.it.power_w)
        self.halls = HallFeeds(facility, seed)
        self.battery = Battery(facility.battery, facility.grid.nominal_hz, seed, STEP_S)
        self.rack_pdu = RackPdu(facility.rack_pdu, seed)
        chance = generator(seed, "cooling feed")
        plate = facility.cooling_feed
        self._cooling_base_w = float(perturbed(chance, plate.base_power_w))
        self._cooling_per_heat = float(perturbed(chance, plate.power_per_heat))
        self._fan_w = self._cooling_per_heat * float(self.coolant.rejected_w.sum())
        self.halls.step(self.it.power_w, self.grid.voltage_pu)
        self.import_j = dict.fromkeys(self.feed_ids, 0.0)
        self.export_j = dict.fromkeys(self.feed_ids, 0.0)
        self._last_power_w = self.feed_powers_w()

    @property
    def feed_ids(self) -> tuple[str, ...]:
        """The halls' incomers, then `cooling` and `battery`."""
        return (*self.facility.hall_ids, "cooling", "battery")

    @property
    def unix_s(self) -> float:
        """Plant time: the end of the last step."""
        return self._start_unix_s + self.steps * STEP_S

    @property
    def cooling_power_w(self) -> float:
        """Pumps, fans and facility water."""
        return self._cooling_base_w + self.coolant.pump_power_w + self._fan_w

    @property
    def site_power_w(self) -> float:
        """Power at the grid connection, import positive."""
        return math.fsum(self.feed_powers_w().values())

    def step(self) -> None:
        """Advance by STEP_S."""
        self.steps += 1
        self.grid.step()
        hall_w = self.it.step(self.unix_s)
        self.halls.step(hall_w, self.grid.voltage_pu)
        self.coolant.step(hall_w)
        fan_w = self._cooling_per_heat * float(self.coolant.rejected_w.sum())
        self._fan_w += (fan_w - self._fan_w) * STEP_S / _FAN_TIME_S
        self.battery.step(
            self.grid.frequency_hz,
            float(hall_w.sum()) + self.cooling_power_w,
            self.facility.facility.contract_limit_w,
        )
        self._count_energy()

    def skip(self, steps: int) -> None:
        """Let time pass without physics, where a stall was too long to be caught up."""
        self.steps += steps

    def feed_powers_w(self) -> dict[str, float]:
        """Active power of every feed, import positive."""
        halls = zip(self.facility.hall_ids, self.it.power_w.tolist(), strict=True)
        return {**dict(halls), "cooling": self.cooling_power_w, "battery": self.battery.power_w}

    @property
    def outlets_w(self) -> NDArray[np.float64]:
        """What each outlet of the rack PDU gives, with the load of the first hall."""
        load = float(self.it.power_w[0]) / self.facility.halls.rated_power_w
        return self.rack_pdu.power_w(load)

    def metered(self, feed_id: str) -> MeteredFeed:
        """The state of a metered feed, `cooling` or `battery`. Unknown: KeyError."""
        line_v = self.facility.metered[feed_id].voltage_v * self.grid.voltage_pu
        return MeteredFeed(
            power_w=self.feed_powers_w()[feed_id],
            power_factor=_METERED_PF[feed_id],
            phase_voltage_v=line_v / math.sqrt(3),
        )

    def _count_energy(self) -> None:
        for feed_id, power_w in (powers := self.feed_powers_w()).items():
            energy_j = 0.5 * (power_w + self._last_power_w[feed_id]) * STEP_S
            if energy_j > 0:
                self.import_j[feed_id] += energy_j
            else:
                self.export_j[feed_id] -= energy_j
        self._last_power_w = powers

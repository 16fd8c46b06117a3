"""Coolant loops from silicon to facility water: pumps, flows, pressures, temperatures.

Every loop is a closed ring of well-mixed volumes (exchanger, supply pipe, cold plates, return pipe)
through which its flow advects: what leaves one volume enters the next, so heat is conserved exactly
and the pipes delay. Arrays have one element per loop unless they say per hall.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from emulator.plant.chance import MeanReverting, generator, perturbed
from emulator.plant.facility import Facility

Array = NDArray[np.float64]

WATER_J_PER_M3_K = 4.147e6
"""ρ·cp of water at 40 °C (IAPWS-95, as CoolProp gives it)."""

_LPM_PER_M3_S = 60_000.0
_SUPPLY_CELLS, _RETURN_CELLS = (
    6,
    8,
)  # a chain of well-mixed cells delays like a pipe with some mixing
_EXCHANGER, _SUPPLY_END = 0, _SUPPLY_CELLS
_PLATES, _RETURN_END = _SUPPLY_CELLS + 1, _SUPPLY_CELLS + 1 + _RETURN_CELLS

_PUMP_TIME_S, _FLOW_TIME_S = 0.5, 0.3  # inertia of rotor and of the water column
_CURVATURE = 0.05  # a real pump's flow falls a little below proportional at part speed
_NATURAL_CIRCULATION = 0.002  # of rated flow: hot water rises even past a stopped pump
_FILM_EXPONENT = (
    0.6  # Nu ~ Re^0.8 (Dittus-Boelter), in series with a fixed chip-to-plate resistance
)
_EXCHANGER_EXPONENT = 0.5  # likewise with a fixed facility-water side
_LIMITER_GAIN, _LIMITER_RESET_S = 1.0, 20.0  # %/K; slow, for the water takes 20 s round the loop
_VALVE_GAIN_PER_K, _VALVE_RESET_S, _VALVE_STROKE_S = 0.04, 20.0, 20.0
_WATER_SIGMA_K, _WATER_TIME_S = 0.3, 600.0


class Coolant:
    """The loops of all halls and the silicon they cool.

    `reference_percent` is what the drives were told, `stopped` which pumps stand still all the
    same. The rest is state: `speed_percent`, `flow_m3_s`, `temperature_c` (ring position, loop),
    `silicon_c` (per hall), `rejected_w` (per loop, into facility water) and the running totals
    `absorbed_j` and `rejected_j`.
    """

    def __init__(self, facility: Facility, seed: int, step_s: float, hall_heat_w: Array) -> None:
        plate = facility.loops
        halls, self._per_hall = facility.halls.count, plate.per_hall
        loops = halls * plate.per_hall
        chance = generator(seed, "coolant")
        self._chance, self._step_s = chance, step_s
        self._set_point_c, self._protection_c = plate.supply_c, plate.protection_c
        self._static_bar = plate.static_pressure_bar
        self._rated_m3_s = perturbed(chance, plate.rated_flow_lpm, loops) / _LPM_PER_M3_S
        self._rise_bar = perturbed(chance, plate.rated_pressure_rise_bar, loops)
        self._rated_pump_w = perturbed(chance, plate.rated_pump_power_w, loops)
        self._ntu = perturbed(chance, plate.exchanger_ntu, loops)
        conductance = facility.silicon.conductance_w_per_k / plate.per_hall
        self._plate_w_per_k = perturbed(chance, conductance, loops)
        self._silicon_j_per_k = perturbed(chance, facility.silicon.heat_capacity_j_per_k, halls)
        self._ring_j_per_k = WATER_J_PER_M3_K * self._volumes_m3(facility)
        self._water_mean_c = facility.facility_water.supply_c
        self._water = MeanReverting(
            sigma=_WATER_SIGMA_K, time_constant_s=_WATER_TIME_S, step_s=step_s, size=1
        )

        self.reference_percent = np.full(loops, plate.default_speed_percent)
        self.stopped = np.zeros(loops, dtype=bool)
        self._limiter_integral = np.zeros(loops)
        self.speed_percent = self.reference_percent.copy()
        self.flow_m3_s = self._flow_at(self.speed_percent)
        self.temperature_c = np.empty((_RETURN_END + 1, loops))
        self.silicon_c = np.empty(halls)
        self._valve = self._valve_integral = np.zeros(loops)
        self.rejected_w = np.zeros(loops)
        self.absorbed_j = self.rejected_j = 0.0
        self._settle(hall_heat_w)

    @property
    def flow_lpm(self) -> Array:
        """Volume flow of each loop."""
        return self.flow_m3_s * _LPM_PER_M3_S

    @property
    def supply_c(self) -> Array:
        """Temperature at the exchanger's outlet, where the supply sensor sits."""
        supply_c: Array = self.temperature_c[_EXCHANGER]
        return supply_c

    @property
    def return_c(self) -> Array:
        """Temperature at the end of the return pipe, where the return sensor sits."""
        return_c: Array = self.temperature_c[_RETURN_END]
        return return_c

    @property
    def pressure_bar(self) -> Array:
        """Absolute pressure behind each pump: static plus a rise with the square of the flow."""
        return self._static_bar + self._rise_bar * (self.flow_m3_s / self._rated_m3_s) ** 2

    @property
    def heat_w(self) -> Array:
        """Heat between the two sensors of each loop, ρ·cp·flow·(return − supply)."""
        return WATER_J_PER_M3_K * self.flow_m3_s * (self.return_c - self.supply_c)

    @property
    def facility_water_c(self) -> float:
        """Supply temperature of the facility water."""
        return self._water_mean_c + float(self._water.value[0])

    @property
    def pump_power_w(self) -> float:
        """Electrical power of all pumps: cubic in speed (affinity laws)."""
        return float((self._rated_pump_w * (self.speed_percent / 100) ** 3).sum())

    @property
    def stored_j(self) -> float:
        """Heat held by silicon and coolant, counted from 0 °C."""
        water = (self._ring_j_per_k * self.temperature_c).sum()
        return float(water + (self._silicon_j_per_k * self.silicon_c).sum())

    def step(self, hall_heat_w: Array) -> None:
        """Advance by one step with this heat per hall in W."""
        self._turn_pumps()
        self._water.step(self._chance.standard_normal(1))
        capacity_w_per_k = WATER_J_PER_M3_K * self.flow_m3_s
        collected_w = capacity_w_per_k * self._plate_effectiveness() * (
            np.repeat(self.silicon_c, self._per_hall) - self.temperature_c[_SUPPLY_END]
        )  # fmt: skip
        self._move_valves()
        self.rejected_w = (
            self._valve * self._exchanger_effectiveness() * capacity_w_per_k
            * (self.return_c - self.facility_water_c)
        )  # fmt: skip
        self._exchange(capacity_w_per_k, collected_w)
        per_hall_w = collected_w.reshape(-1, self._per_hall).sum(axis=1)
        self.silicon_c += (hall_heat_w - per_hall_w) * self._step_s / self._silicon_j_per_k
        self.absorbed_j += float(hall_heat_w.sum()) * self._step_s
        self.rejected_j += float(self.rejected_w.sum()) * self._step_s

    def _exchange(self, capacity_w_per_k: Array, collected_w: Array) -> None:
        """Advect round the ring (first order upwind), heat the plates, cool the exchangers."""
        upstream_c = np.roll(self.temperature_c, 1, axis=0)
        heat_w = capacity_w_per_k * (upstream_c - self.temperature_c)
        heat_w[_PLATES] += collected_w
        heat_w[_EXCHANGER] -= self.rejected_w
        self.temperature_c += heat_w * (self._step_s / self._ring_j_per_k)

    def _turn_pumps(self) -> None:
        wanted = np.minimum(self.reference_percent + self._limiter_percent(), 100.0)
        wanted = np.where(self.stopped, 0.0, wanted)
        self.speed_percent += (wanted - self.speed_percent) * -math.expm1(
            -self._step_s / _PUMP_TIME_S
        )
        aim = self._flow_at(self.speed_percent)
        self.flow_m3_s += (aim - self.flow_m3_s) * -math.expm1(-self._step_s / _FLOW_TIME_S)

    def _limiter_percent(self) -> Array:
        """Speed that the pumps' own return temperature limiters add (proportional-integral)."""
        excess = _LIMITER_GAIN * (self.return_c - self._protection_c)
        integral = self._limiter_integral + excess * (self._step_s / _LIMITER_RESET_S)
        self._limiter_integral = np.clip(integral, 0.0, 100.0)
        return np.maximum(self._limiter_integral + excess, 0.0)

    def _flow_at(self, speed_percent: Array) -> Array:
        speed = speed_percent / 100
        curve = speed * (1 - _CURVATURE * (1 - speed))
        return self._rated_m3_s * np.maximum(curve, _NATURAL_CIRCULATION)

    def _plate_effectiveness(self) -> Array:
        """ε = 1 − exp(−NTU) against a wall of one temperature, which the silicon is."""
        film = (self.flow_m3_s / self._rated_m3_s) ** _FILM_EXPONENT
        ntu = self._plate_w_per_k * film / (WATER_J_PER_M3_K * self.flow_m3_s)
        return -np.expm1(-ntu)

    def _exchanger_effectiveness(self) -> Array:
        """ε = 1 − exp(−NTU) against facility water in ample flow."""
        relative = self.flow_m3_s / self._rated_m3_s
        return -np.expm1(-self._ntu * relative ** (_EXCHANGER_EXPONENT - 1))

    def _move_valves(self) -> None:
        """Proportional-integral control of the facility-water valve on the supply temperature."""
        error_k = self.supply_c - self._set_point_c
        gain = _VALVE_GAIN_PER_K * self._step_s / _VALVE_RESET_S
        self._valve_integral = np.clip(self._valve_integral + gain * error_k, 0.0, 1.0)
        wanted = np.clip(self._valve_integral + _VALVE_GAIN_PER_K * error_k, 0.0, 1.0)
        stroke = self._step_s / _VALVE_STROKE_S
        self._valve += np.clip(wanted - self._valve, -stroke, stroke)

    def _settle(self, hall_heat_w: Array) -> None:
        """Start in the steady state that this heat would reach."""
        capacity = WATER_J_PER_M3_K * self.flow_m3_s
        conductance = (capacity * self._plate_effectiveness()).reshape(-1, self._per_hall)
        rise_k = hall_heat_w / conductance.sum(axis=1)
        self.silicon_c = self._set_point_c + rise_k
        warm_c = self._set_point_c + np.repeat(rise_k, self._per_hall) * self._plate_effectiveness()
        self.temperature_c[:_PLATES] = self._set_point_c
        self.temperature_c[_PLATES:] = warm_c
        needed = (warm_c - self._set_point_c) / (warm_c - self._water_mean_c)
        self._valve = np.clip(needed / self._exchanger_effectiveness(), 0.0, 1.0)
        self._valve_integral = self._valve.copy()
        self.rejected_w = capacity * (warm_c - self._set_point_c)

    def _volumes_m3(self, facility: Facility) -> Array:
        """Volume of every ring position and loop, perturbed per loop."""
        plate = facility.loops
        litres = np.array(
            [plate.exchanger_l]
            + [plate.supply_pipe_l / _SUPPLY_CELLS] * _SUPPLY_CELLS
            + [plate.plates_l]
            + [plate.return_pipe_l / _RETURN_CELLS] * _RETURN_CELLS
        )
        return np.outer(litres / 1000, perturbed(self._chance, 1.0, self._rated_m3_s.size))

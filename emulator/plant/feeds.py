"""The electrical side: grid, halls' incomers as phasors up to the 25th harmonic, metered feeds.

Phasors are RMS values of x(t) = √2·Re Σ X_h·exp(j·h·θ(t)); currents flow into the site.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emulator.plant.chance import MeanReverting, generator, perturbed
from emulator.plant.facility import Facility, GridPlate

Array = NDArray[np.float64]
Phasors = NDArray[np.complex128]

ORDERS = (1, 5, 7, 11, 13, 17, 19, 23, 25)
"""Orders that a six-pulse rectifier front draws (6k ± 1), with the fundamental first."""

PHASES = 3

_FREQUENCY_SLOW, _FREQUENCY_FAST = (0.012, 60.0), (0.003, 3.0)  # sigma in Hz, time constant in s
_FREQUENCY_SPAN_HZ = 0.05
_VOLTAGE_WALK = (0.004, 120.0)  # sigma relative to nominal, time constant in s
_PHASE_UNBALANCE = 0.1  # of the plant's ±3 % spread: ±0.3 % between phases

# Model of power supplies with active correction: distortion and displacement are worst at light
# load because filter capacitors and switching noise stay while the fundamental shrinks.
_LIGHT_LOAD = 0.25  # of rated power, over which the light-load part fades by 1/e
_FULL_PERCENT = (2.4, 1.6, 1.1, 0.8, 0.5, 0.4, 0.3, 0.25)
_LIGHT_PERCENT = (12.0, 7.0, 4.0, 3.0, 1.6, 1.2, 0.8, 0.6)
_FULL_DPF, _LIGHT_DPF = 0.99, 0.045
_BACKGROUND_PERCENT = (
    0.6,
    0.4,
    0.15,
    0.1,
    0.05,
    0.05,
    0.03,
    0.03,
)  # of nominal voltage, others' doing


class Grid:
    """Frequency, wandering within ±0.05 Hz, and the common voltage in per unit of nominal.

    A disturbance adds `offset_hz` to the one and multiplies the other by `disturbance_pu`.
    """

    def __init__(self, plate: GridPlate, seed: int, step_s: float) -> None:
        self._chance = generator(seed, "grid")
        self._nominal_hz, self._step_s = plate.nominal_hz, step_s
        self._walks = [
            MeanReverting(sigma=sigma, time_constant_s=time_s, step_s=step_s, size=1)
            for sigma, time_s in (_FREQUENCY_SLOW, _FREQUENCY_FAST, _VOLTAGE_WALK)
        ]
        self.frequency_hz = plate.nominal_hz
        self.voltage_pu = 1.0
        self.offset_hz, self.disturbance_pu = 0.0, 1.0
        self.angle_rad = 0.0

    def step(self) -> None:
        """Advance by one step; `angle_rad` is then that of the fundamental at the step's end."""
        slow, fast, voltage = (
            float(process.step(draw)[0])
            for process, draw in zip(self._walks, self._chance.standard_normal((3, 1)), strict=True)
        )
        wander_hz = max(-_FREQUENCY_SPAN_HZ, min(_FREQUENCY_SPAN_HZ, slow + fast))
        self.frequency_hz = self._nominal_hz + wander_hz + self.offset_hz
        self.voltage_pu = (1.0 + voltage) * self.disturbance_pu
        turn_rad = math.tau * self.frequency_hz * self._step_s
        self.angle_rad = math.fmod(self.angle_rad + turn_rad, math.tau)


class HallFeeds:
    """The incomers of all halls.

    After each step `voltage_v` and `current_a` hold phasors of shape (halls, 3, orders) whose
    active power is exactly the hall's power.
    """

    def __init__(self, facility: Facility, seed: int) -> None:
        chance = generator(seed, "hall feeds")
        halls = facility.halls.count
        plate = facility.grid
        self._rated_w = facility.halls.rated_power_w
        unbalance = 1 + _PHASE_UNBALANCE * (perturbed(chance, 1.0, (halls, PHASES)) - 1)
        self._source_v = plate.phase_voltage_v * unbalance
        share = perturbed(chance, 1.0, (halls, PHASES))
        self._share = share / share.sum(axis=1, keepdims=True)
        self._full = perturbed(chance, 0.01, (halls, len(ORDERS) - 1)) * _FULL_PERCENT
        self._light = perturbed(chance, 0.01, (halls, len(ORDERS) - 1)) * _LIGHT_PERCENT
        self._full_dpf = 1 - perturbed(chance, 1 - _FULL_DPF, halls)
        self._light_dpf = perturbed(chance, _LIGHT_DPF, halls)

        impedance_ohm = perturbed(chance, plate.voltage_v**2 / plate.short_circuit_va, halls)
        self._r_ohm = impedance_ohm / math.hypot(1.0, plate.x_over_r)
        self._x_ohm = self._r_ohm * plate.x_over_r
        orders = np.array(ORDERS)
        self._z_ohm = self._r_ohm[:, None] + 1j * np.outer(self._x_ohm, orders[1:])
        self._draw = np.exp(1j * chance.uniform(-math.pi, math.pi, (halls, len(ORDERS) - 1)))
        angle = chance.uniform(-math.pi, math.pi, (halls, len(ORDERS) - 1))
        self._background = 0.01 * np.array(_BACKGROUND_PERCENT) * np.exp(1j * angle)
        # Phase k lags by k·120° of its own order: 5th and 11th turn backwards by themselves.
        self._turn = np.exp(-1j * math.tau / PHASES * np.outer(np.arange(PHASES), orders))
        self.voltage_v: Phasors = np.zeros((halls, PHASES, len(ORDERS)), dtype=np.complex128)
        self.current_a: Phasors = np.zeros_like(self.voltage_v)

    def step(self, power_w: Array, voltage_pu: float) -> None:
        """Take the phasors for this power per hall in W.

        The quadrature part of the voltage drop only turns the phasor (< 2°) and is left out.
        """
        fade = np.exp(-power_w / (self._rated_w * _LIGHT_LOAD))
        dpf = (self._full_dpf - self._light_dpf * fade)[:, None]
        sine = np.sqrt(1 - dpf**2)
        phase_w = power_w[:, None] * self._share
        source_v = self._source_v * voltage_pu
        estimate_a = phase_w / (source_v * dpf)
        v1 = source_v - estimate_a * (self._r_ohm[:, None] * dpf + self._x_ohm[:, None] * sine)
        drawn = (self._full + self._light * fade[:, None]) * self._draw
        i_h = estimate_a[:, :, None] * drawn[:, None, :]
        v_h = source_v[:, :, None] * self._background[:, None, :] - self._z_ohm[:, None, :] * i_h
        harmonic_w = (v_h * i_h.conj()).real.sum(axis=2)
        i1 = (phase_w - harmonic_w) / (v1 * dpf)
        voltage = np.concatenate([v1[:, :, None], v_h], axis=2)
        current = np.concatenate([(i1 * (dpf - 1j * sine))[:, :, None], i_h], axis=2)
        self.voltage_v = voltage * self._turn
        self.current_a = current * self._turn

    @property
    def power_w(self) -> Array:
        """Active power per hall, harmonics included: Re Σ V·I* over phases and orders."""
        return np.asarray((self.voltage_v * self.current_a.conj()).real.sum(axis=(1, 2)))

    @property
    def q1_var(self) -> Array:
        """Fundamental reactive power per hall, Im(V1·I1*) over phases (IEEE 1459)."""
        return np.asarray((self.voltage_v * self.current_a.conj())[:, :, 0].imag.sum(axis=1))

    def quantities(self, hall: int) -> dict[str, float]:
        """What a perfect instrument would read at one hall: totals, and means over the phases."""
        volts, amps = np.abs(self.voltage_v[hall]), np.abs(self.current_a[hall])
        v_rms, i_rms = np.sqrt((volts**2).sum(axis=1)), np.sqrt((amps**2).sum(axis=1))
        power_w, q_var = float(self.power_w[hall]), float(self.q1_var[hall])
        p1_w = float((self.voltage_v[hall, :, 0] * self.current_a[hall, :, 0].conj()).real.sum())
        s_va = float((v_rms * i_rms).sum())
        return {
            "p_w": power_w,
            "q_var": q_var,
            "s_va": s_va,
            "pf": power_w / s_va,
            "dpf": p1_w / math.hypot(p1_w, q_var),
            "v_rms_v": float(v_rms.mean()),
            "i_rms_a": float(i_rms.mean()),
            "thd_v_percent": _thd_percent(volts),
            "thd_i_percent": _thd_percent(amps),
        }


def _thd_percent(magnitudes: Array) -> float:
    """THD-F of phasor magnitudes (phases, orders), mean over the phases (THD-F, IEC 61000-4-7)."""
    harmonics = np.sqrt((magnitudes[:, 1:] ** 2).sum(axis=1))
    return float(100 * (harmonics / magnitudes[:, 0]).mean())


@dataclass(frozen=True, slots=True)
class MeteredFeed:
    """A three-phase feed seen by a meter: sinusoidal and balanced; power in W, import positive."""

    power_w: float
    power_factor: float
    phase_voltage_v: float

    def quantities(self) -> dict[str, float]:
        """What a perfect meter would read: totals in W, var, VA; one phase's V and A."""
        s_va = abs(self.power_w) / self.power_factor
        return {
            "p_w": self.power_w,
            "q_var": math.sqrt(max(s_va**2 - self.power_w**2, 0.0)),
            "s_va": s_va,
            "pf": math.copysign(self.power_factor, self.power_w),
            "v_rms_v": self.phase_voltage_v,
            "i_rms_a": s_va / (PHASES * self.phase_voltage_v),
        }

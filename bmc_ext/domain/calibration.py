"""What a calibration certificate says of a sensor, and what follows for a value.

    value = gain · (1 + gain_per_k · ΔT) · (reading - offset - offset_per_k · ΔT)

with ΔT = T - reference. A sensor may have several ranges, each with its own coefficients.
Uncertainties are expanded ones, k = 2 (JCGM 100:2008, 6.2); independent ones add as root sum square
(5.1.2). Outside of all ranges the certificate says nothing: the uncertainty is unknown, and the
value is marked.
"""

from __future__ import annotations

import calendar
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import MAXYEAR, date
from typing import NamedTuple

HYSTERESIS = 0.02
"""A range is left when the magnitude is this share beyond its limit, so that none chatters."""

MONTHS_BY_UNIT = {"W": 12, "V": 12, "A": 12, "L/min": 12, "bar": 12, "Cel": 6}
"""Calibration intervals of DCPI 5.2.3, Table 2; V and A are what power is measured from."""

_FARTHEST_K = 200.0  # a temperature further from the reference is a fault, not an ambient


@dataclass(frozen=True, slots=True)
class Uncertainty:
    """Expanded uncertainty, k = 2, in the sensor's unit; the phase's is apart, in rad.

    Percent of the reading, percent of the range's upper limit and the absolute part add up.
    """

    pct_reading: float = 0.0
    pct_range: float = 0.0
    absolute: float = 0.0
    phase_rad: float = 0.0

    def of(self, value: float, full_scale: float) -> float:
        """Half width at a value, in the sensor's unit."""
        percent = self.pct_reading * abs(value) + self.pct_range * full_scale
        return percent / 100.0 + self.absolute


@dataclass(frozen=True, slots=True)
class CalibratedRange:
    """Coefficients between two magnitudes of the corrected value, in the sensor's unit.

    `gain` and `phase_rad` are a complex gain: how the sensor's signal leads, the same at every
    order; `delay_s` is how late its samples are taken. Both are for waveform channels, and the
    phase for active power.
    """

    low: float
    high: float
    uncertainty: Uncertainty
    gain: float = 1.0
    offset: float = 0.0
    phase_rad: float = 0.0
    delay_s: float = 0.0


@dataclass(frozen=True, slots=True)
class TemperatureEffect:
    """How gain (relative, 1/K) and offset (unit/K) move with the sensor's temperature.

    `point` (`device/point`) measures that; while it is unknown, `unknown` adds to the uncertainty.
    """

    reference_c: float
    gain_per_k: float = 0.0
    offset_per_k: float = 0.0
    point: str | None = None
    unknown: Uncertainty = Uncertainty()


@dataclass(frozen=True, slots=True)
class Calibration:
    """One sensor's certificate: `sensor` is `device/point`, or `source/IA` for a waveform channel.

    `ranges` ascend without gaps. `due` is the last day on which it holds. `origin` is the file.
    """

    sensor: str
    unit: str
    certificate: str
    calibrated_on: date
    due: date
    ranges: tuple[CalibratedRange, ...]
    temperature: TemperatureEffect | None = None
    origin: str = "calibration"

    @property
    def place(self) -> str:
        """Where its mistakes are: file and sensor."""
        return f"{self.origin}: {self.sensor}"


class Coefficients(NamedTuple):
    """What holds for one value: the range with the temperature taken in.

    `temperature_known` is False only where a temperature matters and is not known.
    """

    gain: float
    offset: float
    phase_rad: float
    delay_s: float
    temperature_known: bool


def interval_end(calibrated_on: date, months: int) -> date:
    """The same day so many months on, or that month's last; never beyond the last year."""
    years, month = divmod(calibrated_on.month - 1 + months, 12)
    year, month = min(calibrated_on.year + years, MAXYEAR), month + 1
    last = calendar.monthrange(year, month)[1]
    return date(year, month, min(calibrated_on.day, last))


def range_index(ranges: Sequence[CalibratedRange], present: int | None, magnitude: float) -> int:
    """The range for a magnitude: the present one until it is left, else the lowest that holds it.

    Above all ranges it is the highest, below all the lowest.
    """
    if present is not None:
        low, high = ranges[present].low, ranges[present].high
        if low * (1.0 - HYSTERESIS) <= magnitude <= high * (1.0 + HYSTERESIS):
            return present
    for index, candidate in enumerate(ranges):
        if magnitude <= candidate.high:
            return index
    return len(ranges) - 1


def beyond(ranges: Sequence[CalibratedRange], magnitude: float) -> str | None:
    """`below-range` or `above-range` for a magnitude outside of all ranges, else None."""
    if magnitude < ranges[0].low:
        return "below-range"
    return "above-range" if magnitude > ranges[-1].high else None


def coefficients(
    within: CalibratedRange, effect: TemperatureEffect | None, temperature_c: float | None
) -> Coefficients:
    """The range's coefficients at a temperature; those of the reference where it is unknown."""
    gain, offset = within.gain, within.offset
    known = effect is None
    if effect is not None and temperature_c is not None:
        delta_k = temperature_c - effect.reference_c
        known = abs(delta_k) <= _FARTHEST_K
        if known:
            gain *= 1.0 + effect.gain_per_k * delta_k
            offset += effect.offset_per_k * delta_k
    return Coefficients(gain, offset, within.phase_rad, within.delay_s, known)


def magnitude_uncertainty(
    calibration: Calibration,
    index: int,
    value: float,
    *,
    temperature_known: bool,
    temperature_uncertainty_k: float = 0.0,
) -> float | None:
    """Half width at a corrected value, in the sensor's unit; None outside of all ranges.

    The temperature's own half width goes in by the sensor's sensitivity to it (JCGM 100, 5.1.2).
    """
    if beyond(calibration.ranges, abs(value)) is not None:
        return None
    within = calibration.ranges[index]
    own = within.uncertainty.of(value, within.high)
    effect = calibration.temperature
    if effect is None:
        return own
    if not temperature_known:
        return math.hypot(own, effect.unknown.of(value, within.high))
    per_k = abs(effect.gain_per_k * value) + abs(effect.offset_per_k * within.gain)
    return math.hypot(own, per_k * temperature_uncertainty_k)


def power_uncertainty(
    p_w: float, q_var: float, *, relative_v: float, relative_i: float, phase_rad: float
) -> float:
    """Half width in W of a phase's power from its voltage's, its current's and their phase's.

    u² = (P·u_V/V)² + (P·u_I/I)² + (Q·δ)²: with P = V·I·cos φ, ∂P/∂φ = -Q, which is tan φ·δ of P.
    """
    return math.hypot(p_w * relative_v, p_w * relative_i, q_var * phase_rad)


def apparent_uncertainty(s_va: float, *, relative_v: float, relative_i: float) -> float:
    """Half width in VA of a phase's apparent power: S = V·I, u² = (S·u_V/V)² + (S·u_I/I)².

    JCGM 100:2008, 5.1.2 and 5.1.6 (relative terms of a product).
    """
    return s_va * math.hypot(relative_v, relative_i)


def power_factor_uncertainty(
    phases: Sequence[tuple[float, float, float]], half_widths: Sequence[tuple[float, float, float]]
) -> float | None:
    """Half width of PF = ΣP / ΣS; of a phase (P, Q, S) and (u_V/V, u_I/I, phase in rad).

    A gain error g of a phase changes P and S alike: ∂PF/∂g = (P - PF·S)/ΣS, nothing for a single
    phase; a phase error changes P only, ∂PF/∂φ = -Q/ΣS (JCGM 100:2008, 5.1.3). None where S is 0.
    """
    total_p, total_s = (math.fsum(phase[k] for phase in phases) for k in (0, 2))
    if not total_s > 0.0:
        return None
    pf = total_p / total_s
    terms = [
        math.hypot((p - pf * s) * u_v, (p - pf * s) * u_i, q * phase_rad)
        for (p, q, s), (u_v, u_i, phase_rad) in zip(phases, half_widths, strict=True)
    ]
    return math.hypot(*terms) / total_s


def thd_uncertainty(
    thd_percent: float, *, relative: float, orders: int, samples: int
) -> float | None:
    """Half width in percentage points of a THD of `orders` from a window of so many samples.

    The certificate is taken to hold for each order by itself: the harmonics, which may all be wrong
    alike, and the fundamental are independent, u = √2·THD·u_V/V (JCGM 100:2008, 5.1.6). Beside it
    white noise of 60 dB may add 130·√(4(H-1)/N)·10^(-60/20) (our own tests' bound). How a sensor's
    gain falls with the frequency is no part of its certificate.
    """
    if orders < 2 or samples < 1:
        return None
    noise = 0.13 * math.sqrt(4 * (orders - 1) / samples)
    return math.hypot(math.sqrt(2.0) * thd_percent * relative, noise)


def frequency_noise(samples: int) -> float:
    """Half width in Hz, k = 2, by noise of 60 dB on the voltage, of a steady window of 100 ms.

    It falls with √N; the factor is measured: `test_the_frequencys_noise_is_what_is_said`.
    """
    return 0.026 / math.sqrt(samples)


def frequency_uncertainty(frequency_hz: float, rate_error: float, samples: int) -> float:
    """Half width in Hz, k = 2, of a frequency counted with a clock whose rate is right to a bound.

    A bound b without further knowledge is a uniform distribution, u = b/√3 (JCGM 100:2008, 4.3.7).
    """
    return math.hypot(frequency_noise(samples), 2.0 / math.sqrt(3.0) * frequency_hz * rate_error)


def vector_uncertainties(
    p_w: float, q_var: float, u_p: float, u_q: float
) -> tuple[float, float] | None:
    """Half widths of S = √(P²+Q²) and of PF = P/S; None where S is 0.

    ∂S/∂P = P/S, ∂S/∂Q = Q/S; ∂PF/∂P = Q²/S³, ∂PF/∂Q = -PQ/S³. P and Q come from the same sensors,
    how correlated is not known: the terms add as magnitudes (JCGM 100:2008, 5.2.2 note 1).
    """
    s_va = math.hypot(p_w, q_var)
    if not s_va > 0.0:
        return None
    u_s = (abs(p_w) * u_p + abs(q_var) * u_q) / s_va
    return u_s, abs(q_var) * (abs(q_var) * u_p + abs(p_w) * u_q) / s_va**3


def root_sum_square(uncertainties: Iterable[float | None]) -> float | None:
    """Of independent terms; None as soon as one is unknown or there is none."""
    squares, count = 0.0, 0
    for term in uncertainties:
        if term is None:
            return None
        squares += term * term
        count += 1
    return math.sqrt(squares) if count else None

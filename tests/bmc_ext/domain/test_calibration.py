"""What a certificate means for a value: coefficients, ranges, uncertainty, due date."""

from __future__ import annotations

import math
from datetime import date

import numpy as np
import pytest

from bmc_ext.domain.calibration import (
    CalibratedRange,
    Calibration,
    TemperatureEffect,
    Uncertainty,
    beyond,
    coefficients,
    interval_end,
    magnitude_uncertainty,
    power_uncertainty,
    range_index,
    root_sum_square,
)

RANGES = (
    CalibratedRange(10.0, 100.0, Uncertainty(pct_reading=0.5)),
    CalibratedRange(80.0, 1000.0, Uncertainty(pct_reading=0.2, pct_range=0.1, absolute=0.3)),
)


def certificate(temperature: TemperatureEffect | None = None) -> Calibration:
    """One with two overlapping ranges."""
    days = date(2026, 3, 1), date(2027, 3, 1)
    return Calibration("m/p", "W", "C-1", *days, RANGES, temperature)


def test_a_range_is_held_until_it_is_left_by_two_percent() -> None:
    """In the overlap the present range stays, on the way up as on the way down."""
    up = []
    index: int | None = None
    for magnitude in (5.0, 50.0, 99.0, 101.9, 102.1, 90.0, 79.0, 78.3):
        index = range_index(RANGES, index, magnitude)
        up.append(index)
    assert up == [0, 0, 0, 0, 1, 1, 1, 0]


def test_a_first_value_takes_the_lowest_range_that_holds_it() -> None:
    """Without a history there is nothing to hold on to; beyond all it is the highest."""
    assert [range_index(RANGES, None, magnitude) for magnitude in (1, 90, 101, 5000)] == [
        0,
        0,
        1,
        1,
    ]


def test_what_is_outside_of_all_ranges_is_marked_and_has_no_uncertainty() -> None:
    """A certificate says nothing of it."""
    assert [beyond(RANGES, magnitude) for magnitude in (9.9, 10.0, 1000.0, 1000.1)] == [
        "below-range", None, None, "above-range",
    ]  # fmt: skip
    assert magnitude_uncertainty(certificate(), 0, 9.9, temperature_known=True) is None
    assert magnitude_uncertainty(certificate(), 1, -2000.0, temperature_known=True) is None


def test_percent_of_reading_of_range_and_absolute_add_up() -> None:
    """0.2 % of 500 + 0.1 % of 1000 + 0.3, whatever the sign."""
    for value in (500.0, -500.0):
        found = magnitude_uncertainty(certificate(), 1, value, temperature_known=True)
        assert found == pytest.approx(1.0 + 1.0 + 0.3)


def test_an_unknown_temperature_widens_the_uncertainty_by_what_is_stated() -> None:
    """As root sum square; with the temperature known, or none that matters, it does not."""
    effect = TemperatureEffect(23.0, gain_per_k=1e-4, unknown=Uncertainty(pct_reading=0.6))
    known = magnitude_uncertainty(certificate(effect), 0, 50.0, temperature_known=True)
    unknown = magnitude_uncertainty(certificate(effect), 0, 50.0, temperature_known=False)
    assert known == pytest.approx(0.25)
    assert unknown == pytest.approx(math.hypot(0.25, 0.3))


def test_an_unsure_temperature_moves_the_uncertainty_by_the_sensors_sensitivity() -> None:
    """0.5 K at 2 ‰/K is 0.1 % of the reading, and at 0.1 W/K it is 0.05 W; drawn, k = 2."""
    effect = TemperatureEffect(23.0, gain_per_k=2e-3, offset_per_k=0.1)
    sure = magnitude_uncertainty(certificate(effect), 0, 50.0, temperature_known=True)
    found = magnitude_uncertainty(
        certificate(effect), 0, 50.0, temperature_known=True, temperature_uncertainty_k=0.5
    )
    assert sure is not None
    assert found == pytest.approx(math.hypot(sure, 0.05 + 0.05))


def test_gain_and_offset_move_with_the_temperature() -> None:
    """By so much per kelvin from the reference; unknown or absurd, they are the reference's."""
    within = CalibratedRange(0.0, 1.0, Uncertainty(), gain=2.0, offset=5.0, phase_rad=0.01)
    effect = TemperatureEffect(20.0, gain_per_k=0.001, offset_per_k=-0.1)
    warm = coefficients(within, effect, 30.0)
    assert (warm.gain, warm.offset) == (pytest.approx(2.02), pytest.approx(4.0))
    assert warm.temperature_known
    assert warm.phase_rad == 0.01
    for temperature_c in (None, 900.0, math.nan):
        cold = coefficients(within, effect, temperature_c)
        assert (cold.gain, cold.offset, cold.temperature_known) == (2.0, 5.0, False)
    assert coefficients(within, None, None).temperature_known


def test_intervals_end_on_a_day_that_exists() -> None:
    """Six months after 31 August is the last of February; a leap day is due on the 28th."""
    assert interval_end(date(2026, 8, 31), 6) == date(2027, 2, 28)
    assert interval_end(date(2024, 2, 29), 12) == date(2025, 2, 28)
    assert interval_end(date(2026, 3, 31), 12) == date(2027, 3, 31)


def test_the_powers_uncertainty_is_that_of_drawn_errors() -> None:
    """Against 200 000 draws of gain and phase errors, at several power factors."""
    rng = np.random.default_rng(5)
    for phi in (0.0, 0.55, -1.2, 1.5):
        gains = rng.normal(size=(2, 200_000)) * [[0.002], [0.003]]
        angles = rng.normal(size=200_000) * 0.004
        drawn = 1000 * (1 + gains[0]) * (1 + gains[1]) * np.cos(phi + angles)
        found = power_uncertainty(
            1000 * math.cos(phi),
            1000 * math.sin(phi),
            relative_v=0.002,
            relative_i=0.003,
            phase_rad=0.004,
        )
        assert found == pytest.approx(float(drawn.std()), rel=0.01)


def test_at_power_factor_085_a_phase_of_1_6_mrad_is_a_tenth_of_a_percent() -> None:
    """Tan φ·δ, the figure by which sensors are chosen."""
    p_w = 850.0
    q_var = math.sqrt(1000.0**2 - p_w**2)
    found = power_uncertainty(p_w, q_var, relative_v=0.0, relative_i=0.0, phase_rad=1.6e-3)
    assert found / p_w == pytest.approx(1e-3, rel=0.01)


def test_a_root_sum_square_with_an_unknown_term_is_unknown() -> None:
    """And so is one without terms."""
    assert root_sum_square([3.0, 4.0]) == 5.0
    assert root_sum_square([3.0, None]) is None
    assert root_sum_square([]) is None

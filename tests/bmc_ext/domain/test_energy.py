"""Energy registers against exact integrals, and what they say of themselves."""

from __future__ import annotations

import math

import numpy as np
import pytest

from bmc_ext.domain.energy import EnergyCounter, EnergyRegisters, newest_known, sum_of

FIRST = 17_950_000_000
"""A window of 2026."""


@pytest.mark.parametrize(
    ("p_w", "q_var", "quadrant"),
    [
        (1.0, 2.0, 0), (-1.0, 2.0, 1), (-1.0, -2.0, 2), (1.0, -2.0, 3),
        (0.0, 2.0, 0), (0.0, -2.0, 3), (1.0, 0.0, 0), (-1.0, 0.0, 1),
    ],
)  # fmt: skip
def test_each_quadrant_has_its_register(p_w: float, q_var: float, quadrant: int) -> None:
    """The signs of P and Q choose one register, which counts the amount upwards; others stand."""
    counter = EnergyCounter()
    counter.advance(FIRST)
    counter.add(p_w, q_var, 0.1)
    expected = [0.0] * 4
    expected[quadrant] = pytest.approx(abs(q_var) * 0.1)
    assert list(counter.registers[:4]) == expected
    assert (counter.import_j, counter.export_j) == (max(p_w, 0.0) * 0.1, max(-p_w, 0.0) * 0.1)


def test_phases_net_within_a_window_and_windows_do_not() -> None:
    """Import and export are told apart window by window, not over their sum."""
    counter = EnergyCounter()
    for number, p_w in enumerate((1000.0, -1000.0)):
        counter.advance(FIRST + number)
        counter.add(p_w, 0.0, 0.1)
    assert (counter.import_j, counter.export_j) == (100.0, 100.0)


def test_what_is_not_known_is_counted_and_not_filled() -> None:
    """Windows that did not come, are torn or are void leave the energy and raise their counter."""
    counter = EnergyCounter()
    counter.advance(FIRST)
    counter.add(1000.0, 500.0, 0.1)
    counter.advance(FIRST + 4)  # three did not come
    counter.add_missing()  # and this one is torn
    counter.advance(FIRST + 5)
    counter.add(None, None, 0.1)
    counter.advance(FIRST + 6)
    counter.add(1000.0, None, 0.1)
    registers = counter.registers
    assert (counter.import_j, registers.q1_var_s) == (200.0, 50.0)
    assert registers.missing_windows == 4
    assert registers.invalid_windows == 1
    assert registers.reactive_invalid_windows == 1
    assert registers.gap_s == pytest.approx(0.5)
    assert registers.since_window == FIRST


def test_the_time_between_two_lives_is_a_gap() -> None:
    """A counter that goes on from stored registers misses the windows since; a new one does not."""
    stored = EnergyRegisters(1.0, 2.0, 3.0, 4.0, 5, 6, 7, 8.0, FIRST)
    counter = EnergyCounter(10.0, 20.0, stored, last_window=FIRST + 100)
    assert counter.registers == stored
    counter.advance(FIRST + 201)
    assert counter.registers == stored._replace(missing_windows=105)
    fresh = EnergyCounter()
    fresh.advance(FIRST)
    assert fresh.registers.missing_windows == 0


def test_a_step_of_the_clock_is_no_gap() -> None:
    """What the clock skips, or repeats, in no time is not missing; nor is what 1970 began."""
    counter = EnergyCounter()
    counter.advance(FIRST)
    counter.advance(FIRST + 36_000, elapsed_s=0.1)
    assert counter.registers.missing_windows <= 1
    counter.advance(FIRST, elapsed_s=0.1)
    assert counter.registers.missing_windows <= 1
    unset = EnergyCounter(registers=EnergyRegisters(since_window=5), last_window=50)
    unset.advance(FIRST)
    assert unset.registers.missing_windows == 0


def test_sums_know_what_their_terms_know() -> None:
    """Energies need all terms; counts are those of the feeds that count; since is the latest."""
    counting = EnergyRegisters(1.0, 2.0, 3.0, 4.0, 5, 6, 7, 8.0, 100)
    other = counting._replace(since_window=300, missing_windows=1)
    assert sum_of([counting, other]) == EnergyRegisters(2.0, 4.0, 6.0, 8.0, 6, 12, 14, 16.0, 300)
    with_meter = sum_of([counting, EnergyRegisters(q1_var_s=1.0)])
    assert with_meter == EnergyRegisters(2.0, None, None, None, 5, 6, 7, None, 100)
    assert sum_of([]) == EnergyRegisters()
    assert newest_known(counting, EnergyRegisters(q1_var_s=9.0)) == counting._replace(q1_var_s=9.0)


def test_the_error_is_relative_to_the_energy() -> None:
    """Without energy, or with unknown registers, no error is claimed."""
    registers = EnergyRegisters(time_error_j=2.0)
    assert registers.time_error_percent(150.0, 50.0) == 1.0
    assert registers.time_error_percent(0.0, 0.0) is None
    assert registers.time_error_percent(None, 50.0) is None
    assert EnergyRegisters().time_error_percent(1.0, 1.0) is None
    assert EnergyRegisters().gap_s is None


def test_a_day_agrees_with_the_exact_integral() -> None:
    """864 000 windows with gaps, voids and a drifting, imperfectly known rate: within the bound."""
    chance = np.random.default_rng(1)
    count, nominal_hz, samples = 864_000, 12_800.0, 1280
    hours = np.arange(count) / 36_000
    p_w = 2e8 * np.sin(2 * np.pi * hours / 5) + 1e7 * chance.standard_normal(count)
    q_var = 5e7 * np.cos(2 * np.pi * hours / 3)
    true_ppm = 200.0 * np.sin(2 * np.pi * hours / 24)
    wrong_ppm = 5.0 * np.sin(2 * np.pi * hours / 7)  # what the estimate is off by, known to 6 ppm
    fate = chance.random(count)
    lost, torn, void = fate < 1e-3, (fate >= 1e-3) & (fate < 2e-3), (fate >= 2e-3) & (fate < 3e-3)
    said_s = samples / (nominal_hz * (1 + (true_ppm + wrong_ppm) * 1e-6))
    counter = EnergyCounter()
    for number in np.flatnonzero(~lost).tolist():
        counter.advance(FIRST + number)
        if torn[number]:
            counter.add_missing()
        elif void[number]:
            counter.add(None, None, said_s[number], 6e-6)
        else:
            counter.add(float(p_w[number]), float(q_var[number]), float(said_s[number]), 6e-6)

    known = fate >= 3e-3
    true_s = samples / (nominal_hz * (1 + true_ppm * 1e-6))

    def integral(values: np.ndarray, chosen: np.ndarray) -> float:
        return math.fsum((np.abs(values) * true_s)[known & chosen].tolist())

    registers = counter.registers
    error_j = abs(counter.import_j - integral(p_w, p_w >= 0))
    error_j += abs(counter.export_j - integral(p_w, p_w < 0))
    assert registers.time_error_j is not None
    assert 0.0 < error_j <= registers.time_error_j
    percent = registers.time_error_percent(counter.import_j, counter.export_j)
    assert percent == pytest.approx(6e-4, rel=1e-3)
    quadrants = [
        (p_w >= 0) & (q_var >= 0), (p_w < 0) & (q_var >= 0),
        (p_w < 0) & (q_var < 0), (p_w >= 0) & (q_var < 0),
    ]  # fmt: skip
    for counted, chosen in zip(registers[:4], quadrants, strict=True):
        assert counted == pytest.approx(integral(q_var, chosen), rel=6e-6)
    assert not lost[0]
    assert not lost[-1]
    assert registers.missing_windows == np.sum(lost | torn)
    assert registers.invalid_windows == np.sum(void)
    assert registers.gap_s == pytest.approx(0.1 * np.sum(~known))

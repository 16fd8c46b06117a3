"""A flag is raised on what happens, and not on what a load, a converter or a rate makes usual."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from polyphase_waves import distorted, reachable, sampled, three_phase
from steady_waves import steady_window

from bmc_ext.sampling import Flag, analyze

RATE_HZ = 12800
TIME_S = np.arange(1280) / RATE_HZ

Rows = NDArray[np.float64]


def moved(
    rng: np.random.Generator,
    rate_hz: int,
    *,
    at_s: float,
    step: complex,
    frequency_hz: float,
    thd: float = 0.0,
) -> Rows:
    """Three phases of 100 ms whose phasor is multiplied at a time; 80 dB; orders move along."""
    time_s = np.arange(rate_hz // 10) / rate_hz
    behind = time_s >= at_s
    highest = reachable(frequency_hz, rate_hz)
    phasors = distorted(rng, three_phase(230), highest=highest, thd=thd, dc=0)[:, 1:]
    angle = 2 * np.pi * frequency_hz * time_s + np.angle(step) * behind
    orders = np.exp(1j * np.outer(np.arange(1, highest + 1), angle))
    rows = np.sqrt(2) * np.real(phasors @ orders) * np.where(behind, abs(step), 1)
    return np.ascontiguousarray(rows + rng.normal(size=rows.shape) * 0.023)


def test_steady_windows_raise_no_flag() -> None:
    """Rectifiers, pulses, notches, content up to 0.49 of the rate: no flag, f within its noise."""
    for index in range(600):
        window = steady_window(np.random.default_rng([31, index]))
        result = analyze(window.voltage, window.current, window.rate_hz)
        assert not result.flags & ~Flag.LIMITED_ORDER, f"{index}: {window.about}"
        assert result.frequency_hz == pytest.approx(window.frequency_hz, abs=5e-3), window.about


@pytest.mark.parametrize("rate_hz", [4800, 6400])
def test_strong_high_orders_do_not_hide_a_small_step(rate_hz: int) -> None:
    """1 % of a current of 185 % odd orders is seen although its boxes are no whole samples."""
    rng = np.random.default_rng(12)
    for _ in range(50):
        frequency_hz = rng.uniform(42.5, 69)
        time_s = np.arange(rate_hz // 10) / rate_hz
        orders = np.arange(reachable(frequency_hz, rate_hz) + 1)
        shares = np.where(orders % 2 == 1, np.exp(-((orders / 14) ** 2)), 0)
        pulses = sampled(10 * shares[None].astype(complex), frequency_hz, rate_hz, len(time_s))
        current = pulses.samples * (1 + 0.01 * (time_s > rng.uniform(0.03, 0.07)))
        voltage = 325 * np.cos(2 * np.pi * frequency_hz * time_s)[None]
        assert Flag.NON_STATIONARY in analyze(voltage, current, rate_hz).flags


@pytest.mark.parametrize("rate_hz", [4800, 12800])
def test_high_orders_hardly_hide_a_jump_of_a_third_of_a_degree(rate_hz: int) -> None:
    """With 5 % of harmonics that jump along it is named in 8 of 10 windows at least."""
    rng = np.random.default_rng(13)
    seen = 0
    for _ in range(60):
        voltage = moved(
            rng,
            rate_hz,
            at_s=rng.uniform(0.03, 0.07),
            step=np.exp(1j * np.radians(0.3)),
            frequency_hz=rng.uniform(42.5, 69),
            thd=0.05,
        )
        seen += Flag.NON_STATIONARY in analyze(voltage, voltage, rate_hz).flags
    assert seen >= 48


@pytest.mark.parametrize("share_of_rate", [0.44, 0.47, 0.48, 0.487])
@pytest.mark.parametrize("rate_hz", [4800, 12800, 51200])
def test_content_below_its_limit_is_not_close_to_half_the_rate(
    rate_hz: int, share_of_rate: float
) -> None:
    """An order just below 0.49 of the rate belongs there, at 0.3 % and at 30 % alike."""
    samples = rate_hz // 10
    order = math.floor(share_of_rate * rate_hz / 50.3)
    turns = np.arange(samples) * 50.3 / rate_hz
    for size in (0.003, 0.3):
        rows = 325 * (np.cos(2 * np.pi * turns) + size * np.cos(2 * np.pi * order * turns + 1))
        assert not analyze(rows, rows, rate_hz).flags & ~Flag.LIMITED_ORDER


def test_a_tone_near_half_the_rate_is_told_from_noise() -> None:
    """0.3 % beyond 0.49 of the rate is named at 60 dB too."""
    rng = np.random.default_rng(14)
    for share_of_rate in (0.492, 0.495, 0.498):
        phasors = three_phase(230)[:, None] * [0, 1]
        rows = sampled(phasors, 50.3, RATE_HZ, 1280, noise_db=60, rng=rng).samples
        rows += 0.003 * 325 * np.cos(2 * np.pi * share_of_rate * np.arange(1280))
        assert Flag.NEAR_HALF_RATE in analyze(rows, rows, RATE_HZ).flags


@pytest.mark.parametrize("rate_hz", [4800, 12800, 48000, 51200])
@pytest.mark.parametrize("frequency_hz", [50, 60])
@pytest.mark.parametrize("bits", [14, 16, 20, 24])
@pytest.mark.parametrize("third", [0, 0.02, -1 / 9])
def test_samples_in_time_with_the_line_are_not_clipped(
    rate_hz: int, frequency_hz: int, bits: int, third: float
) -> None:
    """Every period repeats the same few values, also on a flat top; that is no end of a range."""
    angle = 2 * np.pi * frequency_hz * np.arange(rate_hz // 10) / rate_hz
    for offset_rad in (0, 0.1, np.pi / 2, 2.3):
        for full in (1.05, 1.25, 1.6):
            wave = np.cos(angle + offset_rad) + third * np.cos(3 * (angle + offset_rad))
            step = full / 2 ** (bits - 1)
            rows = 325 * np.round(wave / step) * step
            assert Flag.CLIPPED not in analyze(rows, rows.astype(np.float32), rate_hz).flags


@pytest.mark.parametrize("bits", [8, 10, 12])
def test_a_coarse_converter_clips_too(bits: int) -> None:
    """A tenth beyond the range of 8 bits and more shows, with a fifth harmonic, at any rate."""
    rng = np.random.default_rng(15)
    for rate_hz in (4800, 12800, 51200):
        angle = 2 * np.pi * rng.uniform(42.5, 69) * np.arange(rate_hz // 10) / rate_hz
        wave = np.cos(angle) + 0.03 * np.cos(5 * angle + rng.uniform(0, 6))
        codes = np.round(wave * 2 ** (bits - 1) / 0.88)
        cut = np.clip(codes, -(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
        phase = analyze(cut, wave, rate_hz).phases[0]
        assert phase.flags & ~Flag.LIMITED_ORDER == Flag.CLIPPED
        assert phase.v_clipped_samples > 0.8 * (codes != cut).sum()


@pytest.mark.parametrize("share", [-0.4, -0.1, 0.01, 0.1])
def test_a_step_of_all_voltages_leaves_the_frequency_known(share: float) -> None:
    """A dip or a tap moves no phase: f is that beside it, in 9 of 10 windows, within 0.5 mHz."""
    rng = np.random.default_rng(16)
    known = 0
    for at_s in np.tile([0.0006, 0.031, 0.05, 0.0815, 0.0994], 8):
        frequency_hz = rng.uniform(42.5, 69)
        voltage = moved(rng, RATE_HZ, at_s=at_s, step=1 + share, frequency_hz=frequency_hz)
        result = analyze(voltage, voltage, RATE_HZ)
        if not math.isnan(result.frequency_hz):
            assert result.frequency_hz == pytest.approx(frequency_hz, abs=5e-4)
            known += 1
        if abs(share) > 0.05:
            assert Flag.NON_STATIONARY in result.flags
    assert known >= 36


@pytest.mark.parametrize("degrees", [1, 5, 30])
def test_a_step_with_a_phase_jump_is_no_frequency(degrees: float) -> None:
    """Where the phase jumps along with the magnitude f stays unknown."""
    rng = np.random.default_rng(17)
    for at_s in (0.03, 0.05, 0.07):
        step = 0.9 * np.exp(1j * np.radians(degrees))
        voltage = moved(rng, RATE_HZ, at_s=at_s, step=complex(step), frequency_hz=50.02)
        result = analyze(voltage, voltage, RATE_HZ)
        assert Flag.NON_STATIONARY in result.flags
        assert math.isnan(result.frequency_hz)


def test_voltages_in_phase_have_no_unbalance() -> None:
    """Over a positive sequence that is only noise nothing is a percentage."""
    rows = np.repeat(325 * np.cos(2 * np.pi * 50.2 * TIME_S)[None], 3, axis=0)
    rows = rows + np.random.default_rng(18).normal(size=rows.shape) * 0.02
    total = analyze(rows, rows, RATE_HZ).total
    assert total.v_zero_rms == pytest.approx(229.8, rel=1e-3)
    assert math.isnan(total.u2_percent)
    assert math.isnan(total.u0_percent)

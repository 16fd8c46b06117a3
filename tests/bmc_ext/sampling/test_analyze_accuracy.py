"""Accuracy against closed forms, off nominal, with harmonics, DC, noise and a 16-bit converter."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose
from polyphase_waves import (
    Channels,
    distorted,
    only_fundamental,
    power,
    reachable,
    sampled,
    three_phase,
)

from bmc_ext.sampling import Analysis, Flag, analyze

RATES_HZ = (4800, 5760, 12800, 25600, 51200)
WINDOWS = 40


def random_window(
    rng: np.random.Generator, rate_hz: int, noise_db: float | None, bits: int | None
) -> tuple[float, Channels, Channels]:
    """A 100 ms window with any frequency, any angle, THD up to 8 % and DC up to 1 %."""
    frequency_hz = rng.uniform(42.5, 69)
    highest = reachable(frequency_hz, rate_hz)
    channels = [
        sampled(
            distorted(
                rng,
                three_phase(rms, rng.uniform(-np.pi, np.pi)),
                highest=highest,
                thd=rng.uniform(0, 0.08),
                dc=0.01,
            ),
            frequency_hz,
            rate_hz,
            rate_hz // 10,
            noise_db=noise_db,
            bits=bits,
            rng=rng,
        )
        for rms in (57_735.0, 432.1)
    ]
    return frequency_hz, channels[0], channels[1]


def errors(
    result: Analysis, frequency_hz: float, voltage: Channels, current: Channels
) -> dict[str, float]:
    """Largest error of each kind: mHz, % of the value, of S or of the fundamental, % points."""
    apparent = voltage.rms * current.rms
    read = {
        name: np.array([getattr(phase, name) for phase in result.phases])
        for name in ("v_rms", "i_rms", "p_w", "q1_var", "thd_v_percent", "thd_i_percent")
    }
    q1_var = np.imag(voltage.phasors[:, 1] * np.conj(current.phasors[:, 1]))
    highest = voltage.phasors.shape[1]
    v_orders = np.array([phase.v_harmonics_rms[2:highest] for phase in result.phases])
    i_orders = np.array([phase.i_harmonics_rms[2:highest] for phase in result.phases])
    v1, i1 = np.abs(voltage.phasors[:, 1:2]), np.abs(current.phasors[:, 1:2])
    found = {
        "f": 1e3 * (result.frequency_hz - frequency_hz),
        "v": 100 * (read["v_rms"] / voltage.rms - 1),
        "i": 100 * (read["i_rms"] / current.rms - 1),
        "p": 100 * (read["p_w"] - power(voltage, current)) / apparent,
        "q1": 100 * (read["q1_var"] - q1_var) / apparent,
        "thd_v": read["thd_v_percent"] - voltage.thd_percent,
        "thd_i": read["thd_i_percent"] - current.thd_percent,
        "v_harmonics": 100 * (v_orders - np.abs(voltage.phasors[:, 2:])) / v1,
        "i_harmonics": 100 * (i_orders - np.abs(current.phasors[:, 2:])) / i1,
    }
    return {name: float(np.max(np.abs(value))) for name, value in found.items()}


def largest_errors(rate_hz: int, noise_db: float | None, bits: int | None) -> dict[str, float]:
    """Over many random windows, none of which may raise a flag but for what its rate misses."""
    rng = np.random.default_rng(rate_hz)
    worst: dict[str, float] = {}
    for _ in range(WINDOWS):
        frequency_hz, voltage, current = random_window(rng, rate_hz, noise_db, bits)
        result = analyze(voltage.samples, current.samples, rate_hz)
        assert not result.flags & ~(Flag.LIMITED_ORDER | Flag.REVERSED_SEQUENCE)
        for name, error in errors(result, frequency_hz, voltage, current).items():
            worst[name] = max(worst.get(name, 0.0), error)
    return worst


@pytest.mark.parametrize("rate_hz", RATES_HZ)
def test_clean_windows_are_limited_by_arithmetic_only(rate_hz: int) -> None:
    """Without noise f is right to 0.002 mHz, powers to 1e-4 % and harmonics to 0.002 %."""
    worst = largest_errors(rate_hz, None, None)
    assert worst["f"] <= 0.002
    assert max(worst[name] for name in ("v", "i", "p", "q1")) <= 1e-4
    assert max(worst["v_harmonics"], worst["i_harmonics"]) <= 0.002
    assert max(worst["thd_v"], worst["thd_i"]) <= 0.001


@pytest.mark.parametrize("rate_hz", RATES_HZ)
def test_a_good_converter_reaches_the_limits_of_a_100_ms_window(rate_hz: int) -> None:
    """At 80 dB and 16 bit: P 0.005 % of S, V and I 0.003 %, f 0.3 mHz, harmonics 0.005 %."""
    worst = largest_errors(rate_hz, 80, 16)
    highest = reachable(42.5, rate_hz)
    thd_limit = max(0.005, 130 * np.sqrt(4 * (highest - 1) / (rate_hz / 10)) * 1e-4)
    assert worst["f"] <= 0.3
    assert max(worst["v"], worst["i"]) <= 0.003
    assert max(worst["p"], worst["q1"]) <= 0.005
    assert max(worst["v_harmonics"], worst["i_harmonics"]) <= 0.005
    assert max(worst["thd_v"], worst["thd_i"]) <= thd_limit


@pytest.mark.parametrize("rate_hz", RATES_HZ)
def test_noise_of_60_db_leaves_power_within_a_twentieth_percent(rate_hz: int) -> None:
    """At 60 dB |P| is within 0.05 % of S and f within 3 mHz."""
    worst = largest_errors(rate_hz, 60, 16)
    assert worst["p"] <= 0.05
    assert worst["f"] <= 3


@pytest.mark.parametrize("samples", [120, 400, 480, 576, 1280, 1536, 5120])
def test_windows_of_any_length_and_rate_work(samples: int) -> None:
    """100 ms at any rate from 1200 S/s up, at a frequency that fits none of them."""
    rng = np.random.default_rng(samples)
    voltage = sampled(
        distorted(rng, three_phase(230), highest=9, thd=0.05, dc=0.01), 50.37, 10 * samples, samples
    )
    result = analyze(voltage.samples, voltage.samples, 10 * samples)
    assert result.frequency_hz == pytest.approx(50.37, abs=1e-5)
    assert_allclose([phase.v_rms for phase in result.phases], voltage.rms, rtol=1e-5)
    assert_allclose([phase.thd_v_percent for phase in result.phases], 5, atol=0.005)


@pytest.mark.parametrize("frequency_hz", [42.5, 47.3, 50, 59.5, 65, 69])
@pytest.mark.parametrize("power_factor", [1, 0.85, 0.5, 0.01, -0.5, -1])
def test_power_factors_are_right_whatever_the_direction(
    frequency_hz: float, power_factor: float
) -> None:
    """PF, DPF and the angle hold from full import to full export, with Q positive when lagging."""
    lag = np.arccos(power_factor)
    voltage = sampled(only_fundamental(three_phase(230)), frequency_hz, 12800, 1280)
    current = sampled(only_fundamental(three_phase(16, lag)), frequency_hz, 12800, 1280)
    result = analyze(voltage.samples, current.samples, 12800)
    for phase in result.phases:
        assert phase.pf == pytest.approx(power_factor, abs=1e-7)
        assert phase.dpf == pytest.approx(power_factor, abs=1e-6)
        assert phase.q1_var == pytest.approx(230 * 16 * np.sin(lag), abs=230 * 16 * 1e-6)
        assert np.cos(np.radians(phase.phi1_deg) - lag) == pytest.approx(1)
    assert result.total.pf == pytest.approx(power_factor, abs=1e-7)
    assert result.total.pf_effective == pytest.approx(power_factor, abs=1e-6)


def test_float32_reads_as_float64() -> None:
    """Single precision samples read the same to their own resolution, also mixed with double."""
    voltage = sampled(only_fundamental(three_phase(230)), 49.8, 12800, 1280).samples
    double = analyze(voltage, voltage, 12800)
    single = analyze(voltage.astype(np.float32), voltage, 12800)
    assert single.phases[2].p_w == pytest.approx(double.phases[2].p_w, rel=1e-7)
    assert single.frequency_hz == pytest.approx(double.frequency_hz, abs=1e-6)


def test_the_mean_power_is_the_plain_mean() -> None:
    """p_mean_w is the mean of v·i over all samples, to the last digits."""
    rng = np.random.default_rng(3)
    _, voltage, current = random_window(rng, 12800, 80, 16)
    result = analyze(voltage.samples, current.samples, 12800)
    plain = (voltage.samples * current.samples).mean(axis=1)
    assert_allclose([phase.p_mean_w for phase in result.phases], plain, rtol=1e-12)
    assert result.total.p_mean_w == pytest.approx(plain.sum(), rel=1e-12)


def test_harmonic_phases_refer_to_the_first_sample() -> None:
    """An order's angle is that of its cosine at the first sample."""
    rng = np.random.default_rng(4)
    phasors = distorted(rng, three_phase(230, 0.7), highest=20, thd=0.08, dc=0)
    voltage = sampled(phasors, 51.7, 12800, 1280)
    result = analyze(voltage.samples, voltage.samples, 12800)
    for phase, expected in zip(result.phases, phasors, strict=True):
        read = phase.v_harmonics_rms * np.exp(1j * np.radians(phase.v_harmonics_deg))
        assert_allclose(read[1:21], expected[1:], atol=230e-6)


def test_totals_of_an_unbalanced_four_wire_system() -> None:
    """Sequences, unbalance, neutral and effective apparent power as IEEE 1459 defines them."""
    a = np.exp(2j * np.pi / 3)
    v1 = 230 * np.exp(1j * np.array([0.1, -2.0, 2.2])) * np.array([1, 0.97, 1.02])
    i1 = np.array([100, 60 * np.exp(-2.5j), 30 * np.exp(1.2j)])
    voltage = sampled(only_fundamental(v1), 50.2, 12800, 1280)
    current = sampled(only_fundamental(i1), 50.2, 12800, 1280)
    total = analyze(voltage.samples, current.samples, 12800).total
    zero, positive, negative = (
        np.abs(v1 @ np.array([1, a**k, a ** (2 * k)])) / 3 for k in range(3)
    )
    neutral = np.abs(i1.sum())
    lines = np.abs(v1 - np.roll(v1, -1))
    effective_v = np.sqrt((3 * (np.abs(v1) ** 2).sum() + (lines**2).sum()) / 18)
    effective_i = np.sqrt(((np.abs(i1) ** 2).sum() + neutral**2) / 3)
    assert total.v_positive_rms == pytest.approx(positive, rel=1e-6)
    assert total.u2_percent == pytest.approx(100 * negative / positive, abs=1e-5)
    assert total.u0_percent == pytest.approx(100 * zero / positive, abs=1e-5)
    assert total.i_neutral == pytest.approx(neutral, rel=1e-6)
    assert total.s_va == pytest.approx((np.abs(v1) * np.abs(i1)).sum(), rel=1e-6)
    assert total.s_effective_va == pytest.approx(3 * effective_v * effective_i, rel=1e-6)
    assert total.i_positive_rms == pytest.approx(np.abs(i1 @ [1, a, a**2]) / 3, rel=1e-6)


def test_demand_distortion_needs_a_demand_current() -> None:
    """TDD is the harmonic current over the given demand current, and unknown without one."""
    rng = np.random.default_rng(5)
    current = sampled(
        distorted(rng, three_phase(20), highest=30, thd=0.1, dc=0), 50.1, 12800, 1280
    ).samples
    assert analyze(current, current, 12800, demand_current_a=100).phases[0].tdd_percent == (
        pytest.approx(2, rel=1e-4)
    )
    assert np.isnan(analyze(current, current, 12800).phases[0].tdd_percent)


def test_skew_of_each_phase_is_undone() -> None:
    """Currents sampled late by a known time read the power and angles of simultaneous ones."""
    rng = np.random.default_rng(6)
    late_s = np.array([20e-6, -35e-6, 0.0])
    voltage = sampled(
        distorted(rng, three_phase(230), highest=40, thd=0.08, dc=0.01), 50.4, 12800, 1280
    )
    phasors = distorted(rng, three_phase(90, 0.5), highest=40, thd=0.08, dc=0.01)
    ahead = np.exp(2j * np.pi * 50.4 * np.outer(late_s, np.arange(41)))
    late = sampled(phasors * ahead, 50.4, 12800, 1280)
    result = analyze(voltage.samples, late.samples, 12800, skew_s=late_s.tolist())
    expected = power(voltage, Channels(phasors, late.samples))
    assert_allclose([phase.p_w for phase in result.phases], expected, rtol=1e-6)
    assert_allclose([phase.phi1_deg for phase in result.phases], np.degrees(0.5), atol=1e-4)

"""What is wrong with a window is named, and no plausible wrong number comes out of it."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from numpy.testing import assert_allclose
from numpy.typing import NDArray
from polyphase_waves import only_fundamental, sampled, three_phase

from bmc_ext.sampling import Analysis, Flag, analyze

RATE_HZ = 12800
SAMPLES = 1280
TIME_S = np.arange(SAMPLES) / RATE_HZ

Rows = NDArray[np.float64]


def mains(rms: float, lag_rad: float = 0.0, frequency_hz: float = 50.2) -> Rows:
    """Three phases with a fifth harmonic of 3 %, 80 dB of noise and 16 bits."""
    rng = np.random.default_rng(int(1e6 * lag_rad) + 1)
    phasors = np.zeros((3, 6), dtype=complex)
    phasors[:, 1] = three_phase(rms, lag_rad)
    phasors[:, 5] = 0.03 * rms
    return sampled(phasors, frequency_hz, RATE_HZ, SAMPLES, noise_db=80, bits=16, rng=rng).samples


def modulated(envelope: NDArray[np.complex128] | Rows, rms: float = 230.0) -> Rows:
    """Three phases whose phasor follows a complex envelope, with 80 dB of noise."""
    turns = np.exp(2j * np.pi * 50.2 * TIME_S)
    noise = np.random.default_rng(2).normal(size=(3, SAMPLES)) * rms * 1e-4
    return np.real(np.sqrt(2) * three_phase(rms)[:, None] * envelope * turns) + noise


VOLTAGE = mains(230)
CURRENT = mains(16, 0.4)


def assert_sound(result: Analysis, index: int) -> None:
    """That phase reads as it does when nothing is wrong."""
    good = analyze(VOLTAGE, CURRENT, RATE_HZ).phases[index]
    phase = result.phases[index]
    assert not phase.flags
    for name in ("v_rms", "i_rms", "p_w", "q1_var", "pf", "thd_v_percent", "thd_i_percent"):
        assert getattr(phase, name) == pytest.approx(getattr(good, name), rel=1e-5)


def test_a_good_window_has_no_flags() -> None:
    """Nothing is wrong with an ordinary window, in either precision."""
    assert not analyze(VOLTAGE, CURRENT, RATE_HZ).flags
    assert not analyze(VOLTAGE.astype(np.float32), CURRENT.astype(np.float32), RATE_HZ).flags


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e16])
@pytest.mark.parametrize("channel", ["voltage", "current"])
def test_what_is_no_number_voids_its_phase_only(value: float, channel: str) -> None:
    """NaN, infinity and absurd values void that phase and the totals; the others stay right."""
    voltage, current = VOLTAGE.copy(), CURRENT.copy()
    {"voltage": voltage, "current": current}[channel][0, 700] = value
    result = analyze(voltage, current, RATE_HZ)
    assert result.flags == Flag.NOT_FINITE
    assert math.isnan(result.phases[0].v_rms)
    assert math.isnan(result.phases[0].p_mean_w)
    assert math.isnan(result.total.p_w)
    assert_sound(result, 1)
    assert_sound(result, 2)


def test_no_current_is_zero_ampere_not_unknown() -> None:
    """Zero current reads 0 A and 0 W; its ratios are unknown and a flag says so."""
    result = analyze(VOLTAGE, np.zeros_like(CURRENT), RATE_HZ)
    assert result.flags == Flag.NO_CURRENT
    assert result.frequency_hz == pytest.approx(50.2, abs=3e-4)
    assert (result.total.p_w, result.total.i_neutral) == (0, 0)
    for phase in result.phases:
        assert (phase.i_rms, phase.p_w, phase.s_va, phase.i1_rms) == (0, 0, 0, pytest.approx(0))
        assert phase.v_rms == pytest.approx(230, rel=1e-3)
        assert phase.thd_v_percent == pytest.approx(3, abs=0.01)
        assert math.isnan(phase.pf)
        assert math.isnan(phase.dpf)
        assert math.isnan(phase.thd_i_percent)


def test_noise_on_an_open_current_input_is_no_current() -> None:
    """Noise has a magnitude, but no power factor and no distortion."""
    noise = np.random.default_rng(8).normal(size=CURRENT.shape) * 1e-3
    result = analyze(VOLTAGE, noise, RATE_HZ)
    for phase in result.phases:
        assert phase.flags == Flag.NO_CURRENT
        assert phase.i_rms == pytest.approx(1e-3, rel=0.1)
        assert math.isnan(phase.pf)
        assert math.isnan(phase.thd_i_percent)


def test_a_dead_feed_reads_zero() -> None:
    """All zeros: 0 V, 0 A, 0 W, no frequency."""
    result = analyze(np.zeros((3, SAMPLES)), np.zeros((3, SAMPLES)), RATE_HZ)
    assert result.flags == Flag.NO_SIGNAL | Flag.NO_CURRENT
    assert math.isnan(result.frequency_hz)
    for phase in result.phases:
        assert (phase.v_rms, phase.i_rms, phase.p_w, phase.p_mean_w) == (0, 0, 0, 0)
        assert math.isnan(phase.pf)
        assert math.isnan(phase.thd_v_percent)
        assert phase.h_max == 0


def test_direct_current_reads_its_own_values() -> None:
    """400 V and 25 A of DC: 10 kW, no frequency, no distortion."""
    result = analyze(np.full(SAMPLES, 400.0), np.full(SAMPLES, 25.0), RATE_HZ)
    phase = result.phases[0]
    assert result.flags == Flag.NO_SIGNAL
    assert_allclose((phase.v_rms, phase.v_dc, phase.i_dc), (400, 400, 25), rtol=1e-12)
    assert_allclose((phase.p_w, phase.s_va), 10_000, rtol=1e-12)
    assert math.isnan(result.frequency_hz)
    assert math.isnan(phase.thd_v_percent)


def test_noise_alone_is_no_signal() -> None:
    """Broadband noise on all inputs has a magnitude but no frequency."""
    noise = np.random.default_rng(9).normal(size=(3, SAMPLES)) * 0.01
    result = analyze(noise, noise, RATE_HZ)
    assert Flag.NO_SIGNAL in result.flags
    assert math.isnan(result.frequency_hz)
    assert result.phases[0].v_rms == pytest.approx(0.01, rel=0.1)
    assert math.isnan(result.phases[0].thd_v_percent)


def test_an_open_phase_leaves_the_others_alone() -> None:
    """A phase without voltage says so and reads 0 V; the others are right."""
    voltage, current = VOLTAGE.copy(), CURRENT.copy()
    voltage[1] = current[1] = 0
    result = analyze(voltage, current, RATE_HZ)
    assert result.phases[1].flags == Flag.NO_SIGNAL | Flag.NO_CURRENT
    assert (result.phases[1].v_rms, result.phases[1].p_w) == (0, 0)
    assert_sound(result, 0)
    assert_sound(result, 2)
    assert result.total.u2_percent == pytest.approx(50, rel=0.01)


def test_without_voltage_the_current_gives_the_frequency() -> None:
    """A lost voltage transformer leaves right currents and no power."""
    result = analyze(np.zeros_like(VOLTAGE), CURRENT, RATE_HZ)
    assert result.flags == Flag.NO_SIGNAL
    assert result.frequency_hz == pytest.approx(50.2, abs=3e-4)
    assert result.phases[0].thd_i_percent == pytest.approx(3, abs=0.01)
    assert result.phases[0].p_w == 0


def test_reversed_rotation_is_told() -> None:
    """Exchanged phases show as negative sequence, with no unbalance made of it."""
    result = analyze(VOLTAGE[[0, 2, 1]].copy(), CURRENT[[0, 2, 1]].copy(), RATE_HZ)
    assert result.flags == Flag.REVERSED_SEQUENCE
    assert result.total.v_negative_rms == pytest.approx(230, rel=1e-3)
    assert result.total.v_positive_rms < 0.1
    assert math.isnan(result.total.u2_percent)


def test_triple_harmonics_add_up_in_the_neutral() -> None:
    """Third harmonics in phase give three times their current in the neutral."""
    phasors = np.zeros((3, 4), dtype=complex)
    phasors[:, 1], phasors[:, 3] = three_phase(16), 5
    current = sampled(phasors, 50.2, RATE_HZ, SAMPLES).samples
    assert analyze(VOLTAGE, current, RATE_HZ).total.i_neutral == pytest.approx(15, rel=1e-6)


def test_rectifier_pulses_are_measured_not_flagged() -> None:
    """A current cos²⁷ stands at zero between pulses, has a crest factor of 3, and is right."""
    angle = 2 * np.pi * 50.2 * TIME_S
    result = analyze(np.sqrt(2) * 230 * np.cos(angle), np.cos(angle) ** 27, RATE_HZ)
    phase = result.phases[0]
    # The mean of cos^2n is C(2n, n) / 4^n.
    rms = np.sqrt(math.comb(54, 27) / 4**27)
    assert not result.flags
    assert phase.i_rms == pytest.approx(rms, rel=1e-6)
    assert phase.p_w == pytest.approx(np.sqrt(2) * 230 * math.comb(28, 14) / 4**14, rel=1e-6)
    assert phase.crest_i == pytest.approx(1 / rms, rel=2e-3)
    assert phase.crest_i > 3


@pytest.mark.parametrize("cut", [0.99, 0.9, 0.7])
@pytest.mark.parametrize("channel", ["voltage", "current"])
def test_a_cut_wave_is_clipped(cut: float, channel: str) -> None:
    """Samples that stand at the end of the range are counted, in the channel where they are."""
    rows = {"voltage": VOLTAGE.copy(), "current": CURRENT.copy()}
    limit = cut * np.abs(rows[channel][2]).max()
    rows[channel][2] = np.clip(rows[channel][2], -limit, limit)
    result = analyze(rows["voltage"], rows["current"], RATE_HZ)
    phase = result.phases[2]
    counted = {"voltage": phase.v_clipped_samples, "current": phase.i_clipped_samples}
    standing = int((np.abs(rows[channel][2]) == limit).sum())
    assert phase.flags == Flag.CLIPPED
    assert 0.7 * standing <= counted.pop(channel) <= standing
    assert list(counted.values()) == [0]
    assert_sound(result, 0)


@pytest.mark.parametrize("bits", [6, 8, 12, 16])
def test_coarse_steps_are_not_clipping(bits: int) -> None:
    """The flat top that a coarse converter makes of a light load is no clipping."""
    phasors = only_fundamental(three_phase(1.0))
    for frequency_hz in (50.0, 50.2, 60.0):
        rows = sampled(phasors, frequency_hz, RATE_HZ, SAMPLES, bits=bits).samples
        assert Flag.CLIPPED not in analyze(VOLTAGE, rows, RATE_HZ).flags


def test_a_half_wave_is_not_clipped() -> None:
    """A half-wave current stands at zero, which is no end of a range."""
    half = np.clip(CURRENT, 0, None)
    assert Flag.CLIPPED not in analyze(VOLTAGE, half, RATE_HZ).flags


@pytest.mark.parametrize("frequency_hz", [16.7, 30, 41, 71, 80, 100, 400, 1000])
def test_other_frequencies_give_no_numbers(frequency_hz: float) -> None:
    """A line frequency that is none gives no magnitude and no frequency, only the mean power."""
    wave = sampled(only_fundamental(three_phase(230)), frequency_hz, RATE_HZ, SAMPLES).samples
    result = analyze(wave, wave, RATE_HZ)
    assert result.flags == Flag.FREQUENCY_OUT_OF_RANGE
    assert math.isnan(result.frequency_hz)
    assert math.isnan(result.phases[0].v_rms)
    assert math.isnan(result.total.p_w)
    assert result.phases[0].p_mean_w == pytest.approx((wave[0] ** 2).mean())


@pytest.mark.parametrize("frequency_hz", [42.5, 69.0])
def test_the_ends_of_the_range_belong_to_it(frequency_hz: float) -> None:
    """42.5 and 69 Hz are measured."""
    result = analyze(mains(230, 0, frequency_hz), mains(16, 0.4, frequency_hz), RATE_HZ)
    assert not result.flags
    assert result.frequency_hz == pytest.approx(frequency_hz, abs=3e-4)


def test_a_nominal_frequency_only_adds_a_flag() -> None:
    """60 Hz on a 50 Hz grid is named, and its numbers hold all the same."""
    voltage = mains(230, 0, 60.0)
    result = analyze(voltage, voltage, RATE_HZ, nominal_hz=50)
    assert result.flags == Flag.FREQUENCY_OUT_OF_RANGE
    assert result.frequency_hz == pytest.approx(60, abs=3e-4)
    assert not analyze(voltage, voltage, RATE_HZ, nominal_hz=60).flags


@pytest.mark.parametrize("samples", [1, 7, 59, 600, 903])
def test_too_short_a_window_gives_the_mean_only(samples: int) -> None:
    """Below three periods of 42.5 Hz nothing but the plain mean is known."""
    voltage, current = VOLTAGE[:, :samples].copy(), CURRENT[:, :samples].copy()
    result = analyze(voltage, current, RATE_HZ)
    assert result.flags == Flag.TOO_SHORT
    assert math.isnan(result.phases[0].v_rms)
    assert result.total.p_mean_w == pytest.approx((voltage * current).mean(axis=1).sum())


def test_a_low_rate_limits_the_orders() -> None:
    """At 4.8 kS/s order 47 is the last at 50 Hz; above it harmonics are unknown, not zero."""
    wave = sampled(only_fundamental(three_phase(230)), 50, 4800, 480).samples
    result = analyze(wave, wave, 4800)
    assert result.flags == Flag.LIMITED_ORDER
    assert result.phases[0].h_max == 47
    assert np.isnan(result.phases[0].v_harmonics_rms[48:]).all()
    assert np.isfinite(result.phases[0].v_harmonics_rms[:48]).all()


AFTER_40_MS = TIME_S > 0.04

UNSTEADY = {
    "step of 2 %": 1 + 0.02 * AFTER_40_MS,
    "step of 30 %": 1 - 0.3 * AFTER_40_MS,
    "step in the last 10 ms": 1 + 0.2 * (TIME_S > 0.09),
    "ramp of 3 %": 1 + 0.03 * TIME_S / 0.1,
    "modulation of 2 % at 8.8 Hz": 1 + 0.02 * np.cos(2 * np.pi * 8.8 * TIME_S),
    "modulation of 2 % at 20 Hz": 1 + 0.02 * np.cos(2 * np.pi * 20 * TIME_S),
    "frequency ramp of 5 Hz/s": np.exp(5j * np.pi * (TIME_S - 0.05) ** 2),
    "phase jump of 2 degrees": np.exp(1j * np.radians(2) * AFTER_40_MS),
    "phase jump of 10 degrees": np.exp(1j * np.radians(10) * AFTER_40_MS),
}


@pytest.mark.parametrize("name", UNSTEADY)
def test_a_moving_window_is_not_stationary(name: str) -> None:
    """Steps, ramps, modulation and phase jumps are named."""
    voltage = modulated(np.asarray(UNSTEADY[name]))
    assert Flag.NON_STATIONARY in analyze(voltage, CURRENT, RATE_HZ).flags


@pytest.mark.parametrize("degrees", [2, 5, 10, -20])
@pytest.mark.parametrize("at_s", [0.02, 0.05, 0.075])
def test_a_phase_jump_is_no_frequency(degrees: float, at_s: float) -> None:
    """A switched line gives no frequency instead of a wrong one; the powers go on."""
    voltage = modulated(np.exp(1j * np.radians(degrees) * (at_s < TIME_S)))
    result = analyze(voltage, voltage / 10, RATE_HZ)
    assert math.isnan(result.frequency_hz)
    assert math.isnan(result.phases[0].thd_v_percent)
    assert result.total.p_w == pytest.approx(3 * 230 * 23, rel=0.005)


def test_a_frequency_ramp_keeps_its_mean() -> None:
    """While the frequency ramps, the window's mean frequency is still known."""
    voltage = modulated(np.exp(5j * np.pi * (TIME_S - TIME_S.mean()) ** 2))
    result = analyze(voltage, voltage, RATE_HZ)
    assert result.frequency_hz == pytest.approx(50.2, abs=2e-3)


def test_a_load_step_voids_the_currents_distortion_only() -> None:
    """When the load doubles, voltage and frequency stay right and the mean power is exact."""
    current = modulated(1 + 1.0 * AFTER_40_MS, 16)
    result = analyze(VOLTAGE, current, RATE_HZ)
    assert result.frequency_hz == pytest.approx(50.2, abs=3e-4)
    for k, phase in enumerate(result.phases):
        assert phase.thd_v_percent == pytest.approx(3, abs=0.01)
        assert math.isnan(phase.thd_i_percent)
        assert np.isnan(phase.i_harmonics_rms[2:]).all()
        assert phase.p_mean_w == pytest.approx((VOLTAGE[k] * current[k]).mean())


@pytest.mark.parametrize("offset_hz", [-25, -12, 10, 18, 30])
def test_a_tone_beside_the_fundamental_is_named(offset_hz: float) -> None:
    """An interharmonic of 0.5 % within 30 Hz of the fundamental is flagged."""
    voltage = modulated(1 + 0.005 * np.exp(2j * np.pi * offset_hz * TIME_S))
    assert Flag.INTERHARMONIC in analyze(voltage, voltage, RATE_HZ).flags


@pytest.mark.parametrize("noise_db", [60, 50, 40])
def test_noise_is_neither_a_step_nor_a_tone(noise_db: float) -> None:
    """White noise alone raises no flag."""
    rng = np.random.default_rng(11)
    for _ in range(100):
        rows = sampled(
            only_fundamental(three_phase(230)),
            rng.uniform(42.5, 69),
            RATE_HZ,
            SAMPLES,
            noise_db=noise_db,
            rng=rng,
        ).samples
        assert not analyze(rows, rows, RATE_HZ).flags


def test_a_light_load_is_still_a_load() -> None:
    """A thousandth of full scale on a 16-bit converter reads its power within 0.5 %."""
    step = 1.6 * np.sqrt(2) * 16 / 2**15
    current = np.round(modulated(np.ones(SAMPLES), 0.016) / step) * step
    result = analyze(VOLTAGE, current, RATE_HZ)
    assert not result.flags
    assert result.total.p_w == pytest.approx(3 * 230 * 0.016, rel=5e-3)


def test_a_window_becomes_json_with_nulls_for_what_is_unknown() -> None:
    """to_dict() holds every value under its name, None for NaN, and flags by name."""
    voltage = VOLTAGE.copy()
    voltage[2, 3] = math.nan
    document = analyze(voltage, CURRENT, RATE_HZ).to_dict()
    again = json.loads(json.dumps(document, allow_nan=False))
    assert again["flags"] == ["not-finite"]
    assert again["frequency_hz"] == pytest.approx(50.2, abs=3e-4)
    assert again["total"]["p_w"] is None
    assert again["phases"][2]["v_rms"] is None
    assert again["phases"][2]["v_harmonics_rms"] == [None] * 51
    assert again["phases"][0]["v_rms"] == pytest.approx(230, rel=1e-3)
    assert len(again["phases"][0]["i_harmonics_rms"]) == 51

"""What happens within a window, and what a converter does to it, shows in the flags."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from polyphase_waves import distorted, reachable, sampled, three_phase

from bmc_ext.sampling import Flag, analyze

RATE_HZ = 12800
SAMPLES = 1280
TIME_S = np.arange(SAMPLES) / RATE_HZ

Rows = NDArray[np.float64]


def mains(rms: float = 230.0, *, frequency_hz: float = 50.0, envelope: object = 1.0) -> Rows:
    """Three phases with a third and a fifth harmonic and 80 dB of noise; a complex envelope."""
    rng = np.random.default_rng(5)
    turns = np.exp(2j * np.pi * frequency_hz * TIME_S)
    rows = np.real(np.sqrt(2) * three_phase(rms)[:, None] * np.asarray(envelope) * turns)
    for order, share in ((3, 0.02), (5, 0.03)):
        rows += np.sqrt(2) * rms * share * np.real(turns**order)
    return np.ascontiguousarray(rows + rng.normal(size=rows.shape) * rms * 1e-4)


@pytest.mark.parametrize("volts", [50, -200, 1000])
@pytest.mark.parametrize("at", [3, 640, 705, 1270])
def test_a_transient_of_one_sample_is_no_distortion(volts: float, at: int) -> None:
    """A spike voids the distortion that it would feign, and a large one amid the window f."""
    voltage = mains()
    voltage[:, at] += volts
    result = analyze(voltage, mains(16), RATE_HZ)
    for phase in result.phases:
        assert phase.flags == Flag.NON_STATIONARY
        assert math.isnan(phase.thd_v_percent)
        assert np.isnan(phase.v_harmonics_rms[2:]).all()
        assert phase.thd_i_percent == pytest.approx(math.hypot(2, 3), abs=0.01)
    if abs(volts) >= 200 and at in (640, 705):
        assert math.isnan(result.frequency_hz)
    else:
        assert result.frequency_hz == pytest.approx(50, abs=0.005)


@pytest.mark.parametrize("kind", ["spike", "jump"])
def test_another_phase_gives_the_frequency_where_the_strongest_jumps(kind: str) -> None:
    """A spike or a phase jump in the strongest voltage leaves the other phases as they are."""
    voltage = mains()
    if kind == "spike":
        voltage[0] *= 1.2
        voltage[0, 700] += 4000
    else:
        voltage[0] = mains(300, envelope=np.exp(1j * np.radians(5) * (TIME_S > 0.04)))[0]
    result = analyze(voltage, mains(16), RATE_HZ)
    assert [phase.flags for phase in result.phases] == [Flag.NON_STATIONARY, Flag(0), Flag(0)]
    assert result.frequency_hz == pytest.approx(50, abs=3e-4)
    assert result.phases[1].thd_v_percent == pytest.approx(math.hypot(2, 3), abs=0.01)


def test_a_noisy_phase_leaves_the_frequency_to_the_other_voltages() -> None:
    """A voltage that is only noise, and stronger than the others, is passed over."""
    voltage = mains()
    voltage[0] = np.random.default_rng(1).normal(size=SAMPLES) * 300
    result = analyze(voltage, np.zeros_like(voltage), RATE_HZ)
    assert result.frequency_hz == pytest.approx(50, abs=3e-4)
    assert Flag.NO_SIGNAL in result.phases[0].flags
    assert Flag.NO_SIGNAL not in result.phases[1].flags


@pytest.mark.parametrize("degrees", [0.5, -0.7, 1, 3])
@pytest.mark.parametrize("at_s", [0.012, 0.03, 0.05, 0.088])
def test_a_small_phase_jump_is_no_frequency_either(degrees: float, at_s: float) -> None:
    """From half a degree on the frequency is unknown instead of tens of millihertz wrong."""
    voltage = mains(envelope=np.exp(1j * np.radians(degrees) * (at_s < TIME_S)))
    result = analyze(voltage, voltage, RATE_HZ)
    assert Flag.NON_STATIONARY in result.flags
    assert math.isnan(result.frequency_hz)


@pytest.mark.parametrize("degrees", [0.1, -0.2, 0.3])
@pytest.mark.parametrize("frequency_hz", [47.3, 50.02, 61.3])
@pytest.mark.parametrize("at_s", [0.03, 0.047, 0.062])
def test_a_tenth_of_a_degree_is_a_jump(degrees: float, frequency_hz: float, at_s: float) -> None:
    """In mid window and at 80 dB such a jump would pass as 3 to 25 mHz."""
    envelope = np.exp(1j * np.radians(degrees) * (at_s < TIME_S))
    voltage = mains(frequency_hz=frequency_hz, envelope=envelope)
    result = analyze(voltage, voltage, RATE_HZ)
    assert Flag.NON_STATIONARY in result.flags
    assert math.isnan(result.frequency_hz)


@pytest.mark.parametrize("frequency_hz", [43.1, 47.3, 55.7, 66.2])
@pytest.mark.parametrize(("share", "ahead_s"), [(0.02, 0.003), (0.1, 0.001), (0.3, 0.0005)])
@pytest.mark.parametrize("is_tail", [False, True])
def test_a_step_near_the_end_is_seen_where_periods_do_not_fit(
    frequency_hz: float, share: float, ahead_s: float, *, is_tail: bool
) -> None:
    """The outer milliseconds belong to a period too, whatever the frequency."""
    behind = (0.1 - ahead_s if is_tail else ahead_s) < TIME_S
    current = mains(16, frequency_hz=frequency_hz, envelope=1 + share * behind)
    result = analyze(mains(frequency_hz=frequency_hz), current, RATE_HZ)
    assert Flag.NON_STATIONARY in result.flags


@pytest.mark.parametrize("hz_per_s", [-1, 0.5, 1])
def test_a_ramp_of_the_frequency_is_no_jump(hz_per_s: float) -> None:
    """Its frequency is that in mid window, and known."""
    rng = np.random.default_rng(8)
    for _ in range(20):
        frequency_hz = rng.uniform(42.7, 68.8)
        ramp = np.exp(1j * np.pi * hz_per_s * (TIME_S - TIME_S[-1] / 2) ** 2)
        voltage = mains(frequency_hz=frequency_hz, envelope=ramp)
        result = analyze(voltage, voltage, RATE_HZ)
        assert result.frequency_hz == pytest.approx(frequency_hz, abs=1e-3)


def test_interharmonics_far_off_leave_the_frequency_known() -> None:
    """Two tones of 0.5 % anywhere: f is known, within a millihertz unless flagged.

    It is given up where a tone beats so slowly with the fundamental that it looks like a step.
    """
    rng = np.random.default_rng(4)
    errors_hz, unknown = [], 0
    for _ in range(200):
        frequency_hz = rng.uniform(45, 65)
        voltage = mains(frequency_hz=frequency_hz)
        for tone_hz in rng.uniform(10, 2500, 2):
            voltage += 1.6 * np.cos(2 * np.pi * (tone_hz * TIME_S + rng.random()))
        result = analyze(voltage, voltage, RATE_HZ)
        if math.isnan(result.frequency_hz):
            assert Flag.NON_STATIONARY in result.flags
            unknown += 1
        if not result.flags:
            errors_hz.append(abs(result.frequency_hz - frequency_hz))
    assert unknown <= 4
    assert len(errors_hz) > 150
    assert np.percentile(errors_hz, 98) < 1e-3


@pytest.mark.parametrize("at_s", [0.006, 0.094])
@pytest.mark.parametrize("frequency_hz", [49.96, 49.999, 50.001, 60.0])
def test_a_hair_below_nominal_costs_no_period(at_s: float, frequency_hz: float) -> None:
    """A step near either end is seen although five periods no longer quite fit."""
    current = mains(16, frequency_hz=frequency_hz, envelope=1 + 0.3 * (at_s < TIME_S))
    result = analyze(mains(frequency_hz=frequency_hz), current, RATE_HZ)
    assert Flag.NON_STATIONARY in result.flags


@pytest.mark.parametrize("until_s", [0.006, 0.012])
def test_what_stands_at_the_edge_only_is_not_stationary(until_s: float) -> None:
    """A current that ends early is no current in mid window, but not a steady nothing."""
    current = mains(16, envelope=1.0 * (until_s > TIME_S)) * (until_s > TIME_S)
    result = analyze(mains(), np.ascontiguousarray(current), RATE_HZ)
    assert result.flags == Flag.NO_CURRENT | Flag.NON_STATIONARY
    assert math.isnan(result.phases[0].thd_i_percent)
    expected = (mains() * current).mean(axis=1)
    assert [phase.p_mean_w for phase in result.phases] == pytest.approx(expected)


@pytest.mark.parametrize("rate_hz", [4000, 4800, 6400, 51200])
@pytest.mark.parametrize("frequency_hz", [49.97, 50.0, 59.9])
def test_a_peaky_current_is_steady(rate_hz: int, frequency_hz: float) -> None:
    """A crest factor above 3, made of all odd orders, raises no flag and reads right."""
    samples = rate_hz // 10
    orders = np.arange(reachable(frequency_hz, rate_hz) + 1)
    peaky = np.where(orders % 2 == 1, 10 * np.exp(-((orders / 14) ** 2)), 0)
    rms = np.sqrt((peaky**2).sum())
    current = sampled(peaky[None].astype(complex), frequency_hz, rate_hz, samples).samples
    voltage = sampled(np.array([[0j, 230]]), frequency_hz, rate_hz, samples).samples
    result = analyze(voltage, current, rate_hz)
    phase = result.phases[0]
    assert not result.flags & ~Flag.LIMITED_ORDER
    assert phase.crest_i > 3
    assert phase.i_rms == pytest.approx(rms, rel=1e-5)
    assert phase.k_factor == pytest.approx(((orders * peaky) ** 2).sum() / rms**2, rel=1e-4)
    assert phase.thd_i_percent == pytest.approx(
        100 * np.sqrt((peaky[2:] ** 2).sum()) / peaky[1], abs=0.02
    )


def test_rich_harmonics_at_low_rates_raise_no_flag() -> None:
    """80 % of distortion in any orders, at rates that leave the highest hardly two samples."""
    rng = np.random.default_rng(6)
    for _ in range(150):
        rate_hz = float(rng.choice([4000, 4096, 4800, 7200.5]))
        frequency_hz = rng.uniform(42.5, 69)
        highest = reachable(frequency_hz, rate_hz)
        phasors = distorted(rng, three_phase(16), highest=highest, thd=0.8, dc=0.01)
        rows = sampled(phasors, frequency_hz, rate_hz, int(rate_hz / 10)).samples
        voltage = sampled(phasors[:, :2], frequency_hz, rate_hz, int(rate_hz / 10)).samples
        assert not analyze(voltage, rows, rate_hz).flags & ~Flag.LIMITED_ORDER


@pytest.mark.parametrize("limit", [0.99, 0.9, 0.5, 0.3])
@pytest.mark.parametrize("rate_hz", [4800, 12800, 51200])
@pytest.mark.parametrize("bits", [None, 16])
def test_clipping_shows_without_noise_too(limit: float, rate_hz: int, bits: int | None) -> None:
    """A wave of whole samples a period, cut, is clipped in every period alike."""
    wave = 325 * np.cos(2 * np.pi * 50 * np.arange(rate_hz // 10) / rate_hz)
    if bits:
        step = 400 / 2 ** (bits - 1)
        wave = np.round(wave / step) * step
    whole, cut = analyze(wave, wave, rate_hz), np.clip(wave, -limit * 325, limit * 325)
    assert not whole.flags & ~Flag.LIMITED_ORDER
    result = analyze(cut, wave, rate_hz)
    assert Flag.CLIPPED in result.flags
    expected = int((np.abs(wave) >= limit * 325).sum())
    assert result.phases[0].v_clipped_samples == pytest.approx(expected, abs=30)
    assert result.phases[0].i_clipped_samples == 0


@pytest.mark.parametrize("steps", [2, 3, 5, 8, 12])
def test_a_few_steps_of_the_converter_are_named(steps: float) -> None:
    """Without noise such a wave is distorted by the converter, some percent at two steps."""
    current = np.round(steps * np.cos(2 * np.pi * 50.03 * TIME_S))
    voltage = 325 * np.cos(2 * np.pi * 50.03 * TIME_S)
    phase = analyze(voltage, current, RATE_HZ).phases[0]
    assert phase.flags == Flag.COARSE
    assert phase.i1_rms == pytest.approx(steps / np.sqrt(2), rel=0.05)


@pytest.mark.parametrize("steps", [40, 1000])
def test_enough_steps_are_not_coarse(steps: float) -> None:
    """A light load on many steps of the converter is an ordinary one."""
    current = np.round(steps * np.cos(2 * np.pi * 50.03 * TIME_S))
    result = analyze(325 * np.cos(2 * np.pi * 50.03 * TIME_S), current, RATE_HZ)
    assert not result.flags


@pytest.mark.parametrize("rate_hz", [4800, 12800, 51200])
@pytest.mark.parametrize("share_of_rate", [0.49, 0.493, 0.497])
def test_content_close_to_half_the_rate_is_named(rate_hz: int, share_of_rate: float) -> None:
    """0.5 % at or above 0.49 of the rate is flagged in the channel where it is."""
    rng = np.random.default_rng(3)
    samples = rate_hz // 10
    phasors = distorted(rng, three_phase(230), highest=30, thd=0.05, dc=0.01)
    rows = sampled(phasors, 50.3, rate_hz, samples, noise_db=80, rng=rng).samples
    clean = analyze(rows, rows, rate_hz)
    tone = 0.005 * 325 * np.cos(2 * np.pi * share_of_rate * np.arange(samples) + 1)
    result = analyze(rows, rows + [[0], [1], [0]] * tone, rate_hz)
    assert not clean.flags & ~Flag.LIMITED_ORDER
    assert [Flag.NEAR_HALF_RATE in phase.flags for phase in result.phases] == [False, True, False]


@pytest.mark.parametrize("noise_db", [80, 60, 40])
def test_noise_and_tones_in_mid_band_are_not_close_to_half_the_rate(noise_db: float) -> None:
    """White noise and a tone at 0.4 of the rate do not raise that flag."""
    rng = np.random.default_rng(4)
    for share_of_rate in (0.15, 0.3, 0.4):
        phasors = three_phase(230)[:, None] * [0, 1]
        rows = sampled(phasors, 50.3, RATE_HZ, SAMPLES, noise_db=noise_db, rng=rng)
        tone = 1.6 * np.cos(2 * np.pi * share_of_rate * np.arange(SAMPLES))
        assert Flag.NEAR_HALF_RATE not in analyze(rows.samples + tone, rows.samples, RATE_HZ).flags

"""What is known of the sensors is taken out: closed forms with phase errors, delays and gains."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose
from numpy.typing import NDArray
from polyphase_waves import (
    Channels,
    Phasors,
    distorted,
    only_fundamental,
    power,
    sampled,
    three_phase,
)

from bmc_ext.sampling import ChannelCorrection, analyze

FREQUENCY_HZ, RATE_HZ, SAMPLES, HIGHEST = 50.37, 12800, 1280, 40
NONE = ChannelCorrection()


def load(seed: int) -> tuple[Channels, Phasors]:
    """A voltage and the true current's phasors, both strongly distorted, power factor 0.85."""
    rng = np.random.default_rng(seed)
    phasors = [
        distorted(rng, three_phase(rms, lag), highest=HIGHEST, thd=thd, dc=0.01)
        for rms, lag, thd in ((230, 0.3, 0.08), (90, 0.3 + np.arccos(0.85), 0.3))
    ]
    return sampled(phasors[0], FREQUENCY_HZ, RATE_HZ, SAMPLES), phasors[1]


def seen(phasors: Phasors, correction: list[ChannelCorrection]) -> NDArray[np.float64]:
    """The samples that sensors give whose errors are those that the corrections say."""
    orders = np.arange(phasors.shape[1])
    rows = []
    for row, sensor in zip(phasors, correction, strict=True):
        lead = np.where(orders == 0, 0, sensor.phase_rad)
        lead = lead + 2 * np.pi * orders * FREQUENCY_HZ * sensor.delay_s
        late = sampled((row * np.exp(1j * lead))[None], FREQUENCY_HZ, RATE_HZ, SAMPLES).samples
        rows.append(late[0] / sensor.gain + sensor.offset)
    return np.array(rows)


def q1_var(voltage: Phasors, current: Phasors) -> NDArray[np.float64]:
    """Fundamental reactive power of each phase."""
    return np.imag(voltage[:, 1] * np.conj(current[:, 1]))


@pytest.mark.parametrize(
    "sensor",
    [
        ChannelCorrection(phase_rad=0.02),
        ChannelCorrection(delay_s=65e-6),
        ChannelCorrection(phase_rad=0.02, delay_s=65e-6),
        ChannelCorrection(gain=-1.013, offset=4.5, phase_rad=-0.02, delay_s=-65e-6),
    ],
)
def test_a_current_sensor_with_known_errors_reads_the_truth(sensor: ChannelCorrection) -> None:
    """P, Q1, the angle, every harmonic and the DC are those of the primary current."""
    voltage, current = load(1)
    samples = seen(current, [sensor] * 3)
    result = analyze(
        voltage.samples, samples, RATE_HZ, corrections=[NONE, NONE, NONE, sensor, sensor, sensor]
    )
    true_w = power(voltage, Channels(current, samples))
    assert_allclose([phase.p_w for phase in result.phases], true_w, rtol=1e-6)
    assert_allclose(
        [phase.q1_var for phase in result.phases], q1_var(voltage.phasors, current), rtol=1e-6
    )
    angles = np.angle(voltage.phasors[:, 1] / current[:, 1], deg=True)
    assert_allclose([phase.phi1_deg for phase in result.phases], angles, atol=1e-4)
    for phase, expected in zip(result.phases, current, strict=True):
        read = phase.i_harmonics_rms * np.exp(1j * np.radians(phase.i_harmonics_deg))
        assert_allclose(read[1 : HIGHEST + 1], expected[1:], atol=90e-6)
        assert phase.i_dc == pytest.approx(expected[0].real, abs=90e-6)


def test_each_channel_has_its_own_sensor() -> None:
    """Six different sensors, voltages among them, still give the powers and the unbalance."""
    rng = np.random.default_rng(7)
    balanced, current = load(2)
    uneven = np.array([[1], [0.97 + 0.02j], [1.02]])
    voltage = sampled(balanced.phasors * uneven, FREQUENCY_HZ, RATE_HZ, SAMPLES)
    current *= uneven**5
    sensors = [
        ChannelCorrection(*values)
        for values in np.column_stack(
            [
                rng.uniform(0.9, 1.1, 6),
                rng.uniform(-3, 3, 6),
                rng.uniform(-0.05, 0.05, 6),
                rng.uniform(-1e-4, 1e-4, 6),
            ]
        )
    ]
    result = analyze(
        seen(voltage.phasors, sensors[:3]),
        seen(current, sensors[3:]),
        RATE_HZ,
        corrections=sensors,
    )
    true = analyze(voltage.samples, seen(current, [NONE] * 3), RATE_HZ)
    assert_allclose(
        [phase.p_w for phase in result.phases],
        power(voltage, Channels(current, voltage.samples)),
        rtol=1e-6,
    )
    assert result.frequency_hz == pytest.approx(FREQUENCY_HZ, abs=1e-5)
    assert_allclose(list(result.total)[:5], list(true.total)[:5], rtol=1e-3)
    for name in ("u2_percent", "i_negative_rms", "i_zero_rms", "i_neutral", "s_effective_va"):
        assert getattr(result.total, name) == pytest.approx(getattr(true.total, name), rel=1e-4)


def test_a_phase_error_undone_as_a_delay_is_visibly_wrong() -> None:
    """Right at the fundamental, it turns order h back h times too far: P off by over 0.05 %."""
    voltage, current = load(3)
    current[:, 5] = 0.3 * np.abs(current[:, 1])
    voltage = sampled(
        np.where(np.arange(HIGHEST + 1) == 5, 18j, voltage.phasors), FREQUENCY_HZ, RATE_HZ, SAMPLES
    )
    samples = seen(current, [ChannelCorrection(phase_rad=0.02)] * 3)
    as_delay = ChannelCorrection(delay_s=0.02 / (2 * np.pi * FREQUENCY_HZ))
    result = analyze(voltage.samples, samples, RATE_HZ, corrections=[NONE] * 3 + [as_delay] * 3)
    true_w = power(voltage, Channels(current, samples))
    off = [phase.p_w for phase in result.phases] / true_w - 1
    assert_allclose([phase.phi1_deg for phase in result.phases], np.degrees(np.arccos(0.85)), 2e-6)
    assert np.all(np.abs(off) > 5e-4)


def test_a_delay_adds_to_the_skew() -> None:
    """Half a delay as skew and half as correction are one delay."""
    voltage, current = load(4)
    samples = seen(current, [ChannelCorrection(delay_s=80e-6)] * 3)
    half = ChannelCorrection(delay_s=40e-6)
    both = analyze(
        voltage.samples, samples, RATE_HZ, skew_s=40e-6, corrections=[NONE] * 3 + [half] * 3
    )
    alone = analyze(voltage.samples, samples, RATE_HZ, skew_s=80e-6)
    assert_allclose(list(both.total), list(alone.total), rtol=1e-12)


def test_the_mean_power_moves_with_the_weighted_one() -> None:
    """The plain mean takes the same difference, so that energy is corrected too."""
    voltage, current = load(5)
    sensor = ChannelCorrection(phase_rad=0.02)
    samples = seen(current, [sensor] * 3)
    plain = analyze(voltage.samples, samples, RATE_HZ)
    result = analyze(voltage.samples, samples, RATE_HZ, corrections=[NONE] * 3 + [sensor] * 3)
    for before, after in zip(plain.phases, result.phases, strict=True):
        assert after.p_mean_w - before.p_mean_w == pytest.approx(after.p_w - before.p_w, rel=1e-9)
        assert abs(after.p_w - before.p_w) > 0.005 * after.s_va


def test_no_corrections_read_as_before_to_the_last_bit() -> None:
    """Corrections that correct nothing change nothing."""
    voltage, current = load(6)
    samples = seen(current, [NONE] * 3)
    plain = analyze(voltage.samples, samples, RATE_HZ)
    assert analyze(voltage.samples, samples, RATE_HZ, corrections=[NONE] * 6).to_dict() == (
        plain.to_dict()
    )


def test_without_a_line_frequency_gain_and_offset_still_apply() -> None:
    """DC alone is read through gain and offset, whatever the angle."""
    flat = np.full((1, SAMPLES), 3.0)
    sensor = ChannelCorrection(gain=10.0, offset=1.0, phase_rad=0.1)
    result = analyze(flat, flat, RATE_HZ, corrections=[sensor, NONE])
    assert result.phases[0].v_dc == 20.0
    assert result.phases[0].p_mean_w == 60.0


def test_single_precision_counts_are_read_through_a_large_offset() -> None:
    """float32 samples are converted before the offset is taken: no digits are lost to it."""
    phasors = only_fundamental(three_phase(1))
    counts = np.round(sampled(phasors, 50.0, RATE_HZ, SAMPLES).samples * 20000) + 32768
    sensor = ChannelCorrection(gain=230 / 20000, offset=32768.0)
    result = analyze(
        counts.astype(np.float32), counts.astype(np.float32), RATE_HZ, corrections=[sensor] * 6
    )
    assert_allclose([phase.v_rms for phase in result.phases], 230, rtol=1e-5)
    assert_allclose([phase.v_dc for phase in result.phases], 0, atol=1e-3)

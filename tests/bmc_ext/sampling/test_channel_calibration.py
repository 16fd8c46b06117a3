"""Calibrated channels of a waveform source: the truth comes back, and its uncertainty holds."""

from __future__ import annotations

import logging
import math
from datetime import UTC, date, datetime

import numpy as np
import pytest
from numpy.typing import NDArray
from polyphase_waves import only_fundamental, sampled, three_phase

from bmc_ext.domain.calibration import (
    CalibratedRange,
    Calibration,
    TemperatureEffect,
    Uncertainty,
    frequency_noise,
)
from bmc_ext.sampling import Analysis, analyze
from bmc_ext.sampling.channel_calibration import CHANNELS, ChannelCalibrations, Confidence
from bmc_ext.sampling.sensor_calibration import SensorCalibration
from drivers.reading import Quality, Reading

RATE_HZ, SAMPLES = 12800, 1280
LAG_RAD = math.acos(0.85)
VALID_S = datetime(2026, 6, 1, tzinfo=UTC).timestamp()
PLAIN = (CalibratedRange(0.0, 1e4, Uncertainty(pct_reading=0.1, phase_rad=0.5e-3)),)


def sensor(
    channel: str,
    ranges: tuple[CalibratedRange, ...] = PLAIN,
    effect: TemperatureEffect | None = None,
    temperature_c: float | None = None,
) -> SensorCalibration:
    """A certificate of 2026, due in March 2027."""
    known = Calibration(
        f"f/{channel}",
        channel[0].replace("I", "A"),
        f"C-{channel}",
        date(2026, 3, 2),
        date(2027, 3, 2),
        ranges,
        effect,
    )
    now = Reading(temperature_c, "Cel", Quality.STALE if temperature_c is None else Quality.OK)
    return SensorCalibration(known, lambda _: now)


def all_plain(**others: SensorCalibration) -> ChannelCalibrations:
    """All channels with plain certificates, except the given ones."""
    return ChannelCalibrations({name: sensor(name) for name in CHANNELS} | others)


def wave(rms: float, lag_rad: float = 0.0) -> NDArray[np.float64]:
    """Three phases at 50.2 Hz."""
    return sampled(only_fundamental(three_phase(rms, lag_rad)), 50.2, RATE_HZ, SAMPLES).samples


def read(
    channels: ChannelCalibrations,
    voltage: NDArray[np.float64],
    current: NDArray[np.float64],
    unix_s: float = VALID_S,
) -> tuple[Analysis, Confidence]:
    """One window."""
    return channels.analyze(voltage, current, RATE_HZ, unix_s)


def test_a_current_transformer_with_a_certificate_reads_the_truth() -> None:
    """Gain, phase error, offset and delay are taken out of one phase, the others stay."""
    within = CalibratedRange(
        0.0, 1e4, PLAIN[0].uncertainty, gain=1.02, offset=0.7, phase_rad=0.015, delay_s=20e-6
    )
    lead = 0.015 + 2 * math.pi * 50.2 * 20e-6
    current = wave(100.0, LAG_RAD)
    current[1] = wave(100.0, LAG_RAD - lead)[1] / 1.02 + 0.7
    analysis, _ = read(all_plain(IB=sensor("IB", (within,))), wave(230.0), current)
    for phase in analysis.phases:
        assert phase.p_w == pytest.approx(23000 * 0.85, rel=1e-6)
        assert phase.i_rms == pytest.approx(100.0, rel=1e-6)


def test_the_range_is_that_of_the_windows_own_magnitude() -> None:
    """A step into another range is right in its first window, and held in the overlap."""
    ranges = (
        CalibratedRange(0.0, 50.0, Uncertainty(pct_reading=0.5), gain=1.1),
        CalibratedRange(45.0, 5000.0, Uncertainty(pct_reading=0.1), gain=1.01),
    )
    channels = ChannelCalibrations({"IA": sensor("IA", ranges)})
    found = []
    for raw in (20.0, 1000.0, 45.0, 20.0, 44.0):
        analysis, _ = read(channels, wave(230.0), wave(raw))
        found.append(analysis.phases[0].i_rms)
    assert found == pytest.approx([22.0, 1010.0, 45.45, 22.0, 48.4], rel=1e-6)


def test_ranges_that_refuse_each_others_value_do_not_chatter() -> None:
    """47 A is 51.7 A by the lower range and 47.5 A by the upper one: it stays where it came from.

    Far values are found through the ranges between.
    """
    ranges = (
        CalibratedRange(0.0, 50.0, Uncertainty(), gain=1.1),
        CalibratedRange(50.0, 500.0, Uncertainty(), gain=1.01),
        CalibratedRange(500.0, 5000.0, Uncertainty(), gain=0.8),
    )
    channels = ChannelCalibrations({"IA": sensor("IA", ranges)})
    found = []
    for raw in (47.0, 47.0, 60.0, 47.0, 47.0, 600.0, 700.0, 600.0, 4000.0, 10.0):
        analysis, _ = read(channels, wave(230.0), wave(raw))
        found.append(analysis.phases[0].i_rms / raw)
    assert found == pytest.approx([1.1, 1.1, 1.01, 1.01, 1.01, 1.01, 0.8, 0.8, 0.8, 1.1], rel=1e-6)


def test_the_uncertainty_covers_drawn_sensors() -> None:
    """2000 sets of sensors within their certificates: the powers scatter as it says, k = 2."""
    rng = np.random.default_rng(11)
    analysis, confidence = read(all_plain(), wave(230.0), wave(100.0, LAG_RAD))
    assert analysis.total.p_w == pytest.approx(3 * 23000 * 0.85)
    errors = rng.normal(size=(2000, 3, 2)) * [0.5e-3, 0.25e-3]
    others = rng.normal(size=(2000, 3, 2)) * [0.5e-3, 0.25e-3]
    drawn = 23000 * (1 + errors[..., 0]) * (1 + others[..., 0])
    drawn = (drawn * np.cos(LAG_RAD + errors[..., 1] + others[..., 1])).sum(axis=1)
    assert confidence.p_uncertainty_w == pytest.approx(2 * drawn.std(), rel=0.06)


def test_every_phase_has_its_own_uncertainties() -> None:
    """Drawn sensors scatter as Q of a phase says; V and I have what their certificates give."""
    rng = np.random.default_rng(23)
    analysis, confidence = read(all_plain(), wave(230.0), wave(100.0, LAG_RAD))
    errors = rng.normal(size=(20_000, 2)) * [0.5e-3, 0.25e-3]
    others = rng.normal(size=(20_000, 2)) * [0.5e-3, 0.25e-3]
    drawn = 23000 * (1 + errors[:, 0]) * (1 + others[:, 0])
    turned = LAG_RAD + errors[:, 1] + others[:, 1]
    for phase in confidence.phases:
        assert phase.p_uncertainty_w == pytest.approx(2 * (drawn * np.cos(turned)).std(), rel=0.02)
        expected = 2 * (drawn * np.sin(turned)).std()
        assert phase.q_uncertainty_var == pytest.approx(expected, rel=0.02)
        assert phase.v_uncertainty_v == pytest.approx(0.23)
        assert phase.i_uncertainty_a == pytest.approx(0.1)
    assert len(confidence.phases) == len(analysis.phases)
    assert confidence.q_uncertainty_var == pytest.approx(3**0.5 * expected, rel=0.02)


def test_what_is_computed_from_both_has_uncertainties_of_its_own() -> None:
    """Drawn sensors on unequal phases scatter as S and PF say, of each phase and in total."""
    rng = np.random.default_rng(5)
    current = wave(100.0, LAG_RAD)
    current[1] *= 0.3
    current[2] = wave(150.0, -1.1)[2]
    analysis, confidence = read(all_plain(), wave(230.0), current)
    errors = rng.normal(size=(2, 20_000, 3, 2)) * [0.5e-3, 0.25e-3]
    gain = (1 + errors[0, :, :, 0]) * (1 + errors[1, :, :, 0])
    s_va = gain * [phase.s_va for phase in analysis.phases]
    phi = np.radians([phase.phi1_deg for phase in analysis.phases])
    p_w = s_va * np.cos(phi + errors[:, :, :, 1].sum(axis=0))
    assert confidence.s_uncertainty_va == pytest.approx(2 * s_va.sum(axis=1).std(), rel=0.02)
    pf = p_w.sum(axis=1) / s_va.sum(axis=1)
    assert confidence.pf_uncertainty == pytest.approx(2 * pf.std(), rel=0.02)
    for k, phase in enumerate(confidence.phases):
        assert phase.s_uncertainty_va == pytest.approx(2 * s_va[:, k].std(), rel=0.02)
        assert phase.pf_uncertainty == pytest.approx(2 * (p_w / s_va)[:, k].std(), rel=0.02)


def test_a_thd_is_as_sure_as_its_channel_and_the_noise_allow() -> None:
    """Orders that are wrong by themselves scatter so; noise of 60 dB stays within the rest."""
    rng = np.random.default_rng(6)
    within = (CalibratedRange(0.0, 1e4, Uncertainty(pct_reading=10.0)),)
    fifth = np.cos(2 * np.pi * 5 * 50.2 * np.arange(SAMPLES) / RATE_HZ)
    current = wave(100.0) + 20.0 * math.sqrt(2) * fifth
    _, confidence = read(ChannelCalibrations({"IA": sensor("IA", within)}), wave(230.0), current)
    known = confidence.phases[0].thd_i_uncertainty_percent
    assert known is not None
    harmonic, fundamental = 1 + rng.normal(size=(2, 20_000)) * 0.05
    assert known == pytest.approx(2 * (20 * harmonic / fundamental).std(), rel=0.03)
    assert confidence.phases[0].thd_v_uncertainty_percent is None
    assert confidence.phases[1].thd_i_uncertainty_percent is None
    exact = (CalibratedRange(0.0, 1e4, Uncertainty()),)
    channels = ChannelCalibrations({"VA": sensor("VA", exact)})
    for _ in range(50):
        noisy = wave(230.0) + rng.normal(size=(3, 1280)) * 0.23
        analysis, confidence = read(channels, noisy, wave(100.0))
        bound = confidence.phases[0].thd_v_uncertainty_percent
        assert bound is not None
        assert analysis.phases[0].thd_v_percent < bound < 0.06


@pytest.mark.parametrize(("rate_hz", "samples"), [(4800, 480), (12800, 1280)])
def test_the_frequencys_noise_is_what_is_said(rate_hz: int, samples: int) -> None:
    """The frequencies of 400 windows at 60 dB scatter so, k = 2."""
    rng = np.random.default_rng(8)
    errors = []
    for _ in range(400):
        hz, turn = rng.uniform(43.0, 68.0), rng.uniform()
        turns = hz * np.arange(samples) / rate_hz + turn - np.arange(3)[:, None] / 3
        volts = 325.0 * np.cos(2 * np.pi * turns) + rng.normal(size=(3, samples)) * 0.23
        errors.append(analyze(volts, volts, rate_hz).frequency_hz - hz)
    assert frequency_noise(samples) == pytest.approx(2 * np.std(errors), rel=0.15)


def test_without_current_only_the_factor_is_unknown() -> None:
    """Of no current no share is known: S is sure to what the channels may show, PF is no number."""
    flat = Uncertainty(absolute=0.5)
    channels = all_plain(IA=sensor("IA", (CalibratedRange(0.0, 1e4, flat),)))
    current = wave(100.0)
    current[0] = 0.0
    _, confidence = read(channels, wave(230.0), current)
    first = confidence.phases[0]
    assert first.s_uncertainty_va == pytest.approx(230.0 * 0.5, rel=2e-3)
    assert (first.pf_uncertainty, first.thd_i_uncertainty_percent) == (None, None)
    assert confidence.pf_uncertainty is None


def test_a_clipped_channel_is_not_sure_of_itself() -> None:
    """Its magnitude is a lower bound, whatever the certificate says; the voltage is still good."""
    current = wave(100.0, LAG_RAD)
    current[1] = np.clip(current[1], -110.0, 110.0)
    _, confidence = read(all_plain(), wave(230.0), current)
    assert confidence.p_uncertainty_w is None
    clipped = confidence.phases[1]
    assert (clipped.p_uncertainty_w, clipped.i_uncertainty_a) == (None, None)
    assert clipped.v_uncertainty_v == pytest.approx(0.23)
    assert confidence.phases[0].p_uncertainty_w is not None


def test_a_coarse_channel_is_not_sure_of_itself() -> None:
    """Of a wave over four steps of the converter the certificate says nothing."""
    current = np.round(wave(100.0) / 70.0) * 70.0
    _, confidence = read(all_plain(), wave(230.0), current)
    assert [phase.i_uncertainty_a for phase in confidence.phases] == [None] * 3
    assert confidence.p_uncertainty_w is None


def test_a_certificate_of_a_phase_that_is_not_there_is_said_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A single-phase source has no VB."""
    channels = ChannelCalibrations({"VA": sensor("VA"), "VB": sensor("VB")})
    for _ in range(3):
        read(channels, wave(230.0)[:1], wave(100.0)[:1])
    assert caplog.messages == ["calibration: f/VB: its source has 1 phase(s) only"]


def test_a_certificate_from_the_future_is_a_condition() -> None:
    """A day of a zone further east is none; a mistyped year never becomes overdue in silence."""
    early = datetime(2026, 3, 1, tzinfo=UTC).timestamp()
    for unix_s, expected in ((early, set()), (early - 1, {"calibration-in-future"})):
        _, confidence = read(all_plain(), wave(230.0), wave(100.0), unix_s)
        assert {entry.kind for entry in confidence.conditions} == expected


def test_without_every_certificate_the_powers_uncertainty_is_unknown() -> None:
    """One channel without is enough; the others are corrected all the same."""
    sensors = {name: sensor(name) for name in CHANNELS if name != "VC"}
    analysis, confidence = read(ChannelCalibrations(sensors), wave(230.0), wave(100.0))
    assert analysis.total.p_w == pytest.approx(69000.0)
    assert confidence.p_uncertainty_w is None
    assert len(confidence.calibrations) == 5


@pytest.mark.parametrize(("rms", "kind"), [(5.0, "below-range"), (200.0, "above-range")])
def test_what_is_beyond_the_ranges_is_marked(rms: float, kind: str) -> None:
    """It is named with its sensor, and the power's uncertainty is unknown."""
    ranges = (CalibratedRange(10.0, 100.0, Uncertainty(pct_reading=0.1)),)
    channels = all_plain(IC=sensor("IC", ranges))
    _, confidence = read(channels, wave(230.0), wave(rms))
    assert [(entry.kind, entry.sensor) for entry in confidence.conditions] == [(kind, "f/IC")]
    assert confidence.p_uncertainty_w is None


def test_a_warm_sensor_is_compensated_and_an_unknown_temperature_is_said() -> None:
    """1 % per 10 K is taken out; unknown, it stays in and the uncertainty grows by the stated."""
    effect = TemperatureEffect(
        20.0, gain_per_k=-1e-3, point="rtd/t", unknown=Uncertainty(pct_reading=1.0)
    )
    sums = {}
    for temperature_c in (30.0, None):
        channels = all_plain(
            **{name: sensor(name, PLAIN, effect, temperature_c) for name in ("IA", "IB", "IC")}
        )
        analysis, confidence = read(channels, wave(230.0), wave(100.0 / 0.99))
        sums[temperature_c] = analysis.total.p_w, confidence.p_uncertainty_w, confidence.conditions
    warm, unknown = sums[30.0], sums[None]
    assert warm[0] == pytest.approx(69000.0, rel=1e-6)
    assert warm[2] == ()
    assert unknown[0] == pytest.approx(69000.0 / 0.99, rel=1e-6)
    assert {entry.kind for entry in unknown[2]} == {"temperature-unknown"}
    assert warm[1] is not None
    assert unknown[1] is not None
    assert unknown[1] == pytest.approx(math.hypot(warm[1] / 0.99, 0.01 * unknown[0] / 3**0.5))


def test_overdue_is_a_condition_from_the_day_after_and_logged_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Through the due day it holds; then every window says so and the log once."""
    channels = ChannelCalibrations({"IA": sensor("IA")})
    last = datetime(2027, 3, 2, 23, 59, 59, tzinfo=UTC).timestamp()
    with caplog.at_level(logging.WARNING):
        _, confidence = read(channels, wave(230.0), wave(100.0), last)
        assert confidence.conditions == ()
        assert not confidence.calibrations[0].overdue
        for later_s in (1.0, 2.0, 3 * 86400.0):
            _, confidence = read(channels, wave(230.0), wave(100.0), last + later_s)
            assert [entry.kind for entry in confidence.conditions] == ["calibration-overdue"]
            assert confidence.calibrations[0].overdue
            assert confidence.calibrations[0].certificate == "C-IA"
    assert [record.getMessage() for record in caplog.records] == [
        "f/IA is overdue for calibration since 2027-03-02 (certificate C-IA)"
    ]


def test_one_phase_and_a_void_phase_are_survived() -> None:
    """A source of one phase uses VA and IA; NaN samples void the phase, not the certificate."""
    channels = all_plain()
    analysis, confidence = read(channels, wave(230.0)[:1], wave(100.0)[:1])
    assert len(confidence.calibrations) == 2
    assert analysis.total.p_w == pytest.approx(23000.0)
    assert confidence.p_uncertainty_w is not None
    broken = wave(100.0)
    broken[2, 7] = math.nan
    _, confidence = read(channels, wave(230.0), broken)
    assert confidence.p_uncertainty_w is None
    _, confidence = read(channels, wave(230.0), np.zeros((3, SAMPLES)))
    assert confidence.p_uncertainty_w == 0.0

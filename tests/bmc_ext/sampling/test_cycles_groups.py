"""10/12-cycle values against closed forms and against a DFT of exactly as many cycles."""

from __future__ import annotations

import numpy as np
import pytest
from cycle_waves import (
    Channel,
    Tone,
    groups_of,
    line,
    run,
    sampled,
    ten_twelve,
    times_of,
    turning,
)

from bmc_ext.sampling.analysis import ChannelCorrection
from bmc_ext.sampling.cycle_results import CycleFlag, CycleValues
from bmc_ext.sampling.cycles import CycleAggregator

LINES = [(50, 42.6), (50, 47.3), (50, 50.0), (50, 52.37), (50, 57.4),
         (60, 51.1), (60, 59.5), (60, 60.02), (60, 68.9)]  # fmt: skip


def rich(rng: np.random.Generator, hz: float, rms: float, angle: float, h_max: int) -> Channel:
    """A channel with all that makes groups differ: steady and beating harmonics, tones between."""
    tones = [Tone(rms, hz, angle)]
    for order in range(2, h_max + 1):
        beats = rng.random() < 0.3
        depth, beat_hz = (rng.uniform(0.1, 0.9), rng.uniform(0.3, 20)) if beats else (0, 0)
        size = 0.01 * rms * rng.exponential()
        tones.append(Tone(size, order * hz, rng.uniform(0, 7), depth, beat_hz))
    for between in rng.uniform(1.5, h_max, 4):
        tones.append(Tone(0.005 * rms, between * hz, rng.uniform(0, 7)))
    tones.append(Tone(0.01 * rms, 7.1 * hz, 1.0))  # on the side bin of order 7 at 50 Hz
    return Channel(tones, mean=rms * rng.uniform(-0.01, 0.01))


@pytest.mark.parametrize(("nominal_hz", "hz"), LINES)
@pytest.mark.parametrize("rate_hz", [12800, 25600])
def test_groups_are_those_of_a_dft_of_exactly_as_many_cycles(
    nominal_hz: int, hz: float, rate_hz: int
) -> None:
    """Harmonics, groups, subgroups, interharmonics to order 50 within a fifth of class I.

    1e-4 of the fundamental at 12.8 kS/s, 5e-5 at 25.6, where class I of IEC 61000-4-7 allows 5e-4;
    for beating harmonics and tones on and between the bins, at every frequency of class A.
    """
    rng = np.random.default_rng(round(100 * hz))
    cycles = 10 if nominal_hz == 50 else 12
    channels = [rich(rng, hz, 230 if k < 3 else 10, -2 * np.pi * (k % 3) / 3, 50) for k in range(6)]
    found = ten_twelve(sampled(channels, rate_hz, 0.65), rate_hz, nominal_hz)
    assert len(found) >= 1
    for values in found:
        assert values.cycles == cycles
        assert values.flags == 0
        assert values.duration_s == pytest.approx(cycles / hz, rel=1e-5)
        for number, channel in enumerate(channels):
            check_channel(values, number, channel, 1e-4 if rate_hz < 20000 else 5e-5)


def check_channel(values: CycleValues, number: int, channel: Channel, tolerance: float) -> None:
    """One channel's orders and distortions against its reference."""
    phase = values.phases[number % 3]
    got = phase.voltage if number < 3 else phase.current
    bins = channel.bins(values.start_ns * 1e-9, values.duration_s)
    wanted = groups_of(bins, values.cycles, 50)
    size = tolerance * channel.tones[0].rms
    for name, orders in (("h", got.harmonics), ("g", got.groups), ("sg", got.subgroups),
                         ("isg", got.interharmonics)):  # fmt: skip
        np.testing.assert_allclose(orders[1:], wanted[name][1:], atol=size, err_msg=name)
    for name, percent in (("h", got.thd_percent), ("g", got.thdg_percent),
                          ("sg", got.thds_percent)):  # fmt: skip
        total = np.sqrt((wanted[name][2:] ** 2).sum()) / wanted[name][1]
        assert percent == pytest.approx(100 * total, abs=50 * tolerance), name
    assert got.rms == pytest.approx(np.sqrt((bins**2).sum()), rel=tolerance / 3)
    assert got.harmonics[0] == pytest.approx(bins[0], abs=size)


def test_twelve_cycles_of_59_5_hz_are_not_two_windows() -> None:
    """They take 201.7 ms; two joined 100 ms windows read a THD of over 1 % where there is none."""
    rate_hz, hz = 12800, 59.5
    channels = line(hz)
    samples = sampled(channels, rate_hz, 1.0)
    for values in ten_twelve(samples, rate_hz, 60):
        assert values.duration_s == pytest.approx(12 / 59.5, abs=1e-8)
        assert values.phases[0].voltage.thds_percent < 1e-4
    bins = channels[0].bins(0.1, 0.2)
    joined = groups_of(bins, 12, 50)["sg"]
    assert np.sqrt((joined[2:] ** 2).sum()) / joined[1] > 0.01


def test_a_beat_is_caught_by_the_group_and_in_part_by_the_subgroup() -> None:
    """A fifth harmonic that beats at 15 Hz is whole in its group, at 5 Hz in its subgroup, too."""
    for beat_hz, in_subgroup in ((5.0, True), (15.0, False)):
        channels = line(50.0)
        channels[0] = Channel([Tone(230, 50), Tone(10, 250, 0.0, 0.8, beat_hz)])
        for values in ten_twelve(sampled(channels, 12800, 1.0), 12800, 50):
            voltage = values.phases[0].voltage
            whole = 10 * np.sqrt(1 + 0.8**2 / 2)
            assert voltage.harmonics[5] == pytest.approx(10, abs=1e-4)
            assert voltage.groups[5] == pytest.approx(whole, abs=1e-4)
            assert voltage.subgroups[5] == pytest.approx(whole if in_subgroup else 10, abs=1e-4)


def test_sixty_decibel_of_noise_stay_within_class_one() -> None:
    """At 60 dB harmonics are within class I of IEC 61000-4-7, the interval within its 0.03 %."""
    rng = np.random.default_rng(7)
    for hz in (42.6, 49.9, 57.2):
        channels = line(hz)
        for channel in channels:
            channel.tones.append(Tone(0.01 * channel.tones[0].rms, 5 * hz))  # type: ignore
        samples = sampled(channels, 12800, 2.0)
        size = np.array([channel.tones[0].rms for channel in channels])[:, None]
        samples += 1e-3 * size * rng.standard_normal(samples.shape)
        for values in ten_twelve(samples, 12800, 50):
            assert values.duration_s * hz == pytest.approx(10, rel=3e-4 / 10)
            voltage = values.phases[1].voltage
            assert voltage.subgroups[5] == pytest.approx(2.3, rel=0.02)
            others = np.delete(voltage.subgroups, [0, 1, 5])
            assert others.max() < 5e-4 * 230
            assert voltage.rms == pytest.approx(230 * np.sqrt(1 + 1e-4 + 1e-6), rel=2e-4)


def test_power_counts_harmonics_and_the_skew_of_the_current() -> None:
    """P is the mean of v·i over the interval, also where the currents are sampled 50 µs late."""
    skew_s = 50e-6
    channels = line(49.8)
    for k in range(3):
        channels[k].tones.append(Tone(10, 5 * 49.8))  # type: ignore[attr-defined]
        channels[3 + k].tones.append(Tone(2, 5 * 49.8, -1.0))  # type: ignore[attr-defined]
    late = sampled(channels, 12800, 1.0)
    late[3:] = [channel.at(times_of(12800, 1.0) + skew_s) for channel in channels[3:]]
    wanted = 2300 * np.cos(0.4) + 20 * np.cos(1.0)
    for samples, options in (
        (sampled(channels, 12800, 1.0), {}),
        (late, {"skew_s": (skew_s,) * 3}),
    ):
        for values in ten_twelve(samples, 12800, 50, **options):
            assert values.phases[2].p_w == pytest.approx(wanted, rel=1e-6)
            assert values.p_w == pytest.approx(3 * wanted, rel=1e-6)
            assert values.phases[0].q1_var == pytest.approx(2300 * np.sin(0.4), rel=1e-5)


def test_unbalance_is_that_of_the_symmetrical_components() -> None:
    """u2 and u0 of voltages made of known positive, negative and zero sequences."""
    turn = 2 * np.pi / 3
    channels = [
        Channel([Tone(230, 50, -k * turn), Tone(4.6, 50, k * turn + 1), Tone(2.3, 50, 2.0)])
        for k in range(3)
    ] + line(50.0)[3:]
    for values in ten_twelve(sampled(channels, 12800, 1.0), 12800, 50):
        assert values.u2_percent == pytest.approx(2.0, abs=1e-4)
        assert values.u0_percent == pytest.approx(1.0, abs=1e-4)


@pytest.mark.parametrize("ramp_hz_per_s", [-1.0, 0.5, 2.0])
def test_a_ramping_frequency_still_gives_ten_cycles(ramp_hz_per_s: float) -> None:
    """Each interval is the time of exactly ten turns of the fundamental, within 1e-6 of it."""
    times = times_of(12800, 3.0)
    hz = 50.0 - 1.5 * ramp_hz_per_s
    turns = hz * times + ramp_hz_per_s * times**2 / 2
    found = ten_twelve(turning(turns), 12800, 50)
    assert len(found) > 10
    for values in found:
        ends = np.array([values.start_ns, values.end_ns]) * 1e-9
        made = hz * ends + ramp_hz_per_s * ends**2 / 2
        assert made[1] - made[0] == pytest.approx(10, abs=1e-5)
        assert values.phases[0].voltage.rms == pytest.approx(230, rel=1e-4)


@pytest.mark.parametrize("hz", [47.03, 49.82, 55.71])
def test_orders_near_half_the_rate_are_within_class_one(hz: float) -> None:
    """At 4.8 kS/s all orders of 1 % up to 0.49 of the rate are right to 2e-4 of the fundamental.

    Their mirror images lie a few bins beyond; class I of IEC 61000-4-7 (table 1) asks 5e-4 of
    harmonics below 1 %, and 5 % of larger ones.
    """
    highest = int(0.49 * 4800 / hz)
    channels = line(hz)
    for k, channel in enumerate(channels):
        size = 0.01 * channel.tones[0].rms  # type: ignore[attr-defined]
        for order in range(2, highest + 1):
            channel.tones.append(Tone(size, order * hz, 0.7 * k + order))  # type: ignore[attr-defined]
    found = ten_twelve(sampled(channels, 4800, 2.0), 4800, 50)
    assert len(found) > 5
    for values in found:
        for number, phase in enumerate(values.phases):
            size = 0.01 * channels[number].tones[0].rms  # type: ignore[attr-defined]
            for orders in (phase.voltage.groups, phase.voltage.subgroups):
                errors = orders[2 : values.h_max + 1] - size
                assert np.abs(errors).max() < 1.7e-4 * 100 * size


def test_slow_rates_say_how_far_they_reach() -> None:
    """At 4.8 kS/s and 60 Hz the highest order is 39, above is unknown, and a flag says it."""
    (values, *_) = ten_twelve(sampled(line(60.0), 4800, 1.0), 4800, 60)
    assert values.h_max == 39
    assert values.flags == CycleFlag.LIMITED_ORDER
    voltage = values.phases[0].voltage
    assert np.isnan(voltage.groups[40:]).all()
    assert not np.isnan(voltage.groups[1:40]).any()


def test_blocks_types_and_strides_do_not_matter() -> None:
    """Any cut into blocks gives the same bits, rows that lie apart, too; float32 nearly so."""
    samples = sampled(line(50.3), 12800, 1.0)
    whole = run(samples, 12800, 50)
    for block in (1, 7, 640, 5000):
        for one, other in zip(whole, run(samples, 12800, 50, block=block), strict=True):
            assert one.values.to_dict() == other.values.to_dict()  # type: ignore[union-attr]
    single = ten_twelve(samples.astype(np.float32), 12800, 50)
    assert single[0].phases[0].voltage.rms == pytest.approx(230, rel=1e-6)
    wide = np.zeros((6, 20_000))
    wide[:, 100 : 100 + samples.shape[1]] = samples
    part = wide[:, 100 : 100 + samples.shape[1]]
    results = list(CycleAggregator(3, 12800, 50).feed(part[:3], part[3:]))
    assert [r.values.to_dict() for r in results] == [  # type: ignore[union-attr]
        r.values.to_dict()
        for r in whole  # type: ignore[union-attr]
    ]


def test_one_phase_is_enough() -> None:
    """A single phase works alone, without unbalance."""
    channels = [Channel([Tone(230, 50)]), Channel([Tone(10, 50, -1.0)])]
    (values, *_) = ten_twelve(sampled(channels, 12800, 1.0), 12800, 50)
    assert len(values.phases) == 1
    assert values.p_w == pytest.approx(2300 * np.cos(1.0), rel=1e-6)
    assert np.isnan(values.u2_percent)


def test_sensors_are_corrected_as_in_the_windows() -> None:
    """Gain, offset, phase error and delay of each channel are taken out: the true line is left."""
    hz, times = 49.6, times_of(12800, 1.0)
    corrections = [
        ChannelCorrection(2.0, 0.5, 0.01, 20e-6),
        ChannelCorrection(-0.5, -3.0, 0.0, 0.0),
        ChannelCorrection(1.0, 0.0, -0.02, -30e-6),
        ChannelCorrection(100.0, 0.01, 0.03, 50e-6),
        ChannelCorrection(1.5, 0.0, 0.0, 100e-6),
        ChannelCorrection(1.0, 0.2, -0.01, 0.0),
    ]
    rows = []
    for k, known in enumerate(corrections):
        size, angle = (230, 0.0) if k < 3 else (10, -0.4)
        wave = sum(
            part * np.cos(
                order * (2 * np.pi * (hz * (times + known.delay_s) - k % 3 / 3) + angle)
                + known.phase_rad
            )
            for order, part in ((1, 1.0), (5, 0.1))
        )  # fmt: skip
        rows.append(np.sqrt(2) * size * wave / known.gain + known.offset)
    samples = np.array(rows)
    aggregator = CycleAggregator(3, 12800, 50)
    aggregator.set_corrections(corrections)
    results = list(aggregator.feed(samples[:3], samples[3:]))
    assert results
    wanted_w = 2300 * np.cos(0.4) + 23 * np.cos(5 * 0.4)
    for result in results:
        values = result.values  # type: ignore[union-attr]
        for phase in values.phases:
            assert phase.voltage.rms == pytest.approx(230 * np.sqrt(1.01), rel=1e-6)
            assert phase.current.subgroups[5] == pytest.approx(1.0, rel=1e-4)
            assert phase.voltage.harmonics[0] == pytest.approx(0, abs=1e-4)
            assert phase.p_w == pytest.approx(wanted_w, rel=1e-5)
            assert phase.q1_var == pytest.approx(2300 * np.sin(0.4), rel=1e-5)
        assert values.u2_percent == pytest.approx(0, abs=1e-3)
    for bad in (corrections[:5], [ChannelCorrection(0.0, 0, 0, 0), *corrections[1:]]):
        with pytest.raises(ValueError, match="correction"):
            aggregator.set_corrections(bad)

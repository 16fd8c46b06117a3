"""The 1.5 s low-pass of IEC 61000-4-7 on groups and subgroups, beside the values themselves."""

from __future__ import annotations

import numpy as np
import pytest
from cycle_waves import Channel, Tone, line, sampled, ten_twelve, times_of

from bmc_ext.sampling.cycle_results import CycleValues
from bmc_ext.sampling.cycle_smoothing import CycleSmoothing, SmoothedCycles


def stepping(hz: float = 50.0, seconds: float = 12.0) -> list[CycleValues]:
    """A fifth harmonic of 10 V that becomes 20 V after 3 s."""
    samples = sampled(line(hz), 6400, seconds)
    times = times_of(6400, seconds)
    fifth = np.where(times < 3.0, 10.0, 20.0) * np.sqrt(2) * np.cos(2 * np.pi * 5 * hz * times)
    samples[0] += fifth
    return ten_twelve(samples, 6400, 50)


def smoothed(values: list[CycleValues]) -> list[SmoothedCycles | None]:
    """All of them through one filter."""
    smoothing = CycleSmoothing()
    return [smoothing.take(one) for one in values]


def test_a_step_is_followed_as_the_standards_table_says() -> None:
    """Y = (x + 7.012·y') / 8.012, table 2 of IEC 61000-4-7 for 50 Hz, which 1.5 s stands for."""
    values = stepping()
    expected = values[0].phases[0].voltage.subgroups[5]
    for one, found in zip(values, smoothed(values), strict=True):
        assert found is not None
        expected = (one.phases[0].voltage.subgroups[5] + 7.012 * expected) / 8.012
        voltage = found.phases[0].voltage
        assert voltage.subgroups[5] == pytest.approx(expected, rel=2e-4)
        assert found.end_ns == one.end_ns
        assert found.settled == (one.end_ns - values[0].start_ns >= 7.5e9)
        thds = 100 * np.sqrt(np.nansum(voltage.subgroups[2:] ** 2)) / voltage.subgroups[1]
        assert voltage.thds_percent == pytest.approx(thds)
    assert expected == pytest.approx(20.0, rel=0.01)


def test_other_channels_have_filters_of_their_own() -> None:
    """A step in one voltage leaves the other voltages and all currents alone."""
    for one, found in zip((values := stepping()), smoothed(values), strict=True):
        assert found is not None
        for k in (1, 2):
            assert found.phases[k].voltage.groups[5] == pytest.approx(
                one.phases[k].voltage.groups[5], abs=1e-3
            )
        assert found.phases[0].current.groups[1] == pytest.approx(10.0, rel=1e-4)


def test_after_a_gap_it_begins_anew() -> None:
    """Nothing of before a gap or of a value without spectrum is carried on."""
    values = stepping()
    smoothing = CycleSmoothing()
    for one in values[:20]:
        smoothing.take(one)
    later = smoothing.take(values[30])
    assert later is not None
    assert not later.settled
    assert later.phases[0].voltage.groups[5] == values[30].phases[0].voltage.groups[5]
    silent = ten_twelve(sampled([Channel([Tone(0.0, 50)])] * 6, 6400, 3.0), 6400, 50)
    for one in silent:
        assert smoothing.take(one) is None
    again = smoothing.take(values[31])
    assert again is not None
    assert again.phases[0].voltage.groups[5] == values[31].phases[0].voltage.groups[5]


def test_the_orders_are_those_that_the_rate_reaches() -> None:
    """At 6.4 kS/s all 50; at 4.8 kS/s and 60 Hz 39, above is unknown and not in the distortion."""
    (found, *_) = smoothed(stepping(seconds=1.0))
    assert found is not None
    assert found.h_max == 50
    (slow, *_) = smoothed(ten_twelve(sampled(line(60.0), 4800, 1.0), 4800, 60))
    assert slow is not None
    assert slow.h_max == 39
    assert np.isnan(slow.phases[0].voltage.groups[40:]).all()
    assert slow.phases[0].voltage.thdg_percent < 0.1


def test_an_order_that_was_out_of_reach_stays_unknown() -> None:
    """4.8 kS/s reach order 39 at 60 Hz, 37 at 62 Hz; the filter knows the least of its values."""
    near, far = (ten_twelve(sampled(line(hz), 4800, 0.5), 4800, 60)[0] for hz in (60.0, 62.0))
    chain = [
        one._replace(start_ns=k * 200_000_000, end_ns=(k + 1) * 200_000_000)
        for k, one in enumerate((near, far, near))
    ]
    found = [one for one in smoothed(chain) if one is not None]
    assert near.h_max > far.h_max
    assert [one.h_max for one in found] == [near.h_max, far.h_max, far.h_max]
    assert np.isnan(found[2].phases[1].current.groups[far.h_max + 1 :]).all()
    assert found[2].phases[1].current.thdg_percent < 0.1

"""Which cycles make which value: UTC ticks of 10 s and 10 min, aggregates, gaps, bad arguments."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from cycle_waves import of, run, times_of, turning

from bmc_ext.sampling.cycle_results import CycleFlag, CycleValues, TenSecondFrequency
from bmc_ext.sampling.cycles import (
    CycleAggregator,
    CycleResult,
    LongAggregate,
    ShortAggregate,
    TenTwelveCycle,
)

RATE_HZ = 4800
TICK_NS = 1_772_619_600 * 1_000_000_000  # divides by 600 s
AGGREGATED = CycleFlag.LIMITED_ORDER


def drifting(seconds: float, hz: float = 50.0) -> tuple[np.ndarray, np.ndarray]:
    """Samples of a line whose frequency and voltage wander, and its turns at each."""
    times = times_of(RATE_HZ, seconds)
    turns = hz * times + 0.02 * np.sin(2 * np.pi * times / 7)
    return turning(turns, 230 * (1 + 0.05 * np.sin(2 * np.pi * times / 11))), turns


def stream(seconds: float, before_s: float, hz: float = 50.0) -> list[CycleResult]:
    """Results of a line that begins so many seconds before a 10 min tick."""
    samples, _ = drifting(seconds, hz)
    epoch_ns = TICK_NS - round(before_s * 1e9)
    return run(samples, RATE_HZ, 50 if hz < 55 else 60, block=480, epoch_ns=epoch_ns)


@pytest.mark.parametrize("hz", [49.93, 60.07])
def test_ten_seconds_of_utc_have_whole_cycles(hz: float) -> None:
    """From the first crossing at or after a tick to the last one before the next."""
    found = [r for r in stream(24.5, 3.2, hz) if isinstance(r, TenSecondFrequency)]
    assert [result.start_ns for result in found] == [TICK_NS, TICK_NS + 10**10]
    for result in found:
        begin_s = (result.start_ns - TICK_NS) * 1e-9 + 3.2
        fine = begin_s + np.arange(10_000_000) * 1e-6
        turns = hz * fine + 0.02 * np.sin(2 * np.pi * fine / 7) + 0.25
        crossings = fine[1:][np.diff(np.floor(turns)) > 0]
        assert result.cycles == len(crossings) - 1
        assert result.duration_s == pytest.approx(crossings[-1] - crossings[0], abs=3e-6)
        assert result.frequency_hz == pytest.approx(result.cycles / result.duration_s, rel=1e-12)


@pytest.mark.parametrize("hz", [50.0, 60.0])
def test_fifteen_values_make_one_of_three_seconds(hz: float) -> None:
    """150 or 180 cycles without a gap, root-mean-square of fifteen; powers by their mean."""
    results = stream(8.0, 500.0, hz)
    shorts, parts = of(results, ShortAggregate), of(results, TenTwelveCycle)
    assert len(shorts) == 2
    for number, short in enumerate(shorts):
        mine = parts[15 * number : 15 * number + 15]
        check_mean(short, mine)
        assert short.cycles == 15 * mine[0].cycles
        assert (short.start_ns, short.end_ns) == (mine[0].start_ns, mine[-1].end_ns)
        assert short.frequency_hz == pytest.approx(short.cycles / short.duration_s)


def check_mean(mean: CycleValues, parts: list[CycleValues]) -> None:
    """The aggregate against its parts."""
    assert mean.intervals == len(parts)
    assert mean.flagged == sum(part.flagged for part in parts)
    assert mean.p_w == pytest.approx(np.mean([part.p_w for part in parts]), rel=1e-12)
    for k in range(3):
        for name in ("rms", "thds_percent", "thdg_percent", "thd_percent", "fundamental_rms"):
            values = [getattr(part.phases[k].voltage, name) for part in parts]
            wanted = np.sqrt(np.mean(np.square(values)))
            assert getattr(mean.phases[k].voltage, name) == pytest.approx(wanted, rel=1e-12)
        for name in ("groups", "subgroups", "harmonics", "interharmonics"):
            rows = [getattr(part.phases[k].current, name) for part in parts]
            wanted = np.sqrt(np.mean(np.square(rows), axis=0))
            np.testing.assert_allclose(getattr(mean.phases[k].current, name), wanted, rtol=1e-12)


def test_a_ten_minute_tick_starts_anew_and_loses_nothing() -> None:
    """At a tick new intervals begin at the next crossing; those in progress end, marked."""
    results = stream(10.0, 5.03)
    parts = of(results, TenTwelveCycle)
    (overlapping,) = [part for part in parts if part.flags & CycleFlag.OVERLAP]
    assert overlapping.start_ns < TICK_NS < overlapping.end_ns
    fresh = next(part for part in parts if part.start_ns >= TICK_NS)
    assert fresh.start_ns - TICK_NS < 21e6
    assert fresh.start_ns < overlapping.end_ns
    before = [part for part in parts if part.start_ns < TICK_NS]
    after = [part for part in parts if part.start_ns >= TICK_NS]
    for chain in (before, after):
        for one, other in itertools.pairwise(chain):
            assert other.start_ns == one.end_ns
    (long,) = of(results, LongAggregate)
    assert (long.start_ns, long.end_ns) == (TICK_NS - 600 * 10**9, TICK_NS)
    assert long.flags == AGGREGATED | CycleFlag.OVERLAP | CycleFlag.INCOMPLETE
    check_mean(long, before)
    shorts = of(results, ShortAggregate)
    assert [short.flags & CycleFlag.OVERLAP for short in shorts] == [0, CycleFlag.OVERLAP, 0]
    check_mean(shorts[1], parts[15:30])
    check_mean(shorts[2], after[:15])


def test_a_whole_ten_minutes_are_complete() -> None:
    """From tick to tick nearly 3000 values, none missing; made of a repeated second to be quick."""
    second = turning(50 * times_of(1000, 1.0)).astype(np.float32)
    aggregator = CycleAggregator(3, 1000, 50, epoch_ns=TICK_NS - 3 * 10**9)
    results: list[CycleResult] = []
    for _ in range(605):
        results += aggregator.feed(second[:3], second[3:])
    first, whole = of(results, LongAggregate)
    assert first.flags & CycleFlag.INCOMPLETE
    assert not whole.flags & CycleFlag.INCOMPLETE
    assert whole.intervals in (3000, 3001)
    assert whole.start_ns == TICK_NS
    assert whole.phases[0].voltage.rms == pytest.approx(230, rel=1e-5)
    frequencies = [r.frequency_hz for r in results if isinstance(r, TenSecondFrequency)]
    assert len(frequencies) == 60
    np.testing.assert_allclose(frequencies, 50, atol=1e-6)


def test_a_gap_drops_what_was_begun_and_counts_it() -> None:
    """The open interval and the 3 s are dropped, the 10 s is unknown, the 10 min incomplete."""
    samples, _ = drifting(32.0)
    aggregator = CycleAggregator(3, RATE_HZ, 50, epoch_ns=TICK_NS - 10**9)
    lost = slice(round(13.3 * RATE_HZ), round(13.35 * RATE_HZ))
    results = list(aggregator.feed(samples[:3, : lost.start], samples[3:, : lost.start]))
    assert aggregator.dropped == 0
    results += aggregator.feed(samples[:3, lost.stop :], samples[3:, lost.stop :], lost.stop)
    assert aggregator.dropped == 1
    gap_ns = TICK_NS - 10**9 + round(13.3e9)
    for values in (*of(results, TenTwelveCycle), *of(results, ShortAggregate)):
        assert not values.start_ns < gap_ns < values.end_ns
        assert values.phases[0].voltage.rms == pytest.approx(230, rel=0.06)
        assert values.duration_s == pytest.approx(values.cycles / 50, rel=1e-3)
    frequencies = [r for r in results if isinstance(r, TenSecondFrequency)]
    assert [np.isnan(r.frequency_hz) for r in frequencies] == [False, True, False]
    assert frequencies[1].cycles == 0


def test_a_measured_clock_sets_times_and_frequency_right() -> None:
    """A converter 200 ppm fast whose rate is measured gives the true frequency and UTC's ticks."""
    true_hz = RATE_HZ * (1 + 200e-6)
    times = np.arange(round(25 * true_hz)) / true_hz
    samples = turning(50 * times)
    aggregator = CycleAggregator(3, RATE_HZ, 50, epoch_ns=TICK_NS - 3 * 10**9)
    results: list[CycleResult] = []
    for first in range(0, samples.shape[1], RATE_HZ):
        utc_ns = TICK_NS - 3 * 10**9 + round(first / true_hz * 1e9)
        aggregator.set_time(first, utc_ns, true_hz)
        part = samples[:, first : first + RATE_HZ]
        results += aggregator.feed(part[:3], part[3:], first)
    for values in of(results, TenTwelveCycle):
        assert values.frequency_hz == pytest.approx(50, abs=1e-5)
    found = [result for result in results if isinstance(result, TenSecondFrequency)]
    assert [result.start_ns for result in found] == [TICK_NS, TICK_NS + 10**10]
    for result in found:
        assert result.frequency_hz == pytest.approx(50, abs=1e-6)
        assert result.cycles in (499, 500)
    with pytest.raises(ValueError, match="no time of this stream"):
        aggregator.set_time(0, TICK_NS, RATE_HZ * 1.02)


def test_an_index_that_goes_back_is_a_gap_too() -> None:
    """A source that starts over is not taken for the same stream."""
    samples, _ = drifting(1.0)
    aggregator = CycleAggregator(3, RATE_HZ, 50)
    first = list(aggregator.feed(samples[:3], samples[3:], 0))
    again = list(aggregator.feed(samples[:3], samples[3:], 0))
    assert aggregator.dropped == 1
    assert [r.values.to_dict() for r in first] == [r.values.to_dict() for r in again]  # type: ignore


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"phases": 4}, "phases"),
        ({"phases": 0}, "phases"),
        ({"sample_rate_hz": 999.0}, "sample_rate_hz 999"),
        ({"sample_rate_hz": float("nan")}, "sample_rate_hz nan"),
        ({"sample_rate_hz": 1e6}, "sample_rate_hz 1e"),
        ({"nominal_hz": 16.7}, "nominal_hz 16.7"),
        ({"declared_v": -1.0}, "declared_v"),
        ({"skew_s": (0.0,)}, "skew_s"),
        ({"skew_s": 0.02}, "skew"),
    ],
)
def test_bad_configurations_are_named(change: dict[str, object], reason: str) -> None:
    """A ValueError says which argument does not fit."""
    good = {"phases": 3, "sample_rate_hz": 12800.0, "nominal_hz": 50.0}
    with pytest.raises(ValueError, match=reason):
        CycleAggregator(**(good | change))  # type: ignore[arg-type]


def test_bad_samples_are_named() -> None:
    """Types, shapes and strides that do not fit are named, and nothing is taken."""
    aggregator = CycleAggregator(3, 12800, 50)
    good = np.zeros((3, 100))
    for voltage, current, reason in (
        (good.astype(np.int16), good, "voltage is no NumPy array"),
        (good, [[0.0]], "current is no NumPy array"),
        (good[:2], good, "voltage has shape"),
        (good, np.zeros((3, 99)), "current float64"),
        (good, good.astype(np.float32), "float32"),
        (np.zeros((3, 0)), np.zeros((3, 0)), "shape"),
        (np.zeros((3, 200))[:, ::2], good, "follow each other"),
        (good[::-1], good, "rows are not"),
        (np.zeros((3, 200))[:, :100], good, "strides"),
    ):
        with pytest.raises(ValueError, match=reason):
            aggregator.feed(voltage, current)  # type: ignore[arg-type]

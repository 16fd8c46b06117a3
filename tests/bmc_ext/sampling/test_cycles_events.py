"""Half-cycle values, the dips and interruptions that they show, and lines without a reference."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from cycle_waves import Times, line, of, run, sampled, ten_twelve, times_of, turning

from bmc_ext.sampling.cycle_results import CycleFlag, HalfCycle
from bmc_ext.sampling.cycles import TenTwelveCycle

RATE_HZ = 12800


def halves_of(samples: Times, nominal_hz: float = 50, **options: object) -> list[HalfCycle]:
    """All half-cycle values."""
    results = run(samples, RATE_HZ, nominal_hz, half_cycles=True, **options)
    return [result for result in results if isinstance(result, HalfCycle)]


def stepped(hz: float, level: Times, seconds: float) -> Times:
    """Voltages of 230 V times a level that changes in time, the currents steady."""
    return turning(hz * times_of(RATE_HZ, seconds), 230 * level)


@pytest.mark.parametrize(("nominal_hz", "hz"), [(50, 42.7), (50, 50.0), (60, 61.3)])
def test_each_phase_has_a_value_each_half_cycle(nominal_hz: int, hz: float) -> None:
    """One cycle long, half a cycle apart, from a zero crossing of that phase; true to 1e-6."""
    halves = halves_of(sampled(line(hz), RATE_HZ, 0.6), nominal_hz)
    for phase in range(3):
        mine = [half for half in halves if half.phase == phase]
        starts = np.array([half.start_ns for half in mine]) * 1e-9
        assert len(mine) > 0.4 * 2 * hz
        np.testing.assert_allclose(np.diff(starts), 0.5 / hz, atol=1e-7)
        crossings = 2 * (hz * starts - phase / 3 + 0.25)
        np.testing.assert_allclose(crossings, np.rint(crossings), atol=1e-4)
        for half in mine:
            assert (half.end_ns - half.start_ns) * 1e-9 == pytest.approx(1 / hz, abs=1e-7)
            assert half.v_rms == pytest.approx(230, rel=1e-6)
            assert half.i_rms == pytest.approx(10, rel=1e-6)
            assert half.flags == 0


@pytest.mark.parametrize("depth", [0.85, 0.4, 0.0])
def test_a_dip_is_followed_half_cycle_by_half_cycle(depth: float) -> None:
    """Urms(1/2) through a dip equals that of a hundred times as many samples, within 0.1 %."""
    times = times_of(RATE_HZ, 1.2)
    begin, end = 0.5037, 0.6213
    samples = stepped(50.0, np.where((times >= begin) & (times < end), depth, 1.0), 1.2)
    found = [half for half in halves_of(samples) if half.phase == 1]
    for half in found:
        fine = np.linspace(half.start_ns * 1e-9, half.end_ns * 1e-9, 25_600, endpoint=False)
        level = np.where((fine >= begin) & (fine < end), depth, 1.0)
        wave = 230 * level * np.sqrt(2) * np.cos(2 * np.pi * (50 * fine - 1 / 3))
        # One sample more or less at the edge: 2/256 of a cycle's square.
        wanted = np.sqrt((wave**2).mean())
        assert half.v_rms**2 == pytest.approx(wanted**2, abs=230**2 * 2 / 256)
    # Edges are soft over two samples to either side.
    first_ns, last_ns = begin * 1e9 + 2e5, end * 1e9 - 2e5
    inside = [half for half in found if first_ns < half.start_ns and half.end_ns < last_ns]
    assert len(inside) >= 9
    for half in inside:
        assert half.v_rms == pytest.approx(230 * depth, abs=0.23)
        assert half.flags & CycleFlag.DIP
    assert not found[0].flags
    assert not found[-1].flags


@pytest.mark.parametrize(
    ("level", "phases", "flags"),
    [
        (0.8, [0], CycleFlag.DIP),
        (1.15, [2], CycleFlag.SWELL),
        (0.02, [0, 1], CycleFlag.DIP),
        (0.02, [0, 1, 2], CycleFlag.DIP | CycleFlag.INTERRUPTION),
        (0.92, [0, 1, 2], CycleFlag(0)),
        (1.08, [0, 1, 2], CycleFlag(0)),
    ],
)
@pytest.mark.parametrize("declared_v", [None, 230.0])
def test_an_event_flags_its_intervals_and_no_other(
    level: float, phases: list[int], flags: CycleFlag, declared_v: float | None
) -> None:
    """Against the declared and the sliding reference voltage; thresholds 90, 110 and 5 %."""
    times = times_of(RATE_HZ, 2.0)
    begin, end = 1.012, 1.138
    levels = np.ones((3, len(times)))
    levels[phases] = np.where((times >= begin) & (times < end), level, 1.0)
    samples = turning(50 * times, 230 * levels)
    found = ten_twelve(samples, RATE_HZ, 50, declared_v=declared_v)
    for values in found:
        # A cycle that touches the event may begin 20 ms before or end 20 ms after it.
        touches = values.start_ns < (end + 0.02) * 1e9 and values.end_ns > (begin - 0.02) * 1e9
        inside = values.start_ns < end * 1e9 and values.end_ns > begin * 1e9
        if inside:
            assert values.flags == flags
        elif not touches:
            assert values.flags == 0
        assert values.flagged == bool(values.flags)
    assert any(values.flags == flags for values in found)


def test_a_dip_keeps_the_cycles_in_step() -> None:
    """Through 300 ms without voltage intervals go on at the last frequency, and say so."""
    times = times_of(RATE_HZ, 2.5)
    gone = (times >= 1.0) & (times < 1.3)
    found = ten_twelve(stepped(49.5, np.where(gone, 0.0, 1.0), 2.5), RATE_HZ, 50)
    assert len(found) == 11
    for values, after in itertools.pairwise(found):
        assert after.start_ns == values.end_ns
        assert values.duration_s == pytest.approx(10 / 49.5, rel=5e-3)
    flagged = [values for values in found if values.flags & CycleFlag.NO_REFERENCE]
    assert 1 <= len(flagged) <= 3
    for values in flagged:
        assert np.isnan(values.phases[0].voltage.thds_percent)
        assert np.isnan(values.frequency_hz)
        assert np.isfinite(values.phases[0].voltage.rms)


@pytest.mark.parametrize("what", ["nothing", "direct", "noise"])
def test_without_a_line_nothing_spectral_is_claimed(what: str) -> None:
    """Zeros, direct voltage and noise have magnitudes, but neither frequency nor distortion."""
    rng = np.random.default_rng(5)
    shape = (6, RATE_HZ)
    samples = {
        "nothing": np.zeros(shape),
        "direct": np.full(shape, 48.0),
        "noise": rng.standard_normal(shape),
    }[what]
    found = ten_twelve(samples, RATE_HZ, 50)
    assert found
    for values in found:
        assert values.flags & CycleFlag.NO_REFERENCE
        assert np.isnan(values.frequency_hz)
        assert np.isnan(values.phases[0].voltage.thds_percent)
        rms = np.sqrt((samples[0] ** 2).mean())
        assert values.phases[0].voltage.rms == pytest.approx(rms, rel=0.1)


def test_another_phase_takes_over_as_reference() -> None:
    """With the first phase open the cycles are those of the others; it reads what it holds."""
    times = times_of(RATE_HZ, 2.0)
    levels = np.ones((3, len(times)))
    levels[0] = times < 0.8
    found = ten_twelve(turning(50.1 * times, 230 * levels), RATE_HZ, 50, declared_v=230.0)
    for values in found[-3:]:
        assert values.duration_s == pytest.approx(10 / 50.1, rel=1e-7)
        assert values.phases[0].voltage.rms == pytest.approx(0, abs=1e-6)
        assert values.phases[1].voltage.rms == pytest.approx(230, rel=1e-6)
        assert values.flags == CycleFlag.DIP


def test_a_bad_sample_voids_its_phase_only() -> None:
    """NaN, infinity and 1e20 in one phase leave the others right, and itself unknown."""
    for bad in (np.nan, np.inf, -1e20):
        samples = sampled(line(50.0), RATE_HZ, 1.5)
        samples[1, 9000] = bad
        found = ten_twelve(samples, RATE_HZ, 50)
        hit = [v for v in found if v.start_ns <= 9000 / RATE_HZ * 1e9 < v.end_ns]
        assert len(hit) == 1
        for values in found:
            assert bool(values.flags & CycleFlag.NOT_FINITE) == (values in hit)
            assert values.phases[0].voltage.rms == pytest.approx(230, rel=1e-6)
            assert values.phases[2].voltage.thds_percent < 1e-3
        assert np.isnan(hit[0].phases[1].voltage.rms)
        assert np.isnan(hit[0].phases[1].current.rms)
        assert np.isnan(hit[0].p_w)


@pytest.mark.parametrize(("nominal_hz", "hz"), [(50, 40.5), (50, 58.5), (50, 60.0), (60, 50.0)])
def test_a_frequency_out_of_range_is_named(nominal_hz: int, hz: float) -> None:
    """Beyond 15 % the flag stands and distortion is unknown; rms and power hold."""
    found = ten_twelve(sampled(line(hz), RATE_HZ, 1.5), RATE_HZ, nominal_hz)
    assert found
    for values in found:
        assert values.flags & CycleFlag.FREQUENCY_OUT_OF_RANGE
        assert values.frequency_hz == pytest.approx(hz, rel=1e-5)
        assert np.isnan(values.phases[0].voltage.thds_percent)
        assert values.phases[0].voltage.rms == pytest.approx(230, rel=1e-4)


def test_a_line_at_the_edge_of_the_range_is_measured() -> None:
    """42.5 and 57.5 Hz, 51 and 69 Hz carry no flag."""
    for nominal_hz, hz in ((50, 42.5), (50, 57.5), (60, 51.0), (60, 69.0)):
        results = run(sampled(line(hz), RATE_HZ, 0.8), RATE_HZ, nominal_hz)
        assert [values.flags for values in of(results, TenTwelveCycle)].count(CycleFlag(0)) >= 2


def test_a_dip_across_a_boundary_flags_both_sides() -> None:
    """Four milliseconds to either side of it, in no cycle that lies wholly in one interval."""
    times = times_of(RATE_HZ, 2.0)
    steady = ten_twelve(turning(50 * times), RATE_HZ, 50)
    boundary_s = steady[4].start_ns * 1e-9
    gone = np.abs(times - boundary_s) < 4e-3
    found = ten_twelve(stepped(50.0, np.where(gone, 0.0, 1.0), 2.0), RATE_HZ, 50)
    assert [bool(values.flags & CycleFlag.DIP) for values in found] == [
        number in (3, 4) for number in range(len(found))
    ]


def test_a_dip_ends_two_percent_above_its_threshold() -> None:
    """91 % after a dip is still the dip; 91 % by itself is none (IEC 61000-4-30 5.4.2.2)."""
    times = times_of(RATE_HZ, 3.5)
    low = (times >= 1.0) & (times < 2.5)
    for first, flagged in ((0.85, True), (0.91, False)):
        level = np.where(low, 0.91, 1.0) * np.where((times >= 1.0) & (times < 1.2), first / 0.91, 1)
        found = ten_twelve(stepped(50.0, level, 3.5), RATE_HZ, 50, declared_v=230.0)
        late = [v for v in found if v.start_ns > 1.5e9 and v.end_ns < 2.4e9]
        assert late
        assert all(bool(values.flags & CycleFlag.DIP) == flagged for values in late)


def test_the_sliding_reference_waits_for_the_end_of_a_dip() -> None:
    """After 80 s at 85 % it is a dip still: flagged values do not move the reference (5.4.4)."""
    times = times_of(1000, 100.0)
    samples = turning(50 * times, 230 * np.where(times >= 10, 0.85, 1.0)).astype(np.float32)
    found = ten_twelve(samples, 1000, 50)
    assert not found[10].flags & CycleFlag.DIP
    assert found[-1].flags & CycleFlag.DIP

"""The detector in Python: times in UTC, gaps, seams, bad arguments, and a sampler over TCP."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from bmc_ext.sampling.events import Event, EventDetector, EventKind, PowerSeries, PowerWatch
from drivers.waveforms.block import Block

EPOCH_NS = 1_772_619_300_000_400_000


@dataclass
class Origin:
    """What a detector is told of a source."""

    phases: int = 3
    sample_rate_hz: float = 12_800.0
    epoch_ns: int = EPOCH_NS
    skew_s: tuple[float, ...] = (0.0, 0.0, 0.0)


def wave(
    rate_hz: float,
    seconds: float,
    *,
    step_s: float = 1.0,
    before_w: float = 100e6,
    after_w: float = 160e6,
    volts: tuple[float, float] = (19e3, 19e3),
    back_s: float = 1e9,
    dtype: type = np.float32,
) -> np.ndarray:
    """Three balanced phases whose power steps, and whose voltage steps and comes back."""
    t = np.arange(round(seconds * rate_hz)) / rate_hz
    power_w = np.where(t >= step_s, after_w, before_w)
    rms_v = np.where((t >= step_s) & (t < back_s), volts[1], volts[0])
    turns = 50 * t - np.arange(3)[:, None] / 3
    carrier = np.sqrt(2) * np.cos(2 * np.pi * turns)
    return np.concatenate([rms_v * carrier, power_w / (3 * volts[0]) * carrier]).astype(dtype)


def shown(
    detector: EventDetector, samples: np.ndarray, size: int = 64, *, first: int = 0
) -> list[Event]:
    """The events of these samples in blocks of `size`."""
    events = []
    for offset in range(0, samples.shape[1], size):
        part = np.ascontiguousarray(samples[:, offset : offset + size])
        detector.take(Block(first + offset, part))
        events += detector.drain()
    return events


def opened(origin: Origin | None = None, **arguments: float) -> EventDetector:
    """A detector at the beginning of a source."""
    detector = EventDetector(**arguments)
    detector.begin(origin or Origin())
    return detector


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("rate_hz", [4000.0, 12_800.0, 51_200.0])
def test_a_step_has_its_utc_time_and_size(rate_hz: float, dtype: type) -> None:
    """Onset within 0.5 ms of epoch + samples/rate, seen within 10 ms, 60 MW from 100 to 160."""
    events = shown(opened(Origin(sample_rate_hz=rate_hz)), wave(rate_hz, 2, dtype=dtype))
    assert [event.is_over for event in events] == [False, True]
    assert {event.kind for event in events} == {EventKind.POWER_CHANGE}
    first, last = events
    assert first.onset_ns == pytest.approx(EPOCH_NS + 10**9, abs=500_000)
    assert 0 < first.detected_ns - EPOCH_NS - 10**9 < 10_000_000
    assert first.number == last.number == 1
    assert last.change_w == pytest.approx(60e6, rel=2e-3)
    assert last.before_w == pytest.approx(100e6, rel=2e-3)
    assert last.end_ns is not None
    assert first.end_ns is None


def with_dc(power_w: np.ndarray, rate_hz: float) -> np.ndarray:
    """Balanced phases of this power at 49.2 Hz, all channels with 1 % of DC of unlike signs."""
    turns = 49.2 * np.arange(power_w.size) / rate_hz - np.arange(3)[:, None] / 3
    carrier = np.sqrt(2) * np.cos(2 * np.pi * turns)
    signs = np.array([[1.0], [-1.0], [1.0]])
    volts = 19e3 * (carrier + 0.01 * signs)
    amperes = power_w / (3 * 19e3) * carrier + 0.01 * signs[::-1] * 300e6 / (3 * 19e3)
    return np.concatenate([volts, amperes]).astype(np.float32)


def test_dc_moves_no_onset() -> None:
    """DC of 1 % makes a ripple of 6 MW at the line frequency: a slow ramp still begins in time."""
    t = np.arange(2 * 12_800) / 12_800
    detector = opened()
    detector.set_frequency(49.2)
    events = shown(detector, with_dc(250e6 + 60e6 * np.clip((t - 1) / 0.7, 0, 1), 12_800.0))
    assert [event.is_over for event in events] == [False, True]
    assert events[1].onset_ns == pytest.approx(EPOCH_NS + 10**9, abs=5_000_000)
    assert events[1].before_w == pytest.approx(250e6, rel=1e-3)


def swayed(plan_w: np.ndarray, level_pu: np.ndarray, exponent: float) -> np.ndarray:
    """Balanced phases at 12.8 kS/s whose load follows a power of the voltage, with 60 dB noise."""
    turns = 50 * np.arange(plan_w.size) / 12_800 - np.arange(3)[:, None] / 3
    carrier = np.sqrt(2) * np.cos(2 * np.pi * turns)
    samples = np.concatenate(
        [
            19e3 * level_pu * carrier,
            plan_w * level_pu ** (exponent - 1) / (3 * 19e3) * carrier,
        ]
    )
    noise = np.random.default_rng(5).standard_normal(samples.shape)
    scale = np.repeat([19e3, 250e6 / (3 * 19e3)], 3)[:, None]
    return (samples + 1e-3 * scale * noise).astype(np.float32)


@pytest.mark.parametrize("exponent", [0.0, 0.7, 2.0])
@pytest.mark.parametrize("tap_s", [0.98, 1.002, 1.005, 1.02, 1.1, 1.4])
def test_a_tap_within_a_ramp_moves_no_onset(tap_s: float, exponent: float) -> None:
    """A tap of 1.25 % on 200 MW is up to 5 MW: the ramp of 0.6 s still begins within 5 ms."""
    t = np.arange(2 * 12_800) / 12_800
    plan_w = 200e6 + 60e6 * np.clip((t - 1) / 0.6, 0, 1)
    events = shown(opened(), swayed(plan_w, 1 - 0.0125 * (t >= tap_s), exponent))
    assert [event.is_over for event in events] == [False, True]
    for event in events:
        assert event.onset_ns == pytest.approx(EPOCH_NS + 10**9, abs=5_000_000)
        assert event.before_w == pytest.approx(200e6, rel=0.026)


@pytest.mark.parametrize("before_s", [0.03, 0.054])
def test_a_tap_before_a_change_is_not_its_onset(before_s: float) -> None:
    """A tap moves the power just before a large change, the end of a small one is in its second."""
    t = np.arange(3 * 12_800) / 12_800
    small_w = 18e6 * np.clip((t - 0.75) / 0.52, 0, 1)
    plan_w = 203e6 - small_w - 94e6 * np.clip((t - 2) / 0.041, 0, 1)
    events = shown(opened(), swayed(plan_w, 1 - 0.0125 * (t >= 2 - before_s), 2.0))
    assert [event.is_over for event in events] == [False, True]
    for event in events:
        assert event.onset_ns == pytest.approx(EPOCH_NS + 2 * 10**9, abs=5_000_000)


@pytest.mark.parametrize("tap_s", [1.9, 1.95, 1.98, 2.002])
@pytest.mark.parametrize("before_s", [0.15, 0.4, 0.8])
def test_a_smaller_change_and_a_tap_before_a_step_are_not_its_onset(
    before_s: float, tap_s: float
) -> None:
    """17 MW in the second before 60 MW: already the first report has the step's onset."""
    t = np.arange(3 * 12_800) / 12_800
    plan_w = 130e6 + 17e6 * (t >= 2 - before_s) + 60e6 * (t >= 2)
    events = shown(opened(), swayed(plan_w, 1 - 0.0125 * (t >= tap_s), 2.0))
    assert [event.is_over for event in events] == [False, True]
    for event in events:
        assert event.onset_ns == pytest.approx(EPOCH_NS + 2 * 10**9, abs=2_000_000)


@pytest.mark.parametrize(
    ("uneasy_w", "hertz", "within_ns"), [(0.4e6, 0.3, 1_600_000), (0.2e6, 0.7, 5_000_000)]
)
def test_a_slow_ramp_on_an_uneasy_load_has_its_onset(
    uneasy_w: float, hertz: float, within_ns: int
) -> None:
    """The slowest that counts has left its level by 7.5 MW only 0.12 s after it began."""
    t = np.arange(4 * 12_800) / 12_800
    for phase in np.arange(0, 6, 0.5):
        wander_w = uneasy_w * np.sin(2 * np.pi * hertz * t + phase)
        plan_w = 50e6 + 58e6 * np.clip((t - 2) / 0.94, 0, 1) + wander_w
        events = shown(opened(), swayed(plan_w, np.ones(t.size), 0.0), 640)
        assert [event.is_over for event in events] == [False, True]
        for event in events:
            assert event.onset_ns == pytest.approx(EPOCH_NS + 2 * 10**9, abs=within_ns)


def test_a_step_on_one_phase_has_its_onset() -> None:
    """It ripples fully: wherever in the cycle it comes, at any angle, its onset is within 2 ms."""
    t = np.arange(2 * 12_800) / 12_800
    for angle in (-0.4, 0.0, 0.4):
        for late_s in np.arange(0, 0.01, 0.00125):
            samples = wave(12_800, 2, step_s=9).astype(np.float64)
            turns = 2 * np.pi * 50 * t - angle
            extra = 80e6 / (19e3 * np.cos(angle)) * np.sqrt(2) * np.cos(turns)
            samples[3] += extra * (t >= 1 + late_s)
            events = shown(opened(), samples.astype(np.float32))
            assert [event.is_over for event in events] == [False, True]
            for event in events:
                onset_ns = EPOCH_NS + 10**9 + round(late_s * 1e9)
                assert event.onset_ns == pytest.approx(onset_ns, abs=2_000_000)


def test_the_second_report_of_a_short_ramp_on_one_phase_has_a_better_onset() -> None:
    """The mean has not got all of 16 ms when it is seen, and ripples: 7 ms off, 2 in the end."""
    t = np.arange(2 * 12_800) / 12_800
    worst_ms = [0.0, 0.0]
    for late_s in np.arange(0, 0.01, 0.00125):
        samples = wave(12_800, 2, step_s=9).astype(np.float64)
        extra = 75e6 / 19e3 * np.sqrt(2) * np.cos(2 * np.pi * 50 * t)
        samples[3] += extra * np.clip((t - 1 - late_s) / 0.016, 0, 1)
        events = shown(opened(), samples.astype(np.float32))
        assert [event.is_over for event in events] == [False, True]
        for event in events:
            off_ms = abs(event.onset_ns - EPOCH_NS - round((1 + late_s) * 1e9)) * 1e-6
            worst_ms[event.is_over] = max(worst_ms[event.is_over], off_ms)
    assert worst_ms[False] > 4
    assert worst_ms[True] < 3


def test_dc_makes_no_event() -> None:
    """45 MW are no event, whatever ripple DC adds, nor is the start of a source."""
    t = np.arange(2 * 12_800) / 12_800
    detector = opened()
    detector.set_frequency(49.2)
    assert shown(detector, with_dc(250e6 + 45e6 * (t >= 1), 12_800.0)) == []


def test_ticks_lie_on_the_milliseconds_of_utc() -> None:
    """Two feeds with other epochs and rates tell their power at the same moments."""
    one, other = opened(), opened(Origin(sample_rate_hz=4801.5, epoch_ns=EPOCH_NS - 31_700_123))
    shown(one, wave(12_800, 1.6))
    samples = wave(4801.5, 1.6, step_s=1.0317)
    shown(other, samples)
    powers = {}
    for detector in (one, other):
        series = detector.read_power()
        at = {series.first_ms + k: float(p) for k, p in enumerate(series.power_w)}
        powers[detector] = at
    shared = sorted(powers[one].keys() & powers[other].keys())
    assert len(shared) > 1500
    apart = [abs(powers[one][ms] - powers[other][ms]) for ms in shared]
    assert max(apart) < 1.5e6  # a tenth of a ms on a slope of 6 MW a ms, and a sample's width


def test_power_is_read_once() -> None:
    """Each call brings the ms since the last one; what is beyond 2 s is gone."""
    detector = opened()
    samples = wave(12_800, 1, step_s=9)
    shown(detector, samples[:, :6400])
    first = detector.read_power()
    shown(detector, samples[:, 6400:], first=6400)
    second = detector.read_power()
    assert second.first_ms == first.first_ms + len(first.power_w)
    assert len(second.power_w) == 500
    assert np.concatenate([first.power_w, second.power_w]) == pytest.approx(100e6, rel=1e-4)
    assert len(detector.read_power().power_w) == 0


def test_one_block_may_hold_many_events() -> None:
    """Twenty seconds in one block: nothing is lost on the way."""
    step = wave(12_800, 0.5, step_s=0.25)
    many = np.tile(np.concatenate([step, step[:, ::-1]], axis=1), (1, 20))
    detector = opened()
    events = shown(detector, many, many.shape[1])
    assert len(events) == 80
    assert detector.lost_events == 0


def test_a_lost_frame_hides_no_step_and_is_counted() -> None:
    """10 ms that are missing where the power steps leave its event; their power is unknown."""
    detector, samples = opened(), wave(12_800, 2)
    assert shown(detector, samples[:, :12_736]) == []
    events = shown(detector, samples[:, 12_864:], first=12_864)
    assert [(event.is_over, event.is_cut) for event in events] == [(False, False), (True, False)]
    assert events[1].change_w == pytest.approx(60e6, rel=2e-3)
    assert detector.gaps == 1
    assert 10 <= np.isnan(detector.read_power().power_w).sum() <= 25


def test_a_long_gap_is_no_step() -> None:
    """Nothing is concluded from a power that was more than a second before."""
    detector, samples = opened(), wave(12_800, 3)
    assert shown(detector, samples[:, :12_736]) == []
    assert shown(detector, samples[:, 25_600:], first=25_600) == []


def test_a_seam_is_no_step() -> None:
    """Where a recording begins again nothing is concluded from the jump."""
    detector, samples = opened(), wave(12_800, 2)
    shown(detector, samples[:, :12_160])
    detector.take(
        Block(12_160, np.ascontiguousarray(samples[:, 12_160:13_440]), frozenset({"seam"}))
    )
    assert shown(detector, samples[:, 13_440:], first=13_440) == []


def test_a_source_that_opens_again_cuts_what_goes_on() -> None:
    """The event that went on is over, but how is unknown; numbers go on."""
    detector, samples = opened(), wave(12_800, 1.02)
    assert [event.is_over for event in shown(detector, samples)] == [False]
    detector.begin(Origin())
    (cut,) = detector.drain()
    assert (cut.is_over, cut.is_cut, cut.end_ns, cut.number) == (True, True, None, 1)
    assert shown(detector, wave(12_800, 2))[0].number == 2


def test_a_dip_is_told_by_voltage_and_phase() -> None:
    """A dip of all three to 60 % for 0.2 s, with its residual voltage."""
    samples = wave(12_800, 2, after_w=100e6, volts=(19e3, 11.4e3), back_s=1.2)
    events = shown(opened(declared_voltage_v=19e3), samples)
    assert [event.is_over for event in events] == [False, True]
    dip = events[1]
    assert (dip.kind, dip.phases) == (EventKind.VOLTAGE_DIP, ("L1", "L2", "L3"))
    assert dip.extreme_v == pytest.approx(11.4e3, rel=1e-3)
    assert dip.end_ns is not None
    assert (dip.end_ns - dip.onset_ns) * 1e-9 == pytest.approx(0.22, abs=0.02)
    assert (dip.before_w, dip.after_w, dip.change_w) == (None, None, None)


def test_what_nobody_drains_is_bounded_and_counted() -> None:
    """The newest 4096 are kept, the others are counted."""
    detector = opened()
    step = wave(12_800, 0.2, step_s=0.1)
    cycle = np.ascontiguousarray(np.concatenate([step, step[:, ::-1]], axis=1))
    rounds = 1100
    for number in range(rounds):
        detector.take(Block(number * cycle.shape[1], cycle))
    events = detector.drain()
    assert len(events) == 4096
    assert detector.lost_events + 4096 >= 4 * rounds - 4
    assert events[-1].number >= 2 * rounds - 1


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"threshold_w": 0.0}, "threshold"),
        ({"threshold_w": float("nan")}, "threshold"),
        ({"declared_voltage_v": -230.0}, "declared_voltage_v"),
        ({"declared_voltage_v": float("inf")}, "threshold"),
        ({"nominal_hz": 400.0}, "frequency"),
    ],
)
def test_bad_arguments_are_named(arguments: dict[str, float], named: str) -> None:
    """ValueError says which."""
    with pytest.raises(ValueError, match=named):
        EventDetector(**arguments)


def test_bad_blocks_are_named() -> None:
    """Rows that do not fit, another kind of number and an index that goes back."""
    detector = opened()
    with pytest.raises(ValueError, match="4 rows for 3 phases"):
        detector.take(Block(0, np.zeros((4, 64), np.float32)))
    with pytest.raises(ValueError, match="float32 or float64"):
        detector.take(Block(0, np.zeros((6, 64), np.float16)))
    with pytest.raises(ValueError, match="float32 or float64"):
        detector.take(Block(0, np.zeros((6, 128), np.float32)[:, ::2]))
    detector.take(Block(64, np.zeros((6, 64), np.float32)))
    with pytest.raises(ValueError, match="went back"):
        detector.take(Block(64, np.zeros((6, 64), np.float32)))
    with pytest.raises(ValueError, match="rate"):
        detector.begin(Origin(sample_rate_hz=100.0))
    detector.take(Block(0, np.zeros((6, 64), np.float32)))  # not open: nothing happens
    assert detector.drain() == []


def test_an_unknown_frequency_changes_nothing() -> None:
    """NaN of a window without one, or a value out of range, is let pass."""
    detector = opened(nominal_hz=50.0)
    for frequency_hz in (float("nan"), 0.0, 400.0):
        detector.set_frequency(frequency_hz)
    assert len(shown(detector, wave(12_800, 2))) == 2


def test_a_power_watch_takes_any_grid() -> None:
    """Powers at UTC ms give events at UTC ns; overlapping ones are refused."""
    watch = PowerWatch(threshold_w=10.0)
    mean = np.clip((np.arange(2000) - 1500) / 10, 0, 1) * 20
    events = watch.take(PowerSeries(1_772_619_300_000, mean))
    assert [event.is_over for event in events] == [False, True]
    assert events[0].onset_ns == pytest.approx(1_772_619_301_500_000_000, abs=400_000)
    with pytest.raises(ValueError, match="went back"):
        watch.take(PowerSeries(1_772_619_300_000, mean))


def test_times_follow_the_clock_that_was_measured() -> None:
    """A source 40 ms behind its claim: events and powers are told where they truly lie."""
    detector, samples = opened(), wave(12_800, 2)
    detector.set_time(0, EPOCH_NS + 40_000_000)
    onset_ns = shown(detector, samples)[0].onset_ns
    assert onset_ns == pytest.approx(EPOCH_NS + 1_040_000_000, abs=600_000)
    series = detector.read_power()
    at_ms = series.first_ms + int(np.searchsorted(series.power_w, 130e6))
    assert at_ms == pytest.approx((EPOCH_NS + 1_045_000_000) // 10**6, abs=2)


def test_a_drifting_source_leaves_no_gap_in_the_sum() -> None:
    """At 500 ppm a millisecond is told twice, or left out, every 2 s; the series stays whole."""
    samples = wave(12_800, 1, step_s=9)
    for drift in (500e-6, -500e-6):
        detector, next_ms, count = opened(), None, 0
        for number in range(10):
            first = number * 12_800
            shown(detector, samples, 640, first=first)
            detector.set_time(first, EPOCH_NS + round(number * 1e9 * (1 + drift)))
            series = detector.read_power()
            assert next_ms in (None, series.first_ms)
            next_ms = series.first_ms + len(series.power_w)
            count += len(series.power_w)
        assert count - 9990 == pytest.approx(drift * 9000, abs=2)

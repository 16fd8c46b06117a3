"""Windows of sources that run at their own rate, judged by the true time of every sample."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from free_running_adc import BASE_NS, Delay, blocks, busy_delay, usual_delay

from bmc_ext.clock import WINDOW_NS
from bmc_ext.sampling.source_clock import SourceClock
from bmc_ext.sampling.timeline import JUMP_S, TIME_JUMP, Timeline

RATE_HZ = 12_800.0


@dataclass(frozen=True)
class Seen:
    """What came of a source: arrays by window. Times and errors in s; torn windows have NaN.

    `at_s` is a window's nominal start, `error_s` how far its first sample lies from where a first
    sample may lie, `bound_s` what was said of it; `rate_ppm` and `rate_bound_ppm` likewise.
    """

    ids: np.ndarray
    at_s: np.ndarray
    error_s: np.ndarray
    bound_s: np.ndarray
    rate_ppm: np.ndarray
    rate_bound_ppm: np.ndarray
    samples: list[np.ndarray]
    flags: list[tuple[str, ...]]

    @property
    def uncovered(self) -> float:
        """The share of windows that lie further off than was said, by more than 10 µs."""
        return float(np.mean(np.abs(self.error_s) > self.bound_s + 1e-5))

    def rate_error_ppm(self, true_ppm: Any) -> np.ndarray:
        """Of the rate that each window is analysed with."""
        return np.abs(self.rate_ppm - np.vectorize(true_ppm)(self.at_s))


def follow(seconds: float, rate_hz: float = RATE_HZ, **kinds: Any) -> Seen:
    """Let a converter of these kinds run."""
    timeline = Timeline("feed_1", rate_hz, BASE_NS)
    rows, samples, flags = [], [], []
    for block in blocks(seconds, rate_hz=rate_hz, **kinds):
        for cut in timeline.cut(block):
            base = timeline.time_base(cut)
            at_s = (cut.window_id * WINDOW_NS - BASE_NS) * 1e-9
            first_s = math.nan if cut.samples is None else cut.samples[0, 0] - at_s
            late_s = min(max(first_s, 0.0), 1.0 / rate_hz)
            rows.append(
                (cut.window_id, at_s, first_s - late_s, base.time_error_s, base.sample_rate_hz,
                 base.rate_error)
            )  # fmt: skip
            samples.append(np.empty((2, 0)) if cut.samples is None else cut.samples.copy())
            flags.append(cut.flags)
    ids, at, error, bound, rate, rate_bound = (
        np.array(column) for column in zip(*rows, strict=True)
    )
    ppm = (rate / rate_hz - 1.0) * 1e6
    return Seen(ids, at, error, bound, ppm, rate_bound * 1e6, samples, flags)


@pytest.mark.parametrize("kinds", [{}, {"jump_s": lambda now_s: 0.01 if now_s > 4.0 else 0.0}])
def test_what_is_told_of_the_time_can_be_sent(kinds: dict[str, Any]) -> None:
    """The time base of every window is of plain numbers, which JSON takes."""
    timeline = Timeline("feed_1", RATE_HZ, BASE_NS)
    bases = [
        timeline.time_base(cut) for block in blocks(9.0, **kinds) for cut in timeline.cut(block)
    ]
    assert bases[-1].rate_error < 50e-6  # measured
    assert {type(value) for base in bases for value in base} == {float}


@pytest.mark.parametrize("error_ppm", [200.0, -200.0, 0.0])
@pytest.mark.parametrize("kinds", [{}, {"block_s": 1e-3}, {"rate_hz": 480.0}], ids=str)
def test_a_constant_drift_stays_on_the_grid(error_ppm: float, kinds: dict[str, Any]) -> None:
    """After 1 s windows come without a gap, within 1 ms, after 10 s within 30 µs of the grid."""
    seen = follow(30.0, error_ppm=lambda _: error_ppm, **kinds)
    assert seen.at_s[0] < 1.3
    assert set(np.diff(seen.ids)) == {1}
    assert np.abs(seen.error_s).max() < 1e-3
    assert np.abs(seen.error_s[100:]).max() < 30e-6
    assert np.median(seen.bound_s[100:]) < 0.1e-3
    assert seen.uncovered == 0.0


def test_no_sample_is_dropped_or_repeated() -> None:
    """Windows differ in length by a sample or two, and together are what the converter gave."""
    seen = follow(30.0)
    indices = np.concatenate([samples[1] for samples in seen.samples])
    assert np.all(np.diff(indices) == 1.0)
    assert {samples.shape[1] for samples in seen.samples} <= set(range(1278, 1283))
    assert len({samples.shape[1] for samples in seen.samples}) > 1


@pytest.mark.parametrize("seed", range(4))
def test_the_rate_is_known_within_seconds(seed: int) -> None:
    """5 s after the start to 50 ppm, after 30 s to 2 ppm, and never worse than was said."""
    seen = follow(32.0, seed=seed)
    error_ppm = seen.rate_error_ppm(lambda _: 200.0)
    assert np.all(error_ppm <= seen.rate_bound_ppm)
    assert np.all(seen.rate_bound_ppm[seen.at_s > 5.0] <= 50.0 + 1.0)
    assert np.all(error_ppm[seen.at_s > 30.0] < 2.0)
    assert np.all(seen.rate_bound_ppm[seen.at_s < 1.5] == pytest.approx(1000.0))


def test_a_crystal_that_warms_up_is_followed() -> None:
    """Drift of 0.35 ppm a second from 0 to 100 ppm: within 50 µs, and within what is said."""

    def drift_ppm(at_s: float) -> float:
        return 200.0 * math.sin(2 * math.pi * at_s / 3600.0)

    seen = follow(300.0, error_ppm=drift_ppm)
    assert np.abs(seen.error_s[100:]).max() < 50e-6
    assert seen.uncovered == 0.0
    assert np.mean(seen.rate_error_ppm(drift_ppm) > seen.rate_bound_ppm) < 0.01
    assert set(np.diff(seen.ids)) == {1}


@pytest.mark.parametrize("delay", [usual_delay, busy_delay])
@pytest.mark.parametrize("ppm_per_s", [0.5, 1.0, 2.0])
def test_a_drift_is_within_the_bound_of_the_rate(ppm_per_s: float, delay: Delay) -> None:
    """A minute of drift: what is said of the rate holds, and is not said out of mere caution."""

    def drift_ppm(at_s: float) -> float:
        return 20.0 + ppm_per_s * min(max(at_s - 60.0, 0.0), 60.0)

    seen = follow(180.0, error_ppm=drift_ppm, delay=delay)
    assert np.mean(seen.rate_error_ppm(drift_ppm) > seen.rate_bound_ppm) < 0.01
    assert np.all(seen.rate_bound_ppm[(seen.at_s > 40.0) & (seen.at_s < 60.0)] < 30.0)
    assert seen.rate_bound_ppm[seen.at_s > 70.0].max() < 40.0 * ppm_per_s + 45.0
    assert seen.uncovered < 0.01


def test_a_drift_beyond_all_crystals_is_not_hidden() -> None:
    """At 5 ppm/s the rate is no longer followed: the bound says so, after half a minute at most."""

    def drift_ppm(at_s: float) -> float:
        return 20.0 + 5.0 * min(max(at_s - 60.0, 0.0), 60.0)

    seen = follow(180.0, error_ppm=drift_ppm)
    is_hidden = seen.rate_error_ppm(drift_ppm) > seen.rate_bound_ppm
    assert not is_hidden[(seen.at_s < 60.0) | (seen.at_s > 90.0)].any()


def test_a_busy_machine_does_not_move_the_grid() -> None:
    """With delays of 1 ms in the mean and stalls of 60 ms it stays within 0.3 ms."""
    seen = follow(120.0, delay=busy_delay)
    assert np.abs(seen.error_s[150:]).max() < 0.3e-3
    assert seen.uncovered < 0.01
    assert set(np.diff(seen.ids)) == {1}


@pytest.mark.parametrize(("kinds", "settled_s"), [({"block_s": 1.0}, 20), ({"burst": 20}, 20)])
def test_long_blocks_and_bursts_are_followed(kinds: dict[str, Any], settled_s: float) -> None:
    """A source that speaks once a second gets its windows, late, without a gap, within 0.6 ms."""
    seen = follow(60.0, **kinds)
    assert set(np.diff(seen.ids)) == {1}
    assert np.abs(seen.error_s[seen.at_s > settled_s]).max() < 0.6e-3
    # The middle of so few points is half a minute old, and a crystal may drift by 0.5 ppm/s.
    assert np.all(seen.rate_bound_ppm[seen.at_s > 2 * settled_s] < 75.0)


@pytest.mark.parametrize("step_s", [5e-3, -5e-3, 15e-3])
def test_a_small_step_is_slewed(step_s: float) -> None:
    """Windows go on without a gap, return to the grid in 20 s, and the rate is left alone."""
    seen = follow(75.0, jump_s=lambda at_s: step_s if at_s > 40.0 else 0.0)
    assert set(np.diff(seen.ids)) == {1}
    assert np.abs(seen.error_s[seen.at_s > 66.0]).max() < 0.1e-3
    assert np.all(seen.rate_error_ppm(lambda _: 200.0)[seen.at_s > 40.0] < 3.0)
    # Until it is seen, 0.7 s at most, nothing can be said of it.
    assert seen.uncovered * len(seen.ids) <= 8


@pytest.mark.parametrize("step_s", [0.06, 3.0, -3.0, -0.5])
def test_a_jump_is_marked_and_followed(step_s: float) -> None:
    """One window is torn, the next one is flagged and lies right; the rate is left alone."""
    assert abs(step_s) > JUMP_S
    seen = follow(60.0, jump_s=lambda at_s: step_s if at_s > 40.0 else 0.0)
    (marked,) = [number for number, flags in enumerate(seen.flags) if TIME_JUMP in flags]
    assert math.isnan(seen.error_s[marked - 1])
    assert np.abs(seen.error_s[marked:]).max() < 0.1e-3
    assert np.all(seen.rate_error_ppm(lambda _: 200.0)[marked:] < 3.0)
    after_s = seen.at_s[marked] - 40.0 - step_s
    assert after_s < 3.0
    steps = np.diff(seen.ids)
    assert np.sum(steps != 1) == 1
    assert seen.uncovered * len(seen.ids) <= 8


def test_a_slew_of_the_clock_is_followed() -> None:
    """500 ppm for 20 s: within 2.1 ms, said to be so, without a gap, and not taken for the rate."""
    seen = follow(100.0, jump_s=lambda at_s: 500e-6 * min(20.0, max(0.0, at_s - 40.0)))
    assert set(np.diff(seen.ids)) == {1}
    assert np.nanmax(np.abs(seen.error_s)) < 2.1e-3
    assert np.abs(seen.error_s[seen.at_s > 75.0]).max() < 0.1e-3
    assert seen.uncovered < 0.02
    assert np.all(seen.rate_error_ppm(lambda _: 200.0)[seen.at_s > 30.0] < 15.0)


def test_one_stumble_of_the_clock_moves_nothing() -> None:
    """A single arrival that the clock stamps 1 s early is passed over."""
    clock = SourceClock(1000.0)
    for number in range(1, 101):
        clock.arrived(100 * number, BASE_NS + number * 10**8 - (10**9 if number == 60 else 0))
    assert clock.time_ns(20_000) == pytest.approx(BASE_NS + 20 * 10**9, abs=1000)


def test_lost_samples_tear_their_windows_only() -> None:
    """What the source loses and counts is a gap: the windows after it lie where they belong."""
    seen = follow(40.0, lose=range(300_000, 340_000))
    torn = np.isnan(seen.error_s)
    assert torn.sum() == 2
    assert np.sum(np.diff(seen.ids) - 1) == pytest.approx(40_000 / 1280 - 1, abs=1.1)
    assert np.nanmax(np.abs(seen.error_s[100:])) < 30e-6
    assert all(TIME_JUMP not in flags for flags in seen.flags)


def test_a_source_that_pauses_without_counting_is_found_out() -> None:
    """A converter that stood still for 10 s is marked, and right 3 s after it goes on."""
    seen = follow(60.0, jump_s=lambda at_s: 10.0 if at_s > 30.0 else 0.0, block_s=0.02)
    (marked,) = [number for number, flags in enumerate(seen.flags) if TIME_JUMP in flags]
    assert 30.0 <= seen.at_s[marked] - 10.0 < 33.0
    assert np.abs(seen.error_s[marked:]).max() < 0.1e-3


@pytest.mark.parametrize("seed", range(3))
def test_a_claim_to_keep_utc_is_believed(seed: int, caplog: pytest.LogCaptureFixture) -> None:
    """Windows come at once, exactly where epoch and rate put them, though the machine is busy."""
    seen = follow(30.0, error_ppm=lambda _: 40.0, delay=busy_delay, claims_utc=True, seed=seed)
    assert seen.at_s[0] < 0.2
    assert {samples.shape[1] for samples in seen.samples} == {1280}
    assert np.all(seen.rate_ppm == 0.0)
    assert caplog.messages == []


@pytest.mark.parametrize("error_ppm", [200.0, -200.0])
def test_a_false_claim_is_found_out(error_ppm: float, caplog: pytest.LogCaptureFixture) -> None:
    """One that is 200 ppm off is steered from the first seconds on, without a gap, said once."""
    seen = follow(40.0, error_ppm=lambda _: error_ppm, claims_utc=True)
    assert set(np.diff(seen.ids)) == {1}
    assert np.abs(seen.error_s[seen.at_s > 12.0]).max() < 0.1e-3
    assert np.abs(seen.error_s).max() < 3e-3
    assert np.all(seen.rate_error_ppm(lambda _: error_ppm)[seen.at_s > 12.0] < 20.0)
    assert len(caplog.messages) == 1
    assert "does not keep UTC as it says" in caplog.text


@pytest.mark.parametrize("jump_s", [0.5, -0.5])
def test_a_jump_of_one_that_claims_utc_is_followed(jump_s: float) -> None:
    """Its windows are right again 3 s later, and the first of them is flagged."""
    seen = follow(
        30.0, error_ppm=lambda _: 0.0, claims_utc=True,
        jump_s=lambda at_s: jump_s if at_s > 15.0 else 0.0,
    )  # fmt: skip
    (marked,) = [number for number, flags in enumerate(seen.flags) if TIME_JUMP in flags]
    assert seen.at_s[marked] - jump_s < 18.0
    assert np.abs(seen.error_s[marked:]).max() < 0.2e-3

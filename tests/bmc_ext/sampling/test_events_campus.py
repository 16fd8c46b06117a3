"""Changes of a campus' power under flicker, taps, phase jumps, unbalance and noise, judged."""

from __future__ import annotations

import numpy as np
import pytest
from campus_load import Scene
from event_verdict import Report, Verdict
from watched_campus import judged


@pytest.mark.parametrize(("seed", "nominal_hz"), [(73, 50.0), (74, 60.0)])
def test_what_counts_is_reported_in_time_and_nothing_else(seed: int, nominal_hz: float) -> None:
    """55 MW within a second always, 45 MW never; in 20 ms; onsets within 2 ms, of ramps within 5.

    Four minutes, dense with changes; `make soak` has whole days of it.
    """
    verdict = judged(seed, 8, nominal_hz=nominal_hz)
    assert verdict.required >= 20
    assert verdict.step_ms
    assert verdict.ramp_ms
    assert (verdict.missed, verdict.false) == ([], [])
    assert max(verdict.delay_ms) <= 20
    assert np.abs(verdict.step_ms).max() <= 2
    assert np.abs(verdict.ramp_ms).max() <= 5


@pytest.mark.parametrize(("threshold_w", "kind"), [(38e6, "false"), (62e6, "missed")])
def test_the_judge_sees_a_wrong_threshold(threshold_w: float, kind: str) -> None:
    """A detector that reports too much or too little does not pass."""
    verdict = judged(71, 6, threshold_w=threshold_w, block=2400)
    assert getattr(verdict, kind)


def stairs(*steps: tuple[int, float]) -> Scene:
    """20 s of 100 MW that steps by so many W at these ms."""
    at_ms = np.arange(20_000)
    power_w = 100e6 + sum(size_w * (at_ms >= start_ms) for start_ms, size_w in steps)
    return Scene(0.0, np.empty((6, 0), np.float32), np.asarray(power_w, np.float64))


def verdict_on(scene: Scene, *reports: tuple[float, float]) -> Verdict:
    """Of reports of so many W, each detected at this ms."""
    verdict = Verdict()
    verdict.judge(scene, [Report(ms * 1e-3, ms * 1e-3, size_w) for ms, size_w in reports])
    return verdict


def test_the_judge_wants_a_second_event_right_after_the_first() -> None:
    """60 MW, and 0.3 s later as much again: one report is too few, one of the other way as well."""
    scene = stairs((5000, 60e6), (5300, 60e6))
    assert verdict_on(scene, (5009, 60e6), (5309, 60e6)).delay_ms == pytest.approx([9, 9])
    assert len(verdict_on(scene, (5009, 60e6)).missed) == 1
    assert len(verdict_on(scene, (5009, 60e6), (5309, -60e6)).missed) == 1
    assert verdict_on(scene, (5309, 60e6)).delay_ms == pytest.approx([309])
    assert max(verdict_on(scene, (5009, 60e6), (5340, 60e6)).delay_ms) == pytest.approx(40)


def test_the_judge_wants_no_change_twice() -> None:
    """Jobs of 19 and 24 MW in the second of 58 MW that were reported make no event of their own."""
    jobs = ((4500, 22e6), (4900, 24e6), (5000, 12e6), (5530, 19e6), (5600, 24e6))
    verdict = verdict_on(stairs(*jobs), (5004, 52e6))
    assert (verdict.required, verdict.missed, verdict.false) == (1, [], [])
    assert len(verdict_on(stairs(*jobs, (5700, 16e6)), (5004, 52e6)).missed) == 1

"""Changes of a campus' power under flicker, taps, phase jumps, unbalance and noise, judged."""

from __future__ import annotations

import numpy as np
import pytest
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

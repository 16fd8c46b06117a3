"""A day of a campus' power, at 50 and at 60 Hz: every change that counts, and no other."""

from __future__ import annotations

import os
import sys
import time

import numpy as np
import pytest
from campus_load import SCENE_S
from watched_campus import judged

HOURS = float(os.environ.get("DCPI_EVENT_HOURS", "24"))
SCENES = max(1, round(HOURS * 3600 / SCENE_S))


@pytest.mark.parametrize("nominal_hz", [50.0, 60.0])
def test_a_day_of_load(nominal_hz: float, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing missed, nothing false, all within 20 ms; onsets within 2 ms, of ramps within 5."""
    seed = int(os.environ.get("DCPI_EVENT_SEED", str(int(time.time()))))

    def progress(done: int) -> None:
        if done % 20 == 0 or done == SCENES:
            with capsys.disabled():
                print(f"\r{nominal_hz:g} Hz: {done / SCENES:6.1%} ", end="", file=sys.stderr)

    verdict = judged(seed, SCENES, nominal_hz=nominal_hz, block=1200, progress=progress)
    with capsys.disabled():
        print(f"\rseed {seed}, {HOURS:g} h at {nominal_hz:g} Hz: {verdict}", file=sys.stderr)
    assert (verdict.missed, verdict.false) == ([], [])
    assert max(verdict.delay_ms) <= 20
    assert np.abs(verdict.step_ms).max() <= 2
    assert np.abs(verdict.ramp_ms).max() <= 5

"""A day of a source whose crystal follows the temperature of its hall."""

from __future__ import annotations

import math

from free_running_adc import BASE_NS, blocks

from bmc_ext.clock import WINDOW_NS
from bmc_ext.sampling.timeline import Timeline

RATE_HZ = 480.0
"""Low: what is tested is time, and a day has 864 000 windows."""


def drift_ppm(at_s: float) -> float:
    """200 ppm over the day, and 5 ppm with the 20 minutes of an air conditioner."""
    return 200.0 * math.sin(at_s / 13_751.0) + 5.0 * math.sin(at_s / 191.0)


def test_a_day_of_drift_stays_on_the_grid() -> None:
    """No window is missing, all after the first minute lie within 0.2 ms and within their bound."""
    timeline = Timeline("feed_1", RATE_HZ, 0)
    windows = uncovered = wrong_rates = 0
    largest_s, previous = 0.0, None
    for block in blocks(86_400.0, rate_hz=RATE_HZ, error_ppm=drift_ppm, block_s=0.1):
        for cut in timeline.cut(block):
            assert cut.samples is not None
            assert previous in (None, cut.window_id - 1)
            previous = cut.window_id
            windows += 1
            base = timeline.time_base(cut)
            at_s = (cut.window_id * WINDOW_NS - BASE_NS) * 1e-9
            late_s = cut.samples[0, 0] - at_s
            error_s = abs(late_s - min(max(late_s, 0.0), 1.0 / RATE_HZ))
            if windows > 600:
                largest_s = max(largest_s, error_s)
            uncovered += error_s > base.time_error_s + 1e-5
            true_rate_hz = RATE_HZ * (1.0 + drift_ppm(at_s) * 1e-6)
            wrong_rates += abs(base.sample_rate_hz / true_rate_hz - 1.0) > base.rate_error
    assert windows > 863_900
    assert largest_s < 0.2e-3
    assert uncovered < 1e-3 * windows
    assert wrong_rates < 1e-3 * windows

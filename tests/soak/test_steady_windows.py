"""Tens of thousands of windows in which nothing moves: none of them is flagged."""

from __future__ import annotations

import os
import time

import numpy as np
from steady_waves import steady_window

from bmc_ext.sampling import Flag, analyze

WINDOWS = int(os.environ.get("DCPI_STEADY_WINDOWS", "20000"))


def test_steady_windows_raise_no_flag() -> None:
    """No flag but that of the rate's reach, whatever the load, the rate and the noise."""
    seed = int(os.environ.get("DCPI_STEADY_SEED", str(int(time.time()))))
    for index in range(WINDOWS):
        window = steady_window(np.random.default_rng([seed, index]))
        flags = analyze(window.voltage, window.current, window.rate_hz).flags
        assert not flags & ~Flag.LIMITED_ORDER, f"seed {seed}, window {index}: {window.about}"

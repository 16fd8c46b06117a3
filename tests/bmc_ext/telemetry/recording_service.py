"""A process for the kill test: records two feeds in true time until it is killed.

    python recording_service.py STATE_DIR

Prints "<feed> <window_id>" after each window was accepted. The power of window k is
100·(k mod 7 - 2) W, so that its energy has a closed form.
"""

from __future__ import annotations

import math
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from bmc_ext.config import parse_config
from bmc_ext.sampling import Flag
from bmc_ext.sampling.sampler import Window
from bmc_ext.state import StateDirectory
from bmc_ext.telemetry.collector import Collector


def window(feed_id: str, window_id: int) -> Window:
    """One phase with the power of the closed form."""
    power_w = 100.0 * (window_id % 7 - 2)
    phase = SimpleNamespace(
        v_rms=230.0, i_rms=1.0, p_w=power_w, p_mean_w=power_w, s_va=230.0, q1_var=0.0, p1_w=power_w,
        pf=1.0, dpf=1.0, thd_v_percent=0.0, thd_i_percent=0.0,
    )  # fmt: skip
    total = SimpleNamespace(
        p_w=power_w, p_mean_w=power_w, q1_var=power_w / 2, s_va=230.0, pf=math.nan
    )
    analysis: Any = SimpleNamespace(frequency_hz=50.0, flags=Flag(0), phases=(phase,), total=total)
    return Window(feed_id, window_id, window_id * 10**8, 1, analysis, (), 1280, 1280)


def main() -> None:
    """Run until killed."""
    config = parse_config(
        {
            "facility": {"id": "site", "rated_power_w": 1e6},
            "state_dir": ".",
            "feeds": [
                {"id": feed, "rated_power_w": 1e5, "waveform": {"type": "stream", "port": 1}}
                for feed in ("a", "b")
            ],
        },
        base=Path(),
    )
    collector = Collector(config, None, StateDirectory(Path(sys.argv[1])))
    collector.start()
    window_id = time.time_ns() // 10**8
    while True:
        time.sleep(max(0.0, (window_id + 1) / 10 - time.time()))
        for feed in ("a", "b"):
            collector.accept(window(feed, window_id))
            print(feed, window_id, flush=True)
        window_id += 1


if __name__ == "__main__":
    main()

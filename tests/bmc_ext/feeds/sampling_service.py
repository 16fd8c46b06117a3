"""A program that samples one stream: `python sampling_service.py PORT`; prints who samples."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

from bmc_ext.clock import SystemClock
from bmc_ext.config import parse_config
from bmc_ext.feeds.process import FeedProcess
from bmc_ext.feeds.samplers import FeedSettings


class Nobody:
    """A FeedSink that keeps nothing."""

    def window(self, window: Any) -> None:
        """A window."""

    def cycles(self, source_id: str, changes: Any) -> None:
        """Values over cycles."""

    def event(self, feed_id: str | None, event: Any) -> None:
        """An event."""

    def lost(self, count: int) -> None:
        """Lost events."""

    def cut(self) -> None:
        """Events whose end is lost."""


if __name__ == "__main__":
    waveform = {"type": "stream", "port": int(sys.argv[1])}
    document = {
        "facility": {"id": "site", "rated_power_w": 1e6},
        "state_dir": ".",
        "feeds": [{"id": "a", "rated_power_w": 1e6, "waveform": waveform}],
    }
    feeds = FeedProcess(
        FeedSettings(parse_config(document, base=Path()).feeds, 1e6, SystemClock()), Nobody()
    )
    feeds.start()
    print(feeds.pid, flush=True)
    time.sleep(60)

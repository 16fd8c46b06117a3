"""A clock that is ahead of the machine's own by a constant."""

from __future__ import annotations

import time

from bmc_ext.clock import SystemClock


class ShiftedClock(SystemClock):
    """The machine's clocks, with UTC shifted by `ahead_ns` (negative: behind)."""

    def __init__(self, ahead_ns: int) -> None:
        self.ahead_ns = ahead_ns

    def unix_ns(self) -> int:
        """Shifted UTC in nanoseconds since 1970-01-01."""
        return time.time_ns() + self.ahead_ns

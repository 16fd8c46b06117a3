"""When the snapshot of which window is due: the 100 ms grid against a clock that may step."""

from __future__ import annotations

from bmc_ext.clock import WINDOW_NS

WAIT_NS = 80_000_000
"""How long after its end a window is waited for: an answer is then at most 100 ms old."""

STEP_WINDOWS = 10
"""A clock or a thread that is off by more than 1 s is followed, not caught up with."""


class Pacing:
    """Which window comes next. Starts with the one that is running at `now_ns` (UTC)."""

    def __init__(self, now_ns: int) -> None:
        self.next_window = now_ns // WINDOW_NS

    def follow(self, now_ns: int) -> str | None:
        """Go to the running window when the clock is more than 1 s away; says so, or None."""
        running = now_ns // WINDOW_NS
        apart = running - self.next_window
        if abs(apart) <= STEP_WINDOWS:
            return None
        self.next_window = running
        direction = "back" if apart < 0 else "ahead"
        return f"went {abs(apart) / 10:.1f} s {direction}"

    def pause_s(self, now_ns: int, *, awaited: bool, complete: bool) -> float:
        """Seconds until the next snapshot is due, 0 when it is.

        `awaited`: some feed is still expected; `complete`: all of them have come.
        """
        if awaited and complete:
            return 0.0
        due_ns = (self.next_window + 1) * WINDOW_NS + (WAIT_NS if awaited else 0)
        return max(0, due_ns - now_ns) * 1e-9

    def advance(self) -> None:
        """The next window's snapshot is out."""
        self.next_window += 1

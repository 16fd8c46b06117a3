"""Events of all waveform feeds and of their sum: their log, and how many are not in it."""

from __future__ import annotations

from bmc_ext.clock import Clock
from bmc_ext.sampling.events import Event
from bmc_ext.state import StateDirectory
from bmc_ext.telemetry.event_log import EventLog


class PowerEvents:
    """The log and its losses. Raises StateError when the log cannot be opened."""

    def __init__(self, state: StateDirectory, clock: Clock) -> None:
        self.log = EventLog(state, clock)
        self._undetected = 0

    @property
    def lost_events(self) -> int:
        """Events since the start that are not in the log."""
        return self._undetected + self.log.lost_events

    def event(self, feed_id: str | None, event: Event) -> None:
        """Write an event of a feed, or of their sum."""
        self.log.record(feed_id, event)

    def lost(self, count: int) -> None:
        """So many more found no room where they were detected."""
        self._undetected += count

    def cut(self) -> None:
        """Those that go on are over: the samples that would tell how are missing."""
        self.log.cut()

    def close(self) -> None:
        """Close the log; stop the detectors before."""
        self.log.close()

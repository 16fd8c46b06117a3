"""The highest power of the facility, each feed and each phase since the service started."""

from __future__ import annotations

from typing import NamedTuple

from bmc_ext.domain.snapshot import Snapshot

PeakKey = tuple[str, ...]
"""() is the facility, (feed,) a feed, (feed, phase) a phase."""


class Peak(NamedTuple):
    """The highest mean power in W of a 100 ms window, and the Unix time of that window's start."""

    power_w: float
    at_s: float


class PowerPeaks:
    """Takes every snapshot; a peak of what was never known is None."""

    def __init__(self) -> None:
        self._peaks: dict[PeakKey, Peak] = {}

    def take(self, snapshot: Snapshot) -> None:
        """Note what is higher than before; called by one thread."""
        at_s = snapshot.start_s
        self._note((), snapshot.total.p_w, at_s)
        for feed in snapshot.feeds:
            self._note((feed.feed_id,), feed.p_w, at_s)
            for phase in feed.phases:
                self._note((feed.feed_id, phase.phase), phase.p_w, at_s)

    def of(self, key: PeakKey) -> Peak | None:
        """The highest so far."""
        return self._peaks.get(key)

    def _note(self, key: PeakKey, power_w: float | None, at_s: float) -> None:
        if power_w is None:
            return
        known = self._peaks.get(key)
        if known is None or power_w > known.power_w:
            self._peaks[key] = Peak(power_w, at_s)

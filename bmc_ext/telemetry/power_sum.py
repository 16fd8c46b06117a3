"""The sum of all feeds' sliding mean powers, millisecond by millisecond of UTC."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from bmc_ext.sampling.events import Event, PowerSeries, PowerWatch

_KEPT_MS = 4096  # of each feed; blocks are shorter
LATE_MS = 500
"""A feed that is so far behind the others is left out until it is back."""


@dataclass(slots=True)
class _Member:
    """One feed: its last powers by UTC ms, without a gap from `start_ms` to `end_ms`."""

    start_ms: int = 0
    end_ms: int = 0
    power_w: NDArray[np.float64] = field(default_factory=lambda: np.zeros(_KEPT_MS))


class PowerSum:
    """Watches the sum of feeds, whose threads bring their powers as they come.

    The sum of a millisecond is taken by whoever brings its last part; nobody waits for another.
    Feeds that are silent, or were never heard, are left out: a feed that comes or goes is no step,
    the search begins anew with it.
    """

    def __init__(
        self, feed_ids: Iterable[str], *, threshold_w: float, nominal_hz: float | None
    ) -> None:
        self._settings = (threshold_w, nominal_hz)
        self._lock = threading.Lock()  # guards what follows; held for microseconds
        self._feeds = {feed_id: _Member() for feed_id in feed_ids}
        self._members: frozenset[str] = frozenset()
        self._end_ms = 0  # where the last of the members have come to
        self._awaited: set[str] = set()  # those members
        self._watch = PowerWatch(threshold_w=threshold_w, nominal_hz=nominal_hz)
        self._next_ms = 0
        self._lost = 0

    @property
    def lost_events(self) -> int:
        """Events that found the core's queue full."""
        return self._lost + self._watch.lost_events

    def add(self, feed_id: str, series: PowerSeries) -> list[Event]:
        """Take in a feed's next powers; the events of the sum that this shows."""
        if not len(series.power_w):
            return []
        with self._lock:
            feed = self._feeds[feed_id]
            events = self._keep(feed, series)
            self._awaited.discard(feed_id)
            is_near = feed.end_ms < self._end_ms + LATE_MS
            if self._awaited and feed_id in self._members and is_near:
                return events  # the others are still awaited, and none of them is late
            return events + self._advance()

    def _keep(self, feed: _Member, series: PowerSeries) -> list[Event]:
        first_ms, count = series.first_ms, len(series.power_w)
        events = []
        if first_ms < feed.end_ms:
            # The feed's time was set back: nothing that is known fits it.
            events = self._begin_anew()
        if first_ms != feed.end_ms:
            feed.start_ms = first_ms
        feed.end_ms = first_ms + count
        feed.start_ms = max(feed.start_ms, feed.end_ms - _KEPT_MS)
        kept = series.power_w[-_KEPT_MS:]
        feed.power_w[np.arange(feed.end_ms - len(kept), feed.end_ms) % _KEPT_MS] = kept
        return events

    def _begin_anew(self) -> list[Event]:
        events = self._watch.restart()
        self._lost += self._watch.lost_events
        threshold_w, nominal_hz = self._settings
        self._watch = PowerWatch(
            threshold_w=threshold_w, nominal_hz=nominal_hz, numbered=self._watch.numbered
        )
        self._next_ms = 0
        self._awaited.clear()
        return events

    def _advance(self) -> list[Event]:
        """Sum what all feeds that are live have brought."""
        furthest_ms = max(feed.end_ms for feed in self._feeds.values())
        live = {
            feed_id: feed
            for feed_id, feed in self._feeds.items()
            if feed.end_ms > furthest_ms - LATE_MS
        }
        events = []
        if live.keys() != self._members:
            self._members = frozenset(live)
            events = self._watch.restart()
        first_ms = max(self._next_ms, *(feed.start_ms for feed in live.values()))
        end_ms = self._end_ms = min(feed.end_ms for feed in live.values())
        self._awaited = {feed_id for feed_id, feed in live.items() if feed.end_ms == end_ms}
        if end_ms <= first_ms:
            return events
        places = np.arange(first_ms, end_ms) % _KEPT_MS
        total_w = np.sum([feed.power_w[places] for feed in live.values()], axis=0)
        self._next_ms = end_ms
        return events + self._watch.take(PowerSeries(first_ms, total_w))

"""Detectors of events in all waveform feeds and in their sum."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from typing import Protocol

from bmc_ext.sampling.events import Event, EventDetector, PowerSeries
from bmc_ext.sampling.sampler import Window
from bmc_ext.settings import FeedConfig
from bmc_ext.telemetry.power_sum import PowerSum
from drivers.waveforms.block import Block, WaveformSource

_LOG = logging.getLogger(__name__)


class EventSink(Protocol):
    """Who is told; called from the samplers' threads."""

    def event(self, feed_id: str | None, event: Event) -> None:
        """An event of a feed or, for None, of the sum: when it is seen, and when it is over."""

    def lost(self, count: int) -> None:
        """So many more events found no room."""


class _Losses:
    """Tells how many more there are of a count that only grows."""

    def __init__(self, sink: EventSink) -> None:
        self._sink = sink
        self._lock = threading.Lock()
        self._told = 0

    def follow(self, count: int) -> None:
        if count == self._told:
            return
        with self._lock:
            more, self._told = max(0, count - self._told), max(count, self._told)
        if more:
            self._sink.lost(more)


class SumEvents:
    """Events of all feeds' sum; feeds bring their powers from their own threads."""

    def __init__(self, total: PowerSum, sink: EventSink) -> None:
        self._total = total
        self._sink = sink
        self._losses = _Losses(sink)

    def take(self, feed_id: str, series: PowerSeries) -> None:
        """The feed's next powers."""
        for event in self._total.add(feed_id, series):
            self._sink.event(None, event)
        self._losses.follow(self._total.lost_events)


class FeedEvents:
    """The TimedObserver of one feed; belongs to its sampler's thread."""

    def __init__(
        self, feed_id: str, detector: EventDetector, total: SumEvents, sink: EventSink
    ) -> None:
        self._feed_id = feed_id
        self._detector = detector
        self._total = total
        self._sink = sink
        self._losses = _Losses(sink)

    def begin(self, source: WaveformSource) -> None:
        """A source that cannot be watched is said once and left alone; its windows go on."""
        try:
            self._detector.begin(source)
        except ValueError as error:
            _LOG.warning("feed %s: its events are not watched: %s", self._feed_id, error)
        self._tell()

    def take(self, block: Block) -> None:
        """Watch the next samples; events are told, the sliding mean goes into the sum."""
        self._detector.take(block)
        self._tell()
        self._total.take(self._feed_id, self._detector.read_power())

    def set_time(self, index: int, utc_ns: int, sample_rate_hz: float) -> None:  # noqa: ARG002
        """Event times follow what has been measured of the source's clock."""
        self._detector.set_time(index, utc_ns)

    def note(self, window: Window) -> None:
        """The half cycle follows the feed's newest window."""
        if window.analysis is not None:
            self._detector.set_frequency(window.analysis.frequency_hz)

    def _tell(self) -> None:
        for event in self._detector.drain():
            self._sink.event(self._feed_id, event)
        self._losses.follow(self._detector.lost_events)


class PowerDetectors:
    """Detectors of all waveform feeds, and the watch over their sum.

    Feeds that a meter measures have no samples: they take no part. Of redundant sources the first
    that brings samples is watched.
    """

    def __init__(
        self, feeds: Sequence[FeedConfig], event_threshold_w: float, sink: EventSink
    ) -> None:
        watched = {
            source.id: feed
            for feed in feeds
            for source in [s for s in feed.sources if s.waveform is not None][:1]
        }
        total = SumEvents(
            PowerSum(
                [feed.id for feed in watched.values()],
                threshold_w=event_threshold_w,
                nominal_hz=next((feed.nominal_hz for feed in watched.values()), None),
            ),
            sink,
        )
        self._sources = {
            source_id: FeedEvents(
                feed.id,
                EventDetector(
                    threshold_w=feed.event_threshold_w,
                    declared_voltage_v=feed.declared_voltage_v,
                    nominal_hz=feed.nominal_hz,
                ),
                total,
                sink,
            )
            for source_id, feed in watched.items()
        }

    def observers(self, source_id: str) -> tuple[FeedEvents, ...]:
        """Who is to see this source's blocks."""
        source = self._sources.get(source_id)
        return () if source is None else (source,)

    def note(self, window: Window) -> None:
        """The source's newest window tells its frequency."""
        source = self._sources.get(window.feed_id)
        if source is not None:
            source.note(window)

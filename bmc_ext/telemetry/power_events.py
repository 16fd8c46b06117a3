"""Events of all waveform feeds and of their sum, from the samples to the log."""

from __future__ import annotations

import logging

from bmc_ext.clock import Clock
from bmc_ext.config import Config
from bmc_ext.sampling.events import Event, EventDetector
from bmc_ext.sampling.sampler import Window
from bmc_ext.state import StateDirectory
from bmc_ext.telemetry.event_log import EventLog
from bmc_ext.telemetry.power_sum import PowerSum
from drivers.waveforms.block import Block, WaveformSource

_LOG = logging.getLogger(__name__)


class FeedEvents:
    """The TimedObserver of one feed; belongs to its sampler's thread."""

    def __init__(
        self, feed_id: str, detector: EventDetector, total: PowerSum, log: EventLog
    ) -> None:
        self._feed_id = feed_id
        self._detector = detector
        self._total = total
        self._log = log

    @property
    def lost_events(self) -> int:
        """Events that found the core's queue full."""
        return self._detector.lost_events

    def begin(self, source: WaveformSource) -> None:
        """A source that cannot be watched is said once and left alone; its windows go on."""
        try:
            self._detector.begin(source)
        except ValueError as error:
            _LOG.warning("feed %s: its events are not watched: %s", self._feed_id, error)
        self._record()

    def take(self, block: Block) -> None:
        """Watch the next samples; events go to the log, the sliding mean into the sum."""
        self._detector.take(block)
        self._record()
        _note(self._log, None, self._total.add(self._feed_id, self._detector.read_power()))

    def set_time(self, index: int, utc_ns: int, sample_rate_hz: float) -> None:  # noqa: ARG002
        """Event times follow what has been measured of the source's clock."""
        self._detector.set_time(index, utc_ns)

    def note(self, window: Window) -> None:
        """The half cycle follows the feed's newest window."""
        if window.analysis is not None:
            self._detector.set_frequency(window.analysis.frequency_hz)

    def _record(self) -> None:
        _note(self._log, self._feed_id, self._detector.drain())


class PowerEvents:
    """Detectors of all waveform feeds, the watch over their sum, and the log.

    Feeds that a meter measures have no samples: they take no part. Of redundant sources the first
    that brings samples is watched. Raises StateError when the log cannot be opened.
    """

    def __init__(self, config: Config, state: StateDirectory, clock: Clock) -> None:
        self.log = EventLog(state, clock)
        feeds = {
            source.id: feed
            for feed in config.feeds
            for source in [s for s in feed.sources if s.waveform is not None][:1]
        }
        self._total = PowerSum(
            [feed.id for feed in feeds.values()],
            threshold_w=config.facility.event_threshold_w,
            nominal_hz=next((feed.nominal_hz for feed in feeds.values()), None),
        )
        self._sources = {
            source_id: FeedEvents(
                feed.id,
                EventDetector(
                    threshold_w=feed.event_threshold_w,
                    declared_voltage_v=feed.declared_voltage_v,
                    nominal_hz=feed.nominal_hz,
                ),
                self._total,
                self.log,
            )
            for source_id, feed in feeds.items()
        }

    @property
    def lost_events(self) -> int:
        """Events since the start that are not in the log."""
        lost = sum(source.lost_events for source in self._sources.values())
        return lost + self._total.lost_events + self.log.lost_events

    def observers(self, source_id: str) -> tuple[FeedEvents, ...]:
        """Who is to see this source's blocks."""
        source = self._sources.get(source_id)
        return () if source is None else (source,)

    def note(self, window: Window) -> None:
        """The source's newest window tells its frequency."""
        source = self._sources.get(window.feed_id)
        if source is not None:
            source.note(window)

    def close(self) -> None:
        """Close the log; stop the samplers before."""
        self.log.close()


def _note(log: EventLog, feed_id: str | None, events: list[Event]) -> None:
    for event in events:
        log.record(feed_id, event)

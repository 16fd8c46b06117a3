"""The samplers of all waveform feeds, and what sees their samples."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Protocol

from bmc_ext.clock import Clock
from bmc_ext.domain.calibration import Calibration
from bmc_ext.feeds.sources import source_of
from bmc_ext.sampling.channel_calibration import ChannelCalibrations
from bmc_ext.sampling.corrected_blocks import corrected
from bmc_ext.sampling.cycles import CycleObserver, CycleResult
from bmc_ext.sampling.sampler import Sampler, Window
from bmc_ext.sampling.sensor_calibration import SensorCalibration, Temperature
from bmc_ext.sampling.shared_reader import SharedReader
from bmc_ext.settings import FeedConfig, SourceConfig, WaveformConfig
from bmc_ext.telemetry.cycle_feed import Changes, CycleSummary
from bmc_ext.telemetry.power_detectors import EventSink, PowerDetectors


class FeedSettings(NamedTuple):
    """What is to be sampled; feeds of meters have no part in it."""

    feeds: tuple[FeedConfig, ...]
    event_threshold_w: float
    """W: a change of all feeds' power within 1 s that is an event."""
    clock: Clock
    certificates: Mapping[str, Mapping[str, Calibration]] = {}
    """Of the calibrated channels: by source and channel."""


class FeedSink(EventSink, Protocol):
    """Where everything goes that the samples tell; called from several threads.

    Of one source all comes in the order of its samples.
    """

    def window(self, window: Window) -> None:
        """A window of a source."""

    def cycles(self, source_id: str, changes: Changes) -> None:
        """Newest values over actual cycles."""


class FeedSamplers:
    """One sampler for each waveform source.

    `temperature` is asked where a certificate depends on that of a device's point.
    ConfigurationError for a source that cannot be read.
    """

    def __init__(
        self,
        settings: FeedSettings,
        sink: FeedSink,
        temperature: Temperature,
    ) -> None:
        self._sink = sink
        self._clock = settings.clock
        self._certificates = settings.certificates
        self._temperature = temperature
        self._detectors = PowerDetectors(settings.feeds, settings.event_threshold_w, sink)
        self._reader = SharedReader()
        self._samplers = [
            self._sampler(feed, source, source.waveform)
            for feed in settings.feeds
            for source in feed.sources
            if source.waveform is not None
        ]

    def start(self) -> None:
        """Begin to take samples."""
        for sampler in self._samplers:
            sampler.start()

    def stop(self) -> None:
        """End; everything that was sampled until now has been told then."""
        for sampler in self._samplers:
            sampler.end()
        for sampler in self._samplers:
            sampler.stop()

    def _sampler(self, feed: FeedConfig, source: SourceConfig, waveform: WaveformConfig) -> Sampler:
        calibration = self._calibration(source.id)
        summary = CycleSummary()

        def take_cycles(result: CycleResult) -> None:
            changes = summary.take(result)
            if changes:
                self._sink.cycles(source.id, changes)

        return Sampler(
            source.id,
            source_of(source.id, waveform, self._clock),
            self._accept,
            nominal_hz=feed.nominal_hz,
            clock=self._clock,
            calibration=calibration,
            reader=self._reader,
            observers=[
                *corrected(self._detectors.observers(source.id), calibration),
                CycleObserver(
                    source.id, take_cycles, nominal_hz=feed.nominal_hz, calibration=calibration
                ),
            ],
        )

    def _calibration(self, source_id: str) -> ChannelCalibrations | None:
        certificates = self._certificates.get(source_id)
        if certificates is None:
            return None
        return ChannelCalibrations(
            {
                channel: SensorCalibration(certificate, self._temperature)
                for channel, certificate in certificates.items()
            }
        )

    def _accept(self, window: Window) -> None:
        self._detectors.note(window)
        self._sink.window(window)

"""What measures: devices and samplers at work, their snapshots, and what is kept of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from bmc_ext.clock import Clock
from bmc_ext.domain.calibration import Calibration
from bmc_ext.errors import ConfigurationError
from bmc_ext.feeds.process import FeedProcess, ProcessSink
from bmc_ext.feeds.samplers import FeedSamplers, FeedSettings
from bmc_ext.sampling.calibration_files import load_calibrations
from bmc_ext.settings import Config
from bmc_ext.state import StateDirectory
from bmc_ext.telemetry.calibrated_engine import CalibratedEngine
from bmc_ext.telemetry.collector import Collector
from bmc_ext.telemetry.cycle_feed import Changes
from bmc_ext.telemetry.peaks import PowerPeaks
from bmc_ext.telemetry.power_events import PowerEvents
from bmc_ext.timekeeping import Timekeeper
from drivers.engine import Engine

_FEEDS_HERE = 16
"""More sources are sampled in a process of their own, which takes 50 MB and more."""


class Instruments(NamedTuple):
    """The devices of a configuration: who asks them, and what they say after calibration."""

    engine: Engine
    devices: CalibratedEngine


def instruments_of(config: Config, clock: Clock) -> Instruments:
    """Not asked yet; ConfigurationError names a folder, a certificate's file or a sensor."""
    for profiles in config.profile_dirs:
        if not profiles.is_dir():
            raise ConfigurationError(f"profile_dirs: {profiles} is no folder")
    engine = Engine(
        config.devices, profile_dirs=config.profile_dirs, wall=lambda: clock.unix_ns() / 1e9
    )
    folder = config.calibration_dir
    devices = CalibratedEngine(engine, {} if folder is None else load_calibrations(folder), clock)
    devices.check_sources(
        source.id for feed in config.feeds for source in feed.sources if source.waveform is not None
    )
    return Instruments(engine, devices)


class Measuring:
    """The devices, feeds and loops of one configuration; several services may show one of these.

    Its history is kept in `state`, which stays its owner's. ConfigurationError for a source that
    cannot be read, StateError where the history cannot be opened.
    """

    def __init__(
        self,
        config: Config,
        instruments: Instruments,
        state: StateDirectory,
        clock: Clock,
        timekeeper: Timekeeper,
    ) -> None:
        self.instruments = instruments
        self.timekeeper = timekeeper
        devices = instruments.devices
        self.collector = Collector(config, devices, state, clock, time_bound=timekeeper)
        self.events = PowerEvents(state, clock)
        self.peaks = PowerPeaks()
        self.collector.store.subscribe(self.peaks.take)
        self._feeds = _feeds(config, devices, clock, _Intake(self.collector, self.events))

    def start(self) -> None:
        """Begin to ask the devices and to take samples."""
        self.timekeeper.start()
        self.instruments.engine.start()
        self.collector.start()
        self._feeds.start()

    def stop(self) -> None:
        """Stop in reverse order; what was measured is kept, events that go on are cut."""
        self._feeds.stop()
        self.events.cut()
        self.events.close()
        self.collector.stop()
        self.instruments.engine.stop()
        self.timekeeper.stop()


class _Intake:
    """The ProcessSink: everything goes where it is kept."""

    def __init__(self, collector: Collector, events: PowerEvents) -> None:
        self._collector = collector
        self.window = collector.accept
        self.event, self.lost, self.cut = events.event, events.lost, events.cut

    def cycles(self, source_id: str, changes: Changes) -> None:
        self._collector.cycles_of(source_id).put(changes)


def _feeds(
    config: Config, devices: CalibratedEngine, clock: Clock, sink: ProcessSink
) -> FeedSamplers | FeedProcess:
    """Who samples: many feeds are not to wait for those who ask, nor these for them."""
    settings = FeedSettings(
        config.feeds, config.facility.event_threshold_w, clock, devices.channels
    )
    sampled = [s.id for feed in config.feeds for s in feed.sources if s.waveform is not None]
    if len(sampled) <= _FEEDS_HERE or _depends_on_devices(devices.channels):
        return FeedSamplers(settings, sink, devices.temperature)
    return FeedProcess(settings, sink)


def _depends_on_devices(certificates: Mapping[str, Mapping[str, Calibration]]) -> bool:
    """Whether a channel's certificate asks for a temperature that a device measures."""
    return any(
        certificate.temperature is not None and certificate.temperature.point is not None
        for channels in certificates.values()
        for certificate in channels.values()
    )

"""What measures: devices and samplers at work, their snapshots, and what is kept of them."""

from __future__ import annotations

import logging
from typing import NamedTuple

from bmc_ext.clock import Clock
from bmc_ext.config import Config, WaveformConfig
from bmc_ext.errors import ConfigurationError
from bmc_ext.sampling.calibration_files import load_calibrations
from bmc_ext.sampling.corrected_blocks import corrected
from bmc_ext.sampling.cycles import CycleObserver
from bmc_ext.sampling.sampled_values_source import SampledValuesSource
from bmc_ext.sampling.sampler import Sampler, Window
from bmc_ext.sampling.shared_reader import SharedReader
from bmc_ext.state import StateDirectory
from bmc_ext.telemetry.calibrated_engine import CalibratedEngine
from bmc_ext.telemetry.collector import Collector
from bmc_ext.telemetry.peaks import PowerPeaks
from bmc_ext.telemetry.power_events import PowerEvents
from bmc_ext.timekeeping import Timekeeper
from drivers.engine import Engine
from drivers.errors import LayoutError, RecordingError
from drivers.waveforms.block import WaveformSource
from drivers.waveforms.csv_file import TableFormat
from drivers.waveforms.iio import IioSource
from drivers.waveforms.packed_source import packed_source
from drivers.waveforms.recording_file import read_recording
from drivers.waveforms.replay import RecordingReplay
from drivers.waveforms.sampled_values_socket import SampledValuesSocket
from drivers.waveforms.stream import StreamSource

_LOG = logging.getLogger(__name__)


class Instruments(NamedTuple):
    """The devices of a configuration: who asks them, and what they say after calibration."""

    engine: Engine
    devices: CalibratedEngine


def instruments_of(config: Config, clock: Clock) -> Instruments:
    """Not asked yet; ConfigurationError names a certificate's file or a sensor."""
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
        self.events = PowerEvents(config, state, clock)
        self.peaks = PowerPeaks()
        self.collector.store.subscribe(self.peaks.take)
        reader = SharedReader()
        self.samplers = [
            Sampler(
                source.id,
                _source(source.id, source.waveform, clock),
                self._accept,
                nominal_hz=feed.nominal_hz,
                clock=clock,
                calibration=calibration,
                reader=reader,
                observers=[
                    *corrected(self.events.observers(source.id), calibration),
                    CycleObserver(
                        source.id,
                        self.collector.cycles_of(source.id).take,
                        nominal_hz=feed.nominal_hz,
                        calibration=calibration,
                    ),
                ],
            )
            for feed in config.feeds
            for source in feed.sources
            if source.waveform is not None
            for calibration in (devices.channels(source.id),)
        ]

    def start(self) -> None:
        """Begin to ask the devices and to take samples."""
        self.timekeeper.start()
        self.instruments.engine.start()
        self.collector.start()
        for sampler in self.samplers:
            sampler.start()

    def stop(self) -> None:
        """Stop in reverse order; everything measured until now is kept."""
        for sampler in self.samplers:
            sampler.stop()
        self.events.close()
        self.collector.stop()
        self.instruments.engine.stop()
        self.timekeeper.stop()

    def _accept(self, window: Window) -> None:
        self.events.note(window)
        self.collector.accept(window)


def _source(source_id: str, waveform: WaveformConfig, clock: Clock) -> WaveformSource:
    """The source; ConfigurationError names it and what cannot be."""
    try:
        return _source_of(waveform, clock)
    except (LayoutError, RecordingError) as error:
        raise ConfigurationError(f"feed {source_id}: {error}") from error


def _source_of(waveform: WaveformConfig, clock: Clock) -> WaveformSource:
    if waveform.type == "stream":
        return StreamSource(waveform.host, waveform.port, wall_ns=clock.unix_ns)
    if waveform.type == "iio":
        return IioSource(
            waveform.path,
            waveform.channels or {},
            data=waveform.data,
            gains=waveform.gains,
            rate_hz=waveform.rate_hz,
            timestamp=waveform.timestamp,
        )
    if waveform.type == "frames":
        return packed_source(
            waveform.path,
            waveform.format,
            waveform.order,
            waveform.gains or {},
            waveform.rate_hz or 0.0,
            loop=waveform.loop,
        )
    if waveform.sampled_values is not None:
        wanted = waveform.sampled_values
        frames = SampledValuesSocket(waveform.interface, appid=wanted.appid)
        return SampledValuesSource(frames, wanted)
    return _replay(waveform)


def _replay(waveform: WaveformConfig) -> RecordingReplay:
    table = TableFormat(waveform.rate_hz, waveform.delimiter, waveform.decimal)
    recording = read_recording(waveform.path, waveform.channels, table=table)
    for note in recording.notes:
        _LOG.warning("%s: %s", waveform.path, note)
    return RecordingReplay(recording, loop=waveform.loop)

"""The waveform sources of a configuration."""

from __future__ import annotations

import logging

from bmc_ext.clock import Clock
from bmc_ext.errors import ConfigurationError
from bmc_ext.sampling.sampled_values_source import SampledValuesSource
from bmc_ext.settings import WaveformConfig
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


def source_of(source_id: str, waveform: WaveformConfig, clock: Clock) -> WaveformSource:
    """The source, not open yet; ConfigurationError names it and what cannot be."""
    try:
        return _made(waveform, clock)
    except (LayoutError, RecordingError) as error:
        raise ConfigurationError(f"feed {source_id}: {error}") from error


def _made(waveform: WaveformConfig, clock: Clock) -> WaveformSource:
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

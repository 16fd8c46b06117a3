"""Frames of one sample format, for example an ADE9000's waveform buffer that a helper reads.

From a FIFO or a character device they are a live source; a regular file is a recording of them,
replayed at true speed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from drivers.errors import LayoutError, RecordingError
from drivers.waveforms.block import WaveformSource
from drivers.waveforms.frame_source import FrameChannel, FrameSource, phase_keys
from drivers.waveforms.packed_frames import packed_layout, parse_format
from drivers.waveforms.recording import ChannelPair, Recording, check_samples, checked_rate_hz
from drivers.waveforms.replay import RecordingReplay


def packed_source(
    path: Path,
    form: str,
    order: Sequence[str],
    gains: Mapping[str, float],
    rate_hz: float,
    *,
    loop: bool = True,
) -> WaveformSource:
    """The frames at `path`.

    `order` names the samples of a frame (VA, IA, …, `-` for one that is not read) and `gains` gives
    primary V or A per count of each. Raises LayoutError for an order, a format or gains that cannot
    be, RecordingError for a file that holds no frame.
    """
    keys = phase_keys([name for name in order if name != "-"])
    layout = packed_layout(order, parse_format(form))
    if odd := sorted(gains.keys() ^ set(keys)):
        raise LayoutError(f"{path}: order and gains do not name the same channels: {odd[0]}")
    rows = [FrameChannel(key, gains[key]) for key in keys]
    if not path.is_file():
        return FrameSource(path, layout, rows, rate_hz)
    try:
        check_samples(path.stat().st_size // layout.dtype.itemsize)
        frames = layout.rows(path.read_bytes())
    except OSError as error:
        raise RecordingError(f"{path}: {error.strerror or error}") from error
    except RecordingError as error:
        raise RecordingError(f"{path}: {error}") from error
    if not len(frames):
        raise RecordingError(f"{path}: no frame of {layout.dtype.itemsize} bytes")
    waveforms = np.array([layout.values(frames, row.name) * row.gain for row in rows])
    phases = len(rows) // 2
    pairs = [
        ChannelPair(f"L{k + 1}", v, i)
        for k, (v, i) in enumerate(zip(keys, keys[phases:], strict=False))
    ]
    recording = Recording(
        path, "", checked_rate_hz(rate_hz), None, tuple(pairs), (0.0,) * phases, waveforms, None
    )
    return RecordingReplay(recording, loop)

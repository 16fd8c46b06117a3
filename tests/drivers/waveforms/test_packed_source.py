"""Packed frames from a FIFO and from a file, in the layout of an ADE9000's waveform buffer."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import numpy as np
import pytest

from drivers.errors import DriverError, LayoutError, RecordingError, TransportError
from drivers.waveforms.packed_source import packed_source
from drivers.waveforms.replay import RecordingReplay

ORDER = ["IA", "VA", "IB", "VB", "IC", "VC", "-", "-"]
GAINS = {key: 0.5 if key[0] == "V" else 0.25 for key in ("VA", "IA", "VB", "IB", "VC", "IC")}


def frames(count: int) -> bytes:
    """Eight 32-bit words a frame, high byte first: 24 bits shifted left by 4, sign extended."""
    return b"".join(
        struct.pack(">8i", *((1000 * channel - 7 * k) << 4 for channel in range(8)))
        for k in range(count)
    )


def expected(count: int) -> np.ndarray:
    """Voltages, then currents, from the words by hand."""
    raw = np.array([[1000 * c - 7 * k for k in range(count)] for c in (1, 3, 5, 0, 2, 4)])
    return raw * np.array([[0.5]] * 3 + [[0.25]] * 3)


def test_a_fifo_is_a_live_source(tmp_path: Path) -> None:
    """Frames come with the index and the arrival that their rate asks for."""
    path = tmp_path / "fifo"
    os.mkfifo(path)
    descriptor = os.open(path, os.O_RDWR | os.O_NONBLOCK)
    os.write(descriptor, frames(256))
    source = packed_source(path, "be:s24/32>>4", ORDER, GAINS, 8000)
    source.open()
    block = source.read(0.1)
    assert block is not None
    assert (source.phases, block.first_index) == (3, 0)
    assert np.array_equal(block.samples, expected(256))
    os.write(descriptor, frames(16)[:100])
    block = source.read(0.1)
    assert block is not None
    assert (block.first_index, block.samples.shape[1]) == (256, 3)
    source.close()
    with pytest.raises(TransportError, match="not open"):
        source.read(0.1)
    os.close(descriptor)


def test_a_file_is_replayed(tmp_path: Path) -> None:
    """A file of frames is a recording: what is left of a frame at its end is left out."""
    path = tmp_path / "frames.bin"
    path.write_bytes(frames(100) + b"rest")
    source = packed_source(path, "be:s24/32>>4", ORDER, GAINS, 8000)
    assert isinstance(source, RecordingReplay)
    assert np.array_equal(source.recording.waveforms, expected(100))
    assert source.sample_rate_hz == 8000
    path.write_bytes(b"rest")
    with pytest.raises(RecordingError, match="no frame of 32 bytes"):
        packed_source(path, "be:s24/32>>4", ORDER, GAINS, 8000)
    os.truncate(path, 10 << 30)
    with pytest.raises(RecordingError, match="too many"):
        packed_source(path, "be:s24/32>>4", ORDER, GAINS, 8000)


@pytest.mark.parametrize(
    ("form", "order", "gains", "rate", "reason"),
    [
        ("be:s25/24", ORDER, GAINS, 8000, "sample format"),
        ("be:s24/32>>4", ORDER[1:], GAINS, 8000, "lack IA"),
        ("be:s24/32>>4", ORDER, {"VA": 1.0}, 8000, "do not name the same channels: IA"),
        ("be:s24/32>>4", ORDER[:2], GAINS, 8000, "do not name the same channels: IB"),
        ("be:s24/32>>4", ORDER, GAINS, 2e6, "a rate of 2e\\+06 Hz"),
        ("be:s24/32>>4", ORDER, GAINS, 0.0, "a rate of 0 Hz"),
    ],
)
def test_what_cannot_be_is_refused(
    tmp_path: Path, form: str, order: list[str], gains: dict[str, float], rate: float, reason: str
) -> None:
    """Before anything is opened."""
    with pytest.raises(LayoutError, match=reason):
        packed_source(tmp_path / "fifo", form, order, gains, rate)
    with pytest.raises(DriverError):
        packed_source(tmp_path / "fifo", form, order, gains, rate).open()

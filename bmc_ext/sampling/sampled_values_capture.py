"""One stream of sampled values from a capture file, as a recording."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from bmc_ext.sampling.sampled_values import (
    Assembler,
    Counts,
    Heard,
    Survey,
    is_wanted,
    rate_of,
    status_text,
    timed_rate_hz,
)
from drivers.errors import RecordingError
from drivers.waveforms.block import Samples
from drivers.waveforms.captured_frames import SPAN, Frames
from drivers.waveforms.recording import Mark, Recording, channel_pairs
from drivers.waveforms.sampled_values import SIMULATED, SampledValues, pair_data_set
from drivers.waveforms.sampled_values_pcap import SampledValuesCapture

_SECOND_NS = 1_000_000_000
_BLOCK_SAMPLES = 4096
_MAX_VALUES = 500_000_000
"""Most values (channels × samples) that are kept: 2 GB as float32."""
_FASTER_THAN_TAKEN = 0.9
"""Frames cannot be received faster than they are sent, but for a jitter of a tenth at most."""

_RATE_TOLERANCE = 0.05

Progress = Callable[[int, int], None]
"""Told how many bytes of how many are done."""


def _unseen(_done: int, _size: int) -> None:
    """Nobody watches."""


def read_capture(
    path: str | Path, wanted: SampledValues, progress: Progress = _unseen
) -> Recording:
    """Read one stream of a capture, in samples from its first frame on; lost samples are NaN.

    Raises RecordingError naming the file and the reason: not a capture, no or several such streams,
    a rate that neither the stream nor its times tell.
    """
    capture = SampledValuesCapture(path)
    try:
        heard = _choose(capture, wanted, progress)
        return _read(capture, heard, wanted, progress)
    except RecordingError as error:
        text = str(error)
        raise RecordingError(text if text.startswith(str(path)) else f"{path}: {text}") from error


def _choose(capture: SampledValuesCapture, wanted: SampledValues, progress: Progress) -> Heard:
    survey = Survey()
    for frames in capture.batches():
        survey.listen(frames)
        progress(capture.position, 2 * capture.size)
    streams = survey.streams
    found = [heard for heard in streams if is_wanted(heard, wanted)]
    if len(found) == 1:
        return found[0]
    listing = "; ".join(map(str, found or streams))
    if found:
        raise RecordingError(f"several streams; choose one with --stream svID or APPID: {listing}")
    if streams:
        name = repr(wanted.stream) if wanted.appid is None else f"of APPID 0x{wanted.appid:04X}"
        raise RecordingError(f"no stream {name}; there are: {listing}")
    raise RecordingError(f"no frames of sampled values ({survey.trouble or 'no frames at all'})")


def _read(
    capture: SampledValuesCapture, heard: Heard, wanted: SampledValues, progress: Progress
) -> Recording:
    is_timed = _has_times(heard)
    rate_hz = wanted.rate_hz or (is_timed and rate_of(heard)) or rate_of(_timeless(heard))
    if rate_hz is None:
        raise RecordingError(f"the capture does not tell the rate of {heard}; give it with --rate")
    is_timed = is_timed and (timed_rate_hz(heard) or 0.0) * _FASTER_THAN_TAKEN <= rate_hz
    pairing = pair_data_set(heard.channels, wanted.channels)
    epoch_ns = max(0, heard.first_received_ns // _SECOND_NS - 1) * _SECOND_NS if is_timed else 0
    try:
        assembler = Assembler(_exactly(heard, wanted), pairing, rate_hz, epoch_ns, _BLOCK_SAMPLES)
    except ValueError as error:
        raise RecordingError(str(error)) from error
    kept = _Kept(2 * len(pairing.pairs))
    for frames in capture.batches():
        for block in assembler.blocks(frames if is_timed else _without_times(frames)):
            kept.add(block.first_index, block.samples, block.flags)
        progress(capture.size + capture.position, 2 * capture.size)
    if not kept.samples:
        raise RecordingError(f"{heard}: {_why_nothing(assembler.counts)}")
    start_ns = epoch_ns + kept.first * _SECOND_NS // rate_hz
    return Recording(
        path=capture.path,
        station=heard.sv_id,
        sample_rate_hz=float(rate_hz),
        nominal_hz=None,
        pairs=channel_pairs(pairing),
        skew_s=(0.0,) * len(pairing.pairs),
        waveforms=kept.waveforms(),
        start=_datetime(start_ns) if is_timed else None,
        alternatives=pairing.alternatives,
        notes=(
            str(heard),
            *_rate_notes(heard, rate_hz),
            *_notes(assembler.counts, kept, is_timed),
            *capture.notes,
        ),
        marks=tuple(kept.marks),
    )


class _Kept:
    """All blocks of a stream and what is unusual about them."""

    def __init__(self, rows: int) -> None:
        self.first = 0
        self.samples = 0
        self.marks: list[Mark] = []
        self._rows = rows
        self._parts: list[tuple[int, Samples]] = []

    def add(self, index: int, samples: Samples, flags: frozenset[str]) -> None:
        if not self._parts:
            self.first = index
        begin = index - self.first
        end = begin + samples.shape[1]
        if end * self._rows > _MAX_VALUES:
            raise RecordingError(f"more than {_MAX_VALUES} values; cut it, as editcap does")
        if begin > self.samples:
            self._mark(self.samples, begin, "gap")
        for flag in sorted(flags):
            self._mark(begin, end, flag)
        self.samples = end
        self._parts.append((begin, samples.copy()))

    def _mark(self, begin: int, end: int, flag: str) -> None:
        for at in range(len(self.marks) - 1, max(-1, len(self.marks) - 16), -1):
            last = self.marks[at]
            if last.flag == flag and last.end == begin:
                self.marks[at] = Mark(last.first, end, flag)
                return
        self.marks.append(Mark(begin, end, flag))

    def waveforms(self) -> Samples:
        """Shape (rows, samples), float32; NaN where nothing came."""
        whole = np.full((self._rows, self.samples), np.nan, np.float32)
        for begin, part in self._parts:
            whole[:, begin : begin + part.shape[1]] = part
        return whole

    def length(self, flag: str) -> int:
        """How many samples have this flag."""
        return sum(mark.end - mark.first for mark in self.marks if mark.flag == flag)


def _exactly(heard: Heard, wanted: SampledValues) -> SampledValues:
    """The one stream that was chosen, and no other that the choice would also fit."""
    return SampledValues(
        stream=heard.sv_id or None,
        appid=heard.appid,
        source=heard.source,
        destination=heard.destination,
        vlan=heard.vlan,
        conf_rev=wanted.conf_rev,
        channels=wanted.channels,
        current_scale_a=wanted.current_scale_a,
        voltage_scale_v=wanted.voltage_scale_v,
        accept=wanted.accept,
    )


def _has_times(heard: Heard) -> bool:
    return 0 < heard.first_received_ns < heard.last_received_ns


def _timeless(heard: Heard) -> Heard:
    return heard._replace(first_received_ns=0, last_received_ns=0)


def _without_times(frames: Frames) -> Frames:
    spans = np.frombuffer(bytearray(frames.spans), np.int64).reshape(-1, SPAN.size // 8)
    spans[:, 0] = 0
    return Frames(frames.memory, spans.tobytes(), frames.count)


def _datetime(unix_ns: int) -> datetime.datetime:
    epoch = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
    return epoch + datetime.timedelta(microseconds=unix_ns / 1000)


def _why_nothing(counts: Counts) -> str:
    if counts.bad_frames:
        return f"no usable frame: {status_text(counts.last_bad_status)}"
    return f"only simulated frames; --accept {SIMULATED} uses them"


def _rate_notes(heard: Heard, rate_hz: int) -> Iterator[str]:
    """Whether the times tell another rate than the one that is used."""
    timed_hz = timed_rate_hz(heard)
    if timed_hz and abs(timed_hz / rate_hz - 1) > _RATE_TOLERANCE:
        yield f"{rate_hz} samples/s are used, but by the capture's times {timed_hz:.0f} came"


def _notes(counts: Counts, kept: _Kept, is_timed: bool) -> Iterator[str]:
    """What is unusual about the stream, in words."""
    if lost := kept.length("gap"):
        yield f"{lost} of {kept.samples} samples are missing"
    if counts.late_samples:
        yield f"{counts.late_samples} repeated or late samples are left out"
    if counts.void_samples:
        yield f"{counts.void_samples} values are void for their quality"
    if counts.simulated_frames:
        yield f"{counts.simulated_frames} frames are left out for their simulation bit"
    if counts.bad_frames:
        reason = status_text(counts.last_bad_status)
        yield f"{counts.bad_frames} frames are broken or do not fit (the last: {reason})"
    if not is_timed:
        yield "the times of the capture do not fit the stream and are not used"
    for flag in sorted({mark.flag for mark in kept.marks} - {"gap"}):
        yield f"{flag}: {kept.length(flag)} samples"

"""Sampled values by the compiled core: which streams there are, and from frames to blocks."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from bmc_ext.sampling._core import ffi, lib
from drivers.waveforms.block import Block
from drivers.waveforms.captured_frames import NO_VLAN, SPAN, Frames
from drivers.waveforms.pairing import Pairing
from drivers.waveforms.sampled_values import QUALITIES, SIMULATED, SampledValues

STANDARD_RATES_HZ = (4000, 4800, 5760, 12800, 14400, 15360)
"""80 and 256 samples a period at 50 and 60 Hz (UCA 9-2LE), IEC 61869-9:2016 table 902 (4800 and
14400), and 96 a period at 60 Hz of its predecessors."""

_MAX_STREAMS = 64
_WRAP_TOLERANCE = 0.03
_LOST_AT_WRAP = 0.01
_TIMING_TOLERANCE = 0.008
"""4096 samples/s, a common rate that is no standard one, are 2.4 % from 4000."""
_ARRIVAL_JITTER_S = 0.002
_LEAST_TIMED_SAMPLES = 100
_ROLL_OVER = 65536
_FLAGS = {
    lib.DCPI_SV_UNSYNCHRONISED: "unsynchronised",
    lib.DCPI_SV_LOCAL_CLOCK: "local-clock",
    lib.DCPI_SV_SYNCHRONISATION_CHANGED: "synchronisation-changed",
    lib.DCPI_SV_RESTARTED: "restarted",
    lib.DCPI_SV_CONFIGURATION_CHANGED: "configuration-changed",
    lib.DCPI_SV_SIMULATED: "simulated",
}
_OWN_TIME = lib.DCPI_SV_UNSYNCHRONISED | lib.DCPI_SV_LOCAL_CLOCK
_NO_FAULT = lib.DCPI_SV_DERIVED
_OTHER_QUALITY = "unknown-quality"

assert SPAN.size == ffi.sizeof("dcpi_sv_span")


class Heard(NamedTuple):
    """A stream on the wire. Times in UTC ns, 0 when unknown; `wrap` is 0 until it is seen."""

    sv_id: str
    appid: int
    source: str
    destination: str
    vlan: int | None
    asdus: int
    channels: int
    smp_synch: int
    smp_rate: int | None
    smp_mod: int | None
    conf_rev: int
    wrap: int
    first_received_ns: int
    last_received_ns: int
    frames: int
    samples: int
    simulated_frames: int
    turned: int
    """By how many samples smpCnt went on, those of lost frames among them."""

    def __str__(self) -> str:
        vlan = "" if self.vlan is None else f", VLAN {self.vlan}"
        return (
            f"{self.sv_id!r} (APPID 0x{self.appid:04X}, {self.source} to {self.destination}{vlan}, "
            f"{self.channels} channels, {self.asdus} ASDU a frame, confRev {self.conf_rev})"
        )


class Survey:
    """All streams of the frames that it is shown."""

    def __init__(self) -> None:
        self._batch = _Batch()
        self._heard = ffi.new("dcpi_sv_heard[]", _MAX_STREAMS)
        self._survey = ffi.new("dcpi_sv_survey *", {"heard": self._heard, "capacity": _MAX_STREAMS})

    def listen(self, frames: Frames) -> None:
        """Add these frames."""
        _check(lib.dcpi_sv_listen(self._batch.of(frames), self._survey))

    @property
    def streams(self) -> list[Heard]:
        """In the order in which they were heard."""
        return [_heard(self._heard[k]) for k in range(self._survey.count)]

    @property
    def unlisted_frames(self) -> int:
        """Frames of further streams, for which there is no room."""
        return int(self._survey.unlisted_frames)

    @property
    def trouble(self) -> str:
        """What else was on the wire, in words; empty when nothing was."""
        parts = []
        if self._survey.bad_frames:
            reason = status_text(self._survey.last_bad_status)
            parts.append(f"{self._survey.bad_frames} broken frames (the last: {reason})")
        if self._survey.other_frames:
            parts.append(f"{self._survey.other_frames} frames of other protocols")
        return ", ".join(parts)


def is_wanted(heard: Heard, wanted: SampledValues) -> bool:
    """Whether a stream is the one, or one of those, that are wanted."""
    return all(
        choice is None or choice == found
        for choice, found in (
            (wanted.stream, heard.sv_id),
            (wanted.appid, heard.appid),
            (_lower(wanted.source), heard.source),
            (_lower(wanted.destination), heard.destination),
            (wanted.vlan, heard.vlan),
        )
    )


def rate_of(heard: Heard) -> int | None:
    """Samples a second: as the stream states it, from where smpCnt wraps, or by the clock.

    None when it states nothing, did not wrap and has no times, or an unusual rate by the clock.
    """
    if heard.smp_mod == 1 and heard.smp_rate:
        return heard.smp_rate
    usual = list(STANDARD_RATES_HZ)
    if heard.smp_rate:  # a period, IEC 61850-9-2:2011 table 9
        usual += [heard.smp_rate * 50, heard.smp_rate * 60]
    timed_hz = timed_rate_hz(heard)
    if 0 < heard.wrap < _ROLL_OVER:
        rate_hz = _whole_turn(heard.wrap, usual)
        if timed_hz is None or abs(rate_hz / timed_hz - 1) <= _WRAP_TOLERANCE:
            return rate_hz
    if timed_hz is None:
        return None
    best = min(usual, key=lambda rate_hz: abs(rate_hz - timed_hz))
    duration_s = (heard.last_received_ns - heard.first_received_ns) * 1e-9
    tolerance = _TIMING_TOLERANCE + _ARRIVAL_JITTER_S / duration_s
    return best if abs(best / timed_hz - 1) <= tolerance else None


def _whole_turn(wrap: int, usual: Sequence[int]) -> int:
    """Where smpCnt wraps, or a usual rate slightly above, whose last frames may have been lost."""
    return next((rate for rate in usual if 0 <= rate - wrap <= rate * _LOST_AT_WRAP), wrap)


def timed_rate_hz(heard: Heard) -> float | None:
    """Samples a second by the times of arrival; None when they do not tell."""
    duration_ns = heard.last_received_ns - heard.first_received_ns
    samples = heard.turned - heard.asdus + 1  # those of the first frame came before its time
    if not heard.first_received_ns or duration_ns <= 0 or samples < _LEAST_TIMED_SAMPLES:
        return None
    return samples * 1e9 / duration_ns


class Counts(NamedTuple):
    """What an assembler has seen; the core's header says more of each."""

    frames: int
    other_frames: int
    simulated_frames: int
    """Frames that their simulation bit forbids to use."""
    bad_frames: int
    samples: int
    lost_samples: int
    late_samples: int
    """Repeated or out of order, and not used."""
    void_samples: int
    """Values that became NaN for their quality."""
    restarts: int
    synchronisation_changes: int
    configuration_changes: int
    last_bad_status: int


class Assembler:
    """Blocks of one stream, whose sample i is taken at `epoch_ns` + i / `rate_hz`.

    `epoch_ns` is a whole UTC second; `capacity` is the most samples of a block. Lost samples are a
    jump of `first_index`; samples of a quality that is not accepted are NaN. A block's flags name
    both. `received_ns` is None while the publisher counts from the UTC second.
    """

    def __init__(
        self,
        wanted: SampledValues,
        pairing: Pairing,
        rate_hz: int,
        epoch_ns: int,
        capacity: int,
    ) -> None:
        """Raises ValueError for a number outside the core's limits."""
        self._stream = _stream(wanted, pairing, rate_hz)
        self._batch = _Batch()
        self._state = ffi.new("dcpi_sv_assembler *")
        self._block = ffi.new("dcpi_sv_block *")
        self._at = ffi.new("dcpi_sv_cursor *")
        self._capacity = capacity
        self._rows = np.empty(self._stream.rows * capacity, np.float32)
        self._buffer = ffi.from_buffer("float[]", self._rows)
        _check(lib.dcpi_sv_begin(self._state, epoch_ns))

    @property
    def counts(self) -> Counts:
        """What has been seen since the start."""
        counts = self._state.counts
        return Counts(*[getattr(counts, name) for name in Counts._fields])

    @property
    def lost_samples(self) -> int:
        """As in `counts`, for a look at every block."""
        return int(self._state.counts.lost_samples)

    @property
    def refused_frames(self) -> tuple[int, int]:
        """Bad and simulated frames, for a look at every block."""
        counts = self._state.counts
        return counts.bad_frames, counts.simulated_frames

    @property
    def denies_rate(self) -> bool:
        """Whether the latest bad frame has a smpCnt that the rate does not reach."""
        return bool(self._state.counts.last_bad_status == lib.DCPI_SV_BEYOND_RATE)

    def blocks(self, frames: Frames) -> Iterator[Block]:
        """The blocks of these frames; each is valid until the next is asked for."""
        batch, block, at, rows = self._batch.of(frames), self._block, self._at, self._stream.rows
        at.frame = at.asdu = 0
        while at.frame < frames.count:
            _check(
                lib.dcpi_sv_take(
                    self._state, self._stream, batch, at, self._buffer, self._capacity, block
                )
            )
            count = block.samples
            if count:
                yield Block(
                    block.first_index,
                    self._rows[: rows * count].reshape(rows, count),
                    _labels(block.flags, block.quality),
                    block.received_ns or None if block.flags & _OWN_TIME else None,
                )

    @property
    def received_ns(self) -> int:
        """When the last block's last frame arrived, UTC ns; 0 when unknown."""
        return int(self._block.received_ns)


def status_text(status: int) -> str:
    """What a status of the core means."""
    return str(ffi.string(lib.dcpi_sv_status_text(status)).decode())


def _check(status: int) -> None:
    if status != lib.DCPI_SV_OK:
        raise ValueError(status_text(status))


class _Batch:
    """The core's view of frames; of a ring, whose memory stays, it is made once."""

    def __init__(self) -> None:
        self._batch = ffi.new("dcpi_sv_batch *")
        self._memory: Any = None
        self._spans: Any = None
        self._views: list[Any] = [None, None]

    def of(self, frames: Frames) -> Any:
        """A `dcpi_sv_batch *`, valid until the next call."""
        if frames.memory is not self._memory:
            self._memory, self._views[0] = frames.memory, ffi.from_buffer(frames.memory)
            self._batch.bytes = self._views[0]
            self._batch.bytes_size = len(frames.memory)
        if frames.spans is not self._spans:
            self._spans, self._views[1] = frames.spans, ffi.from_buffer(frames.spans)
            self._batch.spans = ffi.cast("dcpi_sv_span *", self._views[1])
        self._batch.count = frames.count
        return self._batch


def _stream(wanted: SampledValues, pairing: Pairing, rate_hz: int) -> Any:
    """The core's choice of frames and rows: voltages, then currents."""
    pairs = pairing.pairs
    channels = [pair.v_channel.index for pair in pairs] + [pair.i_channel.index for pair in pairs]
    scales = [wanted.voltage_scale_v] * len(pairs) + [wanted.current_scale_a] * len(pairs)
    if not all(math.isfinite(scale) and scale for scale in scales):
        raise ValueError("a step of current or voltage is a number other than 0, in A or V")
    stream = ffi.new("dcpi_sv_stream *")
    sv_id = (wanted.stream or "").encode("latin-1", "replace")
    if len(sv_id) > lib.DCPI_SV_ID_MAX:
        raise ValueError(f"stream {wanted.stream!r} is longer than {lib.DCPI_SV_ID_MAX}")
    stream.sv_id[0 : len(sv_id)] = list(sv_id)
    stream.sv_id_length = len(sv_id)
    stream.appid = NO_VLAN if wanted.appid is None else wanted.appid
    stream.vlan = NO_VLAN if wanted.vlan is None else wanted.vlan
    for name, address in (("source", wanted.source), ("destination", wanted.destination)):
        if address is not None:
            setattr(stream, f"has_{name}", 1)
            getattr(stream, name)[0:6] = list(bytes.fromhex(address.replace(":", "")))
    if wanted.conf_rev is not None:
        stream.has_conf_rev, stream.conf_rev = 1, wanted.conf_rev
    stream.rate_hz, stream.rows = rate_hz, len(channels)
    stream.channel[0 : len(channels)] = channels
    stream.scale[0 : len(scales)] = scales
    stream.accepts_simulated = SIMULATED in wanted.accept
    for name in wanted.accept:
        stream.accepted_quality |= QUALITIES.get(name, 0)
    return stream


def _labels(flags: int, quality: int) -> frozenset[str]:
    """The names of what is unusual; one set for all ordinary blocks."""
    quality &= ~_NO_FAULT
    if not flags and not quality:
        return _ORDINARY
    names = {name for flag, name in _FLAGS.items() if flags & flag}
    if quality & lib.DCPI_SV_VALIDITY:
        is_questionable = quality & lib.DCPI_SV_VALIDITY == QUALITIES["questionable"]
        names.add("questionable" if is_questionable else "invalid")
        quality &= ~lib.DCPI_SV_VALIDITY
    for name, bit in QUALITIES.items():
        if bit & ~lib.DCPI_SV_VALIDITY and quality & bit:
            names.add(name)
            quality &= ~bit
    return frozenset(names | ({_OTHER_QUALITY} if quality else set()))


_ORDINARY: frozenset[str] = frozenset()


def _heard(entry: Any) -> Heard:
    return Heard(
        sv_id=bytes(entry.sv_id)[: entry.sv_id_length].decode("latin-1"),
        appid=entry.appid,
        source=_address(entry.source),
        destination=_address(entry.destination),
        vlan=_optional(entry.vlan),
        asdus=entry.asdus,
        channels=entry.channels,
        smp_synch=entry.smp_synch,
        smp_rate=_optional(entry.smp_rate),
        smp_mod=_optional(entry.smp_mod),
        conf_rev=entry.conf_rev,
        wrap=entry.wrap,
        first_received_ns=entry.first_received_ns,
        last_received_ns=entry.last_received_ns,
        frames=entry.frames,
        samples=entry.samples,
        simulated_frames=entry.simulated_frames,
        turned=entry.turned,
    )


def _optional(value: int) -> int | None:
    return None if value == lib.DCPI_SV_ABSENT else value


def _address(octets: Sequence[int]) -> str:
    return bytes(octets).hex(":")


def _lower(address: str | None) -> str | None:
    return None if address is None else address.lower().replace("-", ":")

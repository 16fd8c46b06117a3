"""One stream of sampled values on a network, live, as a WaveformSource."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence

from bmc_ext.sampling.sampled_values import (
    Assembler,
    Heard,
    Survey,
    is_wanted,
    rate_of,
    status_text,
    timed_rate_hz,
)
from drivers.errors import RecordingError, TransportError
from drivers.waveforms.block import Block
from drivers.waveforms.captured_frames import CapturedFrameSource, Frames
from drivers.waveforms.sampled_values import SIMULATED, SampledValues, pair_data_set

_log = logging.getLogger(__name__)

_SECOND_NS = 1_000_000_000
_SILENCE_S = 1.0
"""A stream that sends nothing for this long is lost: ten windows are missing."""
_LISTEN_S = 0.25
"""How long a stream is watched before it is believed; times of arrival are late by ms at most."""
_GIVE_UP_S = 2.5
"""A wrap of smpCnt, which tells an unusual rate, comes within one second, a whole turn in two."""
_BLOCK_S = 0.1
_RATE_TOLERANCE = 0.05
_RATE_CHECK_NS = 800_000_000
_WRONG_SECOND_NS = 600_000_000
"""A global stream's time differs from the clock's by its delay; half a second is another second."""
_WRONG_BLOCKS = 20


class SampledValuesSource:
    """A stream that is found on the wire when the source opens, at its own rate.

    While the publisher is synchronised to UTC (smpSynch 2) a sample's time is exact, and only which
    second it belongs to comes from the system clock. Otherwise the first sample is placed by its
    time of arrival, and blocks carry theirs from then on. When synchronisation is regained, samples
    fall on the publisher's second again; the grid stays.
    """

    def __init__(self, frames: CapturedFrameSource, wanted: SampledValues) -> None:
        self.phases = 0
        self.sample_rate_hz = 0.0
        self.epoch_ns = 0
        self.skew_s: Sequence[float] = ()
        self._frames = frames
        self._wanted = wanted
        self._assembler: Assembler | None = None
        self._blocks: Iterator[Block] = iter(())
        self._heard_at = 0.0
        self._dropped = 0
        self._refused = (0, 0)
        self._timed: tuple[int, int, int] | None = None
        self._deviation = 0.0
        self._wrong = 0
        self._has_own_time = False

    def open(self) -> None:
        """Find the stream; TransportError says what is on the wire instead, or what is missing."""
        self.close()
        self._frames.open()
        heard, frames = self._find()
        rate_hz = self._rate_of(heard)
        assert rate_hz is not None, "_find waits for a rate"
        try:
            pairing = pair_data_set(heard.channels, self._wanted.channels)
            epoch_ns = (heard.last_received_ns // _SECOND_NS - 2) * _SECOND_NS
            capacity = max(1, round(rate_hz * _BLOCK_S))
            self._assembler = Assembler(self._wanted, pairing, rate_hz, epoch_ns, capacity)
        except (RecordingError, ValueError) as error:
            raise TransportError(f"{self._name}: {error}") from error
        self.phases = len(pairing.pairs)
        self.sample_rate_hz = float(rate_hz)
        self.epoch_ns = epoch_ns
        self.skew_s = (0.0,) * self.phases  # all channels of an ASDU are sampled at once
        self._blocks = self._assembler.blocks(frames)
        self._heard_at = time.monotonic()
        self._refused = (0, 0)
        self._dropped, self._timed, self._deviation, self._wrong = 0, None, 0.0, 0
        self._has_own_time = False

    def read(self, timeout_s: float) -> Block | None:
        """The next block, or None; TransportError when the stream is lost or changed its rate."""
        assembler = self._assembler
        if assembler is None:
            raise TransportError(f"{self._name}: not open")
        deadline, has_looked = time.monotonic() + timeout_s, False
        while True:
            for block in self._blocks:
                self._heard_at = time.monotonic()
                self._check_refused(assembler)
                self._check_time(assembler, block)
                return self._completed(block, assembler.received_ns)
            now = time.monotonic()
            if now - self._heard_at > _SILENCE_S:
                raise TransportError(f"{self._name}: {self._why_silent(assembler)}")
            if has_looked and now > deadline:
                return None
            frames, has_looked = self._frames.read(max(0.0, deadline - now)), True
            if frames is not None:
                self._blocks = assembler.blocks(frames)

    def fileno(self) -> int:
        """Of the frames' source, for a poll."""
        return self._frames.fileno()

    def close(self) -> None:
        """Stop listening."""
        self._blocks = iter(())
        self._assembler = None
        self._frames.close()

    @property
    def counts(self) -> dict[str, int]:
        """Frames and samples since `open`, by the names of `Counts`; none when it is closed."""
        return {} if self._assembler is None else self._assembler.counts._asdict()

    @property
    def _name(self) -> str:
        stream = "" if self._wanted.stream is None else f" {self._wanted.stream!r}"
        return f"sampled values{stream} on {self._frames.name}"

    def _find(self) -> tuple[Heard, Frames]:
        """The one stream that is wanted, and its latest frames."""
        survey, begun = Survey(), time.monotonic()
        while (elapsed_s := time.monotonic() - begun) < _GIVE_UP_S:
            frames = self._frames.read(_LISTEN_S)
            if frames is None:
                if elapsed_s > _SILENCE_S and not self._choices(survey):
                    break
                continue
            survey.listen(frames)
            found = self._choices(survey)
            if not found or (found[0].last_received_ns - found[0].first_received_ns) * 1e-9 < (
                _LISTEN_S
            ):
                continue
            if len(found) > 1:
                listing = "; ".join(map(str, found))
                raise TransportError(f"{self._name}: several streams, choose one: {listing}")
            if self._rate_of(found[0]):
                return found[0], frames
        raise TransportError(f"{self._name}: {self._why_not_found(survey)}")

    def _choices(self, survey: Survey) -> list[Heard]:
        accepts_simulated = SIMULATED in self._wanted.accept
        return [
            heard
            for heard in survey.streams
            if is_wanted(heard, self._wanted)
            and (accepts_simulated or heard.simulated_frames < heard.frames)
        ]

    def _why_not_found(self, survey: Survey) -> str:
        streams = survey.streams
        for heard in self._choices(survey):
            came = f"{timed_rate_hz(heard) or 0.0:.0f} samples/s come"
            if self._wanted.rate_hz:
                return f"{came}, not {self._wanted.rate_hz}"
            return f"{came}, which is no usual rate; set rate_hz"
        if any(is_wanted(heard, self._wanted) for heard in streams):
            return "only simulated frames; accept: [simulated] uses them"
        others = "; ".join(map(str, streams)) or "no other stream"
        trouble = f", {survey.trouble}" if survey.trouble else ""
        return f"not heard; there is {others}{trouble}"

    def _rate_of(self, heard: Heard) -> int | None:
        """The rate that is asked for, if the clock does not deny it, or the one that is found."""
        if self._wanted.rate_hz is None:
            return rate_of(heard)
        timed_hz = timed_rate_hz(heard) or 0.0
        is_true = abs(timed_hz / self._wanted.rate_hz - 1) <= _RATE_TOLERANCE
        return self._wanted.rate_hz if is_true else None

    def _why_silent(self, assembler: Assembler) -> str:
        counts = assembler.counts
        bad_before, simulated_before = self._refused
        if counts.bad_frames > bad_before:
            return f"only unusable frames: {status_text(counts.last_bad_status)}"
        if counts.simulated_frames > simulated_before:
            return "only frames whose simulation bit forbids their use"
        return f"silent for {_SILENCE_S:g} s"

    def _check_refused(self, assembler: Assembler) -> None:
        """Note how many frames are refused; one whose smpCnt denies the rate ends the source."""
        refused = assembler.refused_frames
        if refused[0] != self._refused[0] and assembler.denies_rate:
            raise TransportError(
                f"{self._name}: smpCnt goes beyond {self.sample_rate_hz:.0f} samples/s"
            )
        self._refused = refused

    def _check_time(self, assembler: Assembler, block: Block) -> None:
        """Whether the rate and the second still agree with the clock."""
        received_ns, lost = assembler.received_ns, assembler.lost_samples
        end = block.first_index + block.samples.shape[1]
        if self._timed is None or self._timed[2] != lost:
            self._timed = received_ns, end, lost
            return
        since_ns = received_ns - self._timed[0]
        if since_ns >= _RATE_CHECK_NS:
            came_hz = (end - self._timed[1]) * 1e9 / since_ns
            self._timed = received_ns, end, lost
            deviation = came_hz / self.sample_rate_hz - 1
            previous, self._deviation = self._deviation, deviation
            # A publisher or a receiver that is held up is slow once and fast the next time.
            if min(abs(previous), abs(deviation)) > _RATE_TOLERANCE and previous * deviation > 0:
                rate = f"{came_hz:.0f} samples/s come, not {self.sample_rate_hz:.0f}"
                raise TransportError(f"{self._name}: {rate}")
        if block.received_ns is not None:
            return
        ahead_ns = self.epoch_ns + int(end * 1e9 / self.sample_rate_hz) - received_ns
        self._wrong = self._wrong + 1 if abs(ahead_ns) > _WRONG_SECOND_NS else 0
        if self._wrong > _WRONG_BLOCKS:
            away = f"{ahead_ns * 1e-9:.1f} s away from the system clock"
            raise TransportError(f"{self._name}: its time is {away}")

    def _completed(self, block: Block, received_ns: int) -> Block:
        """The block with what the receiver did to it, and its arrival where that is needed.

        Once the publisher has kept a time of its own, all further blocks tell their arrival:
        whoever measures that time goes on to do so, and need not begin anew.
        """
        dropped = self._frames.dropped
        self._has_own_time |= block.received_ns is not None
        if dropped == self._dropped and (block.received_ns is not None or not self._has_own_time):
            return block
        flags = block.flags
        if dropped != self._dropped:
            _log.warning("%s: the receiver dropped %d frames", self._name, dropped - self._dropped)
            self._dropped = dropped
            flags |= {"receiver-overrun"}
        arrival_ns = received_ns if self._has_own_time else None
        return Block(block.first_index, block.samples, flags, arrival_ns)

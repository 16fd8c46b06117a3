"""A source whose rate or second no longer agrees with the clock ends instead of going on wrongly.

The publisher's frames come from a list here, so that their times of arrival can be told.
"""

from __future__ import annotations

import dataclasses
import time

import pytest
import sv_publisher

from bmc_ext.sampling.sampled_values_source import SampledValuesSource
from drivers.errors import TransportError
from drivers.waveforms.block import Block
from drivers.waveforms.captured_frames import NO_VLAN, SPAN, Frames
from drivers.waveforms.sampled_values import SampledValues

START_NS = 1_795_636_800_000_000_000
SECOND_NS = 1_000_000_000
Sent = list[tuple[int, bytes]]


class ListedFrames:
    """A CapturedFrameSource whose batches of 5 ms are made beforehand."""

    def __init__(self, frames: Sent) -> None:
        self.name = "list"
        self.dropped = 0
        self.batches = [frames[at : at + 20] for at in range(0, len(frames), 20)]

    def open(self) -> None:
        """Nothing to open."""

    def close(self) -> None:
        """Nothing to close."""

    def read(self, timeout_s: float) -> Frames | None:
        """The next batch at once."""
        if not self.batches:
            time.sleep(timeout_s)
            return None
        memory, spans = b"", bytearray()
        batch = self.batches.pop(0)
        for when_ns, raw in batch:
            spans += SPAN.pack(when_ns, len(memory), len(raw), NO_VLAN, 0)
            memory += raw
        return Frames(memory, spans, len(batch))


def seconds_of(unit: sv_publisher.Unit, seconds: float, late_ns: int = 0) -> Sent:
    """Frames of a unit from the start on, each arriving that much later than its samples."""
    sent = sv_publisher.frames(unit, START_NS, round(seconds * unit.rate))
    return [(when_ns + late_ns, raw) for when_ns, raw in sent]


def follow(frames: Sent, wanted: SampledValues) -> tuple[SampledValuesSource, list[Block]]:
    """All blocks of a source over these frames."""
    listed, blocks = ListedFrames(frames), []
    source = SampledValuesSource(listed, wanted)
    source.open()
    while (block := source.read(0.05)) is not None or listed.batches:
        if block is not None:
            blocks.append(dataclasses.replace(block, samples=block.samples.copy()))
    return source, blocks


@pytest.mark.parametrize("late_ms", [-450, 0, 3, 450])
def test_a_global_stream_is_at_its_second_whatever_the_delay(late_ms: int) -> None:
    """Up to half a second of delay, or of a clock that is wrong, the sample's time is exact."""
    frames = seconds_of(sv_publisher.Unit(), 2.2, late_ms * 1_000_000)
    source, blocks = follow(frames, SampledValues(rate_hz=4000))
    last = blocks[-1].first_index + blocks[-1].samples.shape[1] - 1
    assert source.epoch_ns % SECOND_NS == 0
    assert source.epoch_ns + last * 250_000 == START_NS + 2_200_000_000 - 250_000
    assert all(block.received_ns is None for block in blocks)


def test_a_stream_of_its_own_clock_tells_when_it_arrived() -> None:
    """Unsynchronised: placed by the first arrival, and every block has its own."""
    late_ns = 7_000_000
    frames = seconds_of(sv_publisher.Unit(synch=0, offset=1234, asdus=2), 1.5, late_ns)
    source, blocks = follow(frames, SampledValues(rate_hz=4000))
    for block in blocks:
        taken_ns = source.epoch_ns + (block.first_index + block.samples.shape[1] - 1) * 250_000
        assert block.received_ns is not None
        assert abs(taken_ns - block.received_ns) <= 125_000
    assert {block.flags for block in blocks} == {frozenset({"unsynchronised"})}


@pytest.mark.parametrize("synch", [0, 2])
@pytest.mark.parametrize("rate", [4000, 4200, 5760])
def test_another_rate_than_before_ends_the_source(synch: int, rate: int) -> None:
    """A unit of 4800 S/s that sends at another rate is not followed at the old one."""
    unit = sv_publisher.Unit(rate=4800, synch=synch)
    frames = seconds_of(unit, 1.0)
    changed = sv_publisher.Unit(rate=rate, synch=synch)
    frames += [(when_ns + SECOND_NS, raw) for when_ns, raw in seconds_of(changed, 4.0)]
    with pytest.raises(
        TransportError, match=f"{rate} samples/s come, not 4800|goes beyond 4800 samples/s"
    ):
        follow(frames, SampledValues(rate_hz=4800))


@pytest.mark.parametrize("step_s", [-3, -1, 2])
def test_a_clock_that_is_set_by_seconds_ends_the_source(step_s: int) -> None:
    """The second was chosen by a clock that turns out to be wrong: it is chosen anew."""
    frames = seconds_of(sv_publisher.Unit(), 3.0)
    stepped = [(when_ns + step_s * SECOND_NS, raw) for when_ns, raw in frames[6000:]]
    try:
        source, blocks = follow(frames[:6000] + stepped, SampledValues())
    except TransportError as error:
        assert "s away from the system clock" in str(error)  # noqa: PT017
    else:
        assert step_s > 0
        assert source.epoch_ns + blocks[-1].first_index * 250_000 > stepped[0][0]


def test_a_held_up_receiver_is_no_other_rate() -> None:
    """Frames that all come 60 ms late for a while: nothing is lost, nothing ends."""
    frames = seconds_of(sv_publisher.Unit(synch=0), 3.0)
    held = [(when_ns + (60_000_000 if 4600 <= k < 4900 else 0), raw) for k, (when_ns, raw) in
            enumerate(frames)]  # fmt: skip
    source, blocks = follow(held, SampledValues(rate_hz=4000))
    ends = [block.first_index + block.samples.shape[1] for block in blocks]
    assert [block.first_index for block in blocks[1:]] == ends[:-1]
    assert source.counts["lost_samples"] == source.counts["restarts"] == 0

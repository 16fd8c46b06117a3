"""A waveform recording: voltages and currents of one circuit at one rate, whatever the file."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from drivers.errors import RecordingError
from drivers.waveforms.block import Samples
from drivers.waveforms.pairing import Channel, Pairing, map_channels, pair_channels

MAX_RATE_HZ = 1_000_000.0
"""Highest sampling rate that is read: the sampling core's own limit."""
MAX_SAMPLES = 40_000_000
"""Most samples of a channel that are read: six channels are 1.9 GB as float64."""

_EVEN = 0.01
"""How far a time stamp may be from its place, in sampling intervals, beside its own rounding."""


@dataclass(frozen=True, slots=True)
class ChannelPair:
    """Which recorded channels are the voltage and the current of a phase (`L1`, `L2`, `L3`)."""

    phase: str
    v_name: str
    i_name: str


class Mark(NamedTuple):
    """What is unusual about the samples from `first` to before `end`, as a block's flag."""

    first: int
    end: int
    flag: str


@dataclass(frozen=True, slots=True, eq=False)
class Recording:
    """One circuit of a recording.

    `pairs` are the channels of each phase, and `skew_s` how many seconds later than its voltage the
    current of each phase was sampled. `waveforms` holds the voltages in V, then the currents in A,
    one row a phase: shape (2 × phases, samples), C-contiguous, primary values; missing samples are
    NaN. `nominal_hz` is the line frequency that the file states, if any. `start` is the time of
    the first sample, with its UTC offset where the file tells it, naive where it does not, None
    when the file has none. `alternatives` and `notes` say in words what else could have been
    paired and what is unusual. `marks` name what is unusual about some samples; None where the
    file's format cannot tell.
    """

    path: Path
    station: str
    sample_rate_hz: float
    nominal_hz: float | None
    pairs: tuple[ChannelPair, ...]
    skew_s: tuple[float, ...]
    waveforms: Samples
    start: datetime.datetime | None
    alternatives: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    marks: tuple[Mark, ...] | None = None

    @property
    def voltage(self) -> Samples:
        """Voltages in V, shape (phases, samples)."""
        return self.waveforms[: len(self.pairs)]

    @property
    def current(self) -> Samples:
        """Currents in A, shape (phases, samples)."""
        return self.waveforms[len(self.pairs) :]

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return int(self.waveforms.shape[1]) / self.sample_rate_hz


def choose_channels(channels: Sequence[Channel], mapping: Mapping[str, str] | None) -> Pairing:
    """The channels of each phase: as `mapping` tells, or as their names do."""
    return map_channels(channels, mapping) if mapping else pair_channels(channels)


def channel_pairs(pairing: Pairing) -> tuple[ChannelPair, ...]:
    """The names of the chosen channels."""
    return tuple(ChannelPair(p.phase, p.v_channel.name, p.i_channel.name) for p in pairing.pairs)


def chosen_channels(pairing: Pairing) -> list[Channel]:
    """The chosen channels in the order of a recording's rows: voltages, then currents."""
    pairs = pairing.pairs
    return [pair.v_channel for pair in pairs] + [pair.i_channel for pair in pairs]


def check_samples(count: int) -> None:
    """Raises RecordingError when a channel holds more samples than are read."""
    if count > MAX_SAMPLES:
        raise RecordingError(f"{count} samples of a channel are too many; {MAX_SAMPLES} are read")


def checked_rate_hz(rate_hz: float) -> float:
    """The rate; raises RecordingError when it is not above 0 and at most MAX_RATE_HZ."""
    if not 0.0 < rate_hz <= MAX_RATE_HZ:
        raise RecordingError(
            f"the sampling rate of {rate_hz:g} Hz is not above 0 and at most {MAX_RATE_HZ:g}"
        )
    return rate_hz


@dataclass(frozen=True, slots=True, eq=False)
class SampleTimes:
    """Even sampling: its rate, and the place of each sample on it where some are missing."""

    rate_hz: float
    places: NDArray[np.int64] | None

    @property
    def note(self) -> tuple[str, ...]:
        """How many samples are missing, in words."""
        if self.places is None:
            return ()
        steps = np.diff(self.places)
        return (
            f"{int((steps - 1).sum())} samples are missing in {int((steps > 1).sum())} gaps; "
            "they are not numbers",
        )

    def spread(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Values of shape (channels, samples) with NaN where samples are missing."""
        if self.places is None:
            return values
        spread = np.full((values.shape[0], int(self.places[-1]) + 1), np.nan)
        spread[:, self.places] = values
        return spread


def even_times(
    time_s: NDArray[np.float64], tick_s: float, place: Callable[[int], str]
) -> SampleTimes:
    """The even rate behind these time stamps in s, which are rounded to `tick_s`.

    Whole missing samples are found. Raises RecordingError naming the first stamp, by
    `place(index)`, that does not advance or is not where an even rate puts it.
    """
    if len(time_s) < 2:
        raise RecordingError("one sample has no sampling rate")
    steps = np.diff(time_s)
    if not (steps > 0.0).all():
        k = int(np.argmin(steps > 0.0)) + 1
        raise RecordingError(f"{place(k)}: the time does not advance from the sample before")
    typical_s = float(np.sort(steps)[(len(steps) - 1) // 2])
    regular = np.abs(steps - typical_s) <= 0.75 * typical_s
    interval_s = float(steps[regular].mean())
    strides = np.rint(steps / interval_s)
    # A step shorter than half an interval is no step at all; the check below names it.
    places = np.concatenate(([0.0], np.cumsum(np.maximum(strides, 1.0))))
    check_samples(int(min(places[-1], 2.0**62)) + 1)
    rate_hz = _rate_hz(time_s, places, tick_s)
    astray = np.abs(time_s - time_s[0] - places / rate_hz) - tick_s > _EVEN / rate_hz
    if astray.any():
        faults = np.abs(steps - strides * interval_s)
        # The first step that rounding does not explain; where there is none, the largest.
        beyond = faults > 2.0 * tick_s + _EVEN * interval_s
        k = int(np.argmax(beyond if beyond.any() else faults)) + 1
        raise RecordingError(
            f"{place(k)}: the time steps by {steps[k - 1]:.9g} s, the others by about "
            f"{interval_s:.9g} s: the samples are uneven"
        )
    whole = places[-1] == len(time_s) - 1
    return SampleTimes(checked_rate_hz(rate_hz), None if whole else places.astype(np.int64))


def _rate_hz(time_s: NDArray[np.float64], places: NDArray[np.float64], tick_s: float) -> float:
    """Samples a second from first to last stamp; a whole number where rounding allows it."""
    span_s = float(time_s[-1] - time_s[0])
    rate_hz = float(places[-1]) / span_s
    whole_hz = float(np.rint(rate_hz))
    if whole_hz > 0.0 and abs(places[-1] / whole_hz - span_s) <= tick_s + 1e-12 * span_s:
        return whole_hz
    return rate_hz

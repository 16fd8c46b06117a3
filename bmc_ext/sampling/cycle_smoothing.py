"""The 1.5 s smoothing of IEC 61000-4-7:2002 5.5.1: a value of its own, beside the groups."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bmc_ext.sampling.cycle_results import CycleValues
from bmc_ext.sampling.results import Harmonics

TIME_CONSTANT_S = 1.5
"""Of the digital low-pass of first order (5.5.1, figure 1)."""

_GAP_S = 0.05
"""Values that lie further apart do not follow each other: the filter begins anew."""


class SmoothedChannel(NamedTuple):
    """One voltage in V or current in A; rms by order, NaN above h_max."""

    thdg_percent: float
    """%: √Σ(G_h)² / G_1 of the smoothed groups, h = 2 to h_max."""
    thds_percent: float
    """%: √Σ(SG_h)² / SG_1 of the smoothed subgroups."""
    groups: Harmonics
    """Smoothed G_h."""
    subgroups: Harmonics
    """Smoothed SG_h."""


class SmoothedPhase(NamedTuple):
    """One phase."""

    voltage: SmoothedChannel
    current: SmoothedChannel


class SmoothedCycles(NamedTuple):
    """The filter's output with one 10/12-cycle value."""

    end_ns: int
    """UTC in ns: of the newest value in it."""
    settled: bool
    """Whether it has seen five time constants, 7.5 s: less than 0.7 % of its start is left."""
    h_max: int
    """Highest order of all that is in it."""
    phases: tuple[SmoothedPhase, ...]


class CycleSmoothing:
    """y ← y + (1 - e^(-T/1.5 s))·(x - y) on each rms, T from the end of the last 10/12-cycle value.

    At T = 0.2 s that is 1/8.012, as table 2 of the standard has it. The first value is the filter's
    start, and so is one after a gap or of another number of phases. A value without spectrum gives
    none and leaves a gap; a flagged one counts.
    """

    def __init__(self) -> None:
        self._state: NDArray[np.float64] | None = None
        self._end_ns = 0
        self._seen_s = 0.0
        self._h_max = 0

    def take(self, values: CycleValues) -> SmoothedCycles | None:
        """The next 10/12-cycle value, none of those that overlap a 10 min tick twice."""
        found = _rows(values)
        if math.isnan(found[:, 1].sum()):
            self._state = None
            return None
        follows = abs(values.start_ns - self._end_ns) * 1e-9 <= _GAP_S
        if self._state is None or self._state.shape != found.shape or not follows:
            self._state, self._seen_s, self._h_max = found, 0.0, values.h_max
        else:
            # Orders that come or go with the frequency at a slow rate are unknown for a while.
            self._h_max = min(self._h_max, values.h_max)
            share = 1.0 - math.exp(-(values.end_ns - self._end_ns) * 1e-9 / TIME_CONSTANT_S)
            self._state = self._state + share * (found - self._state)
        self._end_ns = values.end_ns
        self._seen_s += values.duration_s
        channels = _channels(self._state, self._h_max)
        return SmoothedCycles(
            values.end_ns,
            self._seen_s >= 5.0 * TIME_CONSTANT_S,
            self._h_max,
            tuple(map(SmoothedPhase, channels, channels)),
        )


def _rows(values: CycleValues) -> NDArray[np.float64]:
    """By order: groups, subgroups of each phase's voltage, then of its current."""
    channels = [channel for phase in values.phases for channel in (phase.voltage, phase.current)]
    rows = [row for channel in channels for row in (channel.groups, channel.subgroups)]
    return np.concatenate(rows).reshape(len(rows), -1)


def _channels(rows: NDArray[np.float64], h_max: int) -> Iterator[SmoothedChannel]:
    """With the distortions; NaN without a fundamental."""
    first, harmonics = rows[:, 1], rows[:, 2 : h_max + 1]
    sums = np.sqrt(np.einsum("ij,ij->i", harmonics, harmonics))
    distortions = sums * 100.0 / np.where(first > 0.0, first, np.nan)
    each, row = iter(distortions.tolist()), iter(rows)
    return (SmoothedChannel(*channel) for channel in zip(each, each, row, row, strict=True))

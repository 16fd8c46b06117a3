"""The 1.5 s smoothing of IEC 61000-4-7:2002 5.5.1: a value of its own, beside the groups."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bmc_ext.sampling.cycle_results import CycleChannel, CycleValues
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

    def take(self, values: CycleValues) -> SmoothedCycles | None:
        """The next 10/12-cycle value, none of those that overlap a 10 min tick twice."""
        found = _rows(values)
        if np.isnan(found[:, :, :, 1]).any():
            self._state = None
            return None
        follows = abs(values.start_ns - self._end_ns) * 1e-9 <= _GAP_S
        if self._state is None or self._state.shape != found.shape or not follows:
            self._state, self._seen_s = found, 0.0
        else:
            # Orders that come or go with the frequency at a slow rate are unknown for a while.
            share = 1.0 - math.exp(-(values.end_ns - self._end_ns) * 1e-9 / TIME_CONSTANT_S)
            self._state = self._state + share * (found - self._state)
        self._end_ns = values.end_ns
        self._seen_s += values.duration_s
        known = np.flatnonzero(~np.isnan(self._state[:, :, :, 1:]).any(axis=(0, 1, 2)))
        return SmoothedCycles(
            values.end_ns,
            self._seen_s >= 5.0 * TIME_CONSTANT_S,
            int(known[-1]) + 1,
            tuple(map(_phase, self._state, _distortions(self._state).tolist())),
        )


def _rows(values: CycleValues) -> NDArray[np.float64]:
    """[phase][voltage, current][groups, subgroups][order]."""
    return np.array([[_pair(phase.voltage), _pair(phase.current)] for phase in values.phases])


def _pair(channel: CycleChannel) -> tuple[Harmonics, Harmonics]:
    return channel.groups, channel.subgroups


def _phase(orders: NDArray[np.float64], distortions: list[list[float]]) -> SmoothedPhase:
    voltage, current = (
        SmoothedChannel(thdg, thds, groups, subgroups)
        for (thdg, thds), (groups, subgroups) in zip(distortions, orders, strict=True)
    )
    return SmoothedPhase(voltage, current)


def _distortions(orders: NDArray[np.float64]) -> NDArray[np.float64]:
    """In %, [phase][voltage, current][groups, subgroups]; NaN without a fundamental."""
    first = np.where(orders[..., 1] > 0.0, orders[..., 1], np.nan)
    found: NDArray[np.float64] = np.sqrt(np.nansum(orders[..., 2:] ** 2, axis=-1)) * 100.0 / first
    return found

"""Values of one feed over actual cycles (IEC 61000-4-30, IEC 61000-4-7), never those of 100 ms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


class CyclePhaseValues(NamedTuple):
    """One phase; None is unknown.

    V and A are root-mean-square, W the mean. Distortion is in % of the fundamental: THDS that of
    harmonic subgroups, THDG that of groups (IEC 61000-4-7:2002 3.3.3, 3.3.2).
    """

    phase: str
    v_rms_v: float | None
    i_rms_a: float | None
    p_w: float | None
    thds_v_percent: float | None
    thdg_v_percent: float | None
    thds_i_percent: float | None
    thdg_i_percent: float | None


class CycleInterval(NamedTuple):
    """One interval: 10 or 12 cycles, or an aggregate of such; None is unknown.

    `start_s` and `end_s` are Unix times, `duration_s` is the length of the cycles in s. `intervals`
    counts the 10/12-cycle values in it, `flagged` those that a dip, swell or interruption marks
    (IEC 61000-4-30:2015 4.7). Power in W, import positive; unbalance u2 in %. `h_max` is the
    highest order in the distortion.
    """

    start_s: float
    end_s: float
    duration_s: float
    cycles: int
    intervals: int
    flagged: int
    flags: tuple[str, ...]
    frequency_hz: float | None
    p_w: float | None
    u2_percent: float | None
    h_max: int
    phases: tuple[CyclePhaseValues, ...]


class IntervalFrequency(NamedTuple):
    """The frequency in Hz of 10 s of UTC that begin at `start_s`; None is unknown.

    Of `cycles` whole cycles over their `duration_s` (IEC 61000-4-30:2015 5.1.1).
    """

    start_s: float
    frequency_hz: float | None
    cycles: int
    duration_s: float


class SmoothedPhaseValues(NamedTuple):
    """Distortion of one phase in % of the fundamental, as in CyclePhaseValues, of smoothed rms."""

    phase: str
    thds_v_percent: float | None
    thdg_v_percent: float | None
    thds_i_percent: float | None
    thdg_i_percent: float | None


class SmoothedDistortion(NamedTuple):
    """Groups and subgroups of 10/12 cycles through a low-pass of `time_constant_s`, up to `end_s`.

    IEC 61000-4-7:2002 5.5.1, for limits of emission. `is_settled` after five time constants.
    """

    end_s: float
    time_constant_s: float
    is_settled: bool
    h_max: int
    phases: tuple[SmoothedPhaseValues, ...]


@dataclass(frozen=True, slots=True)
class FeedCycles:
    """The newest of each kind; None where none is recent."""

    ten_twelve: CycleInterval | None = None
    smoothed: SmoothedDistortion | None = None
    three_seconds: CycleInterval | None = None
    ten_minutes: CycleInterval | None = None
    ten_second_frequency: IntervalFrequency | None = None


NO_CYCLES = FeedCycles()
"""Of a feed that has none, as a meter's."""

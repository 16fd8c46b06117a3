"""The members of a feed that are values over actual cycles, apart from those of 100 ms."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from bmc_ext.domain.cycles import (
    CycleInterval,
    CyclePhaseValues,
    FeedCycles,
    IntervalFrequency,
    SmoothedDistortion,
)
from bmc_ext.redfish.quantities import timestamp

_KEPT = 512
"""Of each kind, by identity: an interval is shown in several windows, those of ten minutes in 6000.
The answers share them: whoever changes an answer makes a new one."""


def cycle_members(cycles: FeedCycles) -> dict[str, Any]:
    """The five members of a feed; each null where it is unknown."""
    return {
        "TenTwelveCycle": _interval(cycles.ten_twelve),
        "SmoothedDistortion": _smoothed(cycles.smoothed),
        "ThreeSecondAggregate": _interval(cycles.three_seconds),
        "TenMinuteAggregate": _interval(cycles.ten_minutes),
        "TenSecondFrequency": _frequency(cycles.ten_second_frequency),
    }


@lru_cache(_KEPT)
def _interval(interval: CycleInterval | None) -> dict[str, Any] | None:
    if interval is None:
        return None
    return {
        "StartTime": timestamp(interval.start_s),
        "DurationSeconds": interval.duration_s,
        "Cycles": interval.cycles,
        "Intervals": interval.intervals,
        "FlaggedIntervals": interval.flagged,
        "Flags": list(interval.flags),
        "FrequencyHz": interval.frequency_hz,
        "PowerWatts": interval.p_w,
        "VoltageUnbalancePercent": interval.u2_percent,
        "HighestOrder": interval.h_max,
        "Phases": [_phase(phase) for phase in interval.phases],
    }


def _phase(phase: CyclePhaseValues) -> dict[str, Any]:
    return {
        "Phase": phase.phase,
        "VoltageVolts": phase.v_rms_v,
        "CurrentAmps": phase.i_rms_a,
        "PowerWatts": phase.p_w,
        "VoltageTHDSPercent": phase.thds_v_percent,
        "VoltageTHDGPercent": phase.thdg_v_percent,
        "CurrentTHDSPercent": phase.thds_i_percent,
        "CurrentTHDGPercent": phase.thdg_i_percent,
    }


@lru_cache(_KEPT)
def _smoothed(smoothed: SmoothedDistortion | None) -> dict[str, Any] | None:
    if smoothed is None:
        return None
    return {
        "EndTime": timestamp(smoothed.end_s),
        "TimeConstantSeconds": smoothed.time_constant_s,
        "Settled": smoothed.is_settled,
        "HighestOrder": smoothed.h_max,
        "Phases": [
            {
                "Phase": phase.phase,
                "VoltageTHDSPercent": phase.thds_v_percent,
                "VoltageTHDGPercent": phase.thdg_v_percent,
                "CurrentTHDSPercent": phase.thds_i_percent,
                "CurrentTHDGPercent": phase.thdg_i_percent,
            }
            for phase in smoothed.phases
        ],
    }


@lru_cache(_KEPT)
def _frequency(frequency: IntervalFrequency | None) -> dict[str, Any] | None:
    if frequency is None:
        return None
    return {
        "StartTime": timestamp(frequency.start_s),
        "DurationSeconds": frequency.duration_s,
        "Cycles": frequency.cycles,
        "FrequencyHz": frequency.frequency_hz,
    }

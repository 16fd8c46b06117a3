"""The members of power_realtime that are values over actual cycles, apart from those of 100 ms."""

from __future__ import annotations

from typing import Any

from bmc_ext.clock import iso8601
from bmc_ext.domain.cycles import (
    CycleInterval,
    CyclePhaseValues,
    FeedCycles,
    IntervalFrequency,
    SmoothedDistortion,
)


def cycle_members(cycles: FeedCycles) -> dict[str, Any]:
    """The five members of a feed; each null where it is unknown."""
    return {
        "ten_twelve_cycle": _interval(cycles.ten_twelve),
        "smoothed_distortion": _smoothed(cycles.smoothed),
        "three_second_aggregate": _interval(cycles.three_seconds),
        "ten_minute_aggregate": _interval(cycles.ten_minutes),
        "ten_second_frequency": _frequency(cycles.ten_second_frequency),
    }


def _interval(interval: CycleInterval | None) -> dict[str, Any] | None:
    if interval is None:
        return None
    return {
        "start": iso8601(interval.start_s),
        "duration_sec": interval.duration_s,
        "cycles": interval.cycles,
        "intervals": interval.intervals,
        "flagged_intervals": interval.flagged,
        "flags": list(interval.flags),
        "frequency_hz": interval.frequency_hz,
        "power_mw": None if interval.p_w is None else interval.p_w / 1e6,
        "voltage_unbalance_percent": interval.u2_percent,
        "highest_order": interval.h_max,
        "phases": [_phase(phase) for phase in interval.phases],
    }


def _phase(phase: CyclePhaseValues) -> dict[str, Any]:
    return {
        "phase": phase.phase,
        "voltage_v": phase.v_rms_v,
        "current_a": phase.i_rms_a,
        "power_mw": None if phase.p_w is None else phase.p_w / 1e6,
        "thds_voltage_percent": phase.thds_v_percent,
        "thdg_voltage_percent": phase.thdg_v_percent,
        "thds_current_percent": phase.thds_i_percent,
        "thdg_current_percent": phase.thdg_i_percent,
    }


def _smoothed(smoothed: SmoothedDistortion | None) -> dict[str, Any] | None:
    if smoothed is None:
        return None
    return {
        "end": iso8601(smoothed.end_s),
        "time_constant_sec": smoothed.time_constant_s,
        "settled": smoothed.is_settled,
        "highest_order": smoothed.h_max,
        "phases": [
            {
                "phase": phase.phase,
                "thds_voltage_percent": phase.thds_v_percent,
                "thdg_voltage_percent": phase.thdg_v_percent,
                "thds_current_percent": phase.thds_i_percent,
                "thdg_current_percent": phase.thdg_i_percent,
            }
            for phase in smoothed.phases
        ],
    }


def _frequency(frequency: IntervalFrequency | None) -> dict[str, Any] | None:
    if frequency is None:
        return None
    return {
        "start": iso8601(frequency.start_s),
        "duration_sec": frequency.duration_s,
        "cycles": frequency.cycles,
        "frequency_hz": frequency.frequency_hz,
    }

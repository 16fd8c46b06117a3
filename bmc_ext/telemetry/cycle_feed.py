"""The newest values over actual cycles of one waveform feed, for as long as they are new."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TypeVar

from bmc_ext.domain.cycles import (
    CycleInterval,
    CyclePhaseValues,
    FeedCycles,
    IntervalFrequency,
    SmoothedDistortion,
    SmoothedPhaseValues,
)
from bmc_ext.sampling.cycle_results import CyclePhase, CycleValues, TenSecondFrequency
from bmc_ext.sampling.cycle_smoothing import TIME_CONSTANT_S, CycleSmoothing, SmoothedCycles
from bmc_ext.sampling.cycles import CycleResult, LongAggregate, ShortAggregate, TenTwelveCycle

# Seconds from the end of the newest one: the next is due by then, and has had time to come.
_TEN_TWELVE_S = 1.0
_THREE_SECONDS_S = 5.0
_TEN_SECONDS_S = 12.0
_TEN_MINUTES_S = 602.0


Changes = Mapping[str, Any]
"""Members of FeedCycles by name."""


class CycleSummary:
    """What a feed's `CycleObserver` gives, as it is shown; belongs to its sampler's thread."""

    def __init__(self) -> None:
        self._smoothing = CycleSmoothing()

    def take(self, result: CycleResult) -> Changes:
        """The next value; the members of FeedCycles that it is the newest of."""
        if isinstance(result, TenTwelveCycle):
            smoothed = self._smoothing.take(result.values)
            return {
                "ten_twelve": _interval(result.values),
                "smoothed": None if smoothed is None else _smoothed(smoothed),
            }
        if isinstance(result, ShortAggregate):
            return {"three_seconds": _interval(result.values)}
        if isinstance(result, LongAggregate):
            return {"ten_minutes": _interval(result.values)}
        if isinstance(result, TenSecondFrequency):
            return {"ten_second_frequency": _frequency(result)}
        return {}


class CycleFeed:
    """The newest values; `put` and `at` belong to one thread."""

    def __init__(self) -> None:
        self._newest = FeedCycles()

    def put(self, changes: Changes) -> None:
        """What a summary gave."""
        self._newest = replace(self._newest, **changes)

    def at(self, unix_s: float) -> FeedCycles:
        """The newest values, as far as they are new at this Unix time; yesterday's are unknown."""
        newest = self._newest
        frequency = newest.ten_second_frequency
        frequency_end_s = -math.inf if frequency is None else frequency.start_s + 10.0
        return FeedCycles(
            _recent(newest.ten_twelve, unix_s - _TEN_TWELVE_S),
            _recent(newest.smoothed, unix_s - _TEN_TWELVE_S),
            _recent(newest.three_seconds, unix_s - _THREE_SECONDS_S),
            _recent(newest.ten_minutes, unix_s - _TEN_MINUTES_S),
            frequency if frequency_end_s >= unix_s - _TEN_SECONDS_S else None,
        )


_Ended = TypeVar("_Ended", CycleInterval, SmoothedDistortion)


def _recent(interval: _Ended | None, oldest_s: float) -> _Ended | None:
    return interval if interval is not None and interval.end_s >= oldest_s else None


def _interval(values: CycleValues) -> CycleInterval:
    return CycleInterval(
        start_s=values.start_ns * 1e-9,
        end_s=values.end_ns * 1e-9,
        duration_s=values.duration_s,
        cycles=values.cycles,
        intervals=values.intervals,
        flagged=values.flagged,
        flags=values.flags.labels,
        frequency_hz=_known(values.frequency_hz),
        p_w=_known(values.p_w),
        u2_percent=_known(values.u2_percent),
        h_max=values.h_max,
        phases=tuple([_phase(f"L{k}", phase) for k, phase in enumerate(values.phases, 1)]),
    )


def _phase(name: str, phase: CyclePhase) -> CyclePhaseValues:
    return CyclePhaseValues(
        phase=name,
        v_rms_v=_known(phase.voltage.rms),
        i_rms_a=_known(phase.current.rms),
        p_w=_known(phase.p_w),
        thds_v_percent=_known(phase.voltage.thds_percent),
        thdg_v_percent=_known(phase.voltage.thdg_percent),
        thds_i_percent=_known(phase.current.thds_percent),
        thdg_i_percent=_known(phase.current.thdg_percent),
    )


def _smoothed(found: SmoothedCycles) -> SmoothedDistortion:
    return SmoothedDistortion(
        end_s=found.end_ns * 1e-9,
        time_constant_s=TIME_CONSTANT_S,
        is_settled=found.settled,
        h_max=found.h_max,
        phases=tuple(
            SmoothedPhaseValues(
                f"L{number}",
                _known(phase.voltage.thds_percent),
                _known(phase.voltage.thdg_percent),
                _known(phase.current.thds_percent),
                _known(phase.current.thdg_percent),
            )
            for number, phase in enumerate(found.phases, 1)
        ),
    )


def _frequency(found: TenSecondFrequency) -> IntervalFrequency:
    return IntervalFrequency(
        found.start_ns * 1e-9, _known(found.frequency_hz), found.cycles, found.duration_s
    )


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None

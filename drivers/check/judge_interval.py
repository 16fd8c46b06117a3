"""Verdicts on how often a point is new; what never changes is unknown, not slow."""

from __future__ import annotations

import numpy as np

from drivers.check.comparison import LEAST_SAMPLES
from drivers.check.finding import Finding, Verdict
from drivers.check.limits import Limit
from drivers.check.observations import PointObservation
from drivers.check.series import Refresh, refresh

# How much a clock may differ: an interval of 1.005 s is 1 Hz.
_CLOCK = 0.01
# What moved by so many times its uncertainty and a register's step surely moved.
_SURELY_MOVED = 4.0


def best_refresh(point: PointObservation) -> Refresh:
    """By fast polling; by the engine's own polls where that was too short for a slow point."""
    fast = refresh(point.fast)
    return fast if fast.interval_s is not None else refresh(point.polled)


def stuck(point: PointObservation) -> bool:
    """Whether the reference surely moved, by more than a register step, and the point did not."""
    if point.reference is None or len(point.polled.known()) < LEAST_SAMPLES:
        return False
    truth = point.reference.known()
    if not len(truth) or len(point.polled.fresh()) or np.isnan(truth.uncertainty).any():
        return False
    blur = float(truth.uncertainty.max()) + point.resolution
    return float(np.ptp(truth.value)) > _SURELY_MOVED * blur


def judge_interval(point: PointObservation, limit: Limit) -> Finding:
    """The sampling rate, by counting changes; what never changes is unknown, not slow."""
    assert limit.interval_s is not None
    seen = best_refresh(point)
    if stuck(point):
        verdict, reason = Verdict.FAIL, "the value never changed while the reference moved"
    else:
        verdict, reason = interval_verdict(seen, limit.interval_s)
    return Finding(
        "sampling-rate",
        f"{limit.title}: sampling rate",
        limit.interval_clause,
        verdict,
        reason,
        point.name,
        f"≥ {1.0 / limit.interval_s:g} Hz",
        refresh_text(seen),
        refresh_numbers(seen),
    )


def interval_verdict(seen: Refresh, longest_s: float) -> tuple[Verdict, str]:
    """Whether a refresh interval is at most `longest_s`, and why."""
    if seen.interval_s is None or seen.resolution_s is None or seen.usual_s is None:
        seldom = f"changed only {seen.changes} times" if seen.changes else "never changed"
        return (
            Verdict.INCONCLUSIVE,
            f"the value {seldom}: unknown, not slow; let the quantity move, or check longer",
        )
    if seen.interval_s - seen.resolution_s <= longest_s * (1.0 + _CLOCK):
        return Verdict.PASS, f"{seen.changes} changes"
    if seen.regular:
        return Verdict.FAIL, f"{seen.changes} changes, regular as a clock: the device is slow"
    if seen.usual_s - seen.poll_s <= longest_s * (1.0 + _CLOCK):
        return Verdict.PASS, f"{seen.changes} changes, most of them fast enough"
    return (
        Verdict.INCONCLUSIVE,
        f"{seen.changes} changes, irregular: the signal is quiet or the device slow",
    )


def refresh_text(seen: Refresh) -> str:
    """A refresh interval for people."""
    if seen.interval_s is None:
        return f"{seen.changes} changes"
    if seen.interval_s <= 1.5 * seen.poll_s:
        return f"at most {1000 * seen.interval_s:.4g} ms, as fast as it was asked"
    return f"{1000 * seen.interval_s:.4g} ms"


def refresh_numbers(seen: Refresh) -> dict[str, float | None]:
    """The same for programs."""
    return {
        "changes": float(seen.changes),
        "refresh_s": seen.interval_s,
        "poll_s": None if np.isnan(seen.poll_s) else seen.poll_s,
    }

"""Verdicts on a point's errors against a reference that is good enough to tell them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from drivers.check.comparison import LEAST_SAMPLES, Errors, errors, lag_s
from drivers.check.finding import Finding, Verdict
from drivers.check.judge_interval import stuck
from drivers.check.limits import REFERENCE_SHARE, Limit, amount_text, unit_text
from drivers.check.observations import PointObservation, Reference
from drivers.check.series import FloatArray, Series

Mask = NDArray[np.bool_]

# The share of errors that the accuracy is asked of: k = 2.
_COVERAGE = 0.95
_BINS = 10
# The range counts as exercised when samples lie in nine of ten parts of it.
_COVERED = 0.9
_LEAST_IN_BIN = 5
_MOST_LAG_S = 10.0


@dataclass(frozen=True, slots=True)
class Comparison:
    """A point beside its reference; `lag` in s is None when it cannot be told (and taken as 0)."""

    errors: Errors
    lag: float | None


def compare(point: PointObservation) -> Comparison | None:
    """The point's errors at the best lag; None without a reference or where nothing overlaps."""
    if point.reference is None or len(point.polled) < 2:
        return None
    span = float(point.polled.time_s[-1] - point.polled.time_s[0])
    lag = lag_s(point.polled, point.reference, min(_MOST_LAG_S, span / 3.0))
    found = errors(point.polled, point.reference, lag or 0.0)
    return Comparison(found, lag) if len(found.error) else None


def no_reference(
    point: PointObservation, reference: Reference | None, comparison: Comparison | None
) -> str | None:
    """Why nothing can be said against the reference; None when it can."""
    if not len(point.polled.known()):
        return "the device gave no value"
    if reference is None:
        return "no reference was given"
    if reference.simulated:
        return f"the reference {reference.text} says that it is a simulation: it proves nothing"
    if point.reference is None:
        return "the reference has no such point"
    if comparison is None:
        return f"the reference has no values at the same time: {_times(point.reference)}"
    if np.isnan(comparison.errors.uncertainty).all():
        return "the uncertainty of the reference is not known"
    return None


def _times(reference: Series) -> str:
    """From when to when, in UTC, a reference has values."""
    known = reference.known().time_s
    if not len(known):
        return "it has none at all"
    try:
        ends = [
            datetime.fromtimestamp(end, UTC).isoformat(timespec="seconds") for end in known[[0, -1]]
        ]
    except (ValueError, OverflowError, OSError):
        return f"its times are {known[0]:.10g} to {known[-1]:.10g} s, which are no Unix seconds"
    return f"its are from {ends[0]} to {ends[1]}"


def judge_accuracy(
    point: PointObservation,
    limit: Limit,
    reference: Reference | None,
    comparison: Comparison | None,
) -> Finding:
    """The errors over the exercised range, where the reference is good enough to tell."""

    def finding(verdict: Verdict, reason: str, measured: str = "", **numbers: float) -> Finding:
        return Finding(
            "accuracy",
            f"{limit.title}: accuracy",
            limit.clause,
            verdict,
            reason,
            point.name,
            limit.text,
            measured,
            numbers,
        )

    missing = no_reference(point, reference, comparison)
    if missing is not None or comparison is None:
        return finding(Verdict.INCONCLUSIVE, missing or "")
    if stuck(point):
        return finding(Verdict.INCONCLUSIVE, "the value never changed while the reference moved")
    found = comparison.errors
    allowed, within, tells = told(found, limit)
    if not within.any():
        return finding(Verdict.INCONCLUSIVE, f"the reference never was in {limit.operating_text}")
    worst_share = float(np.nanmin((found.uncertainty / np.maximum(allowed, 1e-300))[within]))
    if tells.sum() < LEAST_SAMPLES:
        return finding(
            Verdict.INCONCLUSIVE,
            f"the reference's uncertainty is at best {100 * worst_share:.0f} % of the limit in "
            f"{int(tells.sum())} usable samples; at most 25 % in {LEAST_SAMPLES} tell something",
            reference_uncertainty_share=worst_share,
        )
    return _accuracy_verdict(finding, found, allowed, tells, limit, comparison.lag)


def told(found: Errors, limit: Limit) -> tuple[FloatArray, Mask, Mask]:
    """The limit at each sample, which lie in the range, and which of those tell something."""
    allowed = np.array([limit.at(value) for value in found.reference])
    within = _inside(found.reference, limit)
    return allowed, within, within & (found.uncertainty <= REFERENCE_SHARE * allowed)


def _inside(values: FloatArray, limit: Limit) -> Mask:
    """Which values lie in the operating range; power counts in both directions."""
    size = np.abs(values) if limit.pct_reading else values
    return (size >= limit.operating[0]) & (size <= limit.operating[1])


def _accuracy_verdict(
    finding: Callable[..., Finding],
    found: Errors,
    allowed: FloatArray,
    tells: Mask,
    limit: Limit,
    lag: float | None,
) -> Finding:
    share = np.abs(found.error[tells]) / allowed[tells]
    surely = (np.abs(found.error[tells]) - found.uncertainty[tells]) / allowed[tells]
    bins = _bins(found.reference[tells], float(allowed[tells].max()))
    worst = max(float(np.quantile(share[bin_], _COVERAGE)) for bin_ in bins)
    beyond = max(float(np.quantile(surely[bin_], _COVERAGE)) for bin_ in bins)
    mean, largest = float(found.error[tells].mean()), float(np.abs(found.error[tells]).max())
    size = f"{100 * worst:.3g} % of the limit" if worst < 10 else f"{worst:.3g} times the limit"
    measured = f"95 % of errors within {size}; mean {mean:+.3g} {unit_text(limit.unit)}"
    numbers = {
        "worst_share_of_limit": worst,
        "mean_error": mean,
        "largest_error": largest,
        "samples": float(tells.sum()),
        "reference_uncertainty_share": float((found.uncertainty[tells] / allowed[tells]).max()),
    }
    if lag is not None:
        numbers["lag_s"] = lag
    late = "unknown, taken as 0" if lag is None else f"{lag:.3f} s, taken out"
    parts = f"{len(bins)} parts" if len(bins) > 1 else "one part"
    where = f"{int(tells.sum())} samples in {parts} of the range; lag {late}"
    if worst <= 1.0:
        return finding(Verdict.PASS, where, measured, **numbers)
    if beyond > 1.0:
        return finding(Verdict.FAIL, f"beyond the limit; {where}", measured, **numbers)
    return finding(
        Verdict.INCONCLUSIVE,
        f"beyond the limit by less than the reference's uncertainty; {where}",
        measured,
        **numbers,
    )


def _bins(values: FloatArray, allowed: float) -> list[Mask]:
    """Parts of the exercised range, as masks, each with enough samples; one if it hardly moved."""
    everything = np.ones(len(values), np.bool_)
    span = float(np.ptp(values))
    if span <= 4.0 * allowed:
        return [everything]
    which = np.minimum((_BINS * (values - values.min()) / span).astype(int), _BINS - 1)
    parts = [which == k for k in range(_BINS)]
    return [part for part in parts if part.sum() >= _LEAST_IN_BIN] or [everything]


def judge_range(point: PointObservation, limit: Limit, comparison: Comparison | None) -> Finding:
    """In how many parts of the range the accuracy was told: a run at one value proves one value."""
    low, high = _asked_range(point, limit)
    values = point.polled.known().value
    if comparison is not None:
        values = comparison.errors.reference[told(comparison.errors, limit)[2]]
    values = np.abs(values) if limit.pct_reading else values
    measured, numbers = "", {}
    verdict, reason = Verdict.INCONCLUSIVE, "no values that tell something"
    if len(values) and high > low:
        lowest, highest = float(values.min()), float(values.max())
        parts = np.floor(_BINS * (values - low) / (high - low))
        covered = len(set(parts[(parts >= 0) & (parts < _BINS)].tolist()))
        ends = f"{amount_text(lowest, limit.unit)} to {amount_text(highest, limit.unit)}"
        measured = f"{ends}, {covered} of {_BINS} parts"
        numbers = {"lowest": lowest, "highest": highest, "covered_share": covered / _BINS}
        reason = "accuracy is proven only where it was exercised: sweep it during the check"
        if covered >= _COVERED * _BINS and comparison is not None:
            verdict, reason = Verdict.PASS, "the range was exercised"
    if (low, high) != limit.operating:
        reason += f"; the standard asks {limit.operating_text}, the device's own range is narrower"
    return Finding(
        "range",
        f"{limit.title}: over the range",
        limit.clause,
        verdict,
        reason,
        point.name,
        f"{amount_text(low, limit.unit)} to {amount_text(high, limit.unit)}",
        measured,
        numbers,
    )


def _asked_range(point: PointObservation, limit: Limit) -> tuple[float, float]:
    """The standard's operating range, as far as the device's own goes."""
    low, high = limit.operating
    if point.own_range is None:
        return low, high
    return max(low, point.own_range[0]), min(high, point.own_range[1])

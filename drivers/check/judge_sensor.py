"""Verdicts on one point against the standard's limits: pure functions of what was observed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from drivers.check.comparison import (
    LEAST_SAMPLES,
    Errors,
    errors,
    lag_s,
    noise_alone,
    noise_of_errors,
    step_response,
    trend,
)
from drivers.check.finding import Finding, Verdict
from drivers.check.limits import AMBIENT_SPAN_K, REFERENCE_SHARE, Limit, amount_text, unit_text
from drivers.check.observations import PointObservation, Reference
from drivers.check.series import FloatArray, Refresh, Series, refresh

Mask = NDArray[np.bool_]

# The share of errors that the accuracy is asked of: k = 2.
_COVERAGE = 0.95
_BINS = 10
# The range counts as exercised with a tenth of it left out at its ends together.
_COVERED = 0.9
_LEAST_IN_BIN = 5
# How much a clock may differ: an interval of 1.005 s is 1 Hz.
_CLOCK = 0.01
# What moved by so many times its uncertainty and a register's step surely moved.
_SURELY_MOVED = 4.0
_MOST_LAG_S = 10.0
_FEW = "too few samples that tell something"


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


def judge_point(
    point: PointObservation,
    limit: Limit,
    reference: Reference | None,
    ambient: Series | None,
) -> list[Finding]:
    """All that the standard asks of the point; `ambient` is a temperature of the device, in °C."""
    comparison = compare(point)
    accuracy = judge_accuracy(point, limit, reference, comparison)
    found = [accuracy, _range(point, limit, comparison)]
    if limit.interval_s is not None:
        found.append(judge_interval(point, limit))
    if limit.response_s is not None:
        found.append(judge_response(point, limit, reference, comparison))
    found.append(_noise(point, limit, reference, comparison))
    found.append(_stability(point, limit, reference, comparison))
    if limit.compensated:
        found.append(_compensation(point, limit, accuracy, ambient))
    return found


def _no_reference(
    point: PointObservation, reference: Reference | None, comparison: Comparison | None
) -> str | None:
    """Why nothing can be said against the reference; None when it can."""
    if not len(point.polled.known()):
        return "the device gave no value"
    if reference is None:
        return "no reference was given"
    if reference.simulated:
        return f"the reference {reference.text} says that it is a simulation: it proves nothing"
    if comparison is None:
        return "the reference has no such point, or no values at the same time"
    if np.isnan(comparison.errors.uncertainty).all():
        return "the uncertainty of the reference is not known"
    return None


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

    missing = _no_reference(point, reference, comparison)
    if missing is not None or comparison is None:
        return finding(Verdict.INCONCLUSIVE, missing or "")
    if stuck(point):
        return finding(Verdict.INCONCLUSIVE, "the value never changed while the reference moved")
    found = comparison.errors
    allowed, within, told = _told(found, limit)
    if not within.any():
        return finding(Verdict.INCONCLUSIVE, f"the reference never was in {limit.operating_text}")
    worst_share = float(np.nanmin((found.uncertainty / np.maximum(allowed, 1e-300))[within]))
    if told.sum() < LEAST_SAMPLES:
        return finding(
            Verdict.INCONCLUSIVE,
            f"the reference's uncertainty is at best {100 * worst_share:.0f} % of the limit in "
            f"{int(told.sum())} usable samples; at most 25 % in {LEAST_SAMPLES} tell something",
            reference_uncertainty_share=worst_share,
        )
    return _accuracy_verdict(finding, found, allowed, told, limit, comparison.lag)


def _told(found: Errors, limit: Limit) -> tuple[FloatArray, Mask, Mask]:
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
    told: Mask,
    limit: Limit,
    lag: float | None,
) -> Finding:
    share = np.abs(found.error[told]) / allowed[told]
    surely = (np.abs(found.error[told]) - found.uncertainty[told]) / allowed[told]
    bins = _bins(found.reference[told], float(allowed[told].max()))
    worst = max(float(np.quantile(share[bin_], _COVERAGE)) for bin_ in bins)
    beyond = max(float(np.quantile(surely[bin_], _COVERAGE)) for bin_ in bins)
    mean, largest = float(found.error[told].mean()), float(np.abs(found.error[told]).max())
    size = f"{100 * worst:.3g} % of the limit" if worst < 10 else f"{worst:.3g} times the limit"
    measured = f"95 % of errors within {size}; mean {mean:+.3g} {unit_text(limit.unit)}"
    numbers = {
        "worst_share_of_limit": worst,
        "mean_error": mean,
        "largest_error": largest,
        "samples": float(told.sum()),
        "reference_uncertainty_share": float((found.uncertainty[told] / allowed[told]).max()),
    }
    if lag is not None:
        numbers["lag_s"] = lag
    late = "unknown, taken as 0" if lag is None else f"{lag:.3f} s, taken out"
    parts = f"{len(bins)} parts" if len(bins) > 1 else "one part"
    where = f"{int(told.sum())} samples in {parts} of the range; lag {late}"
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


def _range(point: PointObservation, limit: Limit, comparison: Comparison | None) -> Finding:
    """How much of the range was exercised: a run at one value proves one value."""
    low, high = _asked_range(point, limit)
    values = point.polled.known().value if comparison is None else comparison.errors.reference
    values = np.abs(values) if limit.pct_reading else values
    measured, numbers = "", {}
    verdict, reason = Verdict.INCONCLUSIVE, "no values"
    if len(values) and high > low:
        lowest, highest = float(values.min()), float(values.max())
        covered = max(0.0, min(high, highest) - max(low, lowest)) / (high - low)
        ends = f"{amount_text(lowest, limit.unit)} to {amount_text(highest, limit.unit)}"
        measured = f"{ends} ({100 * covered:.2g} %)"
        numbers = {"lowest": lowest, "highest": highest, "covered_share": covered}
        reason = "accuracy is proven only where it was exercised: sweep it during the check"
        if covered >= _COVERED and comparison is not None:
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
    if seen.interval_s is None or seen.resolution_s is None or seen.shortest_s is None:
        times = "never" if not seen.changes else f"only {seen.changes} times"
        return (
            Verdict.INCONCLUSIVE,
            f"the value changed {times}: unknown, not slow; let the quantity move, or check longer",
        )
    if seen.interval_s - seen.resolution_s <= longest_s * (1.0 + _CLOCK):
        return Verdict.PASS, f"{seen.changes} changes"
    if seen.regular:
        return Verdict.FAIL, f"{seen.changes} changes, regular as a clock: the device is slow"
    if seen.shortest_s <= longest_s * (1.0 + _CLOCK):
        return Verdict.PASS, f"{seen.changes} changes, the quickest fast enough"
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


def judge_response(
    point: PointObservation,
    limit: Limit,
    reference: Reference | None,
    comparison: Comparison | None,
) -> Finding:
    """How soon 90 % of a step shows; without a step a lag can disprove, but not prove."""
    assert limit.response_s is not None

    def finding(verdict: Verdict, reason: str, seconds: float | None = None) -> Finding:
        return Finding(
            "response",
            f"{limit.title}: response time",
            limit.response_clause,
            verdict,
            reason,
            point.name,
            f"≤ {limit.response_s:g} s",
            "" if seconds is None else f"{seconds:.3g} s",
            {"response_s": seconds},
        )

    if reference is None or reference.simulated or point.reference is None:
        return finding(Verdict.INCONCLUSIVE, "a response needs a reference that shows the step")
    answer = step_response(point.polled, point.reference)
    poll_s = np.nan_to_num(point.polled.poll_s)
    if answer is not None and answer.response_s is not None:
        size = f"90 % of a step of {answer.size:+.4g} {unit_text(limit.unit)}"
        if answer.response_s <= limit.response_s:
            return finding(Verdict.PASS, size, answer.response_s)
        if answer.response_s - poll_s > limit.response_s:
            return finding(Verdict.FAIL, size, answer.response_s)
        return finding(
            Verdict.INCONCLUSIVE, f"{size}, ± a poll of {poll_s:.2g} s", answer.response_s
        )
    if answer is not None:
        late = answer.watched_s > limit.response_s
        return finding(
            Verdict.FAIL if late else Verdict.INCONCLUSIVE,
            f"not half of a step of {answer.size:+.4g} {unit_text(limit.unit)} showed within "
            f"{answer.watched_s:.2g} s",
        )
    lag = None if comparison is None else comparison.lag
    if lag is not None and lag - poll_s > limit.response_s:
        return finding(Verdict.FAIL, "no step, but the device lags the reference by more", lag)
    return finding(
        Verdict.INCONCLUSIVE, "the reference shows no clear step: make one during the check"
    )


def _noise(
    point: PointObservation,
    limit: Limit,
    reference: Reference | None,
    comparison: Comparison | None,
) -> Finding:
    """Two standard deviations within the accuracy limit; without a reference an upper bound."""
    missing = _no_reference(point, reference, comparison)
    usable = None if missing or comparison is None else comparison.errors
    if usable is None:
        sigma = noise_alone(point.polled)
    else:
        sigma = noise_of_errors(usable.where(_told(usable, limit)[2]))
    text = f"2 σ ≤ {limit.text}"
    values = point.polled.known().value
    if sigma is None or not len(values):
        verdict, reason, measured = Verdict.INCONCLUSIVE, _FEW, ""
    else:
        allowed = limit.at(float(np.median(np.abs(values))))
        measured = f"2 σ = {2 * sigma:.3g} {unit_text(limit.unit)}"
        if 2.0 * sigma <= allowed:
            verdict, reason = Verdict.PASS, "from sample to sample"
        elif usable is None:
            verdict, reason = Verdict.INCONCLUSIVE, "without a reference it may be the signal's own"
        else:
            verdict, reason = Verdict.FAIL, "noise alone takes more than the limit"
    return Finding(
        "noise",
        f"{limit.title}: noise",
        limit.clause,
        verdict,
        reason,
        point.name,
        text,
        measured,
        {"sigma": sigma},
    )


def _stability(
    point: PointObservation,
    limit: Limit,
    reference: Reference | None,
    comparison: Comparison | None,
) -> Finding:
    """Whether the errors drift by more than the limit in this run."""
    missing = _no_reference(point, reference, comparison)
    measured, numbers, line, usable = "", {}, None, None
    if not missing and comparison is not None:
        usable = comparison.errors.where(_told(comparison.errors, limit)[2])
        line = trend(usable)
    if line is None or usable is None:
        verdict, reason = Verdict.INCONCLUSIVE, missing or _FEW
    else:
        allowed = limit.at(float(np.median(np.abs(usable.reference))))
        measured = f"{line.change:+.3g} {unit_text(limit.unit)} in {line.seconds:.0f} s"
        numbers = {"drift": line.change, "drift_uncertainty": line.uncertainty}
        if abs(line.change) + line.uncertainty <= allowed:
            verdict, reason = Verdict.PASS, "in this run; a calibration interval takes months"
        elif abs(line.change) - line.uncertainty > allowed:
            verdict, reason = Verdict.FAIL, "the error drifts by more than the limit"
        else:
            verdict, reason = Verdict.INCONCLUSIVE, "hidden by the scatter of the errors"
    return Finding(
        "stability",
        f"{limit.title}: stability",
        limit.clause,
        verdict,
        reason,
        point.name,
        f"drift ≤ {limit.text}",
        measured,
        numbers,
    )


def _compensation(
    point: PointObservation, limit: Limit, accuracy: Finding, ambient: Series | None
) -> Finding:
    """Accuracy that holds while the device's temperature moves by as much as 5.2.3 allows."""
    span = 0.0
    if ambient is not None and len(ambient.known()):
        span = float(np.ptp(ambient.known().value))
    if span < AMBIENT_SPAN_K:
        verdict = Verdict.INCONCLUSIVE
        reason = "the device's temperature must move by that much during the check"
    else:
        verdict = accuracy.verdict
        reason = "as the accuracy while the temperature moved"
    return Finding(
        "compensation",
        f"{limit.title}: temperature compensation",
        "7.2.3; 5.2.3",
        verdict,
        reason,
        point.name,
        f"accuracy over {AMBIENT_SPAN_K:g} K",
        f"{span:.2g} K",
        {"temperature_span_k": span},
    )

"""Verdicts on one point against the standard's limits: pure functions of what was observed."""

from __future__ import annotations

import numpy as np

from drivers.check.comparison import noise_alone, noise_of_errors, step_response, trend
from drivers.check.finding import Finding, Verdict
from drivers.check.judge_accuracy import (
    Comparison,
    compare,
    judge_accuracy,
    judge_range,
    no_reference,
    told,
)
from drivers.check.judge_interval import judge_interval
from drivers.check.limits import AMBIENT_SPAN_K, Limit, unit_text
from drivers.check.observations import PointObservation, Reference
from drivers.check.series import Series

_FEW = "too few samples that tell something"


def judge_point(
    point: PointObservation,
    limit: Limit,
    reference: Reference | None,
    ambient: Series | None,
) -> list[Finding]:
    """All that the standard asks of the point; `ambient` is a temperature of the device, in °C."""
    comparison = compare(point)
    accuracy = judge_accuracy(point, limit, reference, comparison)
    found = [accuracy, judge_range(point, limit, comparison)]
    if limit.interval_s is not None:
        found.append(judge_interval(point, limit))
    if limit.response_s is not None:
        found.append(judge_response(point, limit, reference, comparison))
    found.append(_noise(point, limit, reference, comparison))
    found.append(_stability(point, limit, reference, comparison))
    if limit.compensated:
        found.append(_compensation(point, limit, accuracy, ambient))
    return found


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
    lag = None if comparison is None else comparison.lag
    if lag is not None and lag < -(poll_s + np.nan_to_num(point.reference.known().poll_s)):
        reason = f"the reference is {-lag:.3g} s late itself, or its clock is: nothing can be timed"
        return finding(Verdict.INCONCLUSIVE, reason)
    if answer is not None and answer.response_s is not None:
        size = f"90 % of a step of {answer.size:+.4g} {unit_text(limit.unit)}"
        if answer.response_s + answer.instant_s <= limit.response_s:
            return finding(Verdict.PASS, size, answer.response_s)
        if answer.response_s - poll_s - answer.instant_s > limit.response_s:
            return finding(Verdict.FAIL, size, answer.response_s)
        blur = f"± a poll of {poll_s:.2g} s and {answer.instant_s:.2g} s of the reference's"
        return finding(Verdict.INCONCLUSIVE, f"{size}, {blur}", answer.response_s)
    if answer is not None:
        late = answer.watched_s > limit.response_s
        return finding(
            Verdict.FAIL if late else Verdict.INCONCLUSIVE,
            f"not half of a step of {answer.size:+.4g} {unit_text(limit.unit)} showed within "
            f"{answer.watched_s:.2g} s",
        )
    if lag is not None and lag - poll_s > limit.response_s:
        return finding(Verdict.FAIL, "no step, but the device lags the reference by more", lag)
    return finding(
        Verdict.INCONCLUSIVE,
        "the reference shows no clear step that it stays at: make one during the check",
    )


def _noise(
    point: PointObservation,
    limit: Limit,
    reference: Reference | None,
    comparison: Comparison | None,
) -> Finding:
    """Two standard deviations within the accuracy limit; without a reference an upper bound."""
    missing = no_reference(point, reference, comparison)
    usable = None if missing or comparison is None else comparison.errors
    if usable is None:
        sigma = noise_alone(point.polled)
    else:
        sigma = noise_of_errors(usable.where(told(usable, limit)[2]))
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
    missing = no_reference(point, reference, comparison)
    measured, numbers, line, usable = "", {}, None, None
    if not missing and comparison is not None:
        usable = comparison.errors.where(told(comparison.errors, limit)[2])
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

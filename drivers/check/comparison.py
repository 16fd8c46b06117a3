"""A device's samples beside a reference's: lag, errors, noise, drift and the answer to a step.

Pure arithmetic on arrays; times in seconds, values in the point's canonical unit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from drivers.check.series import FloatArray, Series

# Fewer samples say nothing.
LEAST_SAMPLES = 8
# How alike, as a correlation, the two must be before a lag is believed.
_ALIKE = 0.8
# Of lags that fit equally well within this much, the nearest to none is taken: waves repeat.
_AS_GOOD = 0.005
_LAG_STEPS = 60
# A value held so many times as long as its changes are usually apart is no measurement's rhythm any
# more: what it shows counts.
_OVERDUE = 4.0
# Between two samples so many times as far apart as usual, the reference says nothing.
_HOLE = 3.0
# A wider peak, as a share of all lags, is no peak: a slow ramp fits at any lag.
_WIDEST_PEAK = 0.2
# A step is over within this time, and is this many times the wobble before and after it.
_SHARP_S = 0.35
_CLEAR = 8.0
_PLATEAU_S = 1.0
_SETTLE_S = 6.0
# Three times the longest response that is asked: a first-order answer is as good as over by then.
_HELD_S = 3.0


@dataclass(frozen=True, slots=True)
class Errors:
    """Device minus reference, arrays of shape (n,) by sample.

    `uncertainty` is that of the comparison: the reference's, what a straight line between its
    samples leaves out, and what a sample's unknown instant within a poll makes of the reference's
    slope. NaN where the reference's is unknown.
    """

    time_s: FloatArray
    reference: FloatArray
    error: FloatArray
    uncertainty: FloatArray

    def where(self, chosen: NDArray[np.bool_]) -> Errors:
        """The errors for which `chosen`, of shape (n,), is true."""
        return Errors(
            self.time_s[chosen],
            self.reference[chosen],
            self.error[chosen],
            self.uncertainty[chosen],
        )


@dataclass(frozen=True, slots=True)
class Trend:
    """A straight line through errors: change over the whole run, and its half width (k = 2)."""

    change: float
    uncertainty: float
    seconds: float


@dataclass(frozen=True, slots=True)
class StepResponse:
    """A step of `size` at `time_s`, and after how many seconds 90 % of it showed, if it did.

    `watched_s` is how long the device was watched after it, `instant_s` how uncertain `time_s` is.
    """

    time_s: float
    size: float
    response_s: float | None
    watched_s: float
    instant_s: float = 0.0


def lag_s(device: Series, reference: Series, most_s: float) -> float | None:
    """How late the device is, by the best correlation within ±`most_s`; None if it cannot be told.

    The device's clock is this machine's: a negative lag says that the reference is the late one.
    """
    device = _usable(device)
    reference = reference.known()
    if len(device) < LEAST_SAMPLES or len(reference) < LEAST_SAMPLES:
        return None
    coarse = np.linspace(-most_s, most_s, 2 * _LAG_STEPS + 1)
    near = _best_lag(device, reference, coarse)
    if near is None:
        return None
    step = most_s / _LAG_STEPS
    fine = np.linspace(near - step, near + step, _LAG_STEPS // 2 * 2 + 1)
    fits = np.array([_likeness(device, reference, float(lag)) for lag in fine])
    return near if np.isnan(fits).all() else float(fine[np.nanargmax(fits)])


def _best_lag(device: Series, reference: Series, lags: FloatArray) -> float | None:
    """The lag at the top of the peak of likeness that is nearest to none."""
    fits = np.array([_likeness(device, reference, float(lag)) for lag in lags])
    if np.isnan(fits).all() or np.nanmax(fits) < _ALIKE:
        return None
    good = set(np.flatnonzero(fits >= np.nanmax(fits) - _AS_GOOD).tolist())
    near = min(good, key=lambda index: abs(float(lags[index])))
    # The good ones around the nearest are one peak: its top is the lag.
    peak = [near]
    for way in (-1, 1):
        index = near + way
        while index in good:
            peak.append(index)
            index += way
    if len(peak) > _WIDEST_PEAK * len(lags):
        return None
    return float(lags[max(peak, key=lambda index: float(fits[index]))])


def _likeness(device: Series, reference: Series, lag: float) -> float:
    """The correlation when the device is `lag` late; NaN where too few overlap or nothing moves."""
    times = device.time_s - lag
    inside = _covered(times, reference)
    if inside.sum() < max(LEAST_SAMPLES, len(device) // 2):
        return float("nan")
    expected = np.interp(times[inside], reference.time_s, reference.value)
    seen = device.value[inside]
    spread = float(expected.std() * seen.std())
    if spread <= 1e-12 * float(np.abs(expected).max() * np.abs(seen).max()):
        return float("nan")
    return float(((expected - expected.mean()) * (seen - seen.mean())).mean() / spread)


def _usable(device: Series) -> Series:
    """The samples that are new, for between changes a device shows what was; all if few are."""
    fresh = device.fresh()
    return fresh if len(fresh) >= LEAST_SAMPLES else device.known()


def errors(device: Series, reference: Series, lag: float) -> Errors:
    """The device's errors against the reference at the instants that it shows.

    A value that is held for too long counts as often as it is read: the device shows it as true.
    """
    nodes = reference.known()
    samples, instant_s = _shown(device)
    times = samples.time_s - lag
    inside = _covered(times, nodes)
    times = times[inside]
    if not len(times):
        nothing = np.empty(0)
        return Errors(nothing, nothing, nothing, nothing)
    expected = np.interp(times, nodes.time_s, nodes.value)
    slope = np.interp(times, nodes.time_s, np.abs(np.gradient(nodes.value, nodes.time_s)))
    certain = np.interp(times, nodes.time_s, nodes.uncertainty)
    return Errors(
        samples.time_s[inside],
        expected,
        samples.value[inside] - expected,
        certain + _bend(times, nodes) + slope * instant_s[inside],
    )


def _shown(device: Series) -> tuple[Series, FloatArray]:
    """The samples that count, and how uncertain each one's instant is, in s.

    New ones and, where changes have a rhythm, those whose value should long have been another.
    """
    known, fresh = device.known(), device.fresh()
    if len(fresh) < LEAST_SAMPLES:
        return known, np.full(len(known), _instant_s(device))
    usual_s = float(np.median(np.diff(fresh.time_s)))
    changed = np.searchsorted(fresh.time_s, known.time_s, side="right") - 1
    held_s = known.time_s - fresh.time_s[np.maximum(changed, 0)]
    counts = (held_s == 0.0) | (held_s > _OVERDUE * usual_s)
    instant_s = np.where(held_s == 0.0, _instant_s(device), usual_s)
    return known.where(counts), instant_s[counts]


def _covered(times: FloatArray, nodes: Series) -> NDArray[np.bool_]:
    """Which times lie between samples of the reference, and in no hole of it."""
    if len(nodes) < 2:
        return np.zeros(len(times), np.bool_)
    apart_s = np.diff(nodes.time_s)
    after = np.clip(np.searchsorted(nodes.time_s, times, side="right"), 1, len(nodes) - 1)
    near = apart_s[after - 1] <= _HOLE * float(np.median(apart_s))
    covered: NDArray[np.bool_] = (times >= nodes.time_s[0]) & (times <= nodes.time_s[-1]) & near
    return covered


def _bend(times: FloatArray, nodes: Series) -> FloatArray:
    """How far the reference may be from the straight line between two of its samples.

    A curve f is within h^2/8 max|f''| of its chord over h; f'' is what the slopes beside differ by.
    """
    if len(nodes) < 3:
        return np.zeros(len(times))
    apart_s = np.diff(nodes.time_s)
    turns = np.abs(np.diff(np.diff(nodes.value) / apart_s))
    around = np.maximum(np.append(turns, turns[-1]), np.insert(turns, 0, turns[0]))
    after = np.clip(np.searchsorted(nodes.time_s, times, side="right"), 1, len(nodes) - 1)
    within: FloatArray = around[after - 1] * apart_s[after - 1] / 8.0
    return within


def _instant_s(device: Series) -> float:
    """How uncertain the instant is at which a sample was true.

    Half a poll for values that are new; half a refresh where, for want of enough changes, values
    count that are held over from earlier polls.
    """
    known, fresh = device.known(), device.fresh()
    if len(known) < 2:
        return 0.0
    if 0 < len(fresh) < LEAST_SAMPLES:
        return float(known.time_s[-1] - known.time_s[0]) / (len(fresh) + 1)
    return known.poll_s / 2.0


def noise_of_errors(found: Errors) -> float | None:
    """Standard deviation of the errors from one sample to the next; bias, drift, steps fall out."""
    if len(found.error) < LEAST_SAMPLES:
        return None
    steps = np.diff(found.error)
    # By the median deviation, a standard one divided by 1.4826: a step that lags is no noise.
    return float(1.4826 * np.median(np.abs(steps - np.median(steps))) / np.sqrt(2.0))


def noise_alone(device: Series) -> float | None:
    """At most this is the device's noise: what a smooth signal's second differences leave.

    None for too few samples, and for a value that never changes: that tells nothing.
    """
    samples = _usable(device)
    if len(samples) < LEAST_SAMPLES or not len(device.fresh()):
        return None
    # The variance of x[k-1] - 2 x[k] + x[k+1] of white noise is 1 + 4 + 1 times its own.
    return float(np.diff(samples.value, 2).std() / np.sqrt(6.0))


def trend(found: Errors) -> Trend | None:
    """How the errors change over the run; None for too few."""
    count = len(found.error)
    if count < LEAST_SAMPLES:
        return None
    seconds = float(found.time_s[-1] - found.time_s[0])
    times = found.time_s - found.time_s.mean()
    square = float((times**2).sum())
    if square == 0.0:
        return None
    slope = float((times * found.error).sum()) / square
    rest = found.error - found.error.mean() - slope * times
    deviation = float(np.sqrt((rest**2).sum() / (count - 2) / square))
    return Trend(slope * seconds, 2.0 * deviation * seconds, seconds)


def step_in(series: Series, first_s: float, last_s: float) -> tuple[float, float, float] | None:
    """The clearest step between two times: when, from which level and to which; None if none is."""
    known = series.known()
    best: tuple[float, float, float] | None = None
    clearest = _CLEAR
    for k in range(1, len(known)):
        when = float(known.time_s[k - 1] + known.time_s[k]) / 2.0
        if not first_s <= when <= last_s:
            continue
        ends = (when - _PLATEAU_S, when - _SHARP_S / 2, when + _SHARP_S / 2, when + _PLATEAU_S)
        a, b, c, d = np.searchsorted(known.time_s, ends)
        before, after = known.value[a:b], known.value[c:d]
        if len(before) < 2 or len(after) < 2:
            continue
        low, high = float(np.median(before)), float(np.median(after))
        wobble = float(max(np.ptp(before), np.ptp(after), 1e-9 * abs(high - low)))
        middle = (low + high) / 2.0
        crosses = (known.value[k - 1] - middle) * (known.value[k] - middle) <= 0.0
        if high != low and crosses and abs(high - low) / wobble > clearest:
            clearest = abs(high - low) / wobble
            best = (when, low, high)
    return best


def step_response(device: Series, reference: Series) -> StepResponse | None:
    """The device's answer to the clearest step of the reference.

    None when there is no step, or none that the reference stays at for long enough to answer.
    """
    known = device.known()
    if not len(known):
        return None
    # A step that the device was not watched at, before and after, says nothing of it.
    first_s, last_s = float(known.time_s[0]), float(known.time_s[-1])
    found = step_in(reference, first_s, last_s - min(_HELD_S, (last_s - first_s) / 2.0))
    if found is None:
        return None
    when, low, high = found
    held_s = _held_s(reference.known(), when, low, high)
    if held_s < _HELD_S:
        return None
    apart_s = np.abs(reference.known().time_s - when).min()
    before = known.value[(known.time_s >= when - _PLATEAU_S) & (known.time_s <= when)]
    following = known.where((known.time_s > when) & (known.time_s <= when + held_s))
    if not len(before) or not len(following):
        return StepResponse(when, high - low, None, 0.0, float(apart_s))
    start = float(np.median(before))
    # A gain error must not hide the answer: 90 % of where the device itself goes.
    end = float(np.median(following.value[-max(1, len(following) // 5) :]))
    done = np.flatnonzero(
        (following.value - start) * np.sign(end - start) >= 0.9 * abs(end - start)
    )
    moved = abs(end - start) >= 0.5 * abs(high - low)
    response = float(following.time_s[done[0]] - when) if moved and len(done) else None
    watched_s = float(following.time_s[-1] - when)
    return StepResponse(when, high - low, response, watched_s, float(apart_s))


def _held_s(reference: Series, when: float, low: float, high: float) -> float:
    """How long after a step the reference stays within a tenth of it, at most `_SETTLE_S`."""
    after = reference.where(reference.time_s > when + _SHARP_S / 2)
    gone = after.time_s[np.abs(after.value - high) > 0.1 * abs(high - low)]
    return float(min(np.append(gone - when, _SETTLE_S)))

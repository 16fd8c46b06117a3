"""The time of a source that runs at its own rate, measured against the system clock.

What is seen: sample number i arrived at this time. Arrivals are late by the transport, never early,
and mostly by little. So the lower envelope of arrival times over the sample count is the source's
clock, moved by the least delay of its transport, which cannot be told from a shift of that clock.
The slope is that of the lower convex hull at the points' mean, the line below all points that is
closest to them (Moon, Skelly and Towsley, "Estimation and removal of clock skew from network delay
measurements", INFOCOM 1999).
"""

from __future__ import annotations

from collections import deque
from itertools import pairwise
from math import isfinite

import numpy as np
from numpy.typing import NDArray

MAX_RATE_ERROR = 1e-3
"""Largest deviation from the nominal rate that is followed, relative: crystals keep 100 ppm."""

_RATE_ACCEPTED = 50e-6
"""A measured rate is used once it is known to 50 ppm: the nominal one may be 200 ppm off."""

_RATE_DRIFT_PER_S = 0.5e-6
"""How fast an estimate of the rate loses its worth: a crystal drifts by < 0.5 ppm a second.

Its age is that of the points' middle. A drift that sets in at up to 2 ppm/s is within the bound
from its first second on, by what changes within the points; a faster one after half a minute.
"""

_CHANGE_SHARE = 2.0
"""What begins within the points has changed by up to twice as much as from half to half."""

_POINT_S = 0.25  # the earliest arrival of so long is one point of the envelope
_POINTS = 128  # 32 s: longer sees drift as noise, shorter sees noise as drift
_RATE_EVERY = 4  # points to a new estimate of the rate, once there are 8 s: it changes little
_RATE_EACH = 32
_OLDEST_S = 150.0  # a point older than this says nothing about the rate now
_RECENT = 8  # the points of 2 s, which give the phase
_LAG = 1.5  # a slew that has raised the two newest points has gone on by half as much since
_SETTLED_S = 1.0
_STEP_S = 1e-3  # a shift beyond this and beyond the noise is a step, not drift
_STEP_NOISE = 8.0
_STEP_BLOCKS = 3  # one early arrival is a stumble of the clock, three in a row are a step
_NS = 1e9

Points = NDArray[np.float64]
Hull = list[tuple[float, float]]


class SourceClock:
    """Rate and phase of one source from its arrivals; `nominal_rate_hz` is what it is said to be.

    Jumps of the source's time and steps of the system clock begin a new phase and leave the rate
    as it is. A slew of the system clock of over about 30 s is taken for the source's rate. Before
    the rate is measured it counts as known to 1000 ppm.
    """

    def __init__(self, nominal_rate_hz: float) -> None:
        self._nominal_hz = nominal_rate_hz
        self._slope = 0.0  # ns late per ns of nominal time
        self._slope_error = MAX_RATE_ERROR
        self._slope_at_s = 0.0
        self._refuted_error = 0.0  # by an estimate that is no rate to go on with
        self._origin: tuple[int, int] | None = None  # sample index and UTC ns
        self._elapsed_s = 0.0
        self._arrived_s = 0.0
        self._points: deque[tuple[float, float]] = deque(maxlen=_POINTS)
        self._recent: deque[tuple[float, float]] = deque(maxlen=2 * _RECENT)
        self._open: tuple[int, float, float] | None = None  # number, x, y of the running point
        self._kept = 0
        self._early: list[tuple[float, float]] = []
        self._phase = 0.0
        self._phase_noise_s = np.inf

    @property
    def settled(self) -> bool:
        """Whether the phase is known: after 1 s of samples and of arrivals."""
        return min(self._elapsed_s, self._arrived_s) >= _SETTLED_S and len(self._recent) > 3

    @property
    def rate_hz(self) -> float:
        """Samples per second of the system clock; the nominal one until it is measured."""
        return self._nominal_hz / (1.0 + self._slope)

    @property
    def rate_error(self) -> float:
        """Bound on the relative error of `rate_hz` against the system clock."""
        return min(max(self._aged_error, self._refuted_error), MAX_RATE_ERROR)

    @property
    def _aged_error(self) -> float:
        """What the last estimate that was used is still worth."""
        return self._slope_error + _RATE_DRIFT_PER_S * (self._elapsed_s - self._slope_at_s)

    @property
    def phase_error_s(self) -> float:
        """Bound on the error of `time_ns` in s, beside the transport's least delay."""
        if not self._recent:
            return np.inf
        first_s = self._recent[-min(_RECENT, len(self._recent))][0]
        return float(self._phase_noise_s + self.rate_error * (self._elapsed_s - first_s))

    def time_ns(self, index: int) -> int:
        """UTC ns at which this sample was taken; RuntimeError before the first arrival."""
        if self._origin is None:
            raise RuntimeError("no samples have arrived")
        first, origin_ns = self._origin
        nominal_ns = (index - first) * _NS / self._nominal_hz
        return origin_ns + round(nominal_ns) + round(self._phase + self._slope * nominal_ns)

    def arrived(self, end_index: int, received_ns: int) -> None:
        """Samples up to but without `end_index` had arrived at `received_ns` (UTC)."""
        if self._origin is None:
            self._origin = (end_index, received_ns)
        first, origin_ns = self._origin
        x = (end_index - first) / self._nominal_hz
        y = received_ns - origin_ns - x * _NS
        self._elapsed_s = x
        self._arrived_s = (received_ns - origin_ns) / _NS
        if self.settled and self._late_ns(x, y) < -self._step_ns():
            self._early.append((x, y))
            if len(self._early) >= _STEP_BLOCKS:
                self._begin_phase(self._early)
            return
        self._early.clear()
        self._take(x, y)

    def _late_ns(self, x: float, y: float) -> float:
        return y - self._slope * x * _NS - self._phase

    def _step_ns(self) -> float:
        noise_s = self.phase_error_s
        return max(_STEP_S, _STEP_NOISE * noise_s if isfinite(noise_s) else 0.0) * _NS

    def _begin_phase(self, points: list[tuple[float, float]]) -> None:
        """The time has stepped: forget all points but these."""
        kept = list(points)
        self._early.clear()
        self._points.clear()
        self._recent.clear()
        self._open = None
        for x, y in kept:
            self._keep(x, y)

    def _take(self, x: float, y: float) -> None:
        """Gather the earliest of what arrives in each quarter second."""
        number = int(self._arrived_s / _POINT_S)
        if self._open is not None and number != self._open[0]:
            _, point_x, point_y = self._open
            self._open = None
            self._keep(point_x, point_y)
        late = self._late_ns(x, y)
        if self._open is None or late < self._late_ns(*self._open[1:]):
            self._open = (number, x, y)

    def _keep(self, x: float, y: float) -> None:
        self._points.append((x, y))
        self._recent.append((x, y))
        while x - self._points[0][0] > _OLDEST_S:
            self._points.popleft()
        self._kept += 1
        if len(self._points) < _RATE_EACH or self._kept % _RATE_EVERY == 0:
            self._estimate_rate()
        self._estimate_phase()

    def _estimate_rate(self) -> None:
        points = np.array(self._points)
        third = len(points) // 3
        if third < 3:
            return
        half = len(points) // 2
        first, second = _lower_hull(points[:half].tolist()), _lower_hull(points[half:].tolist())
        slope = _slope_at(_lower_hull(first + second), points)
        late = points[:, 1] - slope * points[:, 0] * _NS
        late -= late.min()
        baseline_s = float(points[-third:, 0].mean() - points[:third, 0].mean())
        noise_ns = _small(late[:third]) + _small(late[-third:])
        # The slope is that of the middle: what changed from half to half has gone on since.
        change = abs(_slope_at(second, points[half:]) - _slope_at(first, points[:half]))
        noise = noise_ns / _NS / baseline_s
        error, full = noise + _CHANGE_SHARE * change, len(points) == _POINTS
        known = min(self._aged_error, MAX_RATE_ERROR)
        # Once there are all points a drift makes the estimate less sure, but the last one as well.
        is_better = noise + change <= _RATE_ACCEPTED and noise + change * (not full) <= known
        if is_better and abs(slope) <= MAX_RATE_ERROR:
            # The phase is that of x = 0: the line must not move where the points are.
            self._phase += (self._slope - slope) * self._elapsed_s * _NS
            self._slope, self._slope_error = slope, error
            self._slope_at_s = float(points[:, 0].mean())
            self._refuted_error = 0.0
        elif full:
            self._refuted_error = abs(slope - self._slope) + error

    def _estimate_phase(self) -> None:
        points = np.array(self._recent)
        late = points[:, 1] - self._slope * points[:, 0] * _NS
        recent, before = late[-_RECENT:], late[:-_RECENT]
        phase = float(recent.min())
        noise_ns = _small(recent - phase)
        lag_ns = _LAG * float(recent[-2:].min() - phase)
        if len(before) == _RECENT and phase - before.min() > self._step_ns():
            self._begin_phase([(x, y) for x, y in points[-_RECENT:].tolist()])
            return
        self._phase = phase
        self._phase_noise_s = max(noise_ns, lag_ns) / _NS


def _lower_hull(points: Hull) -> Hull:
    """The corners of the convex hull's lower side, of points in the order of x."""
    hull: Hull = []
    for point in points:
        x, y = point
        while len(hull) > 1:
            (x1, y1), (x2, y2) = hull[-2:]
            if (y2 - y1) * (x - x1) < (y - y1) * (x2 - x1):
                break
            hull.pop()
        hull.append(point)
    return hull


def _slope_at(hull: Hull, points: Points) -> float:
    """Slope (ns a ns) of the lower hull of (x in s, y in ns) at the mean of the points' x."""
    mean = points[:, 0].mean()
    for (x1, y1), (x2, y2) in pairwise(hull):
        if x2 >= mean:
            return float((y2 - y1) / (x2 - x1) / _NS)
    return 0.0


def _small(late: Points) -> float:
    """A bound on how far the least of these lies above the true envelope.

    The gap to the k-th least is beyond the least's own excess in all but 2^(1-k) of cases, for
    delays of exponential distribution: k is up to 10, fewer where there are fewer points, and
    nothing is known from less than 3.
    """
    if len(late) < 3:
        return np.inf
    return float(np.sort(late)[min(10, max(3, len(late) // 2)) - 1])

"""Samples of one point over time, and what can be told from their changes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from drivers.codec import PointCodec
from drivers.profile_types import Point, Profile

FloatArray = NDArray[np.float64]

# Fewer changes than this tell no interval.
LEAST_CHANGES = 4
# A standard deviation of the intervals below this share of their mean is a clock, not a signal.
_REGULAR = 0.25


@dataclass(frozen=True, slots=True)
class Series:
    """A point's samples, arrays of shape (n,).

    `time_s` are Unix seconds, ascending; `value` is in the canonical unit, NaN where unknown;
    `uncertainty` likewise, the half width (k = 2), NaN where unknown.
    """

    time_s: FloatArray
    value: FloatArray
    uncertainty: FloatArray

    @classmethod
    def of(
        cls, time_s: list[float], value: list[float], uncertainty: list[float] | None = None
    ) -> Series:
        """A series from lists; `uncertainty` is unknown when not given."""
        times = np.asarray(time_s, np.float64)
        unknown = np.full(len(times), np.nan)
        return cls(
            times,
            np.asarray(value, np.float64),
            unknown if uncertainty is None else np.asarray(uncertainty, np.float64),
        )

    def __len__(self) -> int:
        return len(self.time_s)

    def where(self, chosen: NDArray[np.bool_]) -> Series:
        """The samples for which `chosen`, of shape (n,), is true."""
        return Series(self.time_s[chosen], self.value[chosen], self.uncertainty[chosen])

    def known(self) -> Series:
        """The samples whose value is known."""
        return self.where(~np.isnan(self.value))

    def fresh(self) -> Series:
        """The known samples whose value is another than the one before."""
        known = self.known()
        differs = np.diff(known.value) != 0.0
        return known.where(np.concatenate([np.zeros(min(1, len(known)), np.bool_), differs]))

    @property
    def poll_s(self) -> float:
        """How far apart the samples usually are; NaN for fewer than two."""
        return float(np.median(np.diff(self.time_s))) if len(self) > 1 else float("nan")


@dataclass(frozen=True, slots=True)
class Refresh:
    """How often a point takes a new value, all in seconds.

    `interval_s` is the mean time between `changes`, `usual_s` what half of them stay under,
    `resolution_s` how well the interval is known, given the poll. `regular` says that the changes
    come like a clock, so that the device and not the signal makes them. None: never changed, or too
    rarely to tell; that is unknown, not slow.
    """

    changes: int
    poll_s: float
    interval_s: float | None = None
    usual_s: float | None = None
    resolution_s: float | None = None
    regular: bool = False


def refresh(series: Series) -> Refresh:
    """The refresh interval by counting changes, of samples that came faster than the changes."""
    known, fresh = series.known(), series.fresh()
    if len(fresh) < LEAST_CHANGES:
        return Refresh(len(fresh), known.poll_s)
    intervals = np.diff(fresh.time_s)
    mean = float(intervals.mean())
    # The steps of a slow ramp through a coarse register are a clock too, but the signal's.
    steps = np.abs(np.diff(fresh.value))
    one_step = bool(np.ptp(steps) <= 1e-9 * max(1e-300, float(steps.max())))
    return Refresh(
        len(fresh),
        known.poll_s,
        mean,
        float(np.median(intervals)),
        known.poll_s / len(intervals),
        regular=not one_step and float(intervals.std()) < _REGULAR * mean,
    )


def resolution(profile: Profile, point: Point, polled: Mapping[str, Series]) -> float:
    """The largest canonical difference that one step of the point's registers makes; 0 for floats.

    What scales it beside its own registers is taken from the run's samples, by point.
    """
    step = PointCodec(point).resolution()
    if point.fraction is not None:
        # The fraction's step is a share of the integer's.
        step *= PointCodec(profile.points[point.fraction]).resolution()
    for name, factor in ((point.scale_by, _power_of_ten), (point.factor_by, abs)):
        known = () if name is None else polled[name].known().value
        step *= max((factor(float(value)) for value in known), default=1.0)
    return step


def _power_of_ten(exponent: float) -> float:
    power: float = 10.0**exponent
    return power


def falls(series: Series, resolution: float) -> FloatArray:
    """By how much a counter fell, each time that it did; a register's last step is no fall."""
    steps = np.diff(series.known().value)
    return -steps[steps < -max(resolution, 0.0) * 1.5]

"""The ledger of promised power and heat: what is free in each moment from now on.

Free power is counted in W of IT load: (import limit - base load)/(1 + cooling overhead), less the
power of every reservation that holds at that moment. The base load is what the facility draws
without the workloads that are known here, cooling included.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

TOLERANCE_W = 1.0
"""Comparisons are to the watt: the finest that a message in MW with six decimals carries."""

PAST_TOLERANCE_S = 60.0
"""A start that far back still counts as now: clocks differ and messages travel."""

LATEST_S = 253_402_300_799.0
"""9999-12-31T23:59:59Z, the last second that ISO 8601 can write."""


@dataclass(frozen=True, slots=True)
class LimitStep:
    """From `from_s` (Unix seconds) on, the import may reach `limit_w`."""

    from_s: float
    limit_w: float


@dataclass(frozen=True, slots=True)
class Reservation:
    """Power and heat in W promised from `start_s` to `end_s` (Unix seconds; None: open-ended)."""

    start_s: float
    end_s: float | None
    power_w: float
    heat_w: float

    def holds_at(self, moment_s: float) -> bool:
        """Whether it holds at that Unix time; the end does not belong to it."""
        return self.start_s <= moment_s and (self.end_s is None or moment_s < self.end_s)


@dataclass(frozen=True, slots=True)
class Capacity:
    """Free power and cooling in W; negative when overdrawn, `heat_w` infinite when not limited."""

    power_w: float
    heat_w: float

    def holds(self, power_w: float, heat_w: float) -> bool:
        """Whether that power and heat fit, to the watt."""
        return power_w <= self.power_w + TOLERANCE_W and heat_w <= self.heat_w + TOLERANCE_W


@dataclass(frozen=True, slots=True)
class Site:
    """What a decision knows about the facility; powers and heats in W.

    `limits` is a step function in ascending time whose first step lies at or before now.
    `base_power_w` and `base_heat_w` are the load without the known workloads, `measured_power_w`
    the import with them; feeds whose power is unknown are counted at their rating and `notes` say
    so. `cooling_capacity_w` is None when no coolant loop is configured: heat is then no limit.
    `coolant_supply_c` is the warmest supply of the loops that count, in Cel.
    """

    rated_power_w: float
    limits: tuple[LimitStep, ...]
    base_power_w: float
    measured_power_w: float
    cooling_overhead: float
    base_heat_w: float = 0.0
    cooling_capacity_w: float | None = None
    coolant_supply_c: float | None = None
    notes: tuple[str, ...] = ()


class FreeCapacity:
    """The step function of what is free from `now_s` on, under a set of reservations."""

    def __init__(self, site: Site, reservations: Iterable[Reservation], now_s: float) -> None:
        limits = [step for step in site.limits if step.from_s > now_s]
        promised = _Promised(reservations, now_s, [step.from_s for step in limits])
        self._starts_s = promised.moments_s
        self._ends_s = np.append(self._starts_s[1:], math.inf)
        limit_w = np.full(self._starts_s.size, limit_at(site.limits, now_s))
        for step in limits:
            limit_w[self._starts_s >= step.from_s] = step.limit_w
        head_room_w = limit_w - site.base_power_w
        self._power_w = head_room_w / (1.0 + site.cooling_overhead) - promised.power_w
        self._heat_w = (
            np.full(self._starts_s.size, math.inf)
            if site.cooling_capacity_w is None
            else site.cooling_capacity_w - site.base_heat_w - promised.heat_w
        )

    def least(self, start_s: float, duration_s: float | None) -> Capacity:
        """The least power and the least cooling that are free in [start, start + duration)."""
        first = max(0, int(np.searchsorted(self._starts_s, start_s, "right")) - 1)
        end_s = math.inf if duration_s is None else start_s + duration_s
        last = max(first + 1, int(np.searchsorted(self._starts_s, end_s, "left")))
        return Capacity(
            float(self._power_w[first:last].min()), float(self._heat_w[first:last].min())
        )

    def earliest_start(
        self,
        power_w: float,
        heat_w: float,
        *,
        from_s: float,
        until_s: float,
        duration_s: float | None,
    ) -> float | None:
        """The first start in [from, until] at which that power and heat fit throughout, or None.

        A start other than `from_s` is a whole second, so that it survives ISO 8601.
        """
        start_s = from_s
        fits = (power_w <= self._power_w + TOLERANCE_W) & (heat_w <= self._heat_w + TOLERANCE_W)
        # Only a step that does not fit can push the start back, to its own end.
        for index in np.flatnonzero(~fits):
            if duration_s is not None and self._starts_s[index] >= start_s + duration_s:
                break
            end_s = float(self._ends_s[index])
            if end_s <= start_s:
                continue
            if math.isinf(end_s) or math.ceil(end_s) > until_s:
                return None
            start_s = float(math.ceil(end_s))
        return start_s


class _Promised:
    """Power and heat in W that reservations hold from each of `moments_s` on."""

    def __init__(
        self, reservations: Iterable[Reservation], now_s: float, others_s: Sequence[float] = ()
    ) -> None:
        rows = [
            (
                max(now_s, r.start_s),
                math.inf if r.end_s is None else r.end_s,
                r.power_w,
                r.heat_w,
            )
            for r in reservations
            if r.end_s is None or r.end_s > now_s
        ]
        begins_s, ends_s, power_w, heat_w = np.array(rows, dtype=float).reshape(-1, 4).T
        ending = np.isfinite(ends_s)
        self.moments_s = np.unique(np.concatenate(([now_s], others_s, begins_s, ends_s[ending])))
        begins = np.searchsorted(self.moments_s, begins_s)
        ends = np.searchsorted(self.moments_s, ends_s[ending])
        self.power_w = self._held(begins, ends, power_w, power_w[ending])
        self.heat_w = self._held(begins, ends, heat_w, heat_w[ending])

    def _held(
        self,
        begins: NDArray[np.intp],
        ends: NDArray[np.intp],
        taken_w: NDArray[np.float64],
        given_back_w: NDArray[np.float64],
    ) -> NDArray[np.float64]:
        size = self.moments_s.size
        change_w = np.bincount(begins, taken_w, size) - np.bincount(ends, given_back_w, size)
        return np.cumsum(change_w)


def limit_at(limits: Sequence[LimitStep], moment_s: float) -> float:
    """The import limit in W in force at that Unix time; the steps are in ascending time."""
    index = bisect_right(limits, moment_s, key=lambda step: step.from_s) - 1
    return limits[max(0, index)].limit_w


def peak_reserved_w(reservations: Iterable[Reservation], now_s: float) -> float:
    """The most IT power in W that is promised at any one moment from `now_s` on."""
    return float(_Promised(reservations, now_s).power_w.max())


class BaseLoad:
    """What the facility draws, or heats, without the known workloads, in W; followed over time.

    It is taken as unchanged since it was last seen without them, unless the measurement says
    otherwise: it is never above what is measured, nor below that less all that the workloads may
    draw. Before anything was seen nothing is credited to the workloads. The one thing this cannot
    see is other load that grows while a workload draws less than it may.
    """

    def __init__(self, value_w: float | None = None) -> None:
        self.value_w = value_w
        self._drawn_w = 0.0

    def follow(self, measured_w: float, workloads_w: float) -> float:
        """The base load under a measurement, of which the workloads may account for so much."""
        before_w = measured_w if self.value_w is None else self.value_w
        self.value_w = min(max(before_w, measured_w - workloads_w), measured_w)
        self._drawn_w = measured_w - self.value_w
        return self.value_w

    def assume(self, estimated_w: float) -> float:
        """The base load where part of the measurement is an estimate; nothing is learnt from it."""
        return max(self.value_w or 0.0, estimated_w - self._drawn_w)

"""The ledger of promised power and heat: what is free in each moment from now on.

Free power is counted in W of IT load: (import limit - base load)/(1 + cooling overhead), less the
power of every reservation that holds at that moment. The base load is what the facility draws
without the workloads that are known here, cooling included.
"""

from __future__ import annotations

import itertools
import math
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

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
        held = [r for r in reservations if r.end_s is None or r.end_s > now_s]
        changes = _changes(held, now_s)
        moments = {now_s, *changes, *(s.from_s for s in site.limits if s.from_s > now_s)}
        self._starts = sorted(moments)
        self._free: list[Capacity] = []
        power_w = heat_w = 0.0
        for moment_s in self._starts:
            delta_power_w, delta_heat_w = changes.get(moment_s, (0.0, 0.0))
            power_w += delta_power_w
            heat_w += delta_heat_w
            self._free.append(_free(site, moment_s, power_w, heat_w))

    def least(self, start_s: float, duration_s: float | None) -> Capacity:
        """The least power and the least cooling that are free in [start, start + duration)."""
        end_s = math.inf if duration_s is None else start_s + duration_s
        first = self._segment(start_s)
        parts = [self._free[first]]
        for index in range(first + 1, len(self._starts)):
            if self._starts[index] >= end_s:
                break
            parts.append(self._free[index])
        return Capacity(min(p.power_w for p in parts), min(p.heat_w for p in parts))

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
        for index in range(self._segment(from_s), len(self._starts)):
            ends_s = self._ends(index)
            if ends_s <= start_s:
                continue
            if not self._free[index].holds(power_w, heat_w):
                if math.isinf(ends_s):
                    return None
                start_s = float(math.ceil(ends_s))
                if start_s > until_s:
                    return None
            elif duration_s is not None and ends_s >= start_s + duration_s:
                return start_s
        return start_s

    def _segment(self, moment_s: float) -> int:
        return max(0, bisect_right(self._starts, moment_s) - 1)

    def _ends(self, index: int) -> float:
        return self._starts[index + 1] if index + 1 < len(self._starts) else math.inf


def limit_at(limits: Sequence[LimitStep], moment_s: float) -> float:
    """The import limit in W in force at that Unix time; the steps are in ascending time."""
    index = bisect_right(limits, moment_s, key=lambda step: step.from_s) - 1
    return limits[max(0, index)].limit_w


def peak_reserved_w(reservations: Iterable[Reservation], now_s: float) -> float:
    """The most IT power in W that is promised at any one moment from `now_s` on."""
    changes = _changes([r for r in reservations if r.end_s is None or r.end_s > now_s], now_s)
    promised = itertools.accumulate(changes[moment_s][0] for moment_s in sorted(changes))
    return max(promised, default=0.0)


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


def _changes(held: Sequence[Reservation], now_s: float) -> dict[float, tuple[float, float]]:
    """Change of the reserved power and heat in W at each moment; what holds already starts now."""
    changes: dict[float, tuple[float, float]] = {}

    def add(moment_s: float, power_w: float, heat_w: float) -> None:
        before = changes.get(moment_s, (0.0, 0.0))
        changes[moment_s] = (before[0] + power_w, before[1] + heat_w)

    for reservation in held:
        add(max(now_s, reservation.start_s), reservation.power_w, reservation.heat_w)
        if reservation.end_s is not None:
            add(reservation.end_s, -reservation.power_w, -reservation.heat_w)
    return changes


def _free(site: Site, moment_s: float, power_w: float, heat_w: float) -> Capacity:
    head_room_w = limit_at(site.limits, moment_s) - site.base_power_w
    cooling_w = math.inf
    if site.cooling_capacity_w is not None:
        cooling_w = site.cooling_capacity_w - site.base_heat_w - heat_w
    return Capacity(head_room_w / (1.0 + site.cooling_overhead) - power_w, cooling_w)

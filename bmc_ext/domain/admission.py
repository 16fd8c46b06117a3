"""The decision on an announced workload, from what power and cooling really remain (DCPI 6.1.3)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from bmc_ext.domain.ledger import (
    LATEST_S,
    PAST_TOLERANCE_S,
    Capacity,
    FreeCapacity,
    Reservation,
    Site,
)
from bmc_ext.domain.workload import Alternative, Announcement, ApprovalStatus, Decision

ALTERNATIVE_LEAD_S = 60.0
"""Time that an alternative to a start in the past, or to one that cannot be read, leaves the
workload to announce again."""

LOAD_DRIFT = 0.02
"""Share of the base load that an alternative leaves free, where it can: the load moves by about
that much before the workload is announced again, and what cannot throttle would be refused."""

COOLANT_TOLERANCE_K = 0.5
"""Set-point accuracy of single-phase temperature regulation (DCPI 6.3.1 b)."""

_GRAIN_W = 1000.0  # limits are granted in whole kW, rounded down


def decide(
    announcement: Announcement, site: Site, ledger: Sequence[Reservation], now_s: float
) -> Decision:
    """Decide an announcement from what power and cooling really remain.

    In this order: the power asked for at the start asked for; less power at that start where the
    workload can throttle; a later start where it can be delayed; a rejection, with an alternative
    wherever there is one.
    """
    return _Case(announcement, site, ledger, FreeCapacity(site, ledger, now_s), now_s).decide()


@dataclass(slots=True)
class _Case:
    """One announcement before the site; `reasons` grow while it is decided."""

    wish: Announcement
    site: Site
    ledger: Sequence[Reservation]
    free: FreeCapacity
    now_s: float
    reasons: list[str] = field(default_factory=list)

    def decide(self) -> Decision:
        refusal = self._impossible()
        if refusal is not None:
            return self._reject(refusal)
        start_s = self._wanted_start_s()
        there = self.free.least(start_s, self.wish.duration_s)
        if there.holds(self.wish.peak_power_w, self.wish.heat_w):
            return self._grant(start_s, self.wish.peak_power_w)
        self.reasons.append(self._shortage(there))
        power_w = self._grantable_w(there)
        if power_w is not None:
            return self._grant(start_s, power_w)
        later_s = self._later_start_s(start_s)
        if later_s is None:
            return self._reject(self._stiffness())
        later_w = self._grantable_w(self.free.least(later_s, self.wish.duration_s))
        if later_w is None:
            return self._reject()
        self.reasons.append(f"it can start {later_s - start_s:.0f} s later")
        return self._grant(later_s, later_w)

    def _wanted_start_s(self) -> float:
        """The start asked for, but not before now."""
        return max(self.now_s, self.wish.start_s if self.wish.start_s is not None else self.now_s)

    def _impossible(self) -> str | None:
        """Why no plan can help this announcement, or None."""
        start_s, duration_s = self.wish.start_s, self.wish.duration_s
        if self.wish.objection is not None:
            return self.wish.objection
        if start_s is not None and self._is_past():
            over = duration_s is not None and start_s + duration_s <= self.now_s
            return "the announced time is over" if over else "the start is in the past"
        if self.wish.peak_power_w > self.site.rated_power_w:
            peak, rated = _mw(self.wish.peak_power_w), _mw(self.site.rated_power_w)
            return f"peak power {peak} is above the facility's {rated}"
        return None

    def _is_past(self) -> bool:
        """Whether the start asked for lies further back than clocks differ."""
        start_s = self.wish.start_s
        return start_s is not None and start_s < self.now_s - PAST_TOLERANCE_S

    def _grantable_w(self, there: Capacity) -> float | None:
        """The most power in W that fits and is enough for the workload, or None."""
        wish = self.wish
        if there.holds(wish.peak_power_w, wish.heat_w):
            return wish.peak_power_w
        if not wish.can_throttle or not there.holds(0.0, 0.0):
            return None
        power_w = min(wish.peak_power_w, there.power_w)
        if wish.heat_w > 0:
            # Heat follows power in proportion.
            power_w = min(power_w, max(0.0, there.heat_w) / wish.heat_w * wish.peak_power_w)
        power_w = _floor(power_w)
        return power_w if power_w >= max(wish.min_power_w, _GRAIN_W) else None

    def _later_start_s(self, start_s: float) -> float | None:
        """The earliest start within the delay that the workload bears, or None."""
        wish = self.wish
        if not wish.can_delay or wish.max_delay_s <= 0:
            return None
        power_w, heat_w = wish.peak_power_w, wish.heat_w
        if wish.can_throttle and power_w > 0:
            # Above the minimum, so that rounding down to whole kW cannot fall below it.
            power_w = min(power_w, wish.min_power_w + 2 * _GRAIN_W)
            heat_w = wish.heat_w * (power_w / wish.peak_power_w)
        return self.free.earliest_start(
            power_w,
            heat_w,
            from_s=start_s,
            until_s=min(start_s + wish.max_delay_s, LATEST_S),
            duration_s=wish.duration_s,
        )

    def _stiffness(self) -> str:
        """Why neither throttling nor a delay helps."""
        wish = self.wish
        throttle = (
            f"its minimum of {_mw(wish.min_power_w)} does not fit"
            if wish.can_throttle
            else "it cannot throttle"
        )
        delay = (
            f"no start within {wish.max_delay_s:.10g} s does"
            if wish.can_delay
            else "it cannot be delayed"
        )
        return f"{throttle} and {delay}"

    def _grant(self, start_s: float, power_w: float) -> Decision:
        """Approve that power in W from that start."""
        wish = self.wish
        share = power_w / wish.peak_power_w if wish.peak_power_w > 0 else 1.0
        as_wanted = start_s <= self._wanted_start_s() and share >= 1.0
        cold_enough = self._coolant_fits()
        end_s = None if wish.duration_s is None else start_s + wish.duration_s
        return self._decision(
            "approved" if as_wanted and cold_enough else "approved_with_conditions",
            start_s=start_s,
            end_s=None if end_s is None or end_s > LATEST_S else end_s,
            max_power_w=power_w,
            max_heat_w=share * wish.heat_w,
            coolant_supply_c=self.site.coolant_supply_c,
        )

    def _coolant_fits(self) -> bool:
        """Whether the coolant is as cold as preferred; says so in the reasons where it is not."""
        preferred_c, supply_c = self.wish.preferred_coolant_c, self.site.coolant_supply_c
        if preferred_c is None or supply_c is None or supply_c <= preferred_c + COOLANT_TOLERANCE_K:
            return True
        self.reasons.append(f"the coolant comes at {supply_c:.1f} °C, not at {preferred_c:g} °C")
        return False

    def _reject(self, reason: str | None = None) -> Decision:
        if reason is not None:
            self.reasons.append(reason)
        return self._decision("rejected", alternative=self._alternative())

    def _alternative(self) -> Alternative | None:
        """A start and a peak that the same announcement would be approved with, or None.

        The earliest start that gives the workload enough; failing that, what there is at its start;
        failing that, the first start at which there is any power.
        """
        earliest_s = min(float(math.ceil(self._wanted_start_s())), LATEST_S)
        if self.wish.objection is not None or self._is_past():
            earliest_s = float(math.ceil(self.now_s + ALTERNATIVE_LEAD_S))
        enough_w = self.wish.min_power_w if self.wish.can_throttle else self.wish.peak_power_w
        for free in (self._free_after_drift(), self.free):
            found = (
                self._first_fit(free, max(enough_w, _GRAIN_W), earliest_s)
                or self._peak_at(free, earliest_s)
                or self._first_fit(free, _GRAIN_W, earliest_s)
            )
            if found is not None:
                return found
        return None

    def _free_after_drift(self) -> FreeCapacity:
        """What is free when the base load has grown by its drift."""
        grown = replace(
            self.site,
            base_power_w=self.site.base_power_w * (1 + LOAD_DRIFT),
            base_heat_w=self.site.base_heat_w * (1 + LOAD_DRIFT),
        )
        return FreeCapacity(grown, self.ledger, self.now_s)

    def _first_fit(
        self, free: FreeCapacity, power_w: float, earliest_s: float
    ) -> Alternative | None:
        """The earliest start for that power, with as much of the peak as fits there."""
        power_w = min(power_w, self.wish.peak_power_w)
        start_s = free.earliest_start(
            power_w,
            min(self.wish.heat_w, power_w),
            from_s=earliest_s,
            until_s=LATEST_S,
            duration_s=self.wish.duration_s,
        )
        return None if start_s is None else self._peak_at(free, start_s)

    def _peak_at(self, free: FreeCapacity, start_s: float) -> Alternative | None:
        """The highest peak that fits from that start, whether or not the heat is announced anew."""
        there = free.least(start_s, self.wish.duration_s)
        peak_w = min(self.wish.peak_power_w, there.power_w, self.site.rated_power_w)
        if self.wish.heat_w > there.heat_w:
            # Heat never exceeds the peak, so a peak within the free cooling is safe either way.
            peak_w = min(peak_w, there.heat_w)
        if peak_w < self.wish.peak_power_w:
            peak_w = _floor(peak_w)
        return Alternative(start_s, peak_w) if peak_w > 0 else None

    def _shortage(self, there: Capacity) -> str:
        """Which of power and cooling is short."""
        if self.wish.peak_power_w > there.power_w:
            return f"peak power is above the remaining {_mw(there.power_w)}"
        return f"heat is above the remaining cooling of {_mw(there.heat_w)}"

    def _decision(
        self,
        status: ApprovalStatus,
        *,
        start_s: float | None = None,
        end_s: float | None = None,
        max_power_w: float | None = None,
        max_heat_w: float | None = None,
        coolant_supply_c: float | None = None,
        alternative: Alternative | None = None,
    ) -> Decision:
        there = self.free.least(self._wanted_start_s(), self.wish.duration_s)
        return Decision(
            status=status,
            reasons=(*self.reasons, *self.wish.notes, *self.site.notes),
            power_available_w=max(0.0, there.power_w),
            cooling_available_w=None if math.isinf(there.heat_w) else max(0.0, there.heat_w),
            start_s=start_s,
            end_s=end_s,
            max_power_w=max_power_w,
            max_heat_w=max_heat_w,
            coolant_supply_c=coolant_supply_c,
            alternative=alternative,
        )


def _floor(power_w: float) -> float:
    return math.floor(power_w / _GRAIN_W) * _GRAIN_W


def _mw(power_w: float) -> str:
    """W as MW for a reason, rounded down to a kW and never below 0."""
    return f"{math.floor(max(0.0, power_w) / _GRAIN_W) / 1000:.10g} MW"

"""The grid connection: limits, stability, demand response, flexibility (DCPI 6.2.3, 8.2)."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from bmc_ext.domain.ledger import LATEST_S, PAST_TOLERANCE_S, LimitStep
from drivers.reading import Quality

Stability = Literal["normal", "stressed", "emergency"]
EventState = Literal["scheduled", "active", "completed", "refused"]

STABILITIES: tuple[Stability, ...] = ("normal", "stressed", "emergency")
"""From calm to worst; the draft's infrastructure_response names the first."""

NORMAL_DEVIATION_HZ = 0.2
"""Largest steady-state deviation in Continental Europe (Regulation (EU) 2017/1485, Annex III)."""

STRESSED_DEVIATION_HZ = 0.5
"""Range of ±1 % of 50 Hz in which a public network stays 99.5 % of a year (EN 50160, 4.2.1)."""

SECONDS_PER_HOUR = 3600.0


@dataclass(frozen=True, slots=True)
class GridSignal:
    """What the grid operator said of the grid; a member that it left out is None.

    `valid_until_s` (Unix seconds) None: until a newer signal says otherwise. Limit in W, price in
    the contract's currency per MWh. A refused limit caps nobody; whatever else it says holds.
    """

    signal_id: str
    received_s: float
    stability: Stability | None = None
    carbon_intensity_g_per_kwh: float | None = None
    price_per_mwh: float | None = None
    green_energy_available: bool | None = None
    import_limit_w: float | None = None
    valid_until_s: float | None = None
    limit_refused: bool = False

    def holds_at(self, moment_s: float) -> bool:
        """Whether the signal is in force at that Unix time."""
        return self.valid_until_s is None or moment_s < self.valid_until_s


@dataclass(frozen=True, slots=True)
class DemandResponse:
    """A request to reduce the load by `target_reduction_w` from `start_s` on, for `duration_s`.

    The reduction is None where the request does not name one; such a request is refused.
    """

    event_id: str
    event_type: str
    start_s: float
    duration_s: float
    target_reduction_w: float | None
    compensation_rate_per_mwh: float | None = None

    @property
    def end_s(self) -> float:
        """Unix time at which it is over."""
        return self.start_s + self.duration_s

    @property
    def reduction_w(self) -> float:
        """The reduction in W that counts: none where none is named."""
        return self.target_reduction_w or 0.0

    def overlaps(self, other: DemandResponse) -> bool:
        """Whether both are in force at some moment."""
        return self.start_s < other.end_s and other.start_s < self.end_s


@dataclass(frozen=True, slots=True)
class GridEvent:
    """A demand response that was accepted, or refused with reasons.

    `reference_power_w` is the import in W measured when it was decided, and what the events then in
    force took from it: the baseline from which the reduction counts.
    """

    request: DemandResponse
    accepted: bool
    reasons: tuple[str, ...]
    reference_power_w: float

    def state(self, now_s: float) -> EventState:
        """Where in its life the event is at that Unix time."""
        if not self.accepted:
            return "refused"
        if now_s < self.request.start_s:
            return "scheduled"
        return "active" if now_s < self.request.end_s else "completed"


@dataclass(frozen=True, slots=True)
class Throttleable:
    """A workload that can give up power from `start_s` until `end_s` (None: open-ended); W."""

    workload_id: str
    start_s: float
    end_s: float | None
    max_power_w: float
    min_power_w: float

    @property
    def flexibility_w(self) -> float:
        """How much it can give up, in W."""
        return max(0.0, self.max_power_w - self.min_power_w)

    def runs_at(self, moment_s: float) -> bool:
        """Whether it is to run at that Unix time."""
        return self.start_s <= moment_s and (self.end_s is None or moment_s < self.end_s)


@dataclass(frozen=True, slots=True)
class EventView:
    """An event as the status shows it; times in Unix seconds."""

    event_id: str
    event_type: str
    state: EventState
    start_s: float
    end_s: float
    target_reduction_w: float | None


@dataclass(frozen=True, slots=True)
class GridConditions:
    """What is known of the grid itself at a moment; unknown is None."""

    stability: Stability | None = None
    carbon_intensity_g_per_kwh: float | None = None
    price_per_mwh: float | None = None
    green_energy_available: bool | None = None


@dataclass(frozen=True, slots=True)
class GridStatus:
    """The grid connection in the window `window_id`; powers in W, unknown is None.

    `operator_limit_w` is what the facility's operator allows, the contract unless he set less;
    `import_limit_w` is the limit in effect, the least of contract, operator and grid.
    `quality` is that of the import measurement. `reserved_w` is the power at the grid connection
    that is promised to workloads beyond what is measured now, at its highest moment to come.
    `available_w` is the import limit less import and reserved power, with feeds whose power is
    unknown counted at their rating: a lower bound, never below 0. `flexibility_up_w` is the same
    power seen from the grid; `flexibility_down_w` what running workloads can give up.
    """

    window_id: int
    quality: Quality
    stability: Stability | None
    frequency_hz: float | None
    import_w: float | None
    contract_limit_w: float
    operator_limit_w: float
    import_limit_w: float
    reserved_w: float
    available_w: float
    flexibility_up_w: float
    flexibility_down_w: float
    carbon_intensity_g_per_kwh: float | None
    price_per_mwh: float | None
    green_energy_available: bool | None
    events: tuple[EventView, ...]


def stability_of_frequency(frequency_hz: float | None) -> Stability | None:
    """What a measured grid frequency says of the grid; None when it is unknown.

    The nominal frequency is the nearer of 50 and 60 Hz.
    """
    if frequency_hz is None:
        return None
    deviation_hz = min(abs(frequency_hz - 50.0), abs(frequency_hz - 60.0))
    if deviation_hz <= NORMAL_DEVIATION_HZ:
        return "normal"
    return "stressed" if deviation_hz <= STRESSED_DEVIATION_HZ else "emergency"


def grid_frequency_hz(frequencies: Iterable[float | None]) -> float | None:
    """The grid's frequency in Hz from those of the feeds: the median of the known ones, or None."""
    known = [value for value in frequencies if value is not None]
    return statistics.median(known) if known else None


def conditions(
    signals: Sequence[GridSignal], frequency_hz: float | None, now_s: float
) -> GridConditions:
    """What signals and measured frequency together say of the grid at that Unix time.

    Each member is that of the newest signal in force that has it; the stability is the worse of the
    signal's and the frequency's.
    """
    newest = _newest_first(signals, now_s)
    stability = next((s.stability for s in newest if s.stability is not None), None)
    told = [s for s in (stability, stability_of_frequency(frequency_hz)) if s is not None]
    return GridConditions(
        stability=max(told, key=STABILITIES.index, default=None),
        carbon_intensity_g_per_kwh=next(
            (
                s.carbon_intensity_g_per_kwh
                for s in newest
                if s.carbon_intensity_g_per_kwh is not None
            ),
            None,
        ),
        price_per_mwh=next((s.price_per_mwh for s in newest if s.price_per_mwh is not None), None),
        green_energy_available=next(
            (s.green_energy_available for s in newest if s.green_energy_available is not None),
            None,
        ),
    )


def signal_limit_w(signals: Sequence[GridSignal], moment_s: float) -> float:
    """The import limit in W of the newest signal in force at that time; infinite without one."""
    for signal in _newest_first(signals, moment_s):
        if signal.import_limit_w is not None:
            return signal.import_limit_w
    return math.inf


def import_limits(
    contract_limit_w: float,
    signals: Sequence[GridSignal],
    events: Sequence[GridEvent],
    now_s: float,
) -> tuple[LimitStep, ...]:
    """The import limit from `now_s` on as steps: the least of contract, signals and events.

    Accepted events that overlap add up: their reductions are taken together from the lowest of
    their reference powers.
    """
    accepted = [event for event in events if event.accepted and event.request.end_s > now_s]
    moments = {now_s}
    moments.update(s.valid_until_s for s in signals if s.valid_until_s is not None)
    for event in accepted:
        moments.update((event.request.start_s, event.request.end_s))
    return tuple(
        LimitStep(
            moment_s,
            min(
                contract_limit_w,
                signal_limit_w(signals, moment_s),
                _event_limit_w(accepted, moment_s),
            ),
        )
        for moment_s in sorted(moment for moment in moments if moment >= now_s)
    )


def active_reduction_w(events: Iterable[GridEvent], now_s: float) -> float:
    """The reduction in W that the accepted events in force at that Unix time ask for together."""
    return math.fsum(e.request.reduction_w for e in events if e.state(now_s) == "active")


def flexibility_down_w(workloads: Iterable[Throttleable], moment_s: float) -> float:
    """What the workloads that run at that Unix time can give up, in W."""
    return math.fsum(w.flexibility_w for w in workloads if w.runs_at(moment_s))


def decide_demand_response(
    request: DemandResponse,
    *,
    events: Sequence[GridEvent],
    workloads: Sequence[Throttleable],
    measured_power_w: float,
    now_s: float,
    objections: Sequence[str] = (),
) -> GridEvent:
    """Accept or refuse a demand response; any of the caller's `objections` refuses it too.

    Accepted when it is a load reduction to come, of no more than what the workloads that run at its
    start can give up beyond what was promised to overlapping events.
    """
    reasons = [*_objections(request, now_s), *objections]
    if not reasons:
        at_s = max(request.start_s, now_s)
        promised_w = _promised_w(request, events)
        free_w = max(0.0, flexibility_down_w(workloads, at_s) - promised_w)
        if request.reduction_w > free_w:
            reasons.append(
                f"the reduction of {_mw(request.reduction_w)} is above "
                f"the {_mw(free_w)} that can be given up"
            )
    reference_w = measured_power_w + active_reduction_w(events, now_s)
    return GridEvent(request, not reasons, tuple(reasons), reference_w)


def caps(
    workloads: Iterable[Throttleable], reduction_w: float, now_s: float
) -> Mapping[str, float]:
    """Caps in W by workload that together give up `reduction_w`, each in proportion to what it can.

    Only workloads that run at that Unix time are capped, none below its minimum; without a
    reduction the mapping is empty.
    """
    running = [w for w in workloads if w.runs_at(now_s) and w.flexibility_w > 0]
    flexibility_w = math.fsum(w.flexibility_w for w in running)
    if reduction_w <= 0 or not running:
        return {}
    share = min(1.0, reduction_w / flexibility_w)
    return {w.workload_id: w.max_power_w - share * w.flexibility_w for w in running}


def view(event: GridEvent, now_s: float) -> EventView:
    """The event as the status shows it at that Unix time."""
    request = event.request
    return EventView(
        event_id=request.event_id,
        event_type=request.event_type,
        state=event.state(now_s),
        start_s=request.start_s,
        end_s=request.end_s,
        target_reduction_w=request.target_reduction_w,
    )


def _objections(request: DemandResponse, now_s: float) -> list[str]:
    """Reasons that lie in the request itself."""
    reasons = []
    if request.event_type != "load_reduction":
        reasons.append(f"event_type {request.event_type!r} is not offered; load_reduction is")
    if request.duration_s <= 0:
        reasons.append("the duration is not above 0")
    elif request.end_s <= now_s:
        reasons.append("the event is over")
    elif request.end_s > LATEST_S:
        reasons.append("the event has no end that can be written")
    elif request.start_s < now_s - PAST_TOLERANCE_S:
        reasons.append("the start is in the past")
    if request.reduction_w <= 0:
        reasons.append("target_reduction_mw is missing or not above 0")
    return reasons


def _promised_w(request: DemandResponse, events: Sequence[GridEvent]) -> float:
    """The highest reduction in W already promised at some moment of the request's interval."""
    others = [e.request for e in events if e.accepted and e.request.overlaps(request)]
    moments = [request.start_s, *(other.start_s for other in others)]
    return max(
        math.fsum(o.reduction_w for o in others if o.start_s <= moment_s < o.end_s)
        for moment_s in moments
    )


def _event_limit_w(accepted: Sequence[GridEvent], moment_s: float) -> float:
    active = [event for event in accepted if event.state(moment_s) == "active"]
    if not active:
        return math.inf
    reference_w = min(event.reference_power_w for event in active)
    return max(0.0, reference_w - active_reduction_w(active, moment_s))


def _newest_first(signals: Sequence[GridSignal], moment_s: float) -> list[GridSignal]:
    in_force = [signal for signal in signals if signal.holds_at(moment_s)]
    return sorted(in_force, key=lambda signal: signal.received_s, reverse=True)


def _mw(power_w: float) -> str:
    return f"{power_w / 1e6:.6g} MW"

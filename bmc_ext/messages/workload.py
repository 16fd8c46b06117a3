"""Workload messages: MW and ISO 8601 outside, W and Unix seconds inside (DCPI 6.1, Annex A)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from bmc_ext.clock import iso8601, parse_iso8601
from bmc_ext.domain.grid import GridConditions
from bmc_ext.domain.ledger import LATEST_S
from bmc_ext.domain.workload import Alternative, Announcement, Decision, WorkloadRecord
from bmc_ext.messages.power import mega, moment

_WATTS_PER_MW = 1e6
_START = "/power_profile/start_time_estimate"
_NO_START = (
    "power_profile.start_time_estimate cannot be read as a time with UTC offset: "
    "no start is guessed"
)


MAX_POWER_MW = 1e6
"""More than any site has, by far: a power above it is taken as that much."""


def watts(power_mw: float) -> float:
    """MW as W, at most MAX_POWER_MW."""
    return min(float(power_mw), MAX_POWER_MW) * _WATTS_PER_MW


def announcement(message: Mapping[str, Any], ignored: Iterable[str] = ()) -> Announcement:
    """The announcement in a valid workload_announcement.

    `ignored` are pointers of members that validation left out. What Annex A lets pass but makes no
    sense is taken otherwise, and the notes say how; but no start is guessed.
    """
    left_out = tuple(ignored)
    notes = [
        f"{place.removeprefix('/').replace('/', '.')} is malformed: ignored"
        for place in left_out
        if place != _START
    ]
    profile = message["power_profile"]
    start_s, objection = (None, _NO_START) if _START in left_out else _start_s(profile)
    flexibility = _object(profile, "flexibility")
    thermal = _object(message, "thermal_profile")
    peak_w = watts(profile["peak_power_mw"])
    if profile["peak_power_mw"] > MAX_POWER_MW:
        notes.append(f"peak_power_mw is above {MAX_POWER_MW:.0f} MW: taken as that")
    can_throttle = flexibility.get("can_throttle") is True
    baseline_w = _at_most(peak_w, watts(profile["baseline_power_mw"]), "baseline_power_mw", notes)
    heat_mw = _number(thermal, "heat_generation_mw")
    heat_w = peak_w if heat_mw is None else watts(heat_mw)
    ramp_mw_per_s = _number(profile, "ramp_rate_mw_per_sec")
    return Announcement(
        workload_id=message["workload_id"],
        peak_power_w=peak_w,
        baseline_power_w=baseline_w,
        heat_w=_at_most(peak_w, heat_w, "heat_generation_mw", notes),
        ramp_rate_w_per_s=None if not ramp_mw_per_s else watts(ramp_mw_per_s),
        start_s=start_s,
        duration_s=_duration_s(profile, notes),
        priority=profile["priority"] if isinstance(profile.get("priority"), str) else None,
        can_delay=flexibility.get("can_delay") is True,
        max_delay_s=_number(flexibility, "max_delay_sec") or 0.0,
        can_throttle=can_throttle,
        min_power_w=_min_power_w(flexibility, peak_w, baseline_w, notes) if can_throttle else 0.0,
        preferred_coolant_c=_number(thermal, "preferred_coolant_temp_c"),
        max_silicon_c=_number(thermal, "max_silicon_temp_c"),
        notes=tuple(notes),
        objection=objection,
    )


def infrastructure_response(
    workload_id: str, decision: Decision, grid: GridConditions
) -> dict[str, Any]:
    """The payload of the answer to an announcement, without the header."""
    payload: dict[str, Any] = {
        "workload_id": workload_id,
        "approval_status": decision.status,
        "reasons": list(decision.reasons),
    }
    if decision.start_s is None:
        payload["alternative"] = _alternative(decision.alternative)
    else:
        payload["conditions"] = {
            "start_time": iso8601(decision.start_s),
            "end_time": moment(decision.end_s),
            "max_power_mw": mega(decision.max_power_w),
            "thermal_constraints": {
                "coolant_supply_temp_c": decision.coolant_supply_c,
                "max_heat_rejection_mw": mega(decision.max_heat_w),
            },
        }
    payload["capacity"] = {
        "power_available_mw": mega(decision.power_available_w),
        "cooling_available_mw": mega(decision.cooling_available_w),
    }
    payload["grid_status"] = {
        "grid_stability": grid.stability,
        "green_energy_available": grid.green_energy_available,
        "carbon_intensity_g_co2_kwh": grid.carbon_intensity_g_per_kwh,
    }
    return payload


def workload_status(record: WorkloadRecord) -> dict[str, Any]:
    """The payload of workload_status, without the header."""
    return {
        "workload_id": record.workload_id,
        "workload_state": record.state,
        "approval_status": record.approval_status,
        "start_time": moment(record.start_s),
        "end_time": moment(record.end_s),
        "peak_power_mw": mega(record.peak_power_w),
        "baseline_power_mw": mega(record.baseline_power_w),
        "max_power_mw": mega(record.max_power_w),
        "min_power_mw": mega(record.min_power_w),
        "priority": record.priority,
        "reasons": list(record.reasons),
    }


def _alternative(alternative: Alternative | None) -> dict[str, Any] | None:
    if alternative is None:
        return None
    return {
        "start_time": iso8601(alternative.start_s),
        "max_power_mw": mega(alternative.max_power_w),
    }


def _object(holder: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = holder.get(name)
    return value if isinstance(value, dict) else {}


def _number(holder: Mapping[str, Any], name: str) -> float | None:
    value = holder.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value)


def _at_most(peak_w: float, power_w: float, name: str, notes: list[str]) -> float:
    if power_w > peak_w:
        notes.append(f"{name} is above the peak power: taken as the peak power")
    return min(power_w, peak_w)


def _min_power_w(
    flexibility: Mapping[str, Any], peak_w: float, baseline_w: float, notes: list[str]
) -> float:
    """The floor of a workload that can throttle; without one it is not throttled below baseline."""
    told_mw = _number(flexibility, "min_power_mw")
    if told_mw is None:
        notes.append("min_power_mw is not given: taken as the baseline power")
        return baseline_w
    return _at_most(peak_w, watts(told_mw), "min_power_mw", notes)


def _start_s(profile: Mapping[str, Any]) -> tuple[float | None, str | None]:
    """The start in Unix seconds, None where none is given; and the objection to it, if any."""
    if "start_time_estimate" not in profile:
        return None, None
    try:
        return min(parse_iso8601(profile["start_time_estimate"]), LATEST_S), None
    except (ValueError, OverflowError):  # a leap second, or a year that no calendar here has
        return None, _NO_START


def _duration_s(profile: Mapping[str, Any], notes: list[str]) -> float | None:
    told_s = _number(profile, "duration_estimate_sec")
    if told_s == 0:
        notes.append("duration_estimate_sec is 0, which is no estimate: taken as open-ended")
        return None
    return told_s

"""Workload messages: MW and ISO 8601 outside, W and Unix seconds inside."""

from __future__ import annotations

import json
from typing import Any

import pytest

import schemas
from bmc_ext.clock import parse_iso8601
from bmc_ext.domain.grid import GridConditions
from bmc_ext.domain.workload import Alternative, Decision, WorkloadRecord
from bmc_ext.messages.envelope import envelope
from bmc_ext.messages.workload import (
    announcement,
    infrastructure_response,
    watts,
    workload_status,
)

NOW_S = parse_iso8601("2026-03-04T10:15:30.200Z")
CORRELATION = "0d3c2a54-6f0b-4a3e-9d55-0a1c7a4f2b11"
NORMAL = GridConditions(stability="normal")


def example(name: str) -> dict[str, Any]:
    """A published example."""
    text = schemas.path(f"examples/{name}.json").read_text(encoding="utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded


def whole(message_type: str, payload: dict[str, Any]) -> dict[str, Any]:
    """The payload under the examples' header."""
    header = envelope(
        message_type, facility_id="campus-250mw", correlation_id=CORRELATION, now_s=NOW_S
    )
    return {**header, **payload}


REASON = "peak power is above the remaining 36.2 MW"
GRANTED = Decision(
    "approved_with_conditions",
    (REASON,),
    power_available_w=36.2e6,
    cooling_available_w=88e6,
    start_s=parse_iso8601("2026-03-04T10:20:00Z"),
    end_s=parse_iso8601("2026-03-04T12:20:00Z"),
    max_power_w=36.2e6,
    max_heat_w=36.2e6,
    coolant_supply_c=30.0,
)


def test_published_announcement_is_read() -> None:
    """Every member of the published request arrives in canonical units."""
    found = announcement(example("workload_announce.request"))
    assert (found.workload_id, found.priority, found.notes) == ("llm-pretrain-7", "normal", ())
    assert (found.peak_power_w, found.baseline_power_w, found.heat_w) == (40e6, 5e6, 39e6)
    assert (found.ramp_rate_w_per_s, found.duration_s) == (10e6, 7200)
    assert found.start_s == parse_iso8601("2026-03-04T10:20:00Z")
    assert (found.can_delay, found.max_delay_s) == (True, 600)
    assert (found.can_throttle, found.min_power_w) == (True, 20e6)
    assert (found.preferred_coolant_c, found.max_silicon_c) == (35, 85)


def test_bare_announcement_is_rigid_and_now() -> None:
    """With Annex A's two powers only: from now, open-ended, rigid, all of it heat."""
    found = announcement(
        {"workload_id": "w", "power_profile": {"peak_power_mw": 2, "baseline_power_mw": 1}}
    )
    assert (found.start_s, found.duration_s, found.heat_w) == (None, None, 2e6)
    assert not found.can_delay
    assert not found.can_throttle


def test_throttling_without_a_floor_keeps_the_baseline() -> None:
    """A workload that can throttle and names no minimum is not throttled below its baseline."""
    found = announcement(
        {
            "workload_id": "w",
            "power_profile": {
                "peak_power_mw": 2,
                "baseline_power_mw": 1,
                "flexibility": {"can_throttle": True},
            },
        }
    )
    assert found.min_power_w == 1e6
    assert found.notes == ("min_power_mw is not given: taken as the baseline power",)


@pytest.mark.parametrize(
    "flexibility", ["yes", 1, [], None, {"can_throttle": "yes", "max_delay_sec": "x"}]
)
def test_malformed_member_never_stops_the_reading(flexibility: object) -> None:
    """Whatever stands in an optional member, the announcement is read, as if it were not there."""
    profile = {"peak_power_mw": 2, "baseline_power_mw": 1, "flexibility": flexibility}
    found = announcement(
        {"workload_id": "w", "power_profile": profile, "thermal_profile": flexibility}
    )
    assert (found.can_throttle, found.max_delay_s, found.heat_w) == (False, 0.0, 2e6)


def test_ignored_members_are_named() -> None:
    """What validation left out is told in the notes, by its path."""
    message = {"workload_id": "w", "power_profile": {"peak_power_mw": 2, "baseline_power_mw": 1}}
    found = announcement(message, ["/power_profile/priority"])
    assert found.notes == ("power_profile.priority is malformed: ignored",)


def test_powers_are_bounded() -> None:
    """A power that no site has is taken as a round bound, and of a peak the notes say so."""
    assert watts(1e308) == watts(10**400 // 10**100) == 1e12
    assert watts(180) == 180e6
    found = announcement(
        {"workload_id": "w", "power_profile": {"peak_power_mw": 1e308, "baseline_power_mw": 1}}
    )
    assert (found.peak_power_w, found.notes) == (
        1e12,
        ("peak_power_mw is above 1000000 MW: taken as that",),
    )


def test_answer_is_the_published_one() -> None:
    """An approval with conditions is answered as in the published example, and with its end."""
    wanted = example("workload_announce.response")
    wanted["conditions"]["start_time"] = "2026-03-04T10:20:00.000Z"
    wanted["conditions"]["end_time"] = "2026-03-04T12:20:00.000Z"
    payload = infrastructure_response("llm-pretrain-7", GRANTED, NORMAL)
    assert whole("infrastructure_response", payload) == wanted


def test_rejection_is_the_published_one() -> None:
    """A rejection is answered as in the published example."""
    decision = Decision(
        "rejected",
        ("peak power 400 MW is above the facility's 250 MW",),
        power_available_w=95e6,
        cooling_available_w=88e6,
        alternative=Alternative(parse_iso8601("2026-03-04T10:20:00Z"), 95e6),
    )
    wanted = example("workload_announce.rejected")
    wanted["alternative"]["start_time"] = "2026-03-04T10:20:00.000Z"
    payload = infrastructure_response("too-big", decision, NORMAL)
    assert whole("infrastructure_response", payload) == wanted


def test_rejection_without_alternative_says_null() -> None:
    """Where there is no alternative the member is null, and the message still validates."""
    payload = infrastructure_response("w", Decision("rejected", (), 0.0, None), GridConditions())
    assert payload["alternative"] is None
    schemas.validator("messages/infrastructure_response.full").validate(
        whole("infrastructure_response", payload)
    )


def test_status_is_the_published_one() -> None:
    """A workload's status is rendered as in the published example."""
    record = WorkloadRecord(
        announcement(example("workload_announce.request")), GRANTED, NOW_S, "scheduled"
    )
    wanted = example("workload.message")
    wanted["start_time"] = "2026-03-04T10:20:00.000Z"
    wanted["end_time"] = "2026-03-04T12:20:00.000Z"
    assert whole("workload_status", workload_status(record)) == wanted


def test_status_of_a_rejected_one_validates() -> None:
    """What was not granted is null."""
    wish = announcement(example("workload_announce.request"))
    record = WorkloadRecord(wish, Decision("rejected", (), 0.0, None), NOW_S, "rejected")
    message = whole("workload_status", workload_status(record))
    assert (message["start_time"], message["max_power_mw"]) == (None, None)
    schemas.validator("messages/workload_status").validate(message)

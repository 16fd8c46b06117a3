"""thermal_control and its answer."""

from __future__ import annotations

import json
from typing import Any

import schemas
from bmc_ext.clock import parse_iso8601
from bmc_ext.domain.thermal import SettingOutcome, SystemOutcome
from bmc_ext.messages.envelope import envelope
from bmc_ext.messages.thermal import cooling_commands, thermal_control_response


def example(name: str) -> dict[str, Any]:
    """A published example."""
    text = schemas.path(f"examples/{name}.json").read_text(encoding="utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded


def test_commands_keep_their_place_and_settings() -> None:
    """Every command carries its index and the settings that the draft knows; others are ignored."""
    message = example("thermal_control.request")
    message["cooling_commands"].append({"system_id": "b", "pump_speed_percent": 5, "colour": "red"})
    first, second = cooling_commands(message)
    assert (first.index, first.settings) == (0, {"target_flow_rate_lpm": 2500})
    assert (second.index, second.system_id) == (1, "b")
    assert second.settings == {"pump_speed_percent": 5}


def test_answer_is_the_published_one() -> None:
    """An accepted flow is answered as in the published example."""
    outcome = SystemOutcome(
        "liquid_cooling_loop_a",
        True,
        (SettingOutcome("target_flow_rate_lpm", 2500, "accepted", 2500.0, 2311.0),),
    )
    header = envelope(
        "thermal_control_response",
        facility_id="campus-250mw",
        correlation_id="0d3c2a54-6f0b-4a3e-9d55-0a1c7a4f2b11",
        now_s=parse_iso8601("2026-03-04T10:15:30.200Z"),
    )
    answer = {**header, **thermal_control_response("act", [outcome])}
    assert answer == example("thermal_control.response")
    schemas.validator("messages/thermal_control_response").validate(answer)

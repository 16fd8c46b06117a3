"""Variants of valid messages that break one rule each: refused, and the member at fault named."""

from __future__ import annotations

import copy
import json
from typing import Any, NamedTuple

import pytest

import schemas
from bmc_ext.errors import MessageError
from bmc_ext.messages import strict_json
from bmc_ext.messages.validate import validate

MISSING = object()
"""In place of a value: the member is taken out."""

STAMP = "2026-03-04T10:15:30Z"

WITHOUT_AN_ENDPOINT: dict[str, dict[str, Any]] = {
    "power_control": {
        "dcpi_version": "1.0",
        "message_type": "power_control",
        "timestamp": STAMP,
        "commands": [{"target": "battery_1", "action": "prepare_discharge", "rate_mw": 5}],
    },
    "load_forecast": {
        "dcpi_version": "1.0",
        "message_type": "load_forecast",
        "timestamp": STAMP,
        "forecast_horizon_hours": 24,
        "forecast_data": [{"timestamp": STAMP, "predicted_load_mw": 80, "confidence_percent": 90}],
        "green_energy_forecast": [{"timestamp": STAMP, "available_mw": 9, "price_per_mwh": -4}],
    },
    "heat_availability": {
        "dcpi_version": "1.0",
        "message_type": "heat_availability",
        "timestamp": STAMP,
        "heat_source_id": "hall_1",
        "available_heat_mw": 12,
        "supply_temperature_c": 70,
    },
    "heat_demand_request": {
        "dcpi_version": "1.0",
        "message_type": "heat_demand_request",
        "timestamp": STAMP,
        "requesting_authority": "city",
        "requested_heat_mw": 9,
        "required_temperature_c": 70,
        "duration_hours": 4,
    },
    "workload_control": {
        "dcpi_version": "1.0",
        "message_type": "workload_control",
        "timestamp": STAMP,
        "workload_id": "llm-pretrain-7",
        "command": "throttle",
        "target_power_mw": 12,
    },
}


class Variant(NamedTuple):
    """A valid message, the member that is changed (a pointer), its new value, the place named."""

    message: str
    change: str
    value: Any
    named: str = ""


ANNOUNCE = "workload_announce.request"
THERMAL = "thermal_control.request"
EVENT = "demand_response.request"
SIGNAL = "grid_signal.request"

VARIANTS = [
    # the header
    Variant(ANNOUNCE, "/dcpi_version", MISSING),
    Variant(ANNOUNCE, "/dcpi_version", "2.0"),
    Variant(ANNOUNCE, "/dcpi_version", "1.0.0"),
    Variant(ANNOUNCE, "/dcpi_version", 1.0),
    Variant(ANNOUNCE, "/dcpi_version", None),
    Variant(ANNOUNCE, "/message_type", MISSING),
    Variant(ANNOUNCE, "/message_type", "infrastructure_response"),
    Variant(ANNOUNCE, "/message_type", ["workload_announcement"]),
    Variant(ANNOUNCE, "/timestamp", MISSING),
    Variant(ANNOUNCE, "/timestamp", "2026-03-04"),
    Variant(ANNOUNCE, "/timestamp", "2026-03-04T10:15:30"),
    Variant(ANNOUNCE, "/timestamp", "2026-02-30T10:15:30Z"),
    Variant(ANNOUNCE, "/timestamp", "2026-03-04 10:15:30Z"),
    Variant(ANNOUNCE, "/timestamp", "2026-03-04T10:15:30Z\n"),
    Variant(ANNOUNCE, "/timestamp", 1772619330),
    Variant(THERMAL, "/facility_id", ""),
    Variant(THERMAL, "/correlation_id", "a\nb"),
    # workload_announcement (Annex A.1)
    Variant(ANNOUNCE, "/workload_id", MISSING),
    Variant(ANNOUNCE, "/workload_id", 7),
    Variant(ANNOUNCE, "/power_profile", MISSING),
    Variant(ANNOUNCE, "/power_profile", []),
    Variant(ANNOUNCE, "/power_profile/peak_power_mw", MISSING),
    Variant(ANNOUNCE, "/power_profile/peak_power_mw", -1),
    Variant(ANNOUNCE, "/power_profile/peak_power_mw", "40"),
    Variant(ANNOUNCE, "/power_profile/peak_power_mw", True),
    Variant(ANNOUNCE, "/power_profile/peak_power_mw", None),
    Variant(ANNOUNCE, "/power_profile/baseline_power_mw", MISSING),
    Variant(ANNOUNCE, "/power_profile/baseline_power_mw", -0.001),
    Variant(ANNOUNCE, "/power_profile/ramp_rate_mw_per_sec", -10),
    Variant(ANNOUNCE, "/power_profile/duration_estimate_sec", 0.5),
    Variant(ANNOUNCE, "/power_profile/duration_estimate_sec", -1),
    # infrastructure_response (Annex A.2)
    Variant("workload_announce.response", "/approval_status", MISSING),
    Variant("workload_announce.response", "/approval_status", "maybe"),
    Variant("workload_announce.response", "/workload_id", None),
    # thermal_control
    Variant(THERMAL, "/cooling_commands", MISSING),
    Variant(THERMAL, "/cooling_commands", []),
    Variant(THERMAL, "/cooling_commands", {}),
    Variant(THERMAL, "/cooling_commands/0", "pump"),
    Variant(THERMAL, "/cooling_commands/0/system_id", MISSING),
    Variant(THERMAL, "/cooling_commands/0/system_id", ""),
    Variant(THERMAL, "/cooling_commands/0/system_id", "loop\x00"),
    Variant(THERMAL, "/cooling_commands/0/target_flow_rate_lpm", -1),
    Variant(THERMAL, "/cooling_commands/0/target_flow_rate_lpm", "2500"),
    Variant(THERMAL, "/cooling_commands/0/pump_speed_percent", 101),
    Variant(THERMAL, "/cooling_commands/0/inlet_temp_target_c", -300),
    Variant(THERMAL, "/cooling_commands/0/municipal_interface", "yes"),
    Variant(THERMAL, "/cooling_commands/0/heat_output_mw", None),
    # demand_response_request and grid_signal
    Variant(EVENT, "/event_id", MISSING),
    Variant(EVENT, "/event_id", "x" * 257),
    Variant(EVENT, "/event_type", 3),
    Variant(EVENT, "/start_time", "soon"),
    Variant(EVENT, "/duration_hours", 0),
    Variant(EVENT, "/target_reduction_mw", MISSING),
    Variant(EVENT, "/target_reduction_mw", -10),
    Variant(SIGNAL, "/signal_id", MISSING),
    Variant(SIGNAL, "/grid_stability", "wobbly"),
    Variant(SIGNAL, "/import_limit_mw", -200),
    Variant(SIGNAL, "/carbon_intensity_g_co2_kwh", "310"),
    Variant(SIGNAL, "/green_energy_available", 1),
    Variant(SIGNAL, "/valid_until", "2026-03-04T25:00:00Z"),
    # messages whose endpoints come later
    Variant("power_control", "/commands", MISSING),
    Variant("power_control", "/commands/0/action", MISSING),
    Variant("power_control", "/commands/0/rate_mw", -5),
    Variant("load_forecast", "/forecast_horizon_hours", 0),
    Variant("load_forecast", "/forecast_data/0/predicted_load_mw", MISSING),
    Variant("load_forecast", "/forecast_data/0/confidence_percent", 101),
    Variant("load_forecast", "/green_energy_forecast/0/available_mw", -1),
    Variant("heat_availability", "/available_heat_mw", -120),
    Variant("heat_availability", "/heat_source_id", MISSING),
    Variant("heat_demand_request", "/required_temperature_c", MISSING),
    Variant("heat_demand_request", "/duration_hours", "4"),
    Variant("workload_control", "/command", "explode"),
    Variant("workload_control", "/target_power_mw", MISSING),
    Variant("workload_control", "/command", "migrate", "/destination"),
    # answers of ours
    Variant("power_realtime.message", "/feeds/0/quality", "good"),
    Variant("power_realtime.message", "/feeds/1/phases", MISSING),
    Variant("power_realtime.message", "/feeds/0/phases/1/voltage_v", -1),
    Variant("power_realtime.message", "/feeds/0/ten_twelve_cycle", MISSING),
    Variant("power_realtime.message", "/feeds/0/ten_twelve_cycle", {"cycles": 10}),
    Variant("power_realtime.message", "/feeds/0/ten_second_frequency", 50.0),
    Variant("power_realtime.message", "/window_id", 1.5),
    Variant("power_realtime.message", "/correlation_id", MISSING),
    Variant("power_stream.message", "/seq", -1),
    Variant("power_history.message", "/resolution", "1h"),
    Variant("power_events.message", "/events/0/event_type", "earthquake"),
    Variant("power_events.message", "/events/0/onset_time", None),
    Variant("power_events.message", "/events/1/phases/0", "L4"),
    Variant("power_events.message", "/events_lost", -1),
    Variant("thermal_status.message", "/loops/0/readings/supply_temperature_c/quality", "fine"),
    Variant("thermal_control.response", "/control_mode", "dream"),
    Variant("grid_status.message", "/events/0/start_time", None),
    Variant("grid_signal.response", "/status", "perhaps"),
    Variant("workload.message", "/workload_state", "Scheduled"),
    Variant("dcpi_service.message", "/dcpi_versions", []),
]

TEXTS = [
    ('"peak_power_mw": 40', '"peak_power_mw": NaN', "/power_profile/peak_power_mw"),
    ('"peak_power_mw": 40', '"peak_power_mw": -Infinity', "/power_profile/peak_power_mw"),
    ('"peak_power_mw": 40', '"peak_power_mw": 1e400', "/power_profile/peak_power_mw"),
    ('"peak_power_mw": 40', '"peak_power_mw": ' + "9" * 5000, "/power_profile/peak_power_mw"),
    ('"baseline_power_mw": 5', '"peak_power_mw": 5', "/power_profile/peak_power_mw"),
    ('"llm-pretrain-7"', '"\\ud800"', "/workload_id"),
]  # fmt: skip
"""What is no JSON is refused at its member before any schema is asked."""


def message(name: str) -> dict[str, Any]:
    """A valid message: an example, or one of those above."""
    if name in WITHOUT_AN_ENDPOINT:
        return copy.deepcopy(WITHOUT_AN_ENDPOINT[name])
    text = schemas.path(f"examples/{name}.json").read_text(encoding="utf-8")
    document: dict[str, Any] = json.loads(text)
    return document


def changed(variant: Variant) -> dict[str, Any]:
    """The message with that one member changed."""
    document = message(variant.message)
    *parents, last = [
        int(key) if key.isdigit() else key for key in variant.change.removeprefix("/").split("/")
    ]
    holder: Any = document
    for key in parents:
        holder = holder[key]
    if variant.value is MISSING:
        del holder[last]
    else:
        holder[last] = variant.value
    return document


@pytest.mark.parametrize("name", WITHOUT_AN_ENDPOINT)
def test_the_messages_above_are_valid(name: str) -> None:
    """The messages that have no example in the package are valid as they stand here."""
    validate(message(name), name)


@pytest.mark.parametrize(
    "variant", VARIANTS, ids=lambda v: f"{v.message}{v.change}={v.value!r:.20}"
)
def test_a_variant_is_refused_at_its_member(variant: Variant) -> None:
    """One broken rule is refused in one line that names the member at fault."""
    message_type = message(variant.message)["message_type"]
    with pytest.raises(MessageError) as caught:
        validate(changed(variant), message_type)
    named = variant.named or variant.change
    assert caught.value.property_path == named
    assert named.removeprefix("/").replace("/", ".") in str(caught.value)
    assert len(str(caught.value)) < 250
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "other", "named"), TEXTS, ids=[other[:30] for _, other, _ in TEXTS]
)
def test_a_body_that_is_no_json_is_refused_at_its_member(text: str, other: str, named: str) -> None:
    """NaN, Infinity, numbers beyond a double, repeated members and torn strings name the member."""
    body = schemas.path(f"examples/{ANNOUNCE}.json").read_text(encoding="utf-8")
    assert text in body
    with pytest.raises(MessageError) as caught:
        strict_json.loads(body.replace(text, other).encode())
    assert caught.value.property_path == named


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_number_that_is_none_is_refused_by_the_schemas_too(value: float) -> None:
    """A NaN that came by another way than JSON passes no bound."""
    with pytest.raises(MessageError) as caught:
        validate(changed(Variant(THERMAL, "/cooling_commands/0/pump_speed_percent", value)),
                 "thermal_control")  # fmt: skip
    assert caught.value.property_path == "/cooling_commands/0/pump_speed_percent"


def test_there_are_at_least_forty_variants() -> None:
    """The table is as long as was promised, and names every message type that a client sends."""
    assert len(VARIANTS) >= 40
    sent = {message(variant.message)["message_type"] for variant in VARIANTS}
    assert sent >= set(WITHOUT_AN_ENDPOINT) | {
        "workload_announcement", "thermal_control", "demand_response_request", "grid_signal",
    }  # fmt: skip

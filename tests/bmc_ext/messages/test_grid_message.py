"""Grid messages: MW and ISO 8601 outside, W and Unix seconds inside."""

from __future__ import annotations

import json
from typing import Any

import pytest

import schemas
from bmc_ext.clock import parse_iso8601
from bmc_ext.domain.grid import EventView, GridStatus
from bmc_ext.errors import MessageError
from bmc_ext.messages.envelope import envelope
from bmc_ext.messages.grid import (
    demand_response,
    grid_signal,
    grid_signal_response,
    grid_status,
)
from drivers.reading import Quality

NOW_S = parse_iso8601("2026-03-04T10:15:30.200Z")
CORRELATION = "0d3c2a54-6f0b-4a3e-9d55-0a1c7a4f2b11"


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


def test_published_demand_response_is_read() -> None:
    """The published request arrives in W and seconds."""
    found = demand_response(example("demand_response.request"))
    assert (found.event_id, found.event_type) == ("dr-2026-07", "load_reduction")
    assert found.start_s == parse_iso8601("2026-03-04T11:00:00Z")
    assert found.end_s == parse_iso8601("2026-03-04T13:00:00Z")
    assert (found.target_reduction_w, found.compensation_rate_per_mwh) == (10e6, 140.0)


def test_reduction_that_is_not_named_is_unknown() -> None:
    """A request without a reduction has none; it is not zero."""
    message = example("demand_response.request")
    del message["target_reduction_mw"]
    assert demand_response(message).target_reduction_w is None


def test_published_signal_is_read() -> None:
    """The published signal arrives in canonical units."""
    found = grid_signal(example("grid_signal.request"), NOW_S)
    assert (found.signal_id, found.stability, found.received_s) == ("sig-118", "stressed", NOW_S)
    assert (found.carbon_intensity_g_per_kwh, found.price_per_mwh) == (310, 92.5)
    assert (found.green_energy_available, found.import_limit_w) == (False, 200e6)
    assert found.valid_until_s == parse_iso8601("2026-03-04T12:00:00Z")


def test_bare_signal_holds_until_the_next() -> None:
    """What a signal does not tell is unknown, and without an end it holds."""
    found = grid_signal({"signal_id": "s"}, NOW_S)
    assert (found.import_limit_w, found.valid_until_s) == (None, None)
    assert found.holds_at(NOW_S + 1e9)


def test_time_without_meaning_is_named() -> None:
    """A leap second, which no clock here has, is refused by its pointer."""
    leap = "2026-03-04T23:59:60Z"
    with pytest.raises(MessageError) as caught:
        demand_response({**example("demand_response.request"), "start_time": leap})
    assert caught.value.property_path == "/start_time"
    with pytest.raises(MessageError) as caught:
        grid_signal({"signal_id": "s", "valid_until": leap}, NOW_S)
    assert caught.value.property_path == "/valid_until"


EVENT = EventView(
    "dr-2026-07",
    "load_reduction",
    "scheduled",
    parse_iso8601("2026-03-04T11:00:00Z"),
    parse_iso8601("2026-03-04T13:00:00Z"),
    10e6,
)


def test_answer_is_the_published_one() -> None:
    """A refusal is answered as in the published example."""
    wanted = example("grid_signal.response")
    payload = grid_signal_response(
        wanted["signal_id"], accepted=False, reasons=wanted["reasons"], event=None
    )
    assert whole("grid_signal_response", payload) == wanted


def test_status_is_the_published_one() -> None:
    """The grid's status is rendered as in the published example."""
    status = GridStatus(
        window_id=17726194301,
        quality=Quality.OK,
        stability="normal",
        frequency_hz=50.013,
        import_w=82.4e6,
        contract_limit_w=250e6,
        import_limit_w=250e6,
        operator_limit_w=250e6,
        reserved_w=36.2e6,
        available_w=131.4e6,
        flexibility_up_w=131.4e6,
        flexibility_down_w=16.2e6,
        carbon_intensity_g_per_kwh=None,
        price_per_mwh=None,
        green_energy_available=None,
        events=(EVENT,),
    )
    wanted = example("grid_status.message")
    wanted["events"][0]["start_time"] = "2026-03-04T11:00:00.000Z"
    wanted["events"][0]["end_time"] = "2026-03-04T13:00:00.000Z"
    assert whole("grid_status", grid_status(status)) == wanted

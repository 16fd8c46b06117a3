"""Grid messages: MW and ISO 8601 outside, W and Unix seconds inside (DCPI 6.2.3, 8.2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bmc_ext.clock import iso8601, parse_iso8601
from bmc_ext.domain.grid import (
    SECONDS_PER_HOUR,
    DemandResponse,
    EventView,
    GridSignal,
    GridStatus,
)
from bmc_ext.errors import MessageError
from bmc_ext.messages.power import mega
from bmc_ext.messages.workload import watts


def demand_response(message: Mapping[str, Any]) -> DemandResponse:
    """The request in a valid demand_response_request; MessageError for a time without meaning."""
    reduction_mw = message.get("target_reduction_mw")
    return DemandResponse(
        event_id=message["event_id"],
        event_type=message["event_type"],
        start_s=_time_s(message, "start_time"),
        duration_s=float(message["duration_hours"]) * SECONDS_PER_HOUR,
        target_reduction_w=None if reduction_mw is None else watts(reduction_mw),
        compensation_rate_per_mwh=message.get("compensation_rate_per_mwh"),
    )


def grid_signal(message: Mapping[str, Any], received_s: float) -> GridSignal:
    """The signal in a valid grid_signal; MessageError for a time without meaning."""
    limit_mw = message.get("import_limit_mw")
    return GridSignal(
        signal_id=message["signal_id"],
        received_s=received_s,
        stability=message.get("grid_stability"),
        carbon_intensity_g_per_kwh=message.get("carbon_intensity_g_co2_kwh"),
        price_per_mwh=message.get("price_per_mwh"),
        green_energy_available=message.get("green_energy_available"),
        import_limit_w=None if limit_mw is None else watts(limit_mw),
        valid_until_s=_time_s(message, "valid_until") if "valid_until" in message else None,
    )


def grid_signal_response(
    signal_id: str, *, accepted: bool, reasons: Sequence[str], event: EventView | None
) -> dict[str, Any]:
    """The payload of the answer to both messages, without the header."""
    return {
        "signal_id": signal_id,
        "status": "accepted" if accepted else "refused",
        "reasons": list(reasons),
        "event": None if event is None else _event(event),
    }


def grid_status(status: GridStatus) -> dict[str, Any]:
    """The payload of grid_status, without the header."""
    return {
        "window_id": status.window_id,
        "quality": status.quality,
        "grid_stability": status.stability,
        "frequency_hz": status.frequency_hz,
        "import_mw": mega(status.import_w),
        "contract_limit_mw": mega(status.contract_limit_w),
        "operator_limit_mw": mega(status.operator_limit_w),
        "import_limit_mw": mega(status.import_limit_w),
        "reserved_mw": mega(status.reserved_w),
        "available_mw": mega(status.available_w),
        "flexibility_up_mw": mega(status.flexibility_up_w),
        "flexibility_down_mw": mega(status.flexibility_down_w),
        "carbon_intensity_g_co2_kwh": status.carbon_intensity_g_per_kwh,
        "price_per_mwh": status.price_per_mwh,
        "green_energy_available": status.green_energy_available,
        "events": [_event(event) for event in status.events],
    }


def _event(event: EventView) -> dict[str, Any]:
    return {
        "event_id": event.event_id,
        "event_type": event.event_type,
        "state": event.state,
        "start_time": iso8601(event.start_s),
        "end_time": iso8601(event.end_s),
        "target_reduction_mw": mega(event.target_reduction_w),
    }


def _time_s(message: Mapping[str, Any], name: str) -> float:
    try:
        return parse_iso8601(message[name])
    except (ValueError, OverflowError) as error:
        raise MessageError(
            f"{name} is {message[name]!r}, not a time: {error}", f"/{name}"
        ) from None

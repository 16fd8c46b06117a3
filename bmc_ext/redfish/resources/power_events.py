"""DcpiPowerEvents: changes of power that disturb the grid, dips, swells and interruptions."""

from __future__ import annotations

import re
from typing import Any

from bmc_ext.clock import parse_iso8601
from bmc_ext.redfish.context import Context, Request
from bmc_ext.redfish.errors import RedfishError
from bmc_ext.redfish.quantities import timestamp
from bmc_ext.redfish.registry import Routes
from bmc_ext.sampling.events import EventKind
from bmc_ext.security.identity import LOGIN
from bmc_ext.telemetry.event_log import LoggedEvent

routes = Routes()

MAX_EVENTS = 1000
DEFAULT_EVENTS = 100

_TYPES = {
    EventKind.POWER_CHANGE: "PowerChange",
    EventKind.VOLTAGE_DIP: "VoltageDip",
    EventKind.VOLTAGE_SWELL: "VoltageSwell",
    EventKind.VOLTAGE_INTERRUPTION: "VoltageInterruption",
}


@routes.get(
    "/redfish/v1/dcpi/power/events",
    LOGIN,
    schema="DcpiPowerEvents.v1_0_0.DcpiPowerEvents",
    volatile=("Events", "EventsLost"),
)
def power_events(context: Context, request: Request) -> dict[str, Any]:
    """Query: limit (default 100), since (ISO 8601, of the detection), feed; newest first."""
    events = select_events(context, request)
    return {
        "Id": "events",
        "Name": "Power events",
        "ThresholdWatts": context.config.facility.event_threshold_w,
        "EventsLost": context.events.lost_events,
        "Events": [_event(logged) for logged in events],
    }


def select_events(context: Context, request: Request) -> list[LoggedEvent]:
    """The events that the query names, newest first; RedfishError 400."""
    known = [feed.id for feed in context.config.feeds]
    feed_id = request.query.get("feed")
    if feed_id is not None and feed_id not in known:
        raise RedfishError(400, f"feed: {feed_id!r} is none of {', '.join(known) or 'no feeds'}")
    limit = request.query.get("limit", str(DEFAULT_EVENTS))
    if not (re.fullmatch("[0-9]{1,4}", limit) and 1 <= int(limit) <= MAX_EVENTS):
        raise RedfishError(400, f"limit: {limit!r} is not a number from 1 to {MAX_EVENTS}")
    return context.events.log.newest(int(limit), _since_ns(request), feed_id)


def state_of(logged: LoggedEvent) -> str:
    """`Ongoing`, `Over`, or `Cut` where samples were lost before it was over."""
    if not logged.event.is_over:
        return "Ongoing"
    return "Cut" if logged.event.is_cut else "Over"


def seconds(time_ns: int | None) -> float | None:
    """UTC ns as Unix seconds."""
    return None if time_ns is None else time_ns / 1e9


def _since_ns(request: Request) -> int | None:
    text = request.query.get("since")
    if text is None:
        return None
    try:
        # A float of seconds since 1970 holds 0.2 µs: whole µs are exact.
        return round(parse_iso8601(text) * 1e6) * 1000
    except ValueError as error:
        raise RedfishError(400, f"since: {text!r} is not a date-time with offset") from error


def _event(logged: LoggedEvent) -> dict[str, Any]:
    event = logged.event
    return {
        "EventId": str(logged.sequence),
        "EventType": _TYPES[event.kind],
        "EventState": state_of(logged),
        "FeedId": logged.feed_id,
        "OnsetTime": timestamp(seconds(event.onset_ns)),
        "DetectionTime": timestamp(seconds(event.detected_ns)),
        "EndTime": timestamp(seconds(event.end_ns)),
        "PowerBeforeWatts": event.before_w,
        "PowerAfterWatts": event.after_w,
        "PowerChangeWatts": event.change_w,
        "Phases": list(event.phases),
        "VoltageVolts": event.extreme_v,
    }

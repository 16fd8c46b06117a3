"""DcpiPowerHistory: aggregates of one feed over 1 s or 1 min."""

from __future__ import annotations

import re
from typing import Any

from bmc_ext.clock import parse_iso8601
from bmc_ext.errors import NotFoundError
from bmc_ext.redfish.context import Context, Request
from bmc_ext.redfish.errors import RedfishError
from bmc_ext.redfish.quantities import kilowatt_hours, timestamp
from bmc_ext.redfish.registry import Routes
from bmc_ext.security.identity import LOGIN
from bmc_ext.telemetry.aggregates import Aggregate

routes = Routes()

MAX_POINTS = 3600


@routes.get(
    "/redfish/v1/dcpi/power/history",
    LOGIN,
    schema="DcpiPowerHistory.v1_0_0.DcpiPowerHistory",
    volatile=("Points",),
)
def power_history(context: Context, request: Request) -> dict[str, Any]:
    """Query: feed, resolution (1s or 1min), start and end (ISO 8601), limit; default last 5 min.

    A limit takes the first points after `start`, and without a start the last ones before `end`.
    """
    feed_id, resolution, points = select(context, request)
    return {
        "Id": "history",
        "Name": "Power history",
        "FeedId": feed_id,
        "Resolution": resolution,
        "Points": [_point(point) for point in points],
    }


def select(context: Context, request: Request) -> tuple[str, str, list[Aggregate]]:
    """The feed, the resolution and the aggregates that the query names.

    RedfishError 400 for a wrong one, NotFoundError without any feed.
    """
    known = [feed.id for feed in context.config.feeds]
    if not known:
        raise NotFoundError("no feed is configured, and so there is no history")
    feed_id = request.query.get("feed") or known[0]
    if feed_id not in known:
        raise RedfishError(400, f"feed: {feed_id!r} is none of {', '.join(known)}")
    resolution = request.query.get("resolution", "1s")
    if resolution not in ("1s", "1min"):
        raise RedfishError(400, f"resolution: {resolution!r} is neither 1s nor 1min")
    end_s = _time(request, "end", context.clock.unix_ns() / 1e9)
    start_s = _time(request, "start", end_s - (300 if resolution == "1s" else 86400))
    limit = request.query.get("limit", str(MAX_POINTS))
    if not (re.fullmatch("[0-9]{1,4}", limit) and 1 <= int(limit) <= MAX_POINTS):
        raise RedfishError(400, f"limit: {limit!r} is not a number from 1 to {MAX_POINTS}")
    if start_s > end_s:
        raise RedfishError(400, "start: it lies after end")
    points = context.history.query(feed_id, resolution, start_s, end_s, MAX_POINTS)
    wanted = slice(int(limit)) if "start" in request.query else slice(-int(limit), None)
    return feed_id, resolution, points[wanted]


def _time(request: Request, name: str, default: float) -> float:
    text = request.query.get(name)
    if text is None:
        return default
    try:
        return parse_iso8601(text)
    except ValueError as error:
        raise RedfishError(400, f"{name}: {text!r} is not a date-time with offset") from error


def _point(point: Aggregate) -> dict[str, Any]:
    return {
        "Start": timestamp(point.start_s),
        "PowerWatts": point.p_w,
        "MinPowerWatts": point.p_min_w,
        "MaxPowerWatts": point.p_max_w,
        "VoltageVolts": point.v_rms_v,
        "FrequencyHz": point.frequency_hz,
        "EnergyImportkWh": kilowatt_hours(point.energy_import_j),
        "ValidWindows": point.valid_windows,
    }

"""The message face: the same snapshot as DCPI messages under /dcpi (design, decision 1)."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote

from bmc_ext.messages import grid as grid_messages
from bmc_ext.messages import power as power_messages
from bmc_ext.messages import thermal_status as thermal_messages
from bmc_ext.messages import workload as workload_messages
from bmc_ext.messages.envelope import envelope
from bmc_ext.messages.power import mega, megawatt_hours, moment
from bmc_ext.redfish.context import Context, Request
from bmc_ext.redfish.newest import newest
from bmc_ext.redfish.registry import Routes
from bmc_ext.redfish.resources.dcpi_service import CAPABILITIES, VERSIONS
from bmc_ext.redfish.resources.power_events import seconds, select_events, state_of
from bmc_ext.redfish.resources.power_history import select
from bmc_ext.security.identity import LOGIN
from bmc_ext.telemetry.aggregates import Aggregate
from bmc_ext.telemetry.event_log import LoggedEvent

routes = Routes()


@routes.get("/dcpi", LOGIN)
def capabilities(context: Context, request: Request) -> dict[str, Any]:
    """What this BMC offers."""
    facility = context.config.facility
    return {
        **_header(context, request, "capabilities"),
        "dcpi_versions": list(VERSIONS),
        "facility_name": facility.name,
        "rated_power_mw": facility.rated_power_w / 1e6,
        "control_mode": context.config.control,
        "capabilities": list(CAPABILITIES),
    }


@routes.get("/dcpi/power/realtime", LOGIN, hot=True)
def power_realtime(context: Context, request: Request) -> dict[str, Any]:
    """Power of every feed and phase in the newest window."""
    return {
        **_header(context, request, "power_realtime"),
        **power_messages.power_realtime(newest(context)),
    }


@routes.get("/dcpi/power/history", LOGIN)
def power_history(context: Context, request: Request) -> dict[str, Any]:
    """Aggregates of one feed; the query is that of the Redfish face."""
    feed_id, resolution, points = select(context, request)
    return {
        **_header(context, request, "power_history"),
        "feed_id": feed_id,
        "resolution": resolution,
        "points": [_point(point) for point in points],
    }


@routes.get("/dcpi/power/events", LOGIN)
def power_events(context: Context, request: Request) -> dict[str, Any]:
    """Changes of power and voltage events; the query is that of the Redfish face."""
    return {
        **_header(context, request, "power_events"),
        "threshold_mw": context.config.facility.event_threshold_w / 1e6,
        "events_lost": context.events.lost_events,
        "events": [_event(logged) for logged in select_events(context, request)],
    }


@routes.get("/dcpi/thermal/status", LOGIN)
def thermal_status(context: Context, request: Request) -> dict[str, Any]:
    """Coolant loops and silicon."""
    return {
        **_header(context, request, "thermal_status"),
        **thermal_messages.thermal_status(newest(context)),
    }


@routes.get("/dcpi/grid/status", LOGIN)
def grid_status(context: Context, request: Request) -> dict[str, Any]:
    """The grid connection."""
    return {
        **_header(context, request, "grid_status"),
        **grid_messages.grid_status(context.commands.grid_status()),
    }


@routes.get("/dcpi/workload/{workload}", LOGIN)
def workload(context: Context, request: Request) -> dict[str, Any]:
    """One announced workload."""
    record = context.commands.workload(unquote(request.params["workload"]))
    return {
        **_header(context, request, "workload_status"),
        **workload_messages.workload_status(record),
    }


def _point(point: Aggregate) -> dict[str, Any]:
    return {
        "start": moment(point.start_s),
        "power_mw": mega(point.p_w),
        "min_power_mw": mega(point.p_min_w),
        "max_power_mw": mega(point.p_max_w),
        "voltage_v": point.v_rms_v,
        "frequency_hz": point.frequency_hz,
        "energy_import_mwh": megawatt_hours(point.energy_import_j),
        "valid_windows": point.valid_windows,
    }


def _event(logged: LoggedEvent) -> dict[str, Any]:
    event = logged.event
    return {
        "event_id": str(logged.sequence),
        "event_type": event.kind.name.lower(),
        "event_state": state_of(logged).lower(),
        "feed_id": logged.feed_id,
        "onset_time": moment(seconds(event.onset_ns)),
        "detection_time": moment(seconds(event.detected_ns)),
        "end_time": moment(seconds(event.end_ns)),
        "power_before_mw": mega(event.before_w),
        "power_after_mw": mega(event.after_w),
        "power_change_mw": mega(event.change_w),
        "phases": list(event.phases),
        "voltage_v": event.extreme_v,
    }


def _header(context: Context, request: Request, message_type: str) -> dict[str, Any]:
    return envelope(
        message_type,
        facility_id=context.config.facility.id,
        correlation_id=request.correlation_id,
        now_s=context.clock.unix_ns() / 1e9,
    )

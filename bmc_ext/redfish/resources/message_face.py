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
from bmc_ext.redfish.registry import Routes
from bmc_ext.redfish.resources.dcpi_service import CAPABILITIES, VERSIONS
from bmc_ext.redfish.resources.power_history import select
from bmc_ext.redfish.resources.power_realtime import newest
from bmc_ext.security.identity import LOGIN
from bmc_ext.telemetry.aggregates import Aggregate

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


def _header(context: Context, request: Request, message_type: str) -> dict[str, Any]:
    return envelope(
        message_type,
        facility_id=context.config.facility.id,
        correlation_id=request.correlation_id,
        now_s=context.clock.unix_ns() / 1e9,
    )

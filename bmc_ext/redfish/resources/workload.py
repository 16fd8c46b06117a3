"""DcpiWorkload and its collection: what was announced, and what became of it."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote

from bmc_ext.domain.workload import WorkloadRecord
from bmc_ext.redfish.context import Context, Request, Response
from bmc_ext.redfish.quantities import timestamp
from bmc_ext.redfish.registry import Routes
from bmc_ext.security.identity import DCPI_WORKLOAD, LOGIN

routes = Routes()

COLLECTION = "/redfish/v1/dcpi/workloads"


@routes.get(COLLECTION, LOGIN, schema="DcpiWorkloadCollection.DcpiWorkloadCollection")
def workloads(context: Context, request: Request) -> dict[str, Any]:  # noqa: ARG001
    """Every workload that was announced and decided."""
    members = [
        {"@odata.id": f"{COLLECTION}/{record.resource_id}"}
        for record in context.commands.workloads()
    ]
    return {
        "Name": "Announced workloads",
        "Members": members,
        "Members@odata.count": len(members),
    }


@routes.get(f"{COLLECTION}/{{workload}}", LOGIN, schema="DcpiWorkload.v1_0_0.DcpiWorkload")
def workload(context: Context, request: Request) -> dict[str, Any]:
    """One announced workload."""
    return _body(context.commands.workload(unquote(request.params["workload"])))


@routes.post("/redfish/v1/dcpi/workload/announce", DCPI_WORKLOAD)
@routes.post("/redfish/v1/dcpi/Actions/DcpiService.AnnounceWorkload", DCPI_WORKLOAD)
def announce(context: Context, request: Request) -> Response:
    """Decide an announcement; Location names the workload on this face."""
    return decide(context, request, COLLECTION)


@routes.post("/dcpi/workload/announce", DCPI_WORKLOAD)
def announce_message(context: Context, request: Request) -> Response:
    """Decide an announcement; Location names the workload on the message face."""
    return decide(context, request, "/dcpi/workload")


def decide(context: Context, request: Request, home: str) -> Response:
    """Hand the message to the command path and point at the workload's home."""
    outcome = context.commands.announce(request.json(), request.who, request.correlation_id)
    headers = {}
    if outcome.location_id is not None:
        headers["Location"] = f"{home}/{outcome.location_id}"
    return Response(outcome.status, outcome.body, headers)


def _body(record: WorkloadRecord) -> dict[str, Any]:
    return {
        "Id": record.resource_id,
        "Name": f"Workload {record.workload_id}",
        "WorkloadId": record.workload_id,
        "WorkloadState": record.state.capitalize(),
        "ApprovalStatus": record.approval_status,
        "AnnouncedAt": timestamp(record.announced_s),
        "StartTime": timestamp(record.start_s),
        "EndTime": timestamp(record.end_s),
        "PeakPowerWatts": record.peak_power_w,
        "BaselinePowerWatts": record.baseline_power_w,
        "MaxPowerWatts": record.max_power_w,
        "MinPowerWatts": record.min_power_w,
        "Priority": record.priority,
        "CanThrottle": record.can_throttle,
        "CanDelay": record.can_delay,
        "Reasons": list(record.reasons),
        "Status": {"State": "Enabled", "Health": "OK"},
    }

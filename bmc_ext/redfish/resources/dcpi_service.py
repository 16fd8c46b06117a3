"""DcpiService: the root of the DCPI tree with the capabilities (DCPI 6.5.1 b)."""

from __future__ import annotations

from typing import Any

from bmc_ext.redfish.action import REFERENCE, of_messages, tell
from bmc_ext.redfish.context import Context, Request
from bmc_ext.redfish.quantities import status, with_time_alarm
from bmc_ext.redfish.registry import Routes
from bmc_ext.security.identity import LOGIN
from drivers.reading import Quality

routes = Routes()

ROOT = "/redfish/v1/dcpi"
_ANNOUNCE_INFO = f"{ROOT}/AnnounceWorkloadActionInfo"
VERSIONS = ("1.0",)
CAPABILITIES = (
    "power_realtime",
    "power_stream",
    "power_history",
    "power_events",
    "workload_announce",
    "thermal_status",
    "thermal_control",
    "grid_status",
    "grid_signal",
)

tell(routes, _ANNOUNCE_INFO, of_messages("workload_announcement.full"))


@routes.get(ROOT, LOGIN, schema="DcpiService.v1_0_0.DcpiService")
def dcpi_service(context: Context, request: Request) -> dict[str, Any]:  # noqa: ARG001
    """What this BMC offers, and where."""
    facility = context.config.facility
    history = {"PowerHistory": {"@odata.id": f"{ROOT}/power/history"}}
    return {
        "Id": "dcpi",
        "Name": "Data Center Power Intelligence Protocol",
        "DcpiVersions": list(VERSIONS),
        "FacilityId": facility.id,
        "FacilityName": facility.name,
        "RatedPowerWatts": facility.rated_power_w,
        "ControlMode": context.config.control,
        "Capabilities": list(CAPABILITIES),
        "Status": with_time_alarm(status(Quality.OK), context.snapshots.latest()),
        "PowerRealtime": {"@odata.id": f"{ROOT}/power/realtime"},
        **(history if context.config.feeds else {}),
        "PowerEvents": {"@odata.id": f"{ROOT}/power/events"},
        "ThermalStatus": {"@odata.id": f"{ROOT}/thermal/status"},
        "GridStatus": {"@odata.id": f"{ROOT}/grid/status"},
        "Workloads": {"@odata.id": f"{ROOT}/workloads"},
        "PowerStreamUri": f"{ROOT}/power/stream",
        "Actions": {
            "#DcpiService.AnnounceWorkload": {
                "target": f"{ROOT}/Actions/DcpiService.AnnounceWorkload",
                REFERENCE: _ANNOUNCE_INFO,
            }
        },
    }

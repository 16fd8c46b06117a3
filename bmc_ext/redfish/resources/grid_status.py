"""DcpiGridStatus: the grid connection, what it allows, and the signals in force."""

from __future__ import annotations

from typing import Any

from bmc_ext.redfish.action import REFERENCE, of_messages, tell
from bmc_ext.redfish.context import Context, Request, Response
from bmc_ext.redfish.quantities import status, timestamp
from bmc_ext.redfish.registry import Routes
from bmc_ext.security.identity import DCPI_GRID, LOGIN

routes = Routes()

URI = "/redfish/v1/dcpi/grid/status"
_SIGNAL_INFO = f"{URI}/SignalActionInfo"

tell(routes, _SIGNAL_INFO, of_messages("demand_response_request", "grid_signal"))


@routes.get(
    URI,
    LOGIN,
    schema="DcpiGridStatus.v1_0_0.DcpiGridStatus",
    volatile=(
        "WindowId", "Quality", "FrequencyHz", "ImportPowerWatts", "AvailablePowerWatts",
        "FlexibilityUpWatts", "FlexibilityDownWatts", "ReservedPowerWatts",
    ),
)  # fmt: skip
def grid_status(context: Context, request: Request) -> dict[str, Any]:  # noqa: ARG001
    """Frequency and import as measured, limits and events as agreed."""
    grid = context.commands.grid_status()
    return {
        "Id": "status",
        "Name": "Grid status",
        "WindowId": grid.window_id,
        "Quality": grid.quality,
        "Status": status(grid.quality),
        "GridStability": grid.stability,
        "FrequencyHz": grid.frequency_hz,
        "ImportPowerWatts": grid.import_w,
        "ContractLimitWatts": grid.contract_limit_w,
        "OperatorLimitWatts": grid.operator_limit_w,
        "ImportLimitWatts": grid.import_limit_w,
        "ReservedPowerWatts": grid.reserved_w,
        "AvailablePowerWatts": grid.available_w,
        "FlexibilityUpWatts": grid.flexibility_up_w,
        "FlexibilityDownWatts": grid.flexibility_down_w,
        "CarbonIntensityGramsPerkWh": grid.carbon_intensity_g_per_kwh,
        "PricePerMWh": grid.price_per_mwh,
        "GreenEnergyAvailable": grid.green_energy_available,
        "Events": [
            {
                "EventId": event.event_id,
                "EventType": event.event_type,
                "EventState": event.state,
                "StartTime": timestamp(event.start_s),
                "EndTime": timestamp(event.end_s),
                "TargetReductionWatts": event.target_reduction_w,
            }
            for event in grid.events
        ],
        "Actions": {
            "#DcpiGridStatus.Signal": {
                "target": f"{URI}/Actions/DcpiGridStatus.Signal",
                REFERENCE: _SIGNAL_INFO,
            }
        },
    }


@routes.post("/redfish/v1/dcpi/grid/signal", DCPI_GRID)
@routes.post("/dcpi/grid/signal", DCPI_GRID)
@routes.post(f"{URI}/Actions/DcpiGridStatus.Signal", DCPI_GRID)
def grid_signal(context: Context, request: Request) -> Response:
    """Take a demand_response_request or a grid_signal; answer accepted or refused with reasons."""
    outcome = context.commands.grid_signal(request.json(), request.who, request.correlation_id)
    return Response(outcome.status, outcome.body)

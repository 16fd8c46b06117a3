"""DcpiThermalStatus: the coolant loops and the silicon, and the action that sets them."""

from __future__ import annotations

from typing import Any

from bmc_ext.domain.heat_energy import HeatEnergy
from bmc_ext.domain.redundancy import Redundancy
from bmc_ext.domain.snapshot import WINDOW_S, LoopValues, SiliconValues, Snapshot
from bmc_ext.redfish.action import REFERENCE, of_messages, tell
from bmc_ext.redfish.confidence import calibrations, conditioned_status, redundancy
from bmc_ext.redfish.context import Context, Request, Response
from bmc_ext.redfish.newest import newest
from bmc_ext.redfish.quantities import kilowatt_hours, timestamp
from bmc_ext.redfish.registry import Routes
from bmc_ext.security.identity import DCPI_THERMAL, LOGIN
from drivers.reading import Condition, Reading

routes = Routes()

URI = "/redfish/v1/dcpi/thermal/status"
_CONTROL_INFO = f"{URI}/ControlActionInfo"

tell(routes, _CONTROL_INFO, of_messages("thermal_control"))


@routes.get(
    URI,
    LOGIN,
    schema="DcpiThermalStatus.v1_0_0.DcpiThermalStatus",
    volatile=(
        "WindowId",
        "Quality",
        "TotalHeatWatts",
        "TotalHeatUncertaintyWatts",
        "TotalHeatEnergykWh",
        "TotalReversedHeatEnergykWh",
        "TotalHeatEnergyRegisters",
        "Loops",
        "Silicon",
    ),
)
def thermal_status(context: Context, request: Request) -> dict[str, Any]:  # noqa: ARG001
    """The newest snapshot's coolant loops and junction temperatures."""
    snapshot = newest(context)
    quality = snapshot.loops_quality
    return {
        "Id": "status",
        "Name": "Thermal status",
        "WindowId": snapshot.window_id,
        "Quality": quality,
        "Status": conditioned_status(quality, _conditions(snapshot)),
        "TotalHeatWatts": snapshot.total_heat_w,
        "TotalHeatUncertaintyWatts": snapshot.total_heat_uncertainty_w,
        **{f"Total{name}": value for name, value in _energy(snapshot.total_heat_energy).items()},
        "Loops": [_loop(loop) for loop in snapshot.loops],
        "Silicon": [_silicon(sensor) for sensor in snapshot.silicon],
        "Actions": {
            "#DcpiThermalStatus.Control": {
                "target": f"{URI}/Actions/DcpiThermalStatus.Control",
                REFERENCE: _CONTROL_INFO,
            }
        },
    }


@routes.post("/redfish/v1/dcpi/thermal/control", DCPI_THERMAL)
@routes.post("/dcpi/thermal/control", DCPI_THERMAL)
@routes.post(f"{URI}/Actions/DcpiThermalStatus.Control", DCPI_THERMAL)
def thermal_control(context: Context, request: Request) -> Response:
    """Take a thermal_control message; answer what was accepted and what is effective."""
    outcome = context.commands.thermal_control(request.json(), request.who, request.correlation_id)
    return Response(outcome.status, outcome.body)


def _conditions(snapshot: Snapshot) -> list[Condition]:
    return [
        *(entry for loop in snapshot.loops for entry in loop.conditions),
        *(entry for sensor in snapshot.silicon for entry in sensor.temperature.conditions),
    ]


_FIELDS = {
    "SupplyTemperatureCelsius": "supply",
    "ReturnTemperatureCelsius": "return_",
    "FlowLitersPerMinute": "flow",
    "PressureBar": "pressure",
    "PumpSpeedPercent": "pump_speed",
    "PumpSpeedSetPointPercent": "pump_setpoint",
}
"""The readings of a loop by their names here, and the fields of LoopValues that hold them."""


def _loop(loop: LoopValues) -> dict[str, Any]:
    readings: dict[str, Reading] = {name: getattr(loop, key) for name, key in _FIELDS.items()}
    return {
        "SystemId": loop.loop_id,
        "Fluid": loop.fluid,
        "PhaseState": loop.phase_state,
        "Quality": loop.quality,
        "Status": conditioned_status(loop.quality, loop.conditions),
        **{name: reading.value for name, reading in readings.items()},
        "HeatWatts": loop.heat_w,
        "HeatUncertaintyWatts": loop.heat_uncertainty_w,
        **_energy(loop.heat_energy),
        "MeasuredAt": timestamp(loop.flow.measured_at),
        "Readings": [
            _reading(name, reading, loop.redundancy.get(_FIELDS[name]))
            for name, reading in readings.items()
        ],
    }


def _energy(energy: HeatEnergy) -> dict[str, Any]:
    registers = energy.registers
    since = registers.since_window
    return {
        "HeatEnergykWh": kilowatt_hours(energy.taken_up_j),
        "ReversedHeatEnergykWh": kilowatt_hours(energy.given_off_j),
        "HeatEnergyRegisters": {
            "MissingWindows": registers.missing_windows,
            "InvalidWindows": registers.invalid_windows,
            "GapSeconds": registers.gap_s,
            "TimeErrorPercent": energy.time_error_percent,
            "Since": timestamp(None if since is None else since * WINDOW_S),
            "LastCounted": timestamp(energy.counted_at),
        },
    }


def _reading(quantity: str, reading: Reading, state: Redundancy | None) -> dict[str, Any]:
    return {
        "Quantity": quantity,
        "Quality": reading.quality,
        "MeasuredAt": timestamp(reading.measured_at),
        "ChangedAt": timestamp(reading.changed_at),
        "SourceIntervalSeconds": reading.source_interval_s,
        "Uncertainty": reading.uncertainty,
        "Calibrations": calibrations(reading.calibrations),
        "Redundancy": redundancy(state),
    }


def _silicon(sensor: SiliconValues) -> dict[str, Any]:
    return {
        "SensorId": sensor.sensor_id,
        "TemperatureCelsius": sensor.temperature.value,
        "Quality": sensor.temperature.quality,
        "Status": conditioned_status(sensor.temperature.quality, sensor.temperature.conditions),
        "MeasuredAt": timestamp(sensor.temperature.measured_at),
        "UncertaintyCelsius": sensor.temperature.uncertainty,
        "Calibrations": calibrations(sensor.temperature.calibrations),
    }

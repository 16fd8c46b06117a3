"""thermal_status: a snapshot's coolant loops and silicon as a DCPI message, heat in MW."""

from __future__ import annotations

from typing import Any

from bmc_ext.domain.heat_energy import HeatEnergy
from bmc_ext.domain.redundancy import Redundancy
from bmc_ext.domain.snapshot import WINDOW_S, LoopValues, Snapshot
from bmc_ext.messages import confidence
from bmc_ext.messages.power import mega, megawatt_hours, moment, scaled
from drivers.reading import Reading


def thermal_status(snapshot: Snapshot) -> dict[str, Any]:
    """The payload, without the header."""
    return {
        "window_id": snapshot.window_id,
        "quality": snapshot.loops_quality,
        "total_heat_mw": mega(snapshot.total_heat_w),
        "total_heat_uncertainty_mw": mega(snapshot.total_heat_uncertainty_w),
        **{f"total_{name}": value for name, value in _energy(snapshot.total_heat_energy).items()},
        "loops": [_loop(loop) for loop in snapshot.loops],
        "silicon": [
            {
                "sensor_id": sensor.sensor_id,
                "temperature_c": sensor.temperature.value,
                "quality": sensor.temperature.quality,
                "measured_at": moment(sensor.temperature.measured_at),
                "uncertainty_c": sensor.temperature.uncertainty,
                "warnings": confidence.warnings(sensor.temperature.conditions),
                "calibrations": confidence.calibrations(sensor.temperature.calibrations),
            }
            for sensor in snapshot.silicon
        ],
    }


_FIELDS = {
    "supply_temperature_c": "supply",
    "return_temperature_c": "return_",
    "flow_lpm": "flow",
    "pressure_bar": "pressure",
    "pump_speed_percent": "pump_speed",
    "pump_speed_setpoint_percent": "pump_setpoint",
}
"""The readings of a loop by their names here, and the fields of LoopValues that hold them."""


def _loop(loop: LoopValues) -> dict[str, Any]:
    readings: dict[str, Reading] = {name: getattr(loop, key) for name, key in _FIELDS.items()}
    return {
        "system_id": loop.loop_id,
        "fluid": loop.fluid,
        "phase_state": loop.phase_state,
        "quality": loop.quality,
        **{name: reading.value for name, reading in readings.items()},
        "heat_mw": mega(loop.heat_w),
        "heat_uncertainty_mw": mega(loop.heat_uncertainty_w),
        **_energy(loop.heat_energy),
        "measured_at": moment(loop.flow.measured_at),
        "warnings": confidence.warnings(loop.conditions),
        "readings": {
            name: _reading(reading, loop.redundancy.get(_FIELDS[name]))
            for name, reading in readings.items()
        },
    }


def _energy(energy: HeatEnergy) -> dict[str, Any]:
    registers = energy.registers
    return {
        "heat_energy_mwh": megawatt_hours(energy.taken_up_j),
        "reversed_heat_energy_mwh": megawatt_hours(energy.given_off_j),
        "heat_energy_registers": {
            "missing_windows": registers.missing_windows,
            "invalid_windows": registers.invalid_windows,
            "gap_sec": registers.gap_s,
            "time_error_percent": energy.time_error_percent,
            "since": moment(scaled(registers.since_window, WINDOW_S)),
            "last_counted": moment(energy.counted_at),
        },
    }


def _reading(reading: Reading, redundancy: Redundancy | None) -> dict[str, Any]:
    return {
        "quality": reading.quality,
        "measured_at": moment(reading.measured_at),
        "changed_at": moment(reading.changed_at),
        "source_interval_sec": reading.source_interval_s,
        "uncertainty": reading.uncertainty,
        "calibrations": confidence.calibrations(reading.calibrations),
        "redundancy": confidence.redundancy(redundancy, value="value", uncertainty="uncertainty"),
    }

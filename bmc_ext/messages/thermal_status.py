"""thermal_status: a snapshot's coolant loops and silicon as a DCPI message, heat in MW."""

from __future__ import annotations

from typing import Any

from bmc_ext.domain.snapshot import LoopValues, Snapshot
from bmc_ext.messages.power import mega, moment
from drivers.reading import Reading


def thermal_status(snapshot: Snapshot) -> dict[str, Any]:
    """The payload, without the header."""
    return {
        "window_id": snapshot.window_id,
        "quality": snapshot.loops_quality,
        "total_heat_mw": mega(snapshot.total_heat_w),
        "loops": [_loop(loop) for loop in snapshot.loops],
        "silicon": [
            {
                "sensor_id": sensor.sensor_id,
                "temperature_c": sensor.temperature.value,
                "quality": sensor.temperature.quality,
                "measured_at": moment(sensor.temperature.measured_at),
            }
            for sensor in snapshot.silicon
        ],
    }


def _loop(loop: LoopValues) -> dict[str, Any]:
    readings = {
        "supply_temperature_c": loop.supply,
        "return_temperature_c": loop.return_,
        "flow_lpm": loop.flow,
        "pressure_bar": loop.pressure,
        "pump_speed_percent": loop.pump_speed,
        "pump_speed_setpoint_percent": loop.pump_setpoint,
    }
    return {
        "system_id": loop.loop_id,
        "fluid": loop.fluid,
        "phase_state": loop.phase_state,
        "quality": loop.quality,
        **{name: reading.value for name, reading in readings.items()},
        "heat_mw": mega(loop.heat_w),
        "heat_uncertainty_mw": mega(loop.heat_uncertainty_w),
        "measured_at": moment(loop.flow.measured_at),
        "readings": {name: _reading(reading) for name, reading in readings.items()},
    }


def _reading(reading: Reading) -> dict[str, Any]:
    return {
        "quality": reading.quality,
        "measured_at": moment(reading.measured_at),
        "changed_at": moment(reading.changed_at),
        "source_interval_sec": reading.source_interval_s,
        "uncertainty": reading.uncertainty,
    }

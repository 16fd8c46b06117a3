"""power_realtime and power_stream: a snapshot's power as DCPI messages, in MW, Mvar and MVA."""

from __future__ import annotations

from typing import Any

from bmc_ext.clock import iso8601
from bmc_ext.domain.energy import EnergyRegisters
from bmc_ext.domain.power import FeedValues, PhaseValues, TotalValues
from bmc_ext.domain.snapshot import WINDOW_S, Snapshot
from bmc_ext.messages import confidence
from bmc_ext.messages.cycles import cycle_members

JOULE_PER_MWH = 3.6e9


def mega(value: float | None) -> float | None:
    """W, var or VA as MW, Mvar or MVA."""
    return None if value is None else value / 1e6


def megawatt_hours(energy_j: float | None) -> float | None:
    """J as MWh."""
    return None if energy_j is None else energy_j / JOULE_PER_MWH


def moment(unix_s: float | None) -> str | None:
    """A time stamp, or None where it is unknown."""
    return None if unix_s is None else iso8601(unix_s)


def scaled(value: float | None, factor: float) -> float | None:
    """The value times the factor; None is unknown."""
    return None if value is None else value * factor


def power_realtime(snapshot: Snapshot) -> dict[str, Any]:
    """The payload of power_realtime, without the header."""
    bound_s = snapshot.time_bound_s
    return {
        "window_id": snapshot.window_id,
        "window_start": iso8601(snapshot.start_s),
        "window_sec": WINDOW_S,
        "time_bound_ms": None if bound_s is None else bound_s * 1e3,
        "time_source": snapshot.time_source,
        "alarms": [] if snapshot.time_alarm is None else [snapshot.time_alarm],
        "quality": snapshot.total.quality,
        "total": _total(snapshot.total),
        "feeds": [_feed(feed) for feed in snapshot.feeds],
    }


def power_stream(snapshot: Snapshot, *, seq: int) -> dict[str, Any]:
    """The payload of one frame of the stream, without the header and without `dropped`."""
    total = snapshot.total
    return {
        "seq": seq,
        "window_id": snapshot.window_id,
        "window_start": iso8601(snapshot.start_s),
        "quality": total.quality,
        "total": {
            "power_mw": mega(total.p_w),
            "power_uncertainty_mw": mega(total.p_uncertainty_w),
            "reactive_power_mvar": mega(total.q_var),
            "power_factor": total.pf,
            "quality": total.quality,
        },
        "feeds": [
            {
                "feed_id": feed.feed_id,
                "quality": feed.quality,
                "power_mw": mega(feed.p_w),
                "power_uncertainty_mw": mega(feed.p_uncertainty_w),
                "frequency_hz": feed.frequency_hz,
            }
            for feed in snapshot.feeds
        ],
    }


def _total(total: TotalValues) -> dict[str, Any]:
    return {
        "power_mw": mega(total.p_w),
        "reactive_power_mvar": mega(total.q_var),
        "apparent_power_mva": mega(total.s_va),
        "power_factor": total.pf,
        "energy_import_mwh": megawatt_hours(total.energy_import_j),
        "energy_export_mwh": megawatt_hours(total.energy_export_j),
        "energy_registers": _registers(
            total.registers, total.energy_import_j, total.energy_export_j, total.counted_at
        ),
        "power_uncertainty_mw": mega(total.p_uncertainty_w),
        "reactive_power_uncertainty_mvar": mega(total.q_uncertainty_var),
        "apparent_power_uncertainty_mva": mega(total.s_uncertainty_va),
        "power_factor_uncertainty": total.pf_uncertainty,
        "quality": total.quality,
    }


def _feed(feed: FeedValues) -> dict[str, Any]:
    return {
        "feed_id": feed.feed_id,
        "source": feed.source,
        "quality": feed.quality,
        "flags": list(feed.flags),
        "measured_at": moment(feed.measured_at),
        "frequency_hz": feed.frequency_hz,
        "power_mw": mega(feed.p_w),
        "reactive_power_mvar": mega(feed.q_var),
        "apparent_power_mva": mega(feed.s_va),
        "power_factor": feed.pf,
        "displacement_power_factor": feed.dpf,
        "energy_import_mwh": megawatt_hours(feed.energy_import_j),
        "energy_export_mwh": megawatt_hours(feed.energy_export_j),
        "energy_registers": _registers(
            feed.registers, feed.energy_import_j, feed.energy_export_j, feed.counted_at
        ),
        "time_base": {
            "sample_rate_hz": feed.sample_rate_hz,
            "sample_rate_error_ppm": scaled(feed.rate_error, 1e6),
            "time_error_ms": scaled(feed.time_error_s, 1e3),
        },
        "power_uncertainty_mw": mega(feed.p_uncertainty_w),
        "reactive_power_uncertainty_mvar": mega(feed.q_uncertainty_var),
        "apparent_power_uncertainty_mva": mega(feed.s_uncertainty_va),
        "power_factor_uncertainty": feed.pf_uncertainty,
        "frequency_uncertainty_hz": feed.f_uncertainty_hz,
        "warnings": confidence.warnings(feed.conditions),
        "calibrations": confidence.calibrations(feed.calibrations),
        "redundancy": confidence.redundancy(
            feed.redundancy, value="power_mw", uncertainty="power_uncertainty_mw", scale=1e6
        ),
        "phases": [_phase(phase) for phase in feed.phases],
        **cycle_members(feed.cycles),
    }


def _registers(
    registers: EnergyRegisters,
    import_j: float | None,
    export_j: float | None,
    counted_at: float | None,
) -> dict[str, Any]:
    since = registers.since_window
    return {
        "reactive_q1_mvarh": scaled(registers.q1_var_s, 1 / JOULE_PER_MWH),
        "reactive_q2_mvarh": scaled(registers.q2_var_s, 1 / JOULE_PER_MWH),
        "reactive_q3_mvarh": scaled(registers.q3_var_s, 1 / JOULE_PER_MWH),
        "reactive_q4_mvarh": scaled(registers.q4_var_s, 1 / JOULE_PER_MWH),
        "missing_windows": registers.missing_windows,
        "invalid_windows": registers.invalid_windows,
        "reactive_invalid_windows": registers.reactive_invalid_windows,
        "gap_sec": registers.gap_s,
        "time_error_percent": registers.time_error_percent(import_j, export_j),
        "since": moment(scaled(since, WINDOW_S)),
        "last_counted": moment(counted_at),
    }


def _phase(phase: PhaseValues) -> dict[str, Any]:
    return {
        "phase": phase.phase,
        "power_mw": mega(phase.p_w),
        "reactive_power_mvar": mega(phase.q_var),
        "apparent_power_mva": mega(phase.s_va),
        "power_factor": phase.pf,
        "displacement_power_factor": phase.dpf,
        "voltage_v": phase.v_rms_v,
        "current_a": phase.i_rms_a,
        "thd_voltage_percent": phase.thd_v_percent,
        "thd_current_percent": phase.thd_i_percent,
        "power_uncertainty_mw": mega(phase.p_uncertainty_w),
        "reactive_power_uncertainty_mvar": mega(phase.q_uncertainty_var),
        "voltage_uncertainty_v": phase.v_uncertainty_v,
        "current_uncertainty_a": phase.i_uncertainty_a,
        "apparent_power_uncertainty_mva": mega(phase.s_uncertainty_va),
        "power_factor_uncertainty": phase.pf_uncertainty,
        "voltage_thd_uncertainty_percent": phase.thd_v_uncertainty_percent,
        "current_thd_uncertainty_percent": phase.thd_i_uncertainty_percent,
    }

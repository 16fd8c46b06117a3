"""DcpiPowerRealtime: power of every feed and phase in the newest 100 ms window."""

from __future__ import annotations

from typing import Any

from bmc_ext.domain.energy import EnergyRegisters
from bmc_ext.domain.power import FeedValues, PhaseValues, TotalValues
from bmc_ext.domain.snapshot import WINDOW_S
from bmc_ext.redfish.confidence import calibrations, conditioned_status, redundancy
from bmc_ext.redfish.context import Context, Request
from bmc_ext.redfish.cycle_members import cycle_members
from bmc_ext.redfish.newest import newest, window
from bmc_ext.redfish.quantities import (
    kilowatt_hours,
    milliseconds,
    parts_per_million,
    timestamp,
    with_time_alarm,
)
from bmc_ext.redfish.registry import Routes
from bmc_ext.security.identity import LOGIN

routes = Routes()

READINGS = (
    "WindowId", "WindowStart", "TimeBoundMilliseconds", "TimeBoundSource", "Quality", "Status",
    "Total", "Feeds",
)  # fmt: skip


@routes.get(
    "/redfish/v1/dcpi/power/realtime",
    LOGIN,
    schema="DcpiPowerRealtime.v1_0_0.DcpiPowerRealtime",
    volatile=READINGS,
    hot=True,
    version=window,
)
def power_realtime(context: Context, request: Request) -> dict[str, Any]:  # noqa: ARG001
    """The newest snapshot's power."""
    snapshot = newest(context)
    names = {feed.id: feed.name for feed in context.config.feeds}
    return {
        "Id": "realtime",
        "Name": "Real-time power",
        "WindowId": snapshot.window_id,
        "WindowStart": timestamp(snapshot.start_s),
        "WindowSeconds": WINDOW_S,
        "TimeBoundMilliseconds": milliseconds(snapshot.time_bound_s),
        "TimeBoundSource": snapshot.time_source,
        "Quality": snapshot.total.quality,
        "Status": with_time_alarm(
            conditioned_status(
                snapshot.total.quality,
                [entry for feed in snapshot.feeds for entry in feed.conditions],
            ),
            snapshot,
        ),
        "Total": _total(snapshot.total),
        "Feeds": [_feed(feed, names[feed.feed_id]) for feed in snapshot.feeds],
    }


def _total(total: TotalValues) -> dict[str, Any]:
    return {
        "PowerWatts": total.p_w,
        "ReactivePowerVAR": total.q_var,
        "ApparentPowerVA": total.s_va,
        "PowerFactor": total.pf,
        "EnergyImportkWh": kilowatt_hours(total.energy_import_j),
        "EnergyExportkWh": kilowatt_hours(total.energy_export_j),
        "EnergyRegisters": _registers(
            total.registers, total.energy_import_j, total.energy_export_j, total.counted_at
        ),
        "PowerUncertaintyWatts": total.p_uncertainty_w,
        "ReactivePowerUncertaintyVAR": total.q_uncertainty_var,
        "ApparentPowerUncertaintyVA": total.s_uncertainty_va,
        "PowerFactorUncertainty": total.pf_uncertainty,
        "Quality": total.quality,
    }


def _feed(feed: FeedValues, name: str) -> dict[str, Any]:
    return {
        "FeedId": feed.feed_id,
        "Name": name,
        "Source": feed.source,
        "Quality": feed.quality,
        "Flags": list(feed.flags),
        "MeasuredAt": timestamp(feed.measured_at),
        "FrequencyHz": feed.frequency_hz,
        "PowerWatts": feed.p_w,
        "ReactivePowerVAR": feed.q_var,
        "ApparentPowerVA": feed.s_va,
        "PowerFactor": feed.pf,
        "DisplacementPowerFactor": feed.dpf,
        "EnergyImportkWh": kilowatt_hours(feed.energy_import_j),
        "EnergyExportkWh": kilowatt_hours(feed.energy_export_j),
        "EnergyRegisters": _registers(
            feed.registers, feed.energy_import_j, feed.energy_export_j, feed.counted_at
        ),
        "TimeBase": {
            "SampleRateHz": feed.sample_rate_hz,
            "SampleRateErrorPPM": parts_per_million(feed.rate_error),
            "TimeErrorMilliseconds": milliseconds(feed.time_error_s),
        },
        "PowerUncertaintyWatts": feed.p_uncertainty_w,
        "ReactivePowerUncertaintyVAR": feed.q_uncertainty_var,
        "ApparentPowerUncertaintyVA": feed.s_uncertainty_va,
        "PowerFactorUncertainty": feed.pf_uncertainty,
        "FrequencyUncertaintyHz": feed.f_uncertainty_hz,
        "Status": conditioned_status(feed.quality, feed.conditions),
        "Calibrations": calibrations(feed.calibrations),
        "Redundancy": redundancy(feed.redundancy),
        "Phases": [_phase(phase) for phase in feed.phases],
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
        "ReactiveQ1kVARh": kilowatt_hours(registers.q1_var_s),
        "ReactiveQ2kVARh": kilowatt_hours(registers.q2_var_s),
        "ReactiveQ3kVARh": kilowatt_hours(registers.q3_var_s),
        "ReactiveQ4kVARh": kilowatt_hours(registers.q4_var_s),
        "MissingWindows": registers.missing_windows,
        "InvalidWindows": registers.invalid_windows,
        "ReactiveInvalidWindows": registers.reactive_invalid_windows,
        "GapSeconds": registers.gap_s,
        "TimeErrorPercent": registers.time_error_percent(import_j, export_j),
        "Since": timestamp(None if since is None else since * WINDOW_S),
        "LastCounted": timestamp(counted_at),
    }


def _phase(phase: PhaseValues) -> dict[str, Any]:
    return {
        "Phase": phase.phase,
        "PowerWatts": phase.p_w,
        "ReactivePowerVAR": phase.q_var,
        "ApparentPowerVA": phase.s_va,
        "PowerFactor": phase.pf,
        "DisplacementPowerFactor": phase.dpf,
        "VoltageVolts": phase.v_rms_v,
        "CurrentAmps": phase.i_rms_a,
        "VoltageTHDPercent": phase.thd_v_percent,
        "CurrentTHDPercent": phase.thd_i_percent,
        "PowerUncertaintyWatts": phase.p_uncertainty_w,
        "ReactivePowerUncertaintyVAR": phase.q_uncertainty_var,
        "VoltageUncertaintyVolts": phase.v_uncertainty_v,
        "CurrentUncertaintyAmps": phase.i_uncertainty_a,
        "ApparentPowerUncertaintyVA": phase.s_uncertainty_va,
        "PowerFactorUncertainty": phase.pf_uncertainty,
        "VoltageTHDUncertaintyPercent": phase.thd_v_uncertainty_percent,
        "CurrentTHDUncertaintyPercent": phase.thd_i_uncertainty_percent,
    }

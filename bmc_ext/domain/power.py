"""Values of one feed in one 100 ms window, and their sum over the facility."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from bmc_ext.domain.calibration import root_sum_square, vector_uncertainties
from bmc_ext.domain.cycles import NO_CYCLES, FeedCycles
from bmc_ext.domain.energy import EnergyRegisters, sum_of
from bmc_ext.domain.quality import worst_quality
from bmc_ext.domain.redundancy import Redundancy
from drivers.reading import CalibrationState, Condition, Quality

NO_REGISTERS = EnergyRegisters()
"""Of a feed that counts none."""


@dataclass(frozen=True, slots=True)
class PhaseValues:
    """One phase; None is unknown. V and A are root mean square over the window, W its mean.

    Uncertainties are half widths in the unit of their value, those of THD in percentage points.
    """

    phase: str
    p_w: float | None
    q_var: float | None
    s_va: float | None
    pf: float | None
    dpf: float | None
    v_rms_v: float | None
    i_rms_a: float | None
    thd_v_percent: float | None
    thd_i_percent: float | None
    p_uncertainty_w: float | None = None
    q_uncertainty_var: float | None = None
    v_uncertainty_v: float | None = None
    i_uncertainty_a: float | None = None
    s_uncertainty_va: float | None = None
    pf_uncertainty: float | None = None
    thd_v_uncertainty_percent: float | None = None
    thd_i_uncertainty_percent: float | None = None


@dataclass(frozen=True, slots=True)
class FeedValues:
    """One feed in one window; `quality` is that of its active power, and None is unknown.

    A waveform feed knows nothing but its energies unless `quality` is OK; a meter's feed shows
    whatever else the meter gave. `measured_at` is the Unix time of the window's start or of the
    meter's read. Power is import positive. Energies are running totals in J; they and `registers`
    are known at any quality, and `counted_at` is the end of the newest window that is in them, None
    before the first of this life. A meter refreshes its values each `source_interval_s`, None where
    that is not known. The window was analysed at `sample_rate_hz`, whose relative error
    `rate_error` bounds, and its samples' times are right to `time_error_s`: against the system
    clock; None for a meter. `p_uncertainty_w` is the half width of `p_w`, and so on, in the unit of
    the value; `calibrations` are those of the sensors behind all values.
    A redundant feed shows the vote of its members, whose state `redundancy` holds.
    """

    feed_id: str
    source: Literal["waveform", "meter", "redundant"]
    quality: Quality
    measured_at: float | None = None
    flags: tuple[str, ...] = ()
    frequency_hz: float | None = None
    p_w: float | None = None
    q_var: float | None = None
    s_va: float | None = None
    pf: float | None = None
    dpf: float | None = None
    energy_import_j: float | None = None
    energy_export_j: float | None = None
    registers: EnergyRegisters = NO_REGISTERS
    counted_at: float | None = None
    source_interval_s: float | None = None
    sample_rate_hz: float | None = None
    rate_error: float | None = None
    time_error_s: float | None = None
    phases: Sequence[PhaseValues] = ()
    p_uncertainty_w: float | None = None
    q_uncertainty_var: float | None = None
    s_uncertainty_va: float | None = None
    pf_uncertainty: float | None = None
    f_uncertainty_hz: float | None = None
    conditions: tuple[Condition, ...] = ()
    calibrations: tuple[CalibrationState, ...] = ()
    redundancy: Redundancy | None = None
    cycles: FeedCycles = NO_CYCLES
    """Over actual cycles, of a waveform feed."""


@dataclass(frozen=True, slots=True)
class TotalValues:
    """Sum over all feeds; a sum with an unknown term is unknown.

    `counted_at` is the end of the newest window that all feeds have counted.
    """

    quality: Quality
    p_w: float | None = None
    q_var: float | None = None
    s_va: float | None = None
    pf: float | None = None
    energy_import_j: float | None = None
    energy_export_j: float | None = None
    registers: EnergyRegisters = NO_REGISTERS
    counted_at: float | None = None
    p_uncertainty_w: float | None = None
    q_uncertainty_var: float | None = None
    s_uncertainty_va: float | None = None
    pf_uncertainty: float | None = None


def add_known(values: Sequence[float | None]) -> float | None:
    """Sum in the terms' unit; None as soon as one term is unknown or there is none."""
    if not values or any(value is None for value in values):
        return None
    return math.fsum(value for value in values if value is not None)


def total_of(feeds: Sequence[FeedValues]) -> TotalValues:
    """Facility totals: P and Q add, S = √(P²+Q²) of the sums (vector power, IEEE 1459-2010).

    The feeds' sensors are independent: their uncertainties add as root sum square.
    """
    p_w = add_known([feed.p_w for feed in feeds])
    q_var = add_known([feed.q_var for feed in feeds])
    s_va = math.hypot(p_w, q_var) if p_w is not None and q_var is not None else None
    u_p = root_sum_square(feed.p_uncertainty_w for feed in feeds)
    u_q = root_sum_square(feed.q_uncertainty_var for feed in feeds)
    u_s_pf = None
    if p_w is not None and q_var is not None and u_p is not None and u_q is not None:
        u_s_pf = vector_uncertainties(p_w, q_var, u_p, u_q)
    counted = [feed.counted_at for feed in feeds if feed.counted_at is not None]
    return TotalValues(
        quality=worst_quality([feed.quality for feed in feeds]),
        p_w=p_w,
        q_var=q_var,
        s_va=s_va,
        pf=p_w / s_va if p_w is not None and s_va else None,
        energy_import_j=add_known([feed.energy_import_j for feed in feeds]),
        energy_export_j=add_known([feed.energy_export_j for feed in feeds]),
        registers=sum_of([feed.registers for feed in feeds]),
        counted_at=min(counted) if counted and len(counted) == len(feeds) else None,
        p_uncertainty_w=u_p,
        q_uncertainty_var=u_q,
        s_uncertainty_va=None if u_s_pf is None else u_s_pf[0],
        pf_uncertainty=None if u_s_pf is None else u_s_pf[1],
    )

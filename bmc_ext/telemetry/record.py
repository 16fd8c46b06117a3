"""What is kept of one feed in one window: the value that the ring and the history share."""

from __future__ import annotations

from typing import NamedTuple

from bmc_ext.domain.energy import EnergyRegisters
from drivers.reading import Quality


class WindowRecord(NamedTuple):
    """One feed in one 100 ms window, as measured; None is unknown.

    Power in W, var and VA, import positive; `p_mean_w` is the plain mean over the window, the one
    for energy and extremes. `v_rms_v` and `i_rms_a` hold up to three phases in V and A. Energies
    and `registers` are running totals, in J and as EnergyRegisters says, at the end of the window.
    """

    window_id: int
    quality: Quality
    p_w: float | None = None
    p_mean_w: float | None = None
    q_var: float | None = None
    s_va: float | None = None
    pf: float | None = None
    frequency_hz: float | None = None
    v_rms_v: tuple[float | None, ...] = ()
    i_rms_a: tuple[float | None, ...] = ()
    energy_import_j: float | None = None
    energy_export_j: float | None = None
    registers: EnergyRegisters = EnergyRegisters()

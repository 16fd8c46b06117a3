"""One feed that a waveform source measures: from analysed windows to values and energy."""

from __future__ import annotations

import math
from collections.abc import Sequence

from bmc_ext.domain.power import FeedValues, PhaseValues
from bmc_ext.domain.snapshot import WINDOW_S
from bmc_ext.sampling import Analysis, PhaseAnalysis
from bmc_ext.sampling.sampler import Window
from bmc_ext.telemetry.aggregates import WINDOWS_PER_SECOND
from bmc_ext.telemetry.record import WindowRecord
from drivers.reading import Quality

LOST_S = 0.75
"""A source without a whole window for so long is lost: comm-error within 1 s."""


class WaveformFeed:
    """Values, energy and life of one feed; `take` belongs to its sampler's thread.

    Energies (import, export) in J continue from `totals_j`. Times are monotonic seconds.
    """

    def __init__(self, feed_id: str, totals_j: tuple[float, float], monotonic_s: float) -> None:
        self.feed_id = feed_id
        self._import_j, self._export_j = totals_j
        self._alive_at = monotonic_s
        self._measured_at: float | None = None

    def is_live(self, monotonic_s: float) -> bool:
        """Whether whole windows come, or may still come after the start."""
        return monotonic_s - self._alive_at < LOST_S

    def take(self, window: Window, monotonic_s: float) -> tuple[FeedValues, WindowRecord]:
        """The window's values; its energy is added to the totals."""
        if window.samples == window.expected:
            self._alive_at = monotonic_s
        flags = window.flags
        if window.analysis is None:
            whole = window.samples == window.expected
            return self._unknown(window, Quality.OUT_OF_RANGE if whole else Quality.STALE, flags)
        analysis = window.analysis
        flags += analysis.flags.labels
        p_w, p_mean_w = _known(analysis.total.p_w), _known(analysis.total.p_mean_w)
        if p_mean_w is not None:
            # Also where the frequency is unknown: the plain mean holds without one.
            self._count_energy(p_mean_w)
        if p_w is None or p_mean_w is None:
            return self._unknown(window, Quality.OUT_OF_RANGE, flags)
        self._measured_at = window.window_id / WINDOWS_PER_SECOND
        values = self._values(analysis, p_w, flags)
        return values, _record(window.window_id, values, p_mean_w)

    def missing(self, monotonic_s: float) -> FeedValues:
        """What to show for a window that did not come."""
        live = self.is_live(monotonic_s)
        return self._empty(Quality.STALE if live else Quality.COMM_ERROR, ())

    def _count_energy(self, p_mean_w: float) -> None:
        if p_mean_w >= 0:
            self._import_j += p_mean_w * WINDOW_S
        else:
            self._export_j -= p_mean_w * WINDOW_S

    def _values(self, analysis: Analysis, p_w: float, flags: tuple[str, ...]) -> FeedValues:
        q_var = _known(analysis.total.q1_var)
        return FeedValues(
            feed_id=self.feed_id,
            source="waveform",
            quality=Quality.OK,
            measured_at=self._measured_at,
            flags=flags,
            frequency_hz=_known(analysis.frequency_hz),
            p_w=p_w,
            q_var=q_var,
            s_va=_known(analysis.total.s_va),
            pf=_known(analysis.total.pf),
            dpf=_displacement_factor(analysis.phases),
            energy_import_j=self._import_j,
            energy_export_j=self._export_j,
            phases=tuple(
                _phase(f"L{number}", phase) for number, phase in enumerate(analysis.phases, 1)
            ),
        )

    def _unknown(
        self, window: Window, quality: Quality, flags: tuple[str, ...]
    ) -> tuple[FeedValues, WindowRecord]:
        record = WindowRecord(
            window.window_id,
            quality,
            energy_import_j=self._import_j,
            energy_export_j=self._export_j,
        )
        return self._empty(quality, flags), record

    def _empty(self, quality: Quality, flags: tuple[str, ...]) -> FeedValues:
        return FeedValues(self.feed_id, "waveform", quality, self._measured_at, flags)


def _record(window_id: int, values: FeedValues, p_mean_w: float) -> WindowRecord:
    return WindowRecord(
        window_id=window_id,
        quality=values.quality,
        p_w=values.p_w,
        p_mean_w=p_mean_w,
        q_var=values.q_var,
        s_va=values.s_va,
        pf=values.pf,
        frequency_hz=values.frequency_hz,
        v_rms_v=tuple([phase.v_rms_v for phase in values.phases]),
        i_rms_a=tuple([phase.i_rms_a for phase in values.phases]),
        energy_import_j=values.energy_import_j,
        energy_export_j=values.energy_export_j,
    )


def _phase(name: str, phase: PhaseAnalysis) -> PhaseValues:
    return PhaseValues(
        phase=name,
        p_w=_known(phase.p_w),
        q_var=_known(phase.q1_var),
        s_va=_known(phase.s_va),
        pf=_known(phase.pf),
        dpf=_known(phase.dpf),
        v_rms_v=_known(phase.v_rms),
        i_rms_a=_known(phase.i_rms),
        thd_v_percent=_known(phase.thd_v_percent),
        thd_i_percent=_known(phase.thd_i_percent),
    )


def _displacement_factor(phases: Sequence[PhaseAnalysis]) -> float | None:
    """ΣP1 / √((ΣP1)² + (ΣQ1)²) of the fundamental over the phases; None without any."""
    p1_w = math.fsum(phase.p1_w for phase in phases)
    s1_va = math.hypot(p1_w, math.fsum(phase.q1_var for phase in phases))
    return _known(p1_w / s1_va) if s1_va > 0 else None


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None

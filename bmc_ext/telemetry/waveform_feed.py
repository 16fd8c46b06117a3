"""One feed that a waveform source measures: from analysed windows to values and energy."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import overload

from bmc_ext.domain.calibration import frequency_uncertainty
from bmc_ext.domain.energy import EnergyCounter, EnergyRegisters
from bmc_ext.domain.power import FeedValues, PhaseValues
from bmc_ext.domain.snapshot import TIME_LIMIT_S
from bmc_ext.sampling import Analysis, Flag, PhaseAnalysis
from bmc_ext.sampling.channel_calibration import PhaseConfidence
from bmc_ext.sampling.sampler import Window
from bmc_ext.telemetry.aggregates import WINDOWS_PER_SECOND
from bmc_ext.telemetry.cycle_feed import CycleFeed
from bmc_ext.telemetry.record import WindowRecord
from drivers.reading import Quality

TIME_BOUND = "time-bound"
"""Flag of a window whose samples' times may be off by more than 1 ms against the system clock."""

_UNSTEADY = Flag.NON_STATIONARY | Flag.INTERHARMONIC | Flag.CLIPPED | Flag.COARSE
"""Flags of windows whose frequency may be off by more than noise explains."""

LOST_S = 0.75
"""A source without a whole window for so long is lost: comm-error within 1 s."""


class WaveformFeed:
    """Values, energy and life of one feed; `take` belongs to its sampler's thread.

    Energies (import, export) in J continue from `totals_j`, the other registers from `registers`;
    windows since `last_window` are missing. Times are monotonic seconds. `cycles` takes in what the
    feed's `CycleObserver` gives, in the same thread.
    """

    def __init__(
        self,
        feed_id: str,
        totals_j: tuple[float, float],
        monotonic_s: float,
        *,
        registers: EnergyRegisters | None = None,
        last_window: int | None = None,
    ) -> None:
        self.feed_id = feed_id
        self.cycles = CycleFeed()
        self._energy = EnergyCounter(*totals_j, registers, last_window)
        self._alive_at = monotonic_s
        self._taken_at: float | None = None  # in this life
        self._measured_at: float | None = None

    def is_live(self, monotonic_s: float) -> bool:
        """Whether whole windows come, or may still come after the start."""
        return monotonic_s - self._alive_at < LOST_S

    def take(
        self, window: Window, monotonic_s: float, clock_rate_error: float = 0.0
    ) -> tuple[FeedValues, WindowRecord]:
        """The window's values; its energy is added to the totals.

        `clock_rate_error` bounds the relative error of the system clock's rate against UTC.
        """
        whole = window.samples == window.expected
        if whole:
            self._alive_at = monotonic_s
        self._count_energy(window, whole, monotonic_s, clock_rate_error)
        flags = window.flags
        if window.time_error_s > TIME_LIMIT_S:
            flags += (TIME_BOUND,)
        if window.analysis is None:
            return self._unknown(window, Quality.OUT_OF_RANGE if whole else Quality.STALE, flags)
        analysis = window.analysis
        flags += analysis.flags.labels
        p_w, p_mean_w = _known(analysis.total.p_w), _known(analysis.total.p_mean_w)
        if p_w is None or p_mean_w is None:
            return self._unknown(window, Quality.OUT_OF_RANGE, flags, p_mean_w)
        self._measured_at = window.window_id / WINDOWS_PER_SECOND
        values = self._values(window, analysis, p_w, flags, clock_rate_error)
        return values, _record(window.window_id, values, p_mean_w, analysis.phases)

    def missing(self, window_id: int, monotonic_s: float) -> FeedValues:
        """What to show for a window that did not come; it counts once the next one is here."""
        live = self.is_live(monotonic_s)
        elapsed_s = self._elapsed_s(monotonic_s)
        behind = self._energy.missing_before(window_id + 1, elapsed_s)
        registers = self._energy.registers.with_missing(behind)
        return self._empty(Quality.STALE if live else Quality.COMM_ERROR, (), registers)

    def _elapsed_s(self, monotonic_s: float) -> float | None:
        return None if self._taken_at is None else monotonic_s - self._taken_at

    def _count_energy(
        self, window: Window, whole: bool, monotonic_s: float, clock_rate_error: float
    ) -> None:
        """Also where the frequency is unknown: the plain mean holds without one."""
        self._energy.advance(window.window_id, self._elapsed_s(monotonic_s))
        self._taken_at = monotonic_s
        if not whole:
            self._energy.add_missing()
            return
        total = None if window.analysis is None else window.analysis.total
        self._energy.add(
            None if total is None else _known(total.p_mean_w),
            None if total is None else _known(total.q1_var),
            window.duration_s,
            window.rate_error + clock_rate_error,
        )

    def _values(
        self,
        window: Window,
        analysis: Analysis,
        p_w: float,
        flags: tuple[str, ...],
        clock_rate_error: float,
    ) -> FeedValues:
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
            energy_import_j=self._energy.import_j,
            energy_export_j=self._energy.export_j,
            registers=self._energy.registers,
            counted_at=self._energy.counted_at,
            sample_rate_hz=window.sample_rate_hz,
            rate_error=window.rate_error,
            time_error_s=window.time_error_s,
            phases=_Phases(analysis.phases, window.confidence.phases),
            p_uncertainty_w=window.confidence.p_uncertainty_w,
            q_uncertainty_var=window.confidence.q_uncertainty_var,
            s_uncertainty_va=window.confidence.s_uncertainty_va,
            pf_uncertainty=window.confidence.pf_uncertainty,
            f_uncertainty_hz=_frequency_uncertainty(
                analysis, window.rate_error + clock_rate_error, window.samples
            ),
            conditions=window.confidence.conditions,
            calibrations=window.confidence.calibrations,
            cycles=self.cycles.at(window.start_ns * 1e-9),
        )

    def _unknown(
        self,
        window: Window,
        quality: Quality,
        flags: tuple[str, ...],
        p_mean_w: float | None = None,
    ) -> tuple[FeedValues, WindowRecord]:
        record = WindowRecord(
            window.window_id,
            quality,
            p_mean_w=p_mean_w,
            energy_import_j=self._energy.import_j,
            energy_export_j=self._energy.export_j,
            registers=self._energy.registers,
        )
        return self._empty(quality, flags, self._energy.registers), record

    def _empty(
        self, quality: Quality, flags: tuple[str, ...], registers: EnergyRegisters
    ) -> FeedValues:
        """The energies stand where they stood: what is missing from them is in the registers."""
        return FeedValues(
            self.feed_id,
            "waveform",
            quality,
            self._measured_at,
            flags,
            energy_import_j=self._energy.import_j,
            energy_export_j=self._energy.export_j,
            registers=registers,
            counted_at=self._energy.counted_at,
        )


def _record(
    window_id: int, values: FeedValues, p_mean_w: float, phases: Sequence[PhaseAnalysis]
) -> WindowRecord:
    return WindowRecord(
        window_id=window_id,
        quality=values.quality,
        p_w=values.p_w,
        p_mean_w=p_mean_w,
        q_var=values.q_var,
        s_va=values.s_va,
        pf=values.pf,
        frequency_hz=values.frequency_hz,
        v_rms_v=tuple([_known(phase.v_rms) for phase in phases]),
        i_rms_a=tuple([_known(phase.i_rms) for phase in phases]),
        energy_import_j=values.energy_import_j,
        energy_export_j=values.energy_export_j,
        registers=values.registers,
    )


class _Phases(Sequence[PhaseValues]):
    """The phases of one window, made when one is asked for: most windows are never shown."""

    __slots__ = ("_analysed", "_confidence", "_made")

    def __init__(
        self, analysed: Sequence[PhaseAnalysis], confidence: Sequence[PhaseConfidence]
    ) -> None:
        self._analysed, self._confidence = analysed, confidence
        self._made: tuple[PhaseValues, ...] | None = None

    def __len__(self) -> int:
        return len(self._analysed)

    @overload
    def __getitem__(self, index: int) -> PhaseValues: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[PhaseValues, ...]: ...

    def __getitem__(self, index: int | slice) -> PhaseValues | tuple[PhaseValues, ...]:
        if self._made is None:
            pairs = zip(self._analysed, self._confidence, strict=False)
            self._made = tuple(
                _phase(f"L{number}", phase, confidence)
                for number, (phase, confidence) in enumerate(pairs, 1)
            )
        return self._made[index]


def _phase(name: str, phase: PhaseAnalysis, confidence: PhaseConfidence) -> PhaseValues:
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
        **confidence._asdict(),
    )


def _frequency_uncertainty(analysis: Analysis, rate_error: float, samples: int) -> float | None:
    """Half width in Hz; None where the window is not that of a steady line."""
    if analysis.flags & _UNSTEADY or not math.isfinite(analysis.frequency_hz):
        return None
    return frequency_uncertainty(analysis.frequency_hz, rate_error, samples)


def _displacement_factor(phases: Sequence[PhaseAnalysis]) -> float | None:
    """ΣP1 / √((ΣP1)² + (ΣQ1)²) of the fundamental over the phases; None without any."""
    p1_w = math.fsum(phase.p1_w for phase in phases)
    s1_va = math.hypot(p1_w, math.fsum(phase.q1_var for phase in phases))
    return _known(p1_w / s1_va) if s1_va > 0 else None


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None

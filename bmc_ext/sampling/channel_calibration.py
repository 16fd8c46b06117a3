"""The calibrated channels of one waveform source: corrected windows and what they are worth."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from bmc_ext.domain.calibration import (
    Coefficients,
    apparent_uncertainty,
    power_factor_uncertainty,
    power_uncertainty,
    root_sum_square,
    thd_uncertainty,
)
from bmc_ext.sampling.analysis import Analysis, ChannelCorrection, Samples, analyze
from bmc_ext.sampling.results import Flag, PhaseAnalysis
from bmc_ext.sampling.sensor_calibration import SensorCalibration
from drivers.reading import CalibrationState, Condition

_log = logging.getLogger(__name__)

CHANNELS = ("VA", "VB", "VC", "IA", "IB", "IC")
"""Names of a source's channels in its calibration files: voltages, then currents."""

_PHASES = 3
_NEUTRAL = Coefficients(1.0, 0.0, 0.0, 0.0, temperature_known=True)


class PhaseConfidence(NamedTuple):
    """Half widths of one phase's values, k = 2; None is unknown. Q is that of the fundamental.

    Those of THD are percentage points.
    """

    p_uncertainty_w: float | None = None
    q_uncertainty_var: float | None = None
    v_uncertainty_v: float | None = None
    i_uncertainty_a: float | None = None
    s_uncertainty_va: float | None = None
    pf_uncertainty: float | None = None
    thd_v_uncertainty_percent: float | None = None
    thd_i_uncertainty_percent: float | None = None


class Confidence(NamedTuple):
    """How far a window's values may be trusted: half widths, conditions, certificates."""

    p_uncertainty_w: float | None = None
    conditions: tuple[Condition, ...] = ()
    calibrations: tuple[CalibrationState, ...] = ()
    q_uncertainty_var: float | None = None
    phases: tuple[PhaseConfidence, ...] = (PhaseConfidence(),) * _PHASES
    s_uncertainty_va: float | None = None
    pf_uncertainty: float | None = None


NO_CONFIDENCE = Confidence()
"""Of a source without any certificate."""


class ChannelCalibrations:
    """Corrects each channel that has a certificate; belongs to its sampler's thread.

    `sensors` are by the names in CHANNELS. The power's uncertainty is unknown unless all channels
    have one, and that of a clipped or coarse channel always. The core's own error, at most 0.005 %
    of S, is left out of it.
    """

    def __init__(self, sensors: Mapping[str, SensorCalibration]) -> None:
        self._sensors = sensors
        self._phases: int | None = None
        self.frequency_hz: float | None = None
        """Of the newest window that has one, in Hz."""

    def corrections(self, phases: int) -> list[ChannelCorrection]:
        """What the channels need now, in the ranges of the last window: voltages, then currents."""
        sensors = self._of(phases)
        return [ChannelCorrection(*_now(sensor)[:4]) for sensor in sensors]

    def _of(self, phases: int) -> list[SensorCalibration | None]:
        names = [CHANNELS[offset + phase] for offset in (0, _PHASES) for phase in range(phases)]
        if phases != self._phases:
            self._phases = phases
            for name in self._sensors.keys() - set(names):
                unused = self._sensors[name].calibration
                _log.warning("%s: its source has %d phase(s) only", unused.place, phases)
        return [self._sensors.get(name) for name in names]

    def analyze(
        self,
        voltage: Samples,
        current: Samples,
        sample_rate_hz: float,
        unix_s: float,
        *,
        nominal_hz: float | None = None,
        skew_s: float | Sequence[float] = 0.0,
    ) -> tuple[Analysis, Confidence]:
        """The corrected window, with the ranges that its own magnitudes ask for.

        Arguments and errors are those of `bmc_ext.sampling.analyze`; `unix_s` is the window's time.
        """
        sensors = self._of(len(voltage))

        def attempt() -> tuple[Analysis, list[Coefficients]]:
            now = [_now(sensor) for sensor in sensors]
            corrections = [ChannelCorrection(*known[:4]) for known in now]
            analysis = analyze(
                voltage,
                current,
                sample_rate_hz,
                nominal_hz=nominal_hz,
                skew_s=skew_s,
                corrections=corrections,
            )
            return analysis, now

        analysis, now = attempt()
        # The ranges are chosen by what the last window read; where they change, once more.
        tried: list[set[int]] = [set() for _ in sensors]
        while _follow(sensors, tried, analysis):
            analysis, now = attempt()
        if not math.isnan(analysis.frequency_hz):
            self.frequency_hz = analysis.frequency_hz
        samples = voltage.shape[-1]
        return analysis, _confidence(sensors, now, analysis, unix_s, samples)


def _now(sensor: SensorCalibration | None) -> Coefficients:
    return _NEUTRAL if sensor is None else sensor.now()


def _magnitudes(analysis: Analysis) -> list[float]:
    return [phase.v_rms for phase in analysis.phases] + [phase.i_rms for phase in analysis.phases]


def _follow(
    sensors: Sequence[SensorCalibration | None],
    tried: Sequence[set[int]],
    analysis: Analysis,
) -> bool:
    """Whether any channel went to another range; a channel that reads nothing keeps its own."""
    changed = [
        sensor.follow(magnitude, ranges)
        for sensor, ranges, magnitude in zip(sensors, tried, _magnitudes(analysis), strict=True)
        if sensor is not None and not math.isnan(magnitude)
    ]
    return any(changed)


def _confidence(
    sensors: Sequence[SensorCalibration | None],
    now: Sequence[Coefficients],
    analysis: Analysis,
    unix_s: float,
    samples: int,
) -> Confidence:
    magnitudes = _magnitudes(analysis)
    conditions: list[Condition] = []
    for sensor, known, magnitude in zip(sensors, now, magnitudes, strict=True):
        if sensor is not None:
            conditions += sensor.conditions(magnitude, known, unix_s)
    count = len(analysis.phases)
    widths = [
        _relative(
            phase, (sensors[number], sensors[count + number]), (now[number], now[count + number])
        )
        for number, phase in enumerate(analysis.phases)
    ]
    phases = tuple(
        _phase_confidence(phase, known, samples)
        for phase, known in zip(analysis.phases, widths, strict=True)
    )
    return Confidence(
        root_sum_square(phase.p_uncertainty_w for phase in phases),
        tuple(conditions),
        tuple(sensor.state(unix_s) for sensor in sensors if sensor is not None),
        root_sum_square(phase.q_uncertainty_var for phase in phases),
        phases,
        root_sum_square(phase.s_uncertainty_va for phase in phases),
        _power_factor(analysis.phases, widths),
    )


class _Widths(NamedTuple):
    """Of one phase: half widths in V and A, and of the angle in rad; None is unknown."""

    v: float | None
    i: float | None
    phase_rad: float | None

    def relative(self, phase: PhaseAnalysis) -> tuple[float, float, float] | None:
        """Of V and I as shares of them, and the angle; None as soon as one is unknown."""
        if self.v is None or self.i is None or self.phase_rad is None:
            return None
        if phase.v_rms <= 0.0 or phase.i_rms <= 0.0:
            return None
        return self.v / phase.v_rms, self.i / phase.i_rms, self.phase_rad


def _relative(
    phase: PhaseAnalysis,
    sensors: tuple[SensorCalibration | None, SensorCalibration | None],
    now: tuple[Coefficients, Coefficients],
) -> _Widths:
    voltage, current = sensors
    u_v = _magnitude(voltage, now[0], phase.v_rms, phase.v_clipped_samples, phase.flags)
    u_i = _magnitude(current, now[1], phase.i_rms, phase.i_clipped_samples, phase.flags)
    if voltage is None or current is None:
        return _Widths(u_v, u_i, None)
    angle = math.hypot(voltage.phase_uncertainty_rad, current.phase_uncertainty_rad)
    return _Widths(u_v, u_i, angle)


def _phase_confidence(phase: PhaseAnalysis, widths: _Widths, samples: int) -> PhaseConfidence:
    """Of the powers None without both certificates or outside of their ranges."""
    u_v, u_i, _ = widths
    thd_v = _thd(phase.thd_v_percent, u_v, phase.v_rms, phase.h_max, samples)
    thd_i = _thd(phase.thd_i_percent, u_i, phase.i_rms, phase.h_max, samples)
    known = widths.relative(phase)
    if known is not None:
        own = {"relative_v": known[0], "relative_i": known[1]}
        u_p = power_uncertainty(phase.p_w, phase.q1_var, **own, phase_rad=known[2])
        u_q = power_uncertainty(phase.q1_var, phase.p1_w, **own, phase_rad=known[2])
        u_s = apparent_uncertainty(phase.s_va, **own)
        u_pf = _power_factor([phase], [widths])
        return PhaseConfidence(_known(u_p), _known(u_q), u_v, u_i, u_s, u_pf, thd_v, thd_i)
    if u_v is None or u_i is None:
        return PhaseConfidence(None, None, u_v, u_i, None, None, thd_v, thd_i)
    # Of V or I of 0 no share is known.
    power = phase.v_rms * u_i + phase.i_rms * u_v + u_v * u_i
    return PhaseConfidence(power, power, u_v, u_i, power, None, thd_v, thd_i)


def _power_factor(phases: Sequence[PhaseAnalysis], widths: Sequence[_Widths]) -> float | None:
    """Half width of ΣP / ΣS; None as soon as a phase's is unknown."""
    shares = [known.relative(phase) for known, phase in zip(widths, phases, strict=True)]
    known = [share for share in shares if share is not None]
    if len(known) < len(shares):
        return None
    powers = [(phase.p_w, phase.q1_var, phase.s_va) for phase in phases]
    found = power_factor_uncertainty(powers, known)
    return None if found is None else _known(found)


def _thd(
    thd_percent: float, u: float | None, rms: float, orders: int, samples: int
) -> float | None:
    if u is None or not rms > 0.0 or math.isnan(thd_percent):
        return None
    return thd_uncertainty(thd_percent, relative=u / rms, orders=orders, samples=samples)


def _magnitude(
    sensor: SensorCalibration | None, known: Coefficients, rms: float, clipped: int, flags: Flag
) -> float | None:
    """None also where the samples themselves are not what the sensor gave."""
    if sensor is None or clipped or Flag.COARSE in flags or math.isnan(rms):
        return None
    return sensor.uncertainty(rms, known)


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value

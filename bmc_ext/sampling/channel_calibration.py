"""The calibrated channels of one waveform source: corrected windows and what they are worth."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from bmc_ext.domain.calibration import Coefficients, power_uncertainty, root_sum_square
from bmc_ext.sampling.analysis import ChannelCorrection, Samples, analyze
from bmc_ext.sampling.results import Analysis, Flag, PhaseAnalysis
from bmc_ext.sampling.sensor_calibration import SensorCalibration
from drivers.reading import CalibrationState, Condition

_log = logging.getLogger(__name__)

CHANNELS = ("VA", "VB", "VC", "IA", "IB", "IC")
"""Names of a source's channels in its calibration files: voltages, then currents."""

_PHASES = 3
_NEUTRAL = Coefficients(1.0, 0.0, 0.0, 0.0, temperature_known=True)


class PhaseConfidence(NamedTuple):
    """Half widths of one phase's values, k = 2; None is unknown. Q is that of the fundamental."""

    p_uncertainty_w: float | None = None
    q_uncertainty_var: float | None = None
    v_uncertainty_v: float | None = None
    i_uncertainty_a: float | None = None


class Confidence(NamedTuple):
    """How far a window's values may be trusted: half widths, conditions, certificates."""

    p_uncertainty_w: float | None = None
    conditions: tuple[Condition, ...] = ()
    calibrations: tuple[CalibrationState, ...] = ()
    q_uncertainty_var: float | None = None
    phases: tuple[PhaseConfidence, ...] = (PhaseConfidence(),) * _PHASES


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
        return analysis, _confidence(sensors, now, analysis, unix_s)


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
) -> Confidence:
    magnitudes = _magnitudes(analysis)
    conditions: list[Condition] = []
    for sensor, known, magnitude in zip(sensors, now, magnitudes, strict=True):
        if sensor is not None:
            conditions += sensor.conditions(magnitude, known, unix_s)
    count = len(analysis.phases)
    phases = tuple(
        _phase_confidence(
            phase, (sensors[number], sensors[count + number]), (now[number], now[count + number])
        )
        for number, phase in enumerate(analysis.phases)
    )
    return Confidence(
        root_sum_square(phase.p_uncertainty_w for phase in phases),
        tuple(conditions),
        tuple(sensor.state(unix_s) for sensor in sensors if sensor is not None),
        root_sum_square(phase.q_uncertainty_var for phase in phases),
        phases,
    )


def _phase_confidence(
    phase: PhaseAnalysis,
    sensors: tuple[SensorCalibration | None, SensorCalibration | None],
    now: tuple[Coefficients, Coefficients],
) -> PhaseConfidence:
    """Of the powers None without both certificates or outside of their ranges."""
    voltage, current = sensors
    u_v = _magnitude(voltage, now[0], phase.v_rms, phase.v_clipped_samples, phase.flags)
    u_i = _magnitude(current, now[1], phase.i_rms, phase.i_clipped_samples, phase.flags)
    if voltage is None or current is None or u_v is None or u_i is None:
        return PhaseConfidence(None, None, u_v, u_i)
    if phase.v_rms <= 0.0 or phase.i_rms <= 0.0:
        power = phase.v_rms * u_i + phase.i_rms * u_v + u_v * u_i
        return PhaseConfidence(power, power, u_v, u_i)
    own = {
        "relative_v": u_v / phase.v_rms,
        "relative_i": u_i / phase.i_rms,
        "phase_rad": math.hypot(voltage.phase_uncertainty_rad, current.phase_uncertainty_rad),
    }
    u_p = power_uncertainty(phase.p_w, phase.q1_var, **own)
    u_q = power_uncertainty(phase.q1_var, phase.p1_w, **own)
    return PhaseConfidence(_known(u_p), _known(u_q), u_v, u_i)


def _magnitude(
    sensor: SensorCalibration | None, known: Coefficients, rms: float, clipped: int, flags: Flag
) -> float | None:
    """None also where the samples themselves are not what the sensor gave."""
    if sensor is None or clipped or Flag.COARSE in flags or math.isnan(rms):
        return None
    return sensor.uncertainty(rms, known)


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value

"""The calibrated channels of one waveform source: corrected windows and what they are worth."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from bmc_ext.domain.calibration import Coefficients, power_uncertainty, root_sum_square
from bmc_ext.sampling.analysis import ChannelCorrection, Samples, analyze
from bmc_ext.sampling.results import Analysis, PhaseAnalysis
from bmc_ext.sampling.sensor_calibration import SensorCalibration
from drivers.reading import CalibrationState, Condition

CHANNELS = ("VA", "VB", "VC", "IA", "IB", "IC")
"""Names of a source's channels in its calibration files: voltages, then currents."""

_PHASES = 3
_NEUTRAL = Coefficients(1.0, 0.0, 0.0, 0.0, temperature_known=True)


class Confidence(NamedTuple):
    """How far a window's power may be trusted: half width in W, conditions, certificates."""

    p_uncertainty_w: float | None = None
    conditions: tuple[Condition, ...] = ()
    calibrations: tuple[CalibrationState, ...] = ()


NO_CONFIDENCE = Confidence()
"""Of a source without any certificate."""


class ChannelCalibrations:
    """Corrects each channel that has a certificate; belongs to its sampler's thread.

    `sensors` are by the names in CHANNELS. The power's uncertainty is unknown unless all channels
    have one. The core's own error, at most 0.005 % of S, is left out of it.
    """

    def __init__(self, sensors: Mapping[str, SensorCalibration]) -> None:
        self._sensors = sensors

    def corrections(self, phases: int) -> list[ChannelCorrection]:
        """What the channels need now, in the ranges of the last window: voltages, then currents."""
        sensors = self._of(phases)
        return [ChannelCorrection(*_now(sensor)[:4]) for sensor in sensors]

    def _of(self, phases: int) -> list[SensorCalibration | None]:
        return [
            self._sensors.get(CHANNELS[offset + phase])
            for offset in (0, _PHASES)
            for phase in range(phases)
        ]

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
        # The ranges are chosen by what the last window read; where they changed, once more.
        if _follow(sensors, analysis):
            analysis, now = attempt()
        return analysis, _confidence(sensors, now, analysis, unix_s)


def _now(sensor: SensorCalibration | None) -> Coefficients:
    return _NEUTRAL if sensor is None else sensor.now()


def _magnitudes(analysis: Analysis) -> list[float]:
    return [phase.v_rms for phase in analysis.phases] + [phase.i_rms for phase in analysis.phases]


def _follow(sensors: Sequence[SensorCalibration | None], analysis: Analysis) -> bool:
    """Whether any channel went to another range; a channel that reads nothing keeps its own."""
    changed = [
        sensor.follow(magnitude)
        for sensor, magnitude in zip(sensors, _magnitudes(analysis), strict=True)
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
    phases = len(analysis.phases)
    return Confidence(
        root_sum_square(
            _phase_uncertainty(
                phase,
                (sensors[number], sensors[phases + number]),
                (now[number], now[phases + number]),
            )
            for number, phase in enumerate(analysis.phases)
        ),
        tuple(conditions),
        tuple(sensor.state(unix_s) for sensor in sensors if sensor is not None),
    )


def _phase_uncertainty(
    phase: PhaseAnalysis,
    sensors: tuple[SensorCalibration | None, SensorCalibration | None],
    now: tuple[Coefficients, Coefficients],
) -> float | None:
    """Half width in W; None without both certificates or outside of their ranges."""
    voltage, current = sensors
    if voltage is None or current is None:
        return None
    u_v = voltage.uncertainty(phase.v_rms, now[0])
    u_i = current.uncertainty(phase.i_rms, now[1])
    phase_rad = root_sum_square([voltage.phase_uncertainty_rad, current.phase_uncertainty_rad])
    if u_v is None or u_i is None or phase_rad is None or math.isnan(phase.p_w):
        return None
    return _power_uncertainty(phase, u_v, u_i, phase_rad)


def _power_uncertainty(
    phase: PhaseAnalysis, u_v: float, u_i: float, phase_rad: float
) -> float | None:
    """At no voltage or current the power's half width is the other one times it."""
    if phase.v_rms <= 0.0 or phase.i_rms <= 0.0:
        return phase.v_rms * u_i + phase.i_rms * u_v + u_v * u_i
    found = power_uncertainty(
        phase.p_w,
        phase.q1_var,
        relative_v=u_v / phase.v_rms,
        relative_i=u_i / phase.i_rms,
        phase_rad=phase_rad,
    )
    return None if math.isnan(found) else found

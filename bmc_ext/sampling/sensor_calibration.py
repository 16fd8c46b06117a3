"""One calibrated sensor at work: its present range, its temperature, and when it is overdue."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import date, timedelta

from bmc_ext.domain.calibration import (
    Calibration,
    Coefficients,
    beyond,
    coefficients,
    magnitude_uncertainty,
    range_index,
)
from drivers.reading import CalibrationState, Condition

_log = logging.getLogger(__name__)

_EPOCH = date(1970, 1, 1)
_DAY_S = 86_400

Temperature = Callable[[str], float | None]
"""The temperature in Cel that a `device/point` measures now; None is unknown."""

_TEXTS = {
    "below-range": "reads below its lowest calibrated range",
    "above-range": "reads above its highest calibrated range",
    "temperature-unknown": "is not compensated: its temperature is unknown",
}


class SensorCalibration:
    """Follows the ranges of one sensor; belongs to whoever reads that sensor.

    Overdue is a warning, logged once; the value stays what it is.
    """

    def __init__(self, calibration: Calibration, temperature: Temperature) -> None:
        self.calibration = calibration
        self._temperature = temperature
        self._index: int | None = None
        self._day = -1
        self._state: CalibrationState | None = None

    def now(self) -> Coefficients:
        """What holds for the next value: the present range at the present temperature."""
        effect = self.calibration.temperature
        point = None if effect is None else effect.point
        temperature_c = None if point is None else self._temperature(point)
        return coefficients(self.calibration.ranges[self._index or 0], effect, temperature_c)

    def follow(self, magnitude: float) -> bool:
        """Take the range for this magnitude of the corrected value; whether it is another one."""
        index = range_index(self.calibration.ranges, self._index, magnitude)
        changed = index != (self._index or 0)
        self._index = index
        return changed

    def uncertainty(self, value: float, known: Coefficients) -> float | None:
        """Half width of the corrected value in the sensor's unit; None outside of all ranges."""
        return magnitude_uncertainty(
            self.calibration,
            self._index or 0,
            value,
            temperature_known=known.temperature_known,
        )

    @property
    def phase_uncertainty_rad(self) -> float:
        """Half width of the phase in the present range."""
        return self.calibration.ranges[self._index or 0].uncertainty.phase_rad

    def conditions(
        self, magnitude: float, known: Coefficients, unix_s: float
    ) -> tuple[Condition, ...]:
        """What is to be known of a value of this magnitude."""
        kind = beyond(self.calibration.ranges, magnitude)
        state = self.state(unix_s)
        if kind is None and known.temperature_known and not state.overdue:
            return ()
        kinds = [kind, None if known.temperature_known else "temperature-unknown"]
        sensor = self.calibration.sensor
        found = [
            Condition(entry, sensor, f"{sensor} {_TEXTS[entry]}")
            for entry in kinds
            if entry is not None
        ]
        if state.overdue:
            found.append(Condition("calibration-overdue", sensor, _overdue_text(state)))
        return tuple(found)

    def state(self, unix_s: float) -> CalibrationState:
        """The certificate, and whether it is overdue on that day (UTC)."""
        day = int(unix_s // _DAY_S)
        if self._state is None or day != self._day:
            known = self.calibration
            overdue = _EPOCH + timedelta(days=day) > known.due
            state = CalibrationState(
                known.sensor, known.certificate, known.calibrated_on, known.due, overdue
            )
            if overdue and not (self._state is not None and self._state.overdue):
                _log.warning("%s", _overdue_text(state))
            self._day, self._state = day, state
        return self._state


def _overdue_text(state: CalibrationState) -> str:
    return (
        f"{state.sensor} is overdue for calibration since {state.due} "
        f"(certificate {state.certificate})"
    )

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
from drivers.reading import CalibrationState, Condition, Reading

_log = logging.getLogger(__name__)

_EPOCH = date(1970, 1, 1)
_DAY_S = 86_400

Temperature = Callable[[str], Reading]
"""The temperature in Cel that a `device/point` measures now."""

_TEXTS = {
    "below-range": "reads below its lowest calibrated range",
    "above-range": "reads above its highest calibrated range",
    "temperature-unknown": "is not compensated: its temperature is unknown",
    "calibration-in-future": "was calibrated on a day to come: its certificate or the clock is off",
}


class SensorCalibration:
    """Follows the ranges of one sensor; belongs to whoever reads that sensor.

    Overdue is a warning, logged once; the value stays what it is.
    """

    def __init__(self, calibration: Calibration, temperature: Temperature) -> None:
        self.calibration = calibration
        self._temperature = temperature
        self._temperature_uncertainty_k = 0.0
        self._index: int | None = None
        self._day = -1
        self._is_early = False
        self._state: CalibrationState | None = None

    def now(self) -> Coefficients:
        """What holds for the next value: the present range at the present temperature."""
        effect = self.calibration.temperature
        point = None if effect is None else effect.point
        found = None if point is None else self._temperature(point)
        temperature_c = None if found is None else found.value
        self._temperature_uncertainty_k = 0.0 if found is None else found.uncertainty or 0.0
        return coefficients(self.calibration.ranges[self._index or 0], effect, temperature_c)

    def follow(self, magnitude: float, tried: set[int]) -> bool:
        """Take the range for this magnitude of the corrected value; whether to correct it again.

        `tried` are the ranges that this one value has been in. Where each of two makes of it what
        asks for the other, the one that it came from is kept: none chatters.
        """
        present = self._index or 0
        if present in tried:
            return False
        tried.add(present)
        self._index = range_index(self.calibration.ranges, self._index, magnitude)
        return self._index != present

    def uncertainty(self, value: float, known: Coefficients) -> float | None:
        """Half width of the corrected value in the sensor's unit; None outside of all ranges."""
        return magnitude_uncertainty(
            self.calibration,
            self._index or 0,
            value,
            temperature_known=known.temperature_known,
            temperature_uncertainty_k=self._temperature_uncertainty_k,
        )

    @property
    def phase_uncertainty_rad(self) -> float:
        """Half width of the phase in the present range."""
        return self.calibration.ranges[self._index or 0].uncertainty.phase_rad

    def conditions(
        self, magnitude: float, known: Coefficients, unix_s: float
    ) -> tuple[Condition, ...]:
        """What is to be known of a value of this magnitude."""
        state = self.state(unix_s)
        kinds = [
            beyond(self.calibration.ranges, magnitude),
            None if known.temperature_known else "temperature-unknown",
            "calibration-in-future" if self._is_early else None,
        ]
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
            today = _EPOCH + timedelta(days=day)
            overdue = today > known.due
            # In the easternmost zone the day begins 14 hours before that of UTC.
            self._is_early = today + timedelta(days=1) < known.calibrated_on
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

"""A measured value with everything that one must know to trust it."""

from __future__ import annotations

from datetime import date
from enum import StrEnum
from typing import NamedTuple


class Quality(StrEnum):
    """Why a value may or may not be used.

    STALE: nothing new came for too long, be it that the device was not read or that a value which
    always moves stands still (the profile's `stuck_after_ms`). ABSENT: the device says that it has
    none. OUT_OF_RANGE: it cannot be true, since it is outside the point's range, moved faster than
    the quantity can (`max_rate`), or a cross-check of the device fails. COMM_ERROR: the device is
    out of reach or refuses.
    """

    OK = "ok"
    STALE = "stale"
    ABSENT = "absent"
    OUT_OF_RANGE = "out-of-range"
    COMM_ERROR = "comm-error"


class Condition(NamedTuple):
    """What asks for attention although the value may be used: its kind, of which sensor, a text."""

    kind: str
    sensor: str
    text: str


class CalibrationState(NamedTuple):
    """How a sensor was calibrated. `due` is the last day on which the certificate holds."""

    sensor: str
    certificate: str
    calibrated_on: date
    due: date
    overdue: bool


class Reading(NamedTuple):
    """One point of one device.

    `value` is in `unit` (UCUM) and is None whenever `quality` is not OK: unknown is never 0 and
    never yesterday's. Times are Unix seconds: `measured_at` the last good read, `changed_at` the
    last read whose value differed. Intervals are in seconds: `source_interval_s` what the device
    declares, `effective_interval_s` what was observed between changes. `uncertainty` is the half
    width in `unit` that the sensor's calibration gives (expanded, k = 2), or else what the device's
    accuracy class allows at this value. `calibrations` are those of the sensors behind the value.
    `against` is what a pressure is measured against: absolute, gauge or differential.
    """

    value: float | None
    unit: str
    quality: Quality
    measured_at: float | None = None
    changed_at: float | None = None
    source_interval_s: float | None = None
    effective_interval_s: float | None = None
    uncertainty: float | None = None
    conditions: tuple[Condition, ...] = ()
    calibrations: tuple[CalibrationState, ...] = ()
    against: str | None = None

"""Field devices read through their calibration certificates; without one as they are."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from bmc_ext.clock import Clock
from bmc_ext.domain.calibration import Calibration, Coefficients
from bmc_ext.equipment import PointRef
from bmc_ext.errors import ConfigurationError
from bmc_ext.sampling.channel_calibration import CHANNELS
from bmc_ext.sampling.sensor_calibration import SensorCalibration
from bmc_ext.telemetry.engine_port import FieldDevices
from drivers.engine import WriteResult
from drivers.reading import Condition, Quality, Reading

_ACTIVE, _REACTIVE = "power.active.", "power.reactive."


class CalibratedEngine:
    """An engine whose readings are corrected; writes pass through.

    Raises ConfigurationError for a certificate of a sensor that is not there, of another unit, or
    with coefficients that its kind cannot use. Each point has its own certificate: a meter's
    corrected power leaves its phases and its energy counter as the meter gives them. May be called
    from any thread.
    """

    def __init__(
        self, engine: FieldDevices, calibrations: Mapping[str, Calibration], clock: Clock
    ) -> None:
        self._engine = engine
        self._clock = clock
        self._points: dict[tuple[str, str], SensorCalibration] = {}
        self._channels: dict[str, dict[str, Calibration]] = {}
        for sensor, calibration in calibrations.items():
            owner, _, part = sensor.partition("/")
            self._check_temperature(calibration)
            if part in CHANNELS:
                _check_unit(calibration, "V" if part.startswith("V") else "A")
                self._channels.setdefault(owner, {})[part] = calibration
            else:
                self._check_point(calibration, owner, part)
                self._points[owner, part] = SensorCalibration(calibration, self.temperature)

    def check_sources(self, source_ids: Iterable[str]) -> None:
        """ConfigurationError for a channel's certificate whose source is none of these."""
        for owner in self._channels.keys() - set(source_ids):
            first = next(iter(self._channels[owner].values()))
            raise ConfigurationError(f"{first.place}: no waveform source {owner!r}")

    @property
    def channels(self) -> Mapping[str, Mapping[str, Calibration]]:
        """The certificates of waveform sources by their channels; for each that has any."""
        return self._channels

    @property
    def device_ids(self) -> tuple[str, ...]:
        """The ids of all devices."""
        return self._engine.device_ids

    def readings(self, device_id: str) -> dict[str, Reading]:
        """All points of a device, corrected; KeyError names an unknown device."""
        return {point: self.reading(device_id, point) for point in self._engine.readings(device_id)}

    def reading(self, device_id: str, point: str) -> Reading:
        """The newest reading, corrected; KeyError names an unknown device or point."""
        raw = self._engine.reading(device_id, point)
        sensor = self._points.get((device_id, point))
        if sensor is None:
            return raw
        unix_s = self._clock.unix_ns() / 1e9
        calibrations = (sensor.state(unix_s),)
        if raw.value is None:
            return raw._replace(calibrations=calibrations)
        reactive = self._reactive(device_id, point, sensor)
        value, known = _corrected(sensor, raw.value, reactive)
        tried: set[int] = set()
        while sensor.follow(abs(value), tried):
            value, known = _corrected(sensor, raw.value, reactive)
        uncertainty, conditions = _judged(sensor, value, known, reactive, unix_s)
        return raw._replace(
            value=value,
            uncertainty=uncertainty,
            conditions=conditions,
            calibrations=calibrations,
        )

    def write(
        self, device_id: str, point: str, value: float, *, timeout_s: float = 0.8
    ) -> WriteResult:
        """As the engine's own."""
        return self._engine.write(device_id, point, value, timeout_s=timeout_s)

    def temperature(self, point: str) -> Reading:
        """Of `device/point` in Cel, as its own sensor gives it.

        Two certificates cannot wait for each other.
        """
        device_id, _, name = point.partition("/")
        try:
            return self._engine.reading(device_id, name)
        except KeyError:  # the device was removed while running
            return Reading(None, "Cel", Quality.ABSENT)

    def _reactive(self, device_id: str, point: str, sensor: SensorCalibration) -> float | None:
        """Reactive power in var that belongs to an active power with a phase error; 0 without."""
        if not _has_phase(sensor.calibration):
            return 0.0
        partner = point.replace(_ACTIVE, _REACTIVE, 1)
        try:
            return self._engine.reading(device_id, partner).value
        except KeyError:
            return None

    def _check_temperature(self, calibration: Calibration) -> None:
        effect = calibration.temperature
        if effect is None or effect.point is None:
            return
        place = f"{calibration.place}: temperature/point"
        device_id, _, name = effect.point.partition("/")
        _check_reading(self._engine, PointRef(device_id, name), "Cel", place)

    def _check_point(self, calibration: Calibration, device_id: str, point: str) -> None:
        place = calibration.place
        _check_reading(self._engine, PointRef(device_id, point), calibration.unit, place)
        if any(within.delay_s for within in calibration.ranges):
            raise ConfigurationError(f"{place}: delay_s is for waveform channels only")
        if _has_phase(calibration) and not point.startswith(_ACTIVE):
            raise ConfigurationError(
                f"{place}: phase_rad is for waveform channels and active power only"
            )


def _check_reading(engine: FieldDevices, ref: PointRef, unit: str, place: str) -> None:
    try:
        found = engine.reading(ref.device, ref.point).unit
    except KeyError as error:
        raise ConfigurationError(f"{place}: {error.args[0]}") from error
    if found != unit:
        raise ConfigurationError(f"{place}: {ref.device}/{ref.point} is in {found}, not in {unit}")


def _check_unit(calibration: Calibration, unit: str) -> None:
    if calibration.unit != unit:
        raise ConfigurationError(
            f"{calibration.place}: the channel is in {unit}, not in {calibration.unit}"
        )


def _has_phase(calibration: Calibration) -> bool:
    return any(within.phase_rad or within.uncertainty.phase_rad for within in calibration.ranges)


def _corrected(
    sensor: SensorCalibration, value: float, reactive_var: float | None
) -> tuple[float, Coefficients]:
    """Value = gain · (reading - offset), an active power turned by its phase error before.

    A current that leads by δ makes P' = P·cos δ + Q·sin δ; so P = P'·cos δ - Q'·sin δ.
    """
    known = sensor.now()
    if known.phase_rad and reactive_var is not None:
        value = value * math.cos(known.phase_rad) - reactive_var * math.sin(known.phase_rad)
    return known.gain * (value - known.offset), known


def _judged(
    sensor: SensorCalibration,
    value: float,
    known: Coefficients,
    reactive_var: float | None,
    unix_s: float,
) -> tuple[float | None, tuple[Condition, ...]]:
    """Half width and conditions; unknown where a phase error could not be taken out."""
    conditions = sensor.conditions(abs(value), known, unix_s)
    if reactive_var is None:
        name = sensor.calibration.sensor
        text = f"{name} keeps its phase error: its reactive power is unknown"
        return None, (*conditions, Condition("phase-uncorrected", name, text))
    uncertainty = sensor.uncertainty(value, known)
    if uncertainty is not None:
        uncertainty = math.hypot(uncertainty, reactive_var * sensor.phase_uncertainty_rad)
    return uncertainty, conditions

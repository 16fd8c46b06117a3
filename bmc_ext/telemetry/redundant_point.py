"""One quantity and its configured sensors: none, one, or several that vote."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from bmc_ext.domain.redundancy import DEFAULT_LIMITS, Limit, Member, Redundancy, vote
from bmc_ext.equipment import PointRef
from bmc_ext.errors import ConfigurationError
from bmc_ext.settings import AgreementConfig
from bmc_ext.telemetry.engine_port import EngineLike
from drivers.reading import Quality, Reading


def limit_of(configured: AgreementConfig | None, unit: str) -> Limit:
    """How far redundant sensors may differ: as configured, or what Table 2 allows them."""
    if configured is None:
        return DEFAULT_LIMITS[unit]
    return Limit(configured.percent, configured.abs)


class SensorGroup:
    """Reads the quantity in its canonical unit; belongs to the tick.

    Raises ConfigurationError for a point that its device lacks or that measures something else.
    `redundancy` is the state of the newest reading, None for a single sensor.
    """

    def __init__(
        self,
        engine: EngineLike | None,
        refs: Sequence[PointRef],
        unit: str,
        place: str,
        agreement: AgreementConfig | None = None,
    ) -> None:
        self._engine = engine
        self.refs = tuple(refs)
        self._unit = unit
        self._limit = limit_of(agreement, unit)
        self.redundancy: Redundancy | None = None
        for ref in self.refs:
            self._check(ref, place)

    def read(self) -> Reading:
        """The quantity now; absent without any sensor."""
        readings = [self._reading(ref) for ref in self.refs]
        if not readings:
            return Reading(None, self._unit, Quality.ABSENT)
        return readings[0] if len(readings) == 1 else self._voted(readings)

    def _voted(self, readings: Sequence[Reading]) -> Reading:
        """Its times are the oldest, its intervals the longest of the sensors that were used."""
        named = {
            f"{ref.device}/{ref.point}": reading
            for ref, reading in zip(self.refs, readings, strict=True)
        }
        result = vote(
            [
                Member(name, reading.value, reading.quality, reading.uncertainty)
                for name, reading in named.items()
            ],
            self._limit,
            suspects=frozenset() if self.redundancy is None else self.redundancy.suspects,
        )
        self.redundancy = result.redundancy
        used = [named[name] for name in result.redundancy.used] or list(readings)
        conditions = tuple(entry for reading in readings for entry in reading.conditions)
        return Reading(
            result.value,
            self._unit,
            result.quality,
            measured_at=_known(min, [reading.measured_at for reading in used]),
            changed_at=_known(min, [reading.changed_at for reading in used]),
            source_interval_s=_known(max, [reading.source_interval_s for reading in used]),
            effective_interval_s=_known(max, [reading.effective_interval_s for reading in used]),
            uncertainty=result.uncertainty,
            conditions=(*result.conditions, *conditions),
            calibrations=tuple(entry for reading in readings for entry in reading.calibrations),
        )

    def _reading(self, ref: PointRef) -> Reading:
        if self._engine is None:
            return Reading(None, self._unit, Quality.ABSENT)
        try:
            return self._engine.reading(ref.device, ref.point)
        except KeyError:  # the device was removed while running
            return Reading(None, self._unit, Quality.ABSENT)

    def _check(self, ref: PointRef, place: str) -> None:
        if self._engine is None:
            return
        try:
            unit = self._engine.reading(ref.device, ref.point).unit
        except KeyError as error:
            raise ConfigurationError(f"{place}: {error.args[0]}") from error
        if unit != self._unit:
            raise ConfigurationError(
                f"{place}: {ref.device}/{ref.point} is in {unit}, not in {self._unit}"
            )


def _known(choose: Callable[[list[float]], float], values: Sequence[float | None]) -> float | None:
    """`choose` among the known ones; None where none is."""
    known = [value for value in values if value is not None]
    return choose(known) if known else None

"""Coolant loops and silicon temperatures: the configured points as values of a window."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

from bmc_ext.domain.heat import is_liquid
from bmc_ext.domain.heat_energy import NO_HEAT_ENERGY
from bmc_ext.domain.quality import worst_quality
from bmc_ext.domain.snapshot import LoopValues, SiliconValues
from bmc_ext.errors import ConfigurationError
from bmc_ext.settings import LoopConfig, SiliconConfig
from bmc_ext.telemetry.engine_port import EngineLike
from bmc_ext.telemetry.loop_heat import LoopHeatMeter
from bmc_ext.telemetry.redundant_point import SensorGroup
from drivers.reading import Reading

SINGLE_PHASE_LIQUID = "single-phase-liquid"
"""The phase state that this can prove."""

# The points of a loop as LoopConfig and LoopValues name them, and their canonical units.
_LOOP_UNITS = {
    "supply": "Cel",
    "return_": "Cel",
    "flow": "L/min",
    "pressure": "bar",
    "pump_speed": "%",
    "pump_setpoint": "%",
}


class CoolantLoop:
    """One loop's points and fluid.

    Raises ConfigurationError for what LoopHeatMeter refuses, and for a point that its device lacks
    or that measures something else.
    """

    def __init__(self, config: LoopConfig, engine: EngineLike | None) -> None:
        place = f"loops/{config.id}"
        self._config = config
        self._heat = LoopHeatMeter(config)
        against_vacuum = _AgainstVacuum.of(config, engine, place)
        self._points = {
            name: SensorGroup(
                against_vacuum if name == "pressure" else engine,
                config.sensors(name),
                unit,
                place,
                config.agree_within.get(name),
            )
            for name, unit in _LOOP_UNITS.items()
        }

    def values(self) -> LoopValues:
        """The loop now. Its quality is the worst of all its configured points."""
        readings = {name: point.read() for name, point in self._points.items()}
        configured = [name for name, point in self._points.items() if point.refs]
        supply, return_ = readings["supply"], readings["return_"]
        measured = self._heat.measure(readings["flow"], supply, return_)
        readings |= {name: self._heat.with_pair(readings[name]) for name in ("supply", "return_")}
        heat = measured.heat
        return LoopValues(
            loop_id=self._config.id,
            fluid=self._config.fluid,
            quality=worst_quality([readings[name].quality for name in configured]),
            heat_w=None if heat is None else heat.heat_w,
            heat_uncertainty_w=None if heat is None else heat.uncertainty_w,
            heat_terms_w=measured.terms_w,
            heat_conditions=measured.conditions,
            heat_energy=NO_HEAT_ENERGY,  # its HeatRegister knows
            phase_state=_phase_state(supply, return_, readings["pressure"]),
            redundancy={
                name: point.redundancy
                for name, point in self._points.items()
                if point.redundancy is not None
            },
            **readings,
        )


@dataclass(frozen=True, slots=True)
class _AgainstVacuum:
    """The engine's pressures as absolute ones: a gauge is added to the air's pressure, in bar."""

    engine: EngineLike
    ambient_bar: float | None

    @classmethod
    def of(cls, config: LoopConfig, engine: EngineLike | None, place: str) -> _AgainstVacuum | None:
        """None without an engine; ConfigurationError for what cannot be made absolute."""
        if engine is None:
            return None
        for ref in config.sensors("pressure"):
            with contextlib.suppress(KeyError):  # the group says which point its device lacks
                against = engine.reading(ref.device, ref.point).against
                pressure = f"{place}/pressure: {ref.device}/{ref.point} is"
                if against == "differential":
                    raise ConfigurationError(f"{pressure} differential, no pressure of the loop")
                if against == "gauge" and config.ambient_pressure_bar is None:
                    raise ConfigurationError(
                        f"{pressure} gauge: give ambient_pressure_bar (1.013 at sea level), too"
                    )
        return cls(engine, config.ambient_pressure_bar)

    def reading(self, device_id: str, point: str) -> Reading:
        """See EngineLike."""
        found = self.engine.reading(device_id, point)
        if found.against != "gauge" or found.value is None or self.ambient_bar is None:
            return found
        return found._replace(value=found.value + self.ambient_bar, against="absolute")


class SiliconSensor:
    """One junction temperature; raises ConfigurationError like CoolantLoop."""

    def __init__(self, config: SiliconConfig, engine: EngineLike | None) -> None:
        self._id = config.id
        self._point = SensorGroup(engine, (config.temperature,), "Cel", f"silicon/{config.id}")

    def values(self) -> SiliconValues:
        """The temperature now."""
        return SiliconValues(self._id, self._point.read())


def _phase_state(supply: Reading, return_: Reading, pressure: Reading) -> str | None:
    """Liquid where the hotter end is below saturation; None where that is not known."""
    if supply.value is None or return_.value is None or pressure.value is None:
        return None
    hottest_c = max(supply.value, return_.value)
    return SINGLE_PHASE_LIQUID if is_liquid(hottest_c, pressure.value) else None

"""A loop as the cooling resources see it: its configuration, its values, its coolant."""

from __future__ import annotations

from typing import Any

from bmc_ext.domain.heat import fluid
from bmc_ext.domain.snapshot import LoopValues
from bmc_ext.equipment import CoolingUnit, LeakSensor
from bmc_ext.errors import ConfigurationError, NotFoundError
from bmc_ext.redfish.context import Context, Request
from bmc_ext.redfish.newest import newest
from bmc_ext.settings import Config, LoopConfig

EQUIPMENT = "/redfish/v1/ThermalEquipment"
CDUS = f"{EQUIPMENT}/CDUs"
LOOPS = f"{EQUIPMENT}/CoolingLoops"

_ADDITIVES = {"pg25": "propylene glycol", "meg30": "ethylene glycol"}
"""By the names of the fluids; their share is known by mass and Redfish wants it by volume."""


def loop_of(context: Context, request: Request) -> LoopConfig:
    """The loop whose unit the path names; NotFoundError."""
    name = request.params["unit"]
    place = context.loop_places.get(name)
    if place is None:
        raise NotFoundError(f"no cooling unit {name!r}")
    return context.config.loops[place]


def values_of(context: Context, loop: LoopConfig) -> LoopValues:
    """The loop in the newest snapshot."""
    return newest(context).loops[context.loop_places[loop.id]]


def coolant(name: str | None, supply_c: float | None, return_c: float | None) -> dict[str, Any]:
    """The coolant: density at the supply's temperature, specific heat at the mean of both.

    These are the ones that the heat is worked out with; null outside the fluid's range.
    """
    if name is None:
        unknown = ("CoolantType", "DensityKgPerCubicMeter", "SpecificHeatkJoulesPerKgK")
        return dict.fromkeys(unknown)
    density = specific_heat = None
    try:
        known = fluid(name)
        if supply_c is not None:
            density = known.density_kg_per_m3(supply_c)
            mean_c = supply_c if return_c is None else (supply_c + return_c) / 2
            specific_heat = known.specific_heat_j_per_kg_k(mean_c) / 1000.0
    except ValueError:
        density = specific_heat = None
    additive = _ADDITIVES.get(name)
    return {
        "CoolantType": "Water",  # glycol mixtures too, by the schema
        **({} if additive is None else {"AdditiveName": additive}),
        "DensityKgPerCubicMeter": density,
        "SpecificHeatkJoulesPerKgK": specific_heat,
    }


def is_metered(unit: CoolingUnit) -> bool:
    """Whether a meter of its own shows what the unit takes."""
    return unit.power is not None or unit.energy is not None


def detector_ids(context: Context) -> list[str]:
    """The ids of all leak detectors: the loop's and their own."""
    return [
        f"{loop.id}_{detector.id}"
        for loop in context.config.loops
        for detector in loop.cooling_unit.leak_detectors
    ]


def detector_named(context: Context, name: str) -> tuple[LoopConfig, LeakSensor]:
    """The detector of that id and its loop; NotFoundError."""
    for at in (place for place, letter in enumerate(name) if letter == "_"):
        place = context.loop_places.get(name[:at])
        loop = None if place is None else context.config.loops[place]
        for detector in () if loop is None else loop.cooling_unit.leak_detectors:
            if loop is not None and detector.id == name[at + 1 :]:
                return loop, detector
    raise NotFoundError(f"no leak detector {name!r}")


def check_fluids(config: Config) -> None:
    """ConfigurationError for a primary fluid that nobody knows."""
    for loop in config.loops:
        name = loop.cooling_unit.primary.fluid
        try:
            if name is not None:
                fluid(name)
        except ValueError as error:
            raise ConfigurationError(f"loops/{loop.id}/cooling_unit/primary: {error}") from error

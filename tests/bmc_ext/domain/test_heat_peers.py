"""Fluids and heat coefficients against CoolProp, which is none of ours."""

from __future__ import annotations

import numpy as np
import pytest

from bmc_ext.domain.heat import FLUIDS, FlowSensor, Fluid, fluid, heat_flow

_PRESSURE_PA = 6e5
_TESTED_PA = 16e5  # that of the heat coefficients in EN 1434-1, annex A
_GLYCOLS = sorted(name for name in FLUIDS if name != "water")


def _props(*asked: str | float) -> float:
    from CoolProp.CoolProp import PropsSI  # takes three seconds, in each process of the tests

    return float(PropsSI(*asked))


def _peer(name: str, more: float = 0.0) -> str:
    """CoolProp's name of a fluid; of a glycol with so much more of it, as a mass fraction."""
    if name == "water":
        return "Water"
    base, percent = name.rstrip("0123456789"), int(name.lstrip("pgme"))
    return f"INCOMP::{'MPG' if base == 'pg' else 'MEG'}[{percent / 100 + more}]"


def _of(peer: str, quantity: str, temperature_c: float, pressure_pa: float = _PRESSURE_PA) -> float:
    kelvin = max(temperature_c, 0.01 if peer == "Water" else -100.0) + 273.15
    return _props(quantity, "T", kelvin, "P", pressure_pa, peer)


def _range(coolant: Fluid) -> list[float]:
    return [float(value) for value in np.linspace(coolant.min_c, coolant.max_c, 101)]


@pytest.mark.parametrize(
    ("name", "density", "specific_heat"),
    [("water", 2e-5, 1.3e-4), *((name, 1e-5, 1e-5) for name in _GLYCOLS)],
)
def test_a_fluid_is_its_equation(name: str, density: float, specific_heat: float) -> None:
    """Over the whole range density and specific heat are the peer's within what is stated."""
    coolant, peer = fluid(name), _peer(name)
    for celsius in _range(coolant):
        assert coolant.density_kg_per_m3(celsius) == pytest.approx(
            _of(peer, "D", celsius), rel=density
        )
        assert coolant.specific_heat_j_per_kg_k(celsius) == pytest.approx(
            _of(peer, "C", celsius), rel=specific_heat
        )


@pytest.mark.parametrize("name", sorted(FLUIDS))
def test_a_fluid_does_not_freeze_within_its_range(name: str) -> None:
    """The lower end of the range is not below the freezing point, and no more than 3 K above it."""
    coolant, peer = fluid(name), _peer(name)
    frozen_k = (
        273.15 if name == "water" else _props("T_FREEZE", "T", 300.0, "P", _PRESSURE_PA, peer)
    )
    assert 0.0 <= coolant.min_c - (frozen_k - 273.15) < 3.0


@pytest.mark.parametrize("name", _GLYCOLS)
def test_a_glycols_uncertainty_is_that_of_one_percent_of_it(name: str) -> None:
    """One percentage point more glycol changes ρ·cp by what is stated, or by up to 10 % less."""
    coolant, peer, other = fluid(name), _peer(name), _peer(name, 0.01)
    worst = max(
        abs(_of(other, "D", c) * _of(other, "C", c) / (_of(peer, "D", c) * _of(peer, "C", c)) - 1)
        for c in _range(coolant)
    )
    assert 0.9 * coolant.relative_uncertainty < worst <= coolant.relative_uncertainty


@pytest.mark.parametrize("name", sorted(FLUIDS))
@pytest.mark.parametrize("flow_sensor", ["supply", "return"])
@pytest.mark.parametrize(("supply_c", "return_c"), [(20.0, 30.0), (30.0, 60.0), (70.0, 40.0)])
def test_heat_is_the_flow_of_enthalpy(
    name: str, flow_sensor: FlowSensor, supply_c: float, return_c: float
) -> None:
    """In either pipe the heat is ṁ·Δh, EN 1434-1's, within the coefficient's own uncertainty."""
    coolant, peer = fluid(name), _peer(name)
    at_flow_c = supply_c if flow_sensor == "supply" else return_c
    mass_kg_per_s = 1200.0 / 60_000 * _of(peer, "D", at_flow_c, _TESTED_PA)
    gained = _of(peer, "H", return_c, _TESTED_PA) - _of(peer, "H", supply_c, _TESTED_PA)
    heat = heat_flow(
        coolant, flow_lpm=1200.0, supply_c=supply_c, return_c=return_c, flow_sensor=flow_sensor
    )
    assert heat.heat_w == pytest.approx(mass_kg_per_s * gained, rel=coolant.relative_uncertainty)


def test_the_pipe_of_the_flow_sensor_matters() -> None:
    """At 30 to 60 Cel the wrong pipe makes a heat of water wrong by more than 1 %."""
    cold, hot = (
        heat_flow(fluid("water"), flow_lpm=1, supply_c=30, return_c=60, flow_sensor=side).heat_w
        for side in ("supply", "return")
    )
    assert 0.01 < cold / hot - 1 < 0.015

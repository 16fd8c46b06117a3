"""Heat against published heat coefficients, IAPWS tables and the closed form of its uncertainty."""

from __future__ import annotations

import math

import pytest

from bmc_ext.domain.heat import (
    FLUIDS,
    fluid,
    heat_flow,
    is_liquid,
    saturation_temperature_c,
    volumetric_heat_j_per_m3_k,
)


@pytest.mark.parametrize(
    ("name", "temperature_c", "expected_kj"),
    [
        # ρ·cp of IAPWS-95 and Melinder 2010, computed with CoolProp 8.0 at 6 bar.
        ("water", 20.0, 4176.0),
        ("water", 40.0, 4146.6),
        ("water", 60.0, 4114.5),
        ("pg25", 20.0, 3996.0),
        ("pg25", 40.0, 4008.0),
        ("pg25", 60.0, 4009.3),
        ("meg30", 20.0, 3859.7),
        ("meg30", 40.0, 3884.1),
        ("meg30", 60.0, 3895.6),
    ],
)
def test_heat_capacity_of_each_fluid(name: str, temperature_c: float, expected_kj: float) -> None:
    """ρ·cp of every fluid is within 0.05 % of the reference equations."""
    k = volumetric_heat_j_per_m3_k(fluid(name), temperature_c, temperature_c)
    assert k == pytest.approx(expected_kj * 1e3, rel=5e-4)


@pytest.mark.parametrize(
    ("hot_c", "cold_c", "expected_kj"), [(70.0, 40.0, 4148.5), (80.0, 50.0, 4135.4)]
)
def test_en_1434_heat_coefficient(hot_c: float, cold_c: float, expected_kj: float) -> None:
    """The heat coefficient of water with the volume in the cold pipe is EN 1434's within 0.1 %."""
    k = volumetric_heat_j_per_m3_k(fluid("water"), cold_c, hot_c)
    assert k == pytest.approx(expected_kj * 1e3, rel=1e-3)


def test_a_full_loop_carries_three_and_a_half_megawatts_per_ten_kelvin() -> None:
    """5000 L/min of water warmed by 10 K take 3.46 MW."""
    heat = heat_flow(fluid("water"), flow_lpm=5000, supply_c=30, return_c=40)
    assert heat.heat_w == pytest.approx(3.46e6, rel=3e-3)
    assert heat.uncertainty_w is None


def test_reversed_temperatures_give_negative_heat() -> None:
    """A return colder than the supply means heat flows into the racks, and the sign says so."""
    assert heat_flow(fluid("water"), flow_lpm=100, supply_c=40, return_c=30).heat_w < 0


def test_uncertainty_is_the_root_sum_square_of_the_sensors() -> None:
    """Two 0.1 K sensors at 5 K give 2.83 %, and a 2 % flow meter raises that to 3.46 %.

    Water's own 0.15 % comes on top.
    """
    without_flow = heat_flow(
        fluid("water"), flow_lpm=1000, supply_c=30, return_c=35,
        flow_uncertainty_lpm=0.0, supply_uncertainty_c=0.1, return_uncertainty_c=0.1,
    )  # fmt: skip
    assert without_flow.uncertainty_w is not None
    assert without_flow.uncertainty_w / without_flow.heat_w == pytest.approx(
        math.hypot(math.sqrt(2) * 0.02, 0.0015)
    )
    with_flow = heat_flow(
        fluid("water"), flow_lpm=1000, supply_c=30, return_c=35,
        flow_uncertainty_lpm=20.0, supply_uncertainty_c=0.1, return_uncertainty_c=0.1,
    )  # fmt: skip
    assert with_flow.uncertainty_w is not None
    assert with_flow.uncertainty_w / with_flow.heat_w == pytest.approx(
        math.hypot(math.sqrt(3) * 0.02, 0.0015)
    )


def test_uncertainty_stays_finite_without_a_temperature_difference() -> None:
    """At equal temperatures the heat is 0 W, its uncertainty that of the temperatures alone."""
    heat = heat_flow(
        fluid("water"), flow_lpm=600, supply_c=30, return_c=30,
        flow_uncertainty_lpm=10.0, supply_uncertainty_c=0.1, return_uncertainty_c=0.1,
    )  # fmt: skip
    assert heat.heat_w == 0
    assert heat.uncertainty_w == pytest.approx(4.162e6 * 0.01 * math.sqrt(0.02), rel=1e-3)


def test_unknown_fluid_names_the_known_ones() -> None:
    """An unknown fluid is one clear error that lists every known one."""
    with pytest.raises(
        ValueError, match=r"unknown fluid 'mercury'; known are meg20, .*pg50, water"
    ):
        fluid("mercury")


@pytest.mark.parametrize("name", sorted(FLUIDS))
def test_temperature_outside_the_fit_is_refused(name: str) -> None:
    """No fluid is extrapolated beyond the range of its fit."""
    with pytest.raises(ValueError, match=f"outside the range of {name}"):
        heat_flow(fluid(name), flow_lpm=1, supply_c=20, return_c=300)


@pytest.mark.parametrize("flow_lpm", [-0.1, math.nan, math.inf, -math.inf])
def test_what_is_no_flow_is_refused(flow_lpm: float) -> None:
    """A negative flow, or none at all, has no heat: a sign would be guessed."""
    with pytest.raises(ValueError, match="no flow from supply to return"):
        heat_flow(fluid("water"), flow_lpm=flow_lpm, supply_c=20, return_c=30)


def test_no_flow_no_heat() -> None:
    """A standing loop carries 0 W, whose uncertainty is that of the flow alone."""
    heat = heat_flow(
        fluid("water"), flow_lpm=0, supply_c=30, return_c=40,
        flow_uncertainty_lpm=6.0, supply_uncertainty_c=0.1, return_uncertainty_c=0.1,
    )  # fmt: skip
    assert heat.heat_w == 0
    assert heat.uncertainty_w == pytest.approx(4.161e6 * 1e-4 * 10, rel=1e-3)


@pytest.mark.parametrize(
    ("pressure_bar", "expected_k"), [(1.0, 372.755919), (10.0, 453.035632), (100.0, 584.149488)]
)
def test_saturation_temperature_of_water(pressure_bar: float, expected_k: float) -> None:
    """The saturation line gives the three check values of IAPWS R7-97, Table 36."""
    assert saturation_temperature_c(pressure_bar) + 273.15 == pytest.approx(expected_k, abs=1e-6)


def test_liquid_below_saturation_only() -> None:
    """Water at 90 Cel is liquid at 1 bar, not at 0.5 bar; beyond the curve nothing is claimed."""
    assert is_liquid(90.0, 1.0)
    assert not is_liquid(90.0, 0.5)
    assert not is_liquid(20.0, 0.0)
    with pytest.raises(ValueError, match="outside"):
        saturation_temperature_c(300.0)

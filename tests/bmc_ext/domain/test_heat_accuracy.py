"""When a heat is known to ±2 %: closed forms, EN 1434's limits, and sums."""

from __future__ import annotations

import math
import random

import pytest

from bmc_ext.domain.en1434 import HeatMeter
from bmc_ext.domain.heat import Heat, fluid, heat_flow
from bmc_ext.domain.heat_accuracy import (
    HEAT_LIMIT,
    accuracy_condition,
    combined_uncertainty_w,
    needed_delta_k,
)

METER = HeatMeter(qp_lpm=1000.0, qi_lpm=10.0, qs_lpm=2000.0, delta_min_k=3.0)


def _heat(delta_k: float, *, flow: float = 0.01, pair_k: float | None = None) -> Heat:
    """Of 1000 L/min with a flow known to that ratio and two sensors of Table 2, or a pair."""
    return heat_flow(
        fluid("water"), flow_lpm=1000.0, supply_c=30.0, return_c=30.0 + delta_k,
        flow_uncertainty_lpm=1000.0 * flow, supply_uncertainty_c=0.1, return_uncertainty_c=0.1,
        pair_uncertainty_k=pair_k,
    )  # fmt: skip


def _relative(heat: Heat) -> float:
    assert heat.uncertainty_w is not None
    return heat.uncertainty_w / abs(heat.heat_w)


def test_table_2_needs_eight_kelvin() -> None:
    """±1 % of flow and twice ±0.1 Cel are ±2 % of heat from 8.2 K on: 0.1·√2 / √(0.02² - 0.01²)."""
    needed_k = needed_delta_k(flow_relative=0.01, delta_uncertainty_k=math.hypot(0.1, 0.1))
    assert needed_k == pytest.approx(8.165, abs=1e-3)
    with_water = needed_delta_k(
        flow_relative=0.01, delta_uncertainty_k=math.hypot(0.1, 0.1), coefficient_relative=0.0015
    )
    assert with_water is not None
    assert needed_k < with_water < 8.2
    assert _relative(_heat(with_water)) == pytest.approx(HEAT_LIMIT, rel=1e-9)


def test_the_condition_begins_where_the_limit_is() -> None:
    """At 8.0 K the heat is said to be uncertain, with the ΔT that it needs; at 8.2 K nothing is."""
    needed_k = needed_delta_k(
        flow_relative=0.01, delta_uncertainty_k=math.hypot(0.1, 0.1), coefficient_relative=0.0015
    )
    found = accuracy_condition("loop", _heat(8.0), needed_k)
    assert found == (
        "heat-uncertain",
        "loop",
        "loop: heat is not known to ±2 %: this needs a temperature difference of 8.2 K",
    )
    assert accuracy_condition("loop", _heat(8.2), needed_k) is None
    assert accuracy_condition("loop", _heat(-8.2), needed_k) is None
    assert accuracy_condition("loop", Heat(1.0, None), needed_k) is None


def test_a_class_2_pair_needs_a_difference_that_makes_it_good_enough() -> None:
    """With a flow of 1 % the pair's 0.5 % + 3 %·ΔΘmin/ΔΘ makes 2 % from 7.3 K on."""
    relative, constant_k = METER.pair_parts
    needed_k = needed_delta_k(
        flow_relative=0.01, delta_uncertainty_k=constant_k, delta_relative=relative
    )
    assert needed_k is not None
    assert needed_k == pytest.approx(7.31, abs=0.01)
    assert math.hypot(1.0, METER.pair_percent(needed_k)) == pytest.approx(2.0)
    assert needed_delta_k(flow_relative=0.0, delta_uncertainty_k=0.1, delta_relative=0.02) is None


def test_a_flow_of_two_percent_is_never_enough() -> None:
    """Where the flow uses the limit up no ΔT is named, and the condition says why."""
    assert needed_delta_k(flow_relative=0.02, delta_uncertainty_k=0.1) is None
    assert needed_delta_k(flow_relative=math.inf, delta_uncertainty_k=0.1) is None
    found = accuracy_condition("loop", _heat(50.0, flow=0.02), None)
    assert found is not None
    assert found.text.endswith("at this flow no temperature difference is enough")


def test_a_matched_pair_counts_by_its_difference() -> None:
    """A pair of ±0.03 K makes 2 % of what needed 8.2 K from 1.8 K on; its ends do not count."""
    assert _relative(_heat(5.0)) > 0.029
    paired = _heat(5.0, pair_k=0.03)
    assert _relative(paired) == pytest.approx(math.hypot(0.01, 0.03 / 5.0, 0.0015), rel=1e-12)
    assert set(paired.terms_w) == {"flow", "coefficient", "pair"}


def test_uncertainty_is_what_trials_show() -> None:
    """Inputs thrown within their half widths (k = 2) scatter the heat as the formula says."""
    chance = random.Random(1)
    heat = _heat(10.0)
    thrown = [
        heat_flow(
            fluid("water"), flow_lpm=1000.0 * (1 + chance.gauss(0, 0.005)),
            supply_c=30.0 + chance.gauss(0, 0.05), return_c=40.0 + chance.gauss(0, 0.05),
        ).heat_w * (1 + chance.gauss(0, 0.00075))
        for _ in range(20_000)
    ]  # fmt: skip
    mean_w = math.fsum(thrown) / len(thrown)
    sigma_w = math.sqrt(math.fsum((value - mean_w) ** 2 for value in thrown) / len(thrown))
    assert heat.uncertainty_w == pytest.approx(2 * sigma_w, rel=0.03)


def test_loops_of_their_own_sensors_add_as_root_sum_square() -> None:
    """Independent terms of 3 and 4 make 5, and one loop without any makes the sum unknown."""
    assert combined_uncertainty_w([{"a": 3.0}, {"b": -4.0}]) == 5.0
    assert combined_uncertainty_w([{"a": 3.0}, {}]) is None
    assert combined_uncertainty_w([]) is None


def test_a_shared_sensor_moves_all_of_its_loops() -> None:
    """A sensor that two loops share adds with its sign: it may double, and it may cancel."""
    assert combined_uncertainty_w([{"s": -3.0, "a": 4.0}, {"s": -3.0}]) == math.hypot(6.0, 4.0)
    assert combined_uncertainty_w([{"s": -3.0, "a": 4.0}, {"s": 3.0}]) == 4.0


def test_a_thermometer_between_two_loops_cancels() -> None:
    """Of loops in series the one in the middle is return and supply: their sum is one loop's."""
    terms = []
    for supply_c, return_c, ends in (
        (30.0, 40.0, ("cold", "middle")),
        (40.0, 50.0, ("middle", "hot")),
    ):
        heat = heat_flow(
            fluid("water"), flow_lpm=600.0, supply_c=supply_c, return_c=return_c,
            flow_uncertainty_lpm=0.0, supply_uncertainty_c=0.1, return_uncertainty_c=0.1,
        )  # fmt: skip
        names = {"supply": ends[0], "return": ends[1]}
        terms.append({names.get(name, name): term for name, term in heat.terms_w.items()})
    whole = heat_flow(
        fluid("water"), flow_lpm=600.0, supply_c=30.0, return_c=50.0,
        flow_uncertainty_lpm=0.0, supply_uncertainty_c=0.1, return_uncertainty_c=0.1,
    )  # fmt: skip
    assert combined_uncertainty_w(terms) == pytest.approx(whole.uncertainty_w, rel=0.01)


@pytest.mark.parametrize(
    ("flow_lpm", "delta_k", "flow", "pair", "calculator"),
    [
        # 2014/32/EU, annex VI, 7.1 to 7.3, by hand: qp = 1000 L/min, ΔΘmin = 3 K.
        (1000.0, 30.0, 2.02, 0.8, 0.6),
        (100.0, 9.0, 2.2, 1.5, 0.5 + 1 / 3),
        (2000.0, 3.0, 2.01, 3.5, 1.5),
        (10.0, -6.0, 4.0, 2.0, 1.0),
    ],
)
def test_limits_of_class_2(
    flow_lpm: float, delta_k: float, flow: float, pair: float, calculator: float
) -> None:
    """Flow sensor, pair and calculator have the class's limits, and the meter has their sum."""
    assert METER.flow_percent(flow_lpm) == pytest.approx(flow)
    assert METER.pair_percent(delta_k) == pytest.approx(pair)
    assert METER.calculator_percent(delta_k) == pytest.approx(calculator)
    assert METER.heat_percent(flow_lpm, delta_k) == pytest.approx(flow + pair + calculator)


def test_a_flow_sensors_limit_ends_at_five_percent() -> None:
    """At 1/250 of qp the formula gives 7 %, the class 5 %."""
    assert HeatMeter(1000.0, 4.0, 2000.0, 3.0).flow_percent(4.0) == 5.0


@pytest.mark.parametrize("flow_lpm", [9.99, 2000.1, 0.0, -50.0, math.nan, math.inf])
def test_a_class_says_nothing_beyond_the_flow_sensor(flow_lpm: float) -> None:
    """Outside qi to qs there is no limit."""
    with pytest.raises(ValueError, match=r"outside the flow sensor's 10\.0 to 2000\.0 L/min"):
        METER.flow_percent(flow_lpm)


@pytest.mark.parametrize("delta_k", [2.99, -2.99, 0.0, math.nan, math.inf])
def test_a_class_says_nothing_below_the_least_difference(delta_k: float) -> None:
    """Below ΔΘmin there is no limit."""
    with pytest.raises(ValueError, match="ΔΘmin 3"):
        METER.pair_percent(delta_k)


@pytest.mark.parametrize(
    ("nameplate", "said"),
    [
        ((1000.0, 101.0, 2000.0, 3.0), "not 10 times"),
        ((1000.0, 0.0, 2000.0, 3.0), "not 10 times"),
        ((1000.0, 10.0, 999.0, 3.0), "less than qp"),
        ((1000.0, 10.0, 2000.0, 4.0), "none of 1, 2, 3, 5 and 10 K"),
    ],
)
def test_a_nameplate_that_cannot_be_is_refused(
    nameplate: tuple[float, float, float, float], said: str
) -> None:
    """Flows and ΔΘmin are those that the directive allows."""
    with pytest.raises(ValueError, match=said):
        HeatMeter(*nameplate)

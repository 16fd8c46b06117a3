"""Loops and silicon: heat, phase state and configuration errors."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, date, datetime, time
from typing import Any

import pytest

from bmc_ext.errors import ConfigurationError
from bmc_ext.settings import Config
from bmc_ext.telemetry.thermal_points import CoolantLoop, SiliconSensor
from drivers.reading import Quality

MakeConfig = Callable[..., Config]
LOOP = {
    "id": "loop",
    "supply": "d/temperature.ch0",
    "return": "d/temperature.ch1",
    "flow": "d/flow.volume",
    "pressure": "d/pressure.P1",
    "pump_speed": "d/speed.actual",
}
PAIR = {"certificate": "CAL-7", "calibrated_on": "2026-01-31", "uncertainty_k": 0.03}
METER = {"qp_lpm": 3000, "qi_lpm": 30, "qs_lpm": 6000, "delta_min_k": 3}


@pytest.fixture
def plumbing(engine: Any) -> Any:
    """An engine with one device that measures a whole loop."""
    engine.put("d", "temperature.ch0", 30.0, "Cel", uncertainty=0.1)
    engine.put("d", "temperature.ch1", 40.0, "Cel", uncertainty=0.1)
    engine.put("d", "flow.volume", 5000.0, "L/min", uncertainty=50.0)
    engine.put("d", "pressure.P1", 3.0, "bar")
    engine.put("d", "speed.actual", 80.0, "%")
    return engine


def _loop(make_config: MakeConfig, engine: Any, **changes: Any) -> CoolantLoop:
    config = make_config(loops=({**LOOP, **changes},), devices=("d",))
    return CoolantLoop(config.loops[0], engine)


def test_a_gauge_is_added_to_the_air_s_pressure(make_config: MakeConfig, plumbing: Any) -> None:
    """A loop's pressure is absolute, whatever its sensor measures against."""
    plumbing.put("d", "pressure.P1", 2.0, "bar", against="gauge")
    values = _loop(make_config, plumbing, ambient_pressure_bar=0.8).values()
    assert values.pressure.value == pytest.approx(2.8)
    plumbing.put("d", "pressure.P1", 2.0, "bar", against="absolute")
    values = _loop(make_config, plumbing, ambient_pressure_bar=0.8).values()
    assert values.pressure.value == 2.0


@pytest.mark.parametrize(
    ("against", "said"),
    [
        ("gauge", "loops/loop/pressure: d/pressure.P1 is gauge: give ambient_pressure_bar"),
        ("differential", "loops/loop/pressure: d/pressure.P1 is differential"),
    ],
)
def test_a_pressure_that_cannot_be_made_absolute_is_refused(
    make_config: MakeConfig, plumbing: Any, against: str, said: str
) -> None:
    """A value that is off by the air's pressure is not shown."""
    plumbing.put("d", "pressure.P1", 2.0, "bar", against=against)
    with pytest.raises(ConfigurationError, match=said):
        _loop(make_config, plumbing)


def test_a_loop_shows_heat_and_its_uncertainty(make_config: MakeConfig, plumbing: Any) -> None:
    """A full loop at 10 K carries 3.46 MW, to the root sum square of 1 % and twice 0.1 K."""
    values = _loop(make_config, plumbing).values()
    assert values.quality is Quality.OK
    assert values.heat_w is not None
    assert values.heat_uncertainty_w is not None
    assert values.heat_w == pytest.approx(3.46e6, rel=3e-3)
    share = math.hypot(math.sqrt(3) * 0.01, 0.0015)  # and what water itself is known to
    assert values.heat_uncertainty_w / values.heat_w == pytest.approx(share, rel=1e-6)
    assert values.conditions == ()
    assert values.phase_state == "single-phase-liquid"
    assert (values.supply.value, values.return_.value, values.flow.value) == (30.0, 40.0, 5000.0)
    assert values.pump_speed.value == 80.0
    assert (values.pump_setpoint.quality, values.pump_setpoint.unit) == (Quality.ABSENT, "%")


def test_glycol_carries_less(make_config: MakeConfig, plumbing: Any) -> None:
    """The fluid of the configuration decides: PG25 carries 3 to 4 % less than water here."""
    water = _loop(make_config, plumbing).values().heat_w
    glycol = _loop(make_config, plumbing, fluid="pg25").values().heat_w
    assert water is not None
    assert glycol is not None
    assert 0.03 < 1 - glycol / water < 0.04


@pytest.mark.parametrize("point", ["temperature.ch0", "temperature.ch1", "flow.volume"])
def test_heat_needs_all_of_its_inputs(make_config: MakeConfig, plumbing: Any, point: str) -> None:
    """When one of supply, return and flow fails the loop takes its quality and shows no heat."""
    loop = _loop(make_config, plumbing)
    plumbing.put("d", point, None, plumbing.points["d", point].unit, Quality.COMM_ERROR)
    values = loop.values()
    assert values.quality is Quality.COMM_ERROR
    assert values.heat_w is None
    assert values.heat_uncertainty_w is None


def test_heat_beyond_the_fluid_is_not_claimed(make_config: MakeConfig, plumbing: Any) -> None:
    """Temperatures outside the fluid's range give no heat, and what boils has no phase state."""
    loop = _loop(make_config, plumbing)
    plumbing.put("d", "temperature.ch1", 140.0, "Cel")
    values = loop.values()
    assert (values.heat_w, values.phase_state) == (None, None)
    assert values.quality is Quality.OK
    (said,) = values.conditions
    assert said.kind == "heat-unknown"
    assert said.text == "loop: a temperature is outside the range of water, 0 to 100 Cel"


def test_a_heat_that_is_not_known_to_two_percent_says_so(
    make_config: MakeConfig, plumbing: Any
) -> None:
    """At Table 2's sensors 8.1 K is too little, and what is needed is named; 8.2 K is enough."""
    loop = _loop(make_config, plumbing)
    for return_c, kinds in ((38.1, ["heat-uncertain"]), (38.2, []), (38.1, ["heat-uncertain"])):
        plumbing.put("d", "temperature.ch1", return_c, "Cel", uncertainty=0.1)
        values = loop.values()
        assert [entry.kind for entry in values.conditions] == kinds
    assert values.conditions[0].text.endswith("this needs a temperature difference of 8.2 K")
    assert values.quality is Quality.OK
    assert values.heat_w is not None


def test_equal_temperatures_name_the_difference_too(make_config: MakeConfig, plumbing: Any) -> None:
    """A loop without load has 0 W, which are not known to 2 %, and the same ΔT is named."""
    plumbing.put("d", "temperature.ch1", 30.0, "Cel", uncertainty=0.1)
    values = _loop(make_config, plumbing).values()
    assert values.heat_w == 0.0
    assert values.conditions[0].text.endswith("a temperature difference of 8.2 K")


def test_a_negative_flow_has_no_heat(make_config: MakeConfig, plumbing: Any) -> None:
    """A flow that runs backwards is shown, its heat is not guessed, and the reason is said."""
    loop = _loop(make_config, plumbing)
    plumbing.put("d", "flow.volume", -5.0, "L/min", uncertainty=0.05)
    values = loop.values()
    assert (values.flow.value, values.heat_w) == (-5.0, None)
    assert [entry.kind for entry in values.conditions] == ["flow-reversed"]


def test_heat_into_the_racks_is_said(make_config: MakeConfig, plumbing: Any) -> None:
    """A supply warmer than the return is a warning as soon as the sensors can tell it."""
    loop = _loop(make_config, plumbing)
    for return_c, is_said in ((29.9, False), (29.8, True), (20.0, True)):
        plumbing.put("d", "temperature.ch1", return_c, "Cel", uncertainty=0.1)
        values = loop.values()
        assert values.heat_w is not None
        assert values.heat_w < 0
        assert ("heat-reversed" in {entry.kind for entry in values.conditions}) is is_said


def test_the_flow_sensor_may_sit_in_the_return(make_config: MakeConfig, plumbing: Any) -> None:
    """The same volume is less mass in the warmer pipe: 0.34 % at 30 to 40 Cel (IAPWS-95)."""
    supply = _loop(make_config, plumbing).values().heat_w
    return_ = _loop(make_config, plumbing, flow_sensor="return").values().heat_w
    assert supply is not None
    assert return_ is not None
    assert 1 - return_ / supply == pytest.approx(1 - 992.44 / 995.87, rel=0.01)


def test_a_pair_counts_by_its_certificate(make_config: MakeConfig, plumbing: Any) -> None:
    """At 5 K a pair of ±0.03 K gives what two sensors of ±0.1 K cannot."""
    plumbing.put("d", "temperature.ch1", 35.0, "Cel", uncertainty=0.1)
    assert _loop(make_config, plumbing).values().conditions
    values = _loop(make_config, plumbing, pair=PAIR).values()
    assert values.conditions == ()
    assert values.heat_w is not None
    assert values.heat_uncertainty_w is not None
    share = math.hypot(0.01, 0.03 / 5.0, 0.0015)
    assert values.heat_uncertainty_w / values.heat_w == pytest.approx(share, rel=1e-9)


@pytest.mark.parametrize(
    ("day", "is_overdue"), [(date(2026, 7, 31), False), (date(2026, 8, 1), True)]
)
def test_a_pairs_certificate_ends_after_six_months(
    make_config: MakeConfig, plumbing: Any, day: date, is_overdue: bool
) -> None:
    """Both ends show the certificate (Table 2: 6 months); from the next day on it is overdue."""
    noon_s = datetime.combine(day, time(12), UTC).timestamp()
    for point in ("temperature.ch0", "temperature.ch1"):
        reading = plumbing.points["d", point]
        plumbing.points["d", point] = reading._replace(measured_at=noon_s)
    values = _loop(make_config, plumbing, pair=PAIR).values()
    for end in (values.supply, values.return_):
        (state,) = end.calibrations
        assert state.sensor == "d/temperature.ch0&d/temperature.ch1"
        assert (state.certificate, state.due) == ("CAL-7", date(2026, 7, 31))
        assert state.overdue is is_overdue
    kinds = [entry.kind for entry in values.conditions]
    assert kinds == (["calibration-overdue"] if is_overdue else [])


@pytest.mark.parametrize("day", ["yesterday", "2026-02-30", 20260101])
def test_a_day_that_is_none_is_named(make_config: MakeConfig, plumbing: Any, day: object) -> None:
    """The place of a pair's bad date is in the error."""
    with pytest.raises(ConfigurationError, match="loops/0/pair/calibrated_on"):
        _loop(make_config, plumbing, pair={**PAIR, "calibrated_on": day})


def test_a_heat_meters_class_stands_for_its_sensors(make_config: MakeConfig, plumbing: Any) -> None:
    """Sensors that state nothing have the limits of EN 1434's class 2, and a stated flow stays."""
    pair_percent = 0.5 + 3 * 3 / 10
    for stated, flow_percent in ((None, 2 + 0.02 * 3000 / 5000), (50.0, 1.0)):
        plumbing.put("d", "flow.volume", 5000.0, "L/min", uncertainty=stated)
        values = _loop(make_config, plumbing, heat_meter=METER).values()
        assert values.heat_w is not None
        assert values.heat_uncertainty_w is not None
        share = math.hypot(flow_percent, pair_percent, 0.15) / 100
        assert values.heat_uncertainty_w / values.heat_w == pytest.approx(share, rel=1e-9)


@pytest.mark.parametrize(("flow_lpm", "return_c"), [(20.0, 40.0), (6001.0, 40.0), (5000.0, 32.0)])
def test_beyond_its_range_a_class_says_nothing(
    make_config: MakeConfig, plumbing: Any, flow_lpm: float, return_c: float
) -> None:
    """Outside of the meter's flows, or below its least difference, the uncertainty is unknown."""
    plumbing.put("d", "flow.volume", flow_lpm, "L/min")
    plumbing.put("d", "temperature.ch1", return_c, "Cel", uncertainty=0.1)
    values = _loop(make_config, plumbing, heat_meter=METER).values()
    assert values.heat_w is not None
    assert values.heat_uncertainty_w is None


def test_phase_state_needs_a_pressure(make_config: MakeConfig, plumbing: Any) -> None:
    """Without a pressure nobody knows whether the coolant boils."""
    loop = _loop(make_config, plumbing)
    plumbing.put("d", "pressure.P1", None, "bar", Quality.STALE)
    values = loop.values()
    assert values.phase_state is None
    assert values.heat_w is not None


@pytest.mark.parametrize("point", ["pressure.P1", "speed.actual"])
def test_a_loop_is_as_good_as_its_worst_point(
    make_config: MakeConfig, plumbing: Any, point: str
) -> None:
    """A lost pressure or pump makes the loop comm-error, one not configured does not count."""
    loop = _loop(make_config, plumbing)
    assert loop.values().quality is Quality.OK
    plumbing.put("d", point, None, plumbing.points["d", point].unit, Quality.COMM_ERROR)
    values = loop.values()
    assert values.quality is Quality.COMM_ERROR
    assert values.heat_w is not None


def test_an_unknown_uncertainty_stays_unknown(make_config: MakeConfig, plumbing: Any) -> None:
    """Heat is shown without an uncertainty when a sensor states none."""
    loop = _loop(make_config, plumbing)
    plumbing.put("d", "flow.volume", 5000.0, "L/min")
    values = loop.values()
    assert values.heat_w is not None
    assert values.heat_uncertainty_w is None


def test_without_engine_all_is_absent(make_config: MakeConfig) -> None:
    """A loop without an engine shows absent readings and no heat."""
    values = _loop(make_config, None).values()
    assert values.quality is Quality.ABSENT
    assert values.supply.quality is Quality.ABSENT
    assert values.heat_w is None


def test_a_removed_device_is_absent(make_config: MakeConfig, plumbing: Any) -> None:
    """A device that is taken out while running leaves absent readings, not a broken tick."""
    loop = _loop(make_config, plumbing)
    plumbing.points.clear()
    assert loop.values().quality is Quality.ABSENT


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"fluid": "mercury"}, "loops/loop: unknown fluid 'mercury'; known are"),
        ({"return": LOOP["supply"]}, "loops/loop: supply and return have a sensor in common"),
        ({"heat_meter": {**METER, "qi_lpm": 301}}, "loops/loop: qp 3000 L/min is not 10 times qi"),
        (
            {"pair": PAIR, "supply": ["d/temperature.ch0", "d/temperature.ch1"]},
            "loops/loop: supply: a matched pair has one sensor at each end, not 2",
        ),
        ({"flow": "d/flow.mass"}, "loops/loop: device 'd' has no point 'flow.mass'"),
        ({"flow": "d/pressure.P1"}, "loops/loop: d/pressure.P1 is in bar, not in L/min"),
    ],
)
def test_a_loop_that_cannot_work_is_refused(
    make_config: MakeConfig, plumbing: Any, changes: dict[str, Any], message: str
) -> None:
    """Unknown fluids and points, and points of the wrong kind, are named at the start."""
    with pytest.raises(ConfigurationError) as caught:
        _loop(make_config, plumbing, **changes)
    assert str(caught.value).startswith(message)


def test_a_silicon_temperature_is_shown(make_config: MakeConfig, plumbing: Any) -> None:
    """A junction temperature is its point's reading."""
    config = make_config(
        silicon=({"id": "gpu", "temperature": "d/temperature.ch1"},), devices=("d",)
    )
    values = SiliconSensor(config.silicon[0], plumbing).values()
    assert (values.sensor_id, values.temperature.value) == ("gpu", 40.0)


def test_three_flow_sensors_vote_and_a_dead_one_is_named(
    make_config: MakeConfig, engine: Any
) -> None:
    """Heat comes from the vote, the loop stays ok, and the state names all of them."""
    flows = [f"d{number}/flow.volume" for number in (1, 2, 3)]
    engine.put("d", "temperature.ch0", 30.0, "Cel", uncertainty=0.1)
    engine.put("d", "temperature.ch1", 40.0, "Cel", uncertainty=0.1)
    for number, flow_lpm in ((1, 6000.0), (2, 5010.0), (3, 5000.0)):
        engine.put(f"d{number}", "flow.volume", flow_lpm, "L/min", uncertainty=50.0)
    config = make_config(
        loops=({"id": "loop", "supply": LOOP["supply"], "return": LOOP["return"], "flow": flows},),
        devices=("d", "d1", "d2", "d3"),
    )
    loop = CoolantLoop(config.loops[0], engine)
    values = loop.values()
    assert values.flow.value == 5010.0
    assert values.quality is Quality.OK
    assert values.heat_w == pytest.approx(5010 / 5000 * 3.46e6, rel=3e-3)
    assert values.redundancy["flow"].disagreeing == (flows[0],)
    assert [entry.sensor for entry in values.conditions] == [flows[0]]
    engine.put("d3", "flow.volume", None, "L/min", Quality.COMM_ERROR)
    values = loop.values()
    assert values.flow.value == 5010.0  # the sensor that was outvoted does not take over
    assert values.quality is Quality.OK
    assert {entry.kind for entry in values.conditions} == {
        "sensor-lost",
        "sensor-disagrees",
        "heat-uncertain",  # what two contradict is not known to 2 %
    }
    assert "supply" not in values.redundancy


def test_every_redundant_sensor_is_checked(make_config: MakeConfig, plumbing: Any) -> None:
    """A wrong unit in the second place is a ConfigurationError too."""
    refs = ["d/flow.volume", "d/pressure.P1"]
    config = make_config(loops=({**LOOP, "flow": refs},), devices=("d",))
    with pytest.raises(ConfigurationError, match=r"d/pressure\.P1 is in bar, not in L/min"):
        CoolantLoop(config.loops[0], plumbing)

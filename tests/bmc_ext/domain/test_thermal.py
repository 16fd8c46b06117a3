"""The plan behind a thermal_control message, and what the loops can carry."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bmc_ext.domain.snapshot import LoopValues
from bmc_ext.domain.thermal import (
    CoolingCommand,
    LoopPlate,
    SettingOutcome,
    SystemOutcome,
    cooling,
    least_speed_percent,
    loop_capacity_w,
    plan,
)
from bmc_ext.errors import MessageError, NotFoundError
from drivers.reading import Quality, Reading

PLATE = LoopPlate("loop_a", "water", rated_flow_lpm=5000, max_return_c=60.0, has_pump=True)


def command(index: int = 0, system_id: str = "loop_a", **settings: object) -> CoolingCommand:
    """One command of a message."""
    return CoolingCommand(index, system_id, settings)


def loop(supply_c: float | None = 30.0, quality: Quality = Quality.OK) -> LoopValues:
    """A loop's values with 3.13 MW of heat."""
    reading = Reading(supply_c, "Cel", quality)
    return LoopValues(
        "loop_a", "water", quality, *[reading] * 6, heat_w=3.13e6 if quality is Quality.OK else None
    )


def test_flow_becomes_a_speed_by_the_nameplate() -> None:
    """Half the rated flow is half the speed."""
    [found] = plan([command(target_flow_rate_lpm=2500)], [PLATE])
    assert found.speed_percent == 50.0


def test_speed_bounds_the_flow() -> None:
    """With both given, the flow decides and the speed is its upper bound, as in the draft."""
    [found] = plan([command(target_flow_rate_lpm=2500, pump_speed_percent=85)], [PLATE])
    assert found.speed_percent == 50.0
    assert [setting.status for setting in found.settings] == [None, None]
    assert found.settings[1].reason == (
        "kept as the upper bound of the speed that target_flow_rate_lpm asks for"
    )


def test_speed_alone_is_the_speed() -> None:
    """Without a flow the speed is set as told."""
    [found] = plan([command(pump_speed_percent=85)], [PLATE])
    assert found.speed_percent == 85


def test_flow_above_the_bound_contradicts_it() -> None:
    """A flow that needs more than the speed allows is refused by the name of the member."""
    with pytest.raises(MessageError, match=r"50\.0 % .* bounds to 20 %") as caught:
        plan([command(target_flow_rate_lpm=2500, pump_speed_percent=20)], [PLATE])
    assert caught.value.property_path == "/cooling_commands/0/pump_speed_percent"


def test_contradiction_across_commands_is_found() -> None:
    """The same system may come twice, but its settings must fit together."""
    apart = [command(target_flow_rate_lpm=2500), command(1, pump_speed_percent=20)]
    with pytest.raises(MessageError) as caught:
        plan(apart, [PLATE])
    assert caught.value.property_path == "/cooling_commands/1/pump_speed_percent"


def test_two_values_for_one_setting_contradict() -> None:
    """Two values for one setting name the second; the same value twice is one command."""
    twice = [command(pump_speed_percent=50), command(1, pump_speed_percent=60)]
    with pytest.raises(MessageError) as caught:
        plan(twice, [PLATE])
    assert caught.value.property_path == "/cooling_commands/1/pump_speed_percent"
    same = plan([command(pump_speed_percent=50), command(1, pump_speed_percent=50.0)], [PLATE])
    assert [entry.speed_percent for entry in same] == [50]


def test_setting_without_actuator_is_not_supported() -> None:
    """A coolant temperature that nothing can set is reported, not pretended."""
    [found] = plan([command(inlet_temp_target_c=12, phase_change_fluid="FC-87")], [PLATE])
    assert found.speed_percent is None
    assert {setting.status for setting in found.settings} == {"not_supported"}


def test_loop_without_a_settable_pump_is_not_supported() -> None:
    """A pump that cannot be written is reported so."""
    [found] = plan([command(pump_speed_percent=50)], [replace(PLATE, has_pump=False)])
    assert [setting.status for setting in found.settings] == ["not_supported"]
    assert found.speed_percent is None


def test_flow_above_the_nameplate_is_refused() -> None:
    """More than the rated flow is refused with the range."""
    [found] = plan([command(target_flow_rate_lpm=6000)], [PLATE])
    assert found.speed_percent is None
    assert found.settings[0].reason == "a flow of 6000 L/min is outside 0 to 5000 L/min"


def test_unknown_system_does_not_stop_the_others() -> None:
    """The draft's example, with a heat recovery that is not configured, acts on its loop."""
    found = plan(
        [command(target_flow_rate_lpm=2500), command(1, "heat", heat_output_mw=120)], [PLATE]
    )
    assert [(entry.system_id, entry.known, entry.speed_percent) for entry in found] == [
        ("loop_a", True, 50.0),
        ("heat", False, None),
    ]


def test_only_unknown_systems_are_not_found() -> None:
    """A message that names no configured system at all is an error that names them."""
    with pytest.raises(NotFoundError, match="'heat'"):
        plan([command(0, "heat", heat_output_mw=1)], [PLATE])


def test_command_that_names_nothing_to_set_is_an_error() -> None:
    """A command without a setting is refused by its pointer, whatever the others name."""
    with pytest.raises(MessageError, match="'loop_a' names nothing to set") as caught:
        plan([command(pump_speed_percent=50), command(1)], [PLATE])
    assert caught.value.property_path == "/cooling_commands/1"


@pytest.mark.parametrize(
    "setting", [{"pump_speed_percent": 0}, {"target_flow_rate_lpm": 0}, {"pump_speed_percent": 29}]
)
def test_pump_is_not_stopped_under_load(setting: dict[str, float]) -> None:
    """3.13 MW from 30 to 60 °C need 1.504 m3/min: 30.1 % of the pump, and nothing below it."""
    [found] = plan([command(**setting)], [PLATE], [loop()])
    assert (found.speed_percent, found.settings[0].status) == (None, "refused")
    assert found.settings[0].reason == (
        "the loop's heat of 3.13 MW needs at least 30.1 % of the pump's speed, 1505 L/min, "
        f"to stay below 60 °C; {next(iter(setting.values()))} % is too slow"
    )
    [enough] = plan([command(pump_speed_percent=30.1)], [PLATE], [loop()])
    assert enough.speed_percent == 30.1


def test_least_speed_is_that_of_the_heat() -> None:
    """The least speed is the share of the nameplate's heat; 100 % where that is too little."""
    capacity_w = loop_capacity_w(PLATE, 30.0)
    assert least_speed_percent(PLATE, loop()) == pytest.approx(3.13e6 / capacity_w * 100)
    assert least_speed_percent(PLATE, replace(loop(), heat_w=0.0)) == 0.0
    assert least_speed_percent(PLATE, replace(loop(), heat_w=2 * capacity_w)) == 100.0
    assert least_speed_percent(PLATE, loop(61.0)) == 100.0


@pytest.mark.parametrize("values", [[], [loop(None, Quality.COMM_ERROR)], [loop(-5.0)]])
def test_blind_loop_keeps_some_flow(values: list[LoopValues]) -> None:
    """Where heat or temperature says nothing, the pump is not set below a tenth of its speed."""
    [slow] = plan([command(pump_speed_percent=9.9)], [PLATE], values)
    assert (slow.speed_percent, slow.settings[0].status) == (None, "refused")
    assert "heat is unknown" in str(slow.settings[0].reason)
    [enough] = plan([command(pump_speed_percent=10)], [PLATE], values)
    assert enough.speed_percent == 10


def test_idle_loop_may_be_stopped() -> None:
    """A loop that carries no heat may stand still."""
    [found] = plan([command(pump_speed_percent=0)], [PLATE], [replace(loop(), heat_w=0.0)])
    assert found.speed_percent == 0


def test_number_that_is_none_is_named() -> None:
    """A set point that is no number is refused by its pointer."""
    with pytest.raises(MessageError) as caught:
        plan([command(pump_speed_percent=True)], [PLATE])
    assert caught.value.property_path == "/cooling_commands/0/pump_speed_percent"


def test_status_of_a_system_sums_up_its_settings() -> None:
    """One status for all is the system's; different ones are partial; unknown goes first."""
    accepted = SettingOutcome("pump_speed_percent", 50, "accepted")
    other = SettingOutcome("inlet_temp_target_c", 12, "not_supported")
    assert SystemOutcome("a", True, (accepted,)).status == "accepted"
    assert SystemOutcome("a", True, (accepted, other)).status == "partial"
    assert SystemOutcome("a", False, (other,)).status == "unknown_system"


def test_5000_lpm_of_water_carry_about_3_5_mw_per_10_k() -> None:
    """The capacity of a loop is that of physics, not the draft's 50 to 100 MW."""
    assert loop_capacity_w(replace(PLATE, max_return_c=40.0), 30.0) == pytest.approx(
        3.46e6, rel=0.01
    )
    assert loop_capacity_w(PLATE, 61.0) == 0.0


def test_cooling_counts_only_loops_that_are_known() -> None:
    """A loop without a good reading carries nothing and is named."""
    good = cooling([PLATE], [loop()])
    assert good.capacity_w == pytest.approx(loop_capacity_w(PLATE, 30.0))
    assert (good.heat_w, good.supply_c, good.ignored) == (3.13e6, 30.0, ())
    for bad in ([loop(None, Quality.COMM_ERROR)], []):
        assert cooling([PLATE], bad).ignored == ("loop_a",)
        assert cooling([PLATE], bad).capacity_w == 0.0


def test_unknown_fluid_carries_nothing() -> None:
    """A fluid whose heat capacity is not known is not guessed."""
    assert cooling([replace(PLATE, fluid="FC-72")], [loop()]).ignored == ("loop_a",)

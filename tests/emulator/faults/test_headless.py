"""A scenario without wall clock: bit-identical for a seed, and devices that fail as they should."""

from __future__ import annotations

import json
import statistics
from pathlib import Path
from typing import Any

import pytest

from emulator.faults.scenario import Scenario, load_scenario
from emulator.headless import Headless, left_out
from emulator.plant.facility import load_facility
from emulator.plant.field_devices import profiles_of

Record = dict[str, Any]
FLOW = "flow.volume"
SIDES = ("supply", "return")
FAULTS = """
events:
  - {at_s: 4, until_s: 8, fault: dead, device: cooling_meter}
  - {at_s: 4, until_s: 8, fault: dead, device: hall_2_gateway}
  - {at_s: 4, fault: stuck, device: loop_a_flow}
  - {at_s: 4, fault: pump-stop, loop: liquid_cooling_loop_a}
  - {at_s: 4, fault: noise, device: loop_b_flow, point: flow.volume, amount: 5%}
  - {at_s: 4, fault: bias, device: loop_c_flow, point: flow.volume, amount: 200}
  - {at_s: 4, fault: factor, device: loop_d_flow, point: flow.volume, factor: 0.5}
  - {at_s: 4, fault: drift, device: loop_e_flow, point: flow.volume, amount: 10}
  - {at_s: 4, until_s: 8, fault: leak, loop: liquid_cooling_loop_b}
  - {at_s: 4, until_s: 6, fault: leak, loop: liquid_cooling_loop_b}
  - {at_s: 4, until_s: 8, fault: exceptions, device: loop_f_pump, share: 1}
  - {at_s: 4, until_s: 8, fault: slow, device: hall_1_supply_temperature, delay_s: 9}
  - {at_s: 4, until_s: 8, fault: drop-outs, device: hall_1_return_temperature, share: 1}
  - {at_s: 4, until_s: 8, fault: grid-voltage, per_unit: 0.8}
  - {at_s: 4, until_s: 8, fault: grid-frequency, offset_hz: -0.5}
  - {at_s: 4, until_s: 8, fault: load-step, power_w: 30.0e+6}
  - {at_s: 5, fault: drop, path: "*"}
"""


def script(tmp_path: Path, text: str) -> Scenario:
    """A scenario of a file with this text."""
    path = tmp_path / "scenario.yaml"
    path.write_text(text)
    return load_scenario(str(path))


def lines(scenario: Scenario, for_s: float, seed: int = 3) -> list[str]:
    """What a run prints."""
    run = Headless(load_facility("campus-250mw"), seed, scenario)
    return [json.dumps(record) for record in run.records(for_s)]


class Run:
    """The records of a run by second."""

    def __init__(self, scenario: Scenario, for_s: float) -> None:
        self.records: list[Record] = [json.loads(line) for line in lines(scenario, for_s)]
        self.truths = {r["t_s"]: r["truth"] for r in self.records if "truth" in r}
        self.devices = {(r["t_s"], r["device"]): r for r in self.records if "device" in r}

    def shown(self, second: int, device: str, point: str) -> float | None:
        """A reading."""
        value: float | None = self.devices[second, device]["readings"][point]
        return value

    def qualities(self, second: int, device: str) -> set[str]:
        """What is not ok about a device."""
        return set(self.devices[second, device]["not_ok"].values())

    def flow(self, second: int, loop: str) -> float:
        """The true flow of a loop by its letter."""
        return float(self.truths[second]["loops"][f"liquid_cooling_loop_{loop}"]["flow_lpm"])


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """One run with all kinds of faults of plant and devices."""
    return Run(script(tmp_path_factory.mktemp("run"), FAULTS), 12)


def test_a_seed_gives_the_same_run_to_the_bit(tmp_path: Path) -> None:
    """Two runs are equal; another seed gives another one from the first second on."""
    modules = [f"hall_{hall}_{side}_temperature" for hall in (2, 3, 4) for side in SIDES]
    dead = [f"  - {{at_s: 4, until_s: 9.5, fault: dead, device: {n}}}\n" for n in modules]
    scenario = script(tmp_path, FAULTS + "".join(dead))
    first = lines(scenario, 11)
    assert lines(scenario, 11) == first
    other = [line for line in lines(scenario, 1, seed=4) if '_flow"' in line or "truth" in line]
    assert len(other) == 25
    assert not set(other) & set(first)


def test_an_event_changes_nothing_before_it(tmp_path: Path) -> None:
    """Without the faults after 3 s, and with others, the first 3 s are the same to the bit."""
    text = "events:\n  - {at_s: 1, fault: noise, device: loop_b_flow, amount: 5%}\n"
    other = "  - {at_s: 3.05, fault: noise, device: loop_b_flow, amount: 9%}\n"
    calm, changed = lines(script(tmp_path, text), 5), lines(script(tmp_path, text + other), 5)
    same = [line for line in calm if json.loads(line)["t_s"] <= 3]
    assert len(same) > 300
    assert changed[: len(same)] == same
    assert changed != calm


def test_the_dead_are_unknown_and_come_back(run: Run) -> None:
    """A closed port and a silent gateway: null with comm-error, then values again."""
    for device, point in (("cooling_meter", "power.active.total"), ("loop_g_flow", FLOW)):
        assert run.shown(3, device, point) is not None
        for second in (6, 8):
            assert run.shown(second, device, point) is None
            assert run.qualities(second, device) == {"comm-error"}
        assert run.shown(12, device, point) is not None
    assert run.qualities(6, "loop_a_flow") == set()


@pytest.mark.parametrize(
    "device", ["loop_f_pump", "hall_1_supply_temperature", "hall_1_return_temperature"]
)
def test_refusals_lateness_and_silence_are_comm_errors(run: Run, device: str) -> None:
    """Exceptions, answers after the driver's patience and drop-outs; each ends with its fault."""
    assert run.qualities(3, device) == set()
    assert run.qualities(7, device) == {"comm-error"}
    assert run.qualities(12, device) == set()


def test_a_stuck_sensor_shows_its_last_value_while_the_truth_moves(run: Run) -> None:
    """The pump stands, the flow is gone, the meter shows what it showed."""
    assert run.flow(12, "a") < 0.05 * run.flow(3, "a")
    assert run.shown(12, "loop_a_flow", FLOW) == run.shown(6, "loop_a_flow", FLOW)
    assert run.shown(12, "loop_a_flow", FLOW) == pytest.approx(run.flow(3, "a"), rel=0.02)
    assert run.shown(12, "loop_a_pump", "speed.actual") == pytest.approx(0.0, abs=0.1)


def test_a_stuck_sensor_is_stale_after_the_time_of_its_profile(tmp_path: Path) -> None:
    """Believed until its profile's stuck time is over, then null and stale until it is mended."""
    stuck = {"loop_a_flow": FLOW, "loop_c_pressure": "pressure.P1"}
    events = (f"{{at_s: 4, until_s: 70, fault: stuck, device: {name}}}" for name in stuck)
    run = Run(script(tmp_path, "events:\n" + "".join(f"  - {event}\n" for event in events)), 72)
    profiles = profiles_of(load_facility("campus-250mw"))
    for device, point in stuck.items():
        after_s = profiles[device].points[point].stuck_after_s
        assert after_s is not None
        told = [s for s in range(1, 73) if run.devices[s, device]["not_ok"].get(point) == "stale"]
        # Seen last by the poll before the fault, or by the first one after it.
        assert 3 + after_s < told[0] <= 5 + after_s
        assert 69 <= told[-1] <= 71
        assert told == [s for s in range(1, 73) if run.shown(s, device, point) is None]
        assert told == [*range(told[0], told[-1] + 1)]
    well = [name for name in profiles if name not in stuck]
    assert not any(run.qualities(s, name) for s in range(2, 73) for name in well)


def test_a_pump_at_rest_is_no_stuck_sensor(tmp_path: Path) -> None:
    """A flow of 0 that never moves stays known: it is the one that must not be withheld."""
    text = "events: [{at_s: 1, fault: factor, device: loop_a_flow, factor: 0}]"
    run = Run(script(tmp_path, text), 25)
    assert run.shown(25, "loop_a_flow", FLOW) == 0.0
    assert run.qualities(25, "loop_a_flow") == set()


def test_what_sensors_show_is_wrong_by_the_amount(run: Run) -> None:
    """Noise scatters round the truth; bias, factor and drift leave it by what they say."""
    noisy = [run.shown(second, "loop_b_flow", FLOW) for second in range(5, 13)]
    spread = statistics.stdev(value / run.flow(12, "b") for value in noisy if value is not None)
    assert 0.02 < spread < 0.12
    for loop, add, times in (("c", 200.0, 1.0), ("d", 0.0, 0.5)):
        before = run.shown(3, f"loop_{loop}_flow", FLOW)
        assert before is not None
        shown = run.shown(12, f"loop_{loop}_flow", FLOW)
        assert shown == pytest.approx(before * times + add, abs=20)
    early, late = (run.shown(second, "loop_e_flow", FLOW) for second in (6, 12))
    assert early is not None
    assert late == pytest.approx(early + 60, abs=25)


def test_plant_faults_are_the_truth_until_they_end(run: Run) -> None:
    """Leak, voltage, frequency and load are so while their faults last, and as before after."""
    before, during, after = (run.truths[second] for second in (3, 6, 12))
    wet = [run.truths[s]["loops"]["liquid_cooling_loop_b"]["leaking"] for s in (3, 6, 7, 12)]
    assert wet == [False, True, True, False]  # one of two leaks ends at 6 s
    alarms = [run.shown(second, "loop_b_leak", "alarm.leak") for second in (3, 7, 12)]
    assert alarms == [0, 1, 0]
    hall = [truth["feeds"]["hall_1"] for truth in (before, during, after)]
    volts = [feed["v_rms_v"] for feed in hall]
    assert volts[1] == pytest.approx(0.8 * volts[0], rel=0.02)
    assert volts[2] == pytest.approx(volts[0], rel=0.02)
    assert hall[1]["frequency_hz"] == pytest.approx(hall[0]["frequency_hz"] - 0.5, abs=0.1)
    halls = [sum(t["feeds"][f"hall_{n}"]["p_w"] for n in range(1, 5)) for t in (before, during)]
    assert halls[1] - halls[0] == pytest.approx(30e6, rel=0.1)


def test_begins_and_ends_are_told_and_the_rest_is_counted(run: Run, tmp_path: Path) -> None:
    """Each fault of plant and devices is told when it begins and ends; of others their number."""
    told = [(r["t_s"], r["event"]) for r in run.records if "event" in r]
    assert told.count((4.0, "begins")) == 16
    assert told.count((8.0, "ends")) == 9
    assert left_out(script(tmp_path, FAULTS)) == 1

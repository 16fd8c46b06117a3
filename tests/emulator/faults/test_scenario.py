"""Scenario files: what is taken, what is refused and where; the shipped ones."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bmc_ext.errors import ConfigurationError
from emulator.faults.scenario import load_scenario, shipped
from emulator.faults.vocabulary import KINDS
from emulator.plant.facility import Facility, load_facility
from emulator.plant.faults import check_fault

ROOT = Path(__file__).resolve().parents[3]
RUN = [sys.executable, "-c", "from bmc_ext.cli import main; main()"]
FILE = """
seed: 7
events:
  - {at_s: 9, fault: noise, device: loop_a_flow, amount: 5%}
  - {at_s: 2.5, until_s: 4, fault: dead, device: hall_1_gateway}
"""


@pytest.fixture(scope="module")
def facility() -> Facility:
    """The shipped campus."""
    return load_facility("campus-250mw")


def test_a_file_becomes_events_in_the_order_of_time(tmp_path: Path) -> None:
    """Seed, times and faults are those of the file; events come sorted."""
    path = tmp_path / "s.yaml"
    path.write_text(FILE)
    scenario = load_scenario(str(path))
    assert scenario.seed == 7
    assert [(e.at_s, e.until_s, str(e.fault)) for e in scenario.events] == [
        (2.5, 4, "dead device=hall_1_gateway"),
        (9, None, "noise device=loop_a_flow amount=5%"),
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("events: [", ":1: not YAML"),
        ("seed: 1", "top level: 'events' is a required property"),
        ("[]", "top level: a mapping is wanted, not a list"),
        ("words of a letter " * 50, "wrong.yaml: top level: a mapping is wanted, not a text"),
        ("events: [{at_s: 1, fault: explode}]", "events/0: no fault 'explode' (there are: leak"),
        ("events: [{at_s: 1}]", "events/0: 'fault' is a required property"),
        ("events: [leak]", "events/0: a mapping is wanted, not 'leak'"),
        ("events: [{fault: expired-sessions}]", "events/0: 'at_s' is a required property"),
        ("events: [{at_s: 1, fault: leak}]", "events/0: leak: 'loop' is a required property"),
        ("events: [{at_s: 1, fault: drop, count: 0}]", "events/0/count: 0 is less than"),
        (
            "events: [{at_s: 1e3, fault: drop}]",
            "events/0/at_s: a number is wanted, not '1e3' (a number with an exponent has a point",
        ),
        ("events: [{at_s: -1, fault: drop}]", "events/0/at_s: -1 is less than the minimum"),
        ("events: [{at_s: .nan, fault: drop}]", "events/0/at_s: not a finite number"),
        (
            "events: [{at_s: 1, until_s: 2, fault: drop, colour: red}]",
            "events/0: drop takes no 'colour' (it takes: path, method, probability, count, bmc)",
        ),
        (
            "events: [{at_s: 1, fault: dead, device: loop_a_flow, bmc: 2}]",
            "events/0: dead takes no 'bmc' (it takes: device); all BMCs share the campus",
        ),
        ("events: [{at_s: 1, fault: drop, bmc: all}]", "events/0/bmc: a whole number is wanted"),
        (
            "events: [{at_s: 1, fault: noise, device: loop_a_flow, amount: -5}]",
            "events/0/amount: neither a number from 0 on nor a share of the value such as 5%",
        ),
        (
            "events: [{at_s: 1, fault: noise, device: loop_a_flow, amount: -5%}]",
            "events/0/amount: neither a number from 0 on nor a share of the value such as 5%",
        ),
        (
            "events: [{at_s: 1, fault: bias, device: loop_a_flow, amount: lots}]",
            "events/0/amount: neither a number nor a share of the value such as 5%",
        ),
        (
            "events: [{at_s: 1, fault: drop}, {at_s: 5, until_s: 5, fault: drop}]",
            "events/1/until_s: 5 is not after at_s, 5",
        ),
        (
            "events: [{at_s: 1, until_s: 2, fault: expired-sessions}]",
            "is over at once and takes no until_s",
        ),
    ],
)
def test_a_wrong_file_is_refused_with_its_place(tmp_path: Path, text: str, words: str) -> None:
    """The error names the file, the place in it and the reason."""
    path = tmp_path / "wrong.yaml"
    path.write_text(text)
    with pytest.raises(ConfigurationError) as caught:
        load_scenario(str(path))
    assert str(caught.value).startswith(str(path))
    assert words in str(caught.value)
    assert len(str(caught.value)) < 500 + len(str(path))


@pytest.mark.parametrize(
    ("event", "words"),
    [
        ("fault: leak, loop: atlantis", "loop: no loop 'atlantis'; known are liquid_cooling_loop"),
        ("fault: dead, device: loop_z_flow", "device: no device 'loop_z_flow'; known are loop_"),
        ("fault: stuck, device: hall_1_gateway", "device: no device 'hall_1_gateway'"),
        ("fault: bias, device: loop_a_flow, point: x, amount: 1", "point: no point 'x'"),
    ],
)
def test_names_that_the_campus_has_not_are_refused(
    tmp_path: Path, facility: Facility, event: str, words: str
) -> None:
    """A loop, device or point that is not there is told before anything runs, with those there."""
    path = tmp_path / "wrong.yaml"
    path.write_text(f"events: [{{at_s: 3, {event}}}]")
    scenario = load_scenario(str(path))
    with pytest.raises(ConfigurationError, match=r"wrong.yaml: the event at 3 s: ") as caught:
        scenario.check(lambda fault: check_fault(fault, facility))
    assert words in str(caught.value)


def test_an_unknown_name_lists_the_shipped_ones() -> None:
    """Neither a shipped scenario nor a file: told with what there is."""
    with pytest.raises(ConfigurationError, match="dead-meter, flaky-bmc, leak"):
        load_scenario("atlantis")


@pytest.mark.parametrize("name", shipped())
def test_shipped_scenarios_fit_the_shipped_campus(facility: Facility, name: str) -> None:
    """Each is described, happens within a minute, and names only what is there."""
    scenario = load_scenario(name)
    assert scenario.description
    assert max(event.at_s for event in scenario.events) <= 60
    scenario.check(lambda fault: check_fault(fault, facility))


def test_the_readme_names_every_kind() -> None:
    """The document beside the scenarios lists the faults that there are, and no other."""
    text = (ROOT / "emulator" / "scenarios" / "README.md").read_text(encoding="utf-8")
    rows = [line.split("|")[1].strip() for line in text.splitlines() if line.startswith("| `")]
    assert [row.strip("`") for row in rows] == list(KINDS)


def test_a_wrong_scenario_keeps_the_emulator_from_starting(tmp_path: Path) -> None:
    """Status 2 and one line; nothing listens and nothing is left in the working directory."""
    (tmp_path / "bad.yaml").write_text("events: [{at_s: 1, fault: explode}]")
    result = subprocess.run(
        [*RUN, "emulate", "--scenario", "bad.yaml", "--state-dir", "s"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (result.returncode, result.stdout) == (2, "")
    [line] = result.stderr.splitlines()
    assert "bad.yaml: events/0: no fault 'explode'" in line
    assert [path.name for path in tmp_path.iterdir()] == ["bad.yaml"]

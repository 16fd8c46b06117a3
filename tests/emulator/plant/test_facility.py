"""Facility files: what is read, and what is refused with which words."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from emulator.plant.errors import FacilityError
from emulator.plant.facility import Facility, load_facility

SHIPPED = Path(__file__).parents[3] / "emulator/plant/facilities/campus-250mw.yaml"


def test_campus_has_four_halls_of_six_loops(facility: Facility) -> None:
    """The shipped campus is 250 MW in four halls with the loops a to x of at most 5000 L/min."""
    assert facility.facility.rated_power_w == 250e6
    assert facility.halls.count * facility.halls.rated_power_w == 250e6
    assert facility.hall_ids == ("hall_1", "hall_2", "hall_3", "hall_4")
    assert len(facility.loop_ids) == 24
    assert facility.loop_ids[0] == "liquid_cooling_loop_a"
    assert facility.loop_ids[-1] == "liquid_cooling_loop_x"
    assert facility.loops.rated_flow_lpm <= 5000


def _without_grid(document: dict[str, Any]) -> None:
    del document["grid"]


def _negative_power(document: dict[str, Any]) -> None:
    document["halls"]["rated_power_w"] = -1


def _text_for_number(document: dict[str, Any]) -> None:
    document["battery"]["capacity_j"] = "108e9"


def _number_for_text(document: dict[str, Any]) -> None:
    document["facility"]["id"] = 7


def _unknown_member(document: dict[str, Any]) -> None:
    document["loops"]["colour"] = "blue"


def _half_a_hall(document: dict[str, Any]) -> None:
    document["halls"]["count"] = 2.5


def _too_many_loops(document: dict[str, Any]) -> None:
    document["halls"]["count"] = 5


def _too_many_channels(document: dict[str, Any]) -> None:
    document["halls"]["count"], document["loops"]["per_hall"] = 2, 7


def _more_than_full(document: dict[str, Any]) -> None:
    document["battery"]["initial_soc"] = 1.2


def _section_is_a_list(document: dict[str, Any]) -> None:
    document["silicon"] = [1, 2]


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (_without_grid, "missing: grid"),
        (_negative_power, "halls/rated_power_w: -1 is not above 0"),
        (_text_for_number, "battery/capacity_j: a number is wanted"),
        (_number_for_text, "facility/id: a text is wanted"),
        (_unknown_member, "loops: unknown: colour"),
        (_half_a_hall, "halls/count: 2.5 is not a whole number"),
        (_too_many_loops, "at most 26 loops"),
        (_too_many_channels, "loops/per_hall: at most 6"),
        (_more_than_full, "battery/initial_soc: above 1"),
        (_section_is_a_list, "silicon: not a mapping"),
    ],
)
def test_wrong_file_is_refused_with_place_and_reason(
    tmp_path: Path, spoil: Callable[[dict[str, Any]], None], words: str
) -> None:
    """Each kind of mistake gives one error that names the file, the place and the reason."""
    document = yaml.safe_load(SHIPPED.read_text(encoding="utf-8"))
    spoil(document)
    path = tmp_path / "spoilt.yaml"
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    with pytest.raises(FacilityError) as caught:
        load_facility(str(path))
    assert str(caught.value).startswith(str(path))
    assert words in str(caught.value)


def test_unknown_name_lists_the_shipped_facilities() -> None:
    """A facility that does not exist is answered with those that do."""
    with pytest.raises(FacilityError, match=r"atlantis.*campus-250mw"):
        load_facility("atlantis")


def test_file_that_is_not_yaml_is_refused(tmp_path: Path) -> None:
    """A broken file is named."""
    path = tmp_path / "broken.yaml"
    path.write_text("a: [1, 2", encoding="utf-8")
    with pytest.raises(FacilityError, match=r"broken\.yaml: not YAML"):
        load_facility(str(path))

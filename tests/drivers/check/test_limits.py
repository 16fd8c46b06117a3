"""The limits are the standard's, and each point is judged as what it is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from drivers.check.limits import LIMITS, quantity_of
from drivers.profile import Profile, list_profiles, load_profile


def row(text: str, first: str) -> list[str]:
    """The cells of the table row that begins so."""
    line = next(line for line in text.splitlines() if line.startswith(f"| {first} |"))
    return [cell.strip() for cell in line.strip("|").split("|")]


def numbers(cell: str) -> list[float]:
    """The numbers in a cell; thousands may be set apart by a space."""
    return [
        float(n) for n in re.findall(r"-?\d+(?:\.\d+)?", re.sub(r"(\d) (\d{3})", r"\1\2", cell))
    ]


def test_the_numbers_are_those_of_the_standard(shared: Path) -> None:
    """Tables 2 and 4, 7.2.2, 7.2.3 and 9.2.1 say the same."""
    text = (shared / "spec" / "dcpi-normative.md").read_text()
    power, flow = row(text, "Power measurement"), row(text, "Flow rate measurement")
    assert numbers(power[1]) == [LIMITS["power"].pct_reading]
    assert power[2] == "1 kW to 1000 MW"
    assert LIMITS["power"].operating == (1e3, 1000e6)
    assert numbers(flow[1]) == [LIMITS["flow"].pct_reading]
    assert tuple(numbers(flow[2])) == LIMITS["flow"].operating
    pressure = row(text, "Pressure measurement")
    assert numbers(pressure[1]) == [LIMITS["pressure"].pct_full_scale]
    assert tuple(numbers(pressure[2])) == LIMITS["pressure"].operating
    for first, quantity in (
        ("Inlet coolant", "inlet"), ("Outlet coolant", "outlet"), ("Silicon junction", "silicon")
    ):  # fmt: skip
        _, accuracy, rate, span = row(text, first)
        limit = LIMITS[quantity]
        assert limit.interval_s is not None
        assert numbers(accuracy) == [limit.absolute]
        assert numbers(rate) == [1.0 / limit.interval_s]
        assert tuple(numbers(span)) == limit.operating
    assert "response times not exceeding 1 s" in text.split("7.2.2 Flow sensors")[1][:300]
    assert LIMITS["flow"].response_s == 1.0
    assert "energy measurement with accuracy of ±2 %" in text
    assert LIMITS["heat"].pct_reading == 2.0


@pytest.mark.parametrize(
    ("name", "point", "quantity"),
    [
        ("eastron.sdm630", "power.active.total", "power"),
        ("eastron.sdm630", "power.reactive.total", None),
        ("oem.tuf2000m", "flow.volume", "flow"),
        ("oem.tuf2000m", "power.thermal", "heat"),
        ("keller.33x", "pressure.P1", "pressure"),
        ("keller.33x", "range.P1.max", None),
        ("keller.33x", "temperature.TOB1", None),
        ("advantech.adam6015", "temperature.ch0", "coolant"),
    ],
)
def test_a_point_is_judged_as_what_it_is(name: str, point: str, quantity: str | None) -> None:
    """Unit, name and kind of device tell; a sensor's own temperature is not judged."""
    profile = load_profile(name)
    assert quantity_of(profile, profile.points[point]) == quantity


def test_sides_and_silicon_are_told_by_name(station: Profile) -> None:
    """Supply is the inlet, return the outlet; what a master writes is no measurement."""
    found = {name: quantity_of(station, point) for name, point in station.points.items()}
    assert found["temperature.supply"] == "inlet"
    assert found["temperature.return"] == "outlet"
    assert found["temperature.silicon"] == "silicon"
    assert found["pump.reference"] is None


def test_no_set_point_of_any_profile_is_judged() -> None:
    """In all shipped profiles only what is measured is judged."""
    for profile in list_profiles():
        for point in profile.points.values():
            assert point.write is None or quantity_of(profile, point) is None

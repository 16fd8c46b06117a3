"""Limits of readings: passed, passed back with hysteresis, and unknown values."""

from __future__ import annotations

import pytest

from bmc_ext.domain.thresholds import NONE_BEYOND, Crossing, Limits, beyond, crossings, severity

LIMITS = Limits(
    upper_critical=60, upper_caution=55, lower_caution=10, lower_critical=5, hysteresis=2
)


@pytest.mark.parametrize(
    ("value", "levels", "health"),
    [
        (30, set(), "OK"),
        (55, {"UpperCaution"}, "Warning"),
        (61, {"UpperCaution", "UpperCritical"}, "Critical"),
        (10, {"LowerCaution"}, "Warning"),
        (5, {"LowerCaution", "LowerCritical"}, "Critical"),
    ],
)
def test_a_value_at_a_limit_is_beyond_it(value: float, levels: set[str], health: str) -> None:
    """Each limit counts on its own, and a critical one makes the health critical."""
    found = beyond(LIMITS, value)
    assert found == levels
    assert severity(found) == health


def test_a_limit_is_passed_back_only_inside_its_hysteresis() -> None:
    """A value that hovers at the limit passes it once."""
    state = beyond(LIMITS, 55.5)
    for value in (54.9, 55.1, 53.1):
        state = beyond(LIMITS, value, state)
        assert state == {"UpperCaution"}
    assert beyond(LIMITS, 52.9, state) == NONE_BEYOND
    assert beyond(LIMITS, 11.9, frozenset({"LowerCaution"})) == {"LowerCaution"}
    assert beyond(LIMITS, 12.1, frozenset({"LowerCaution"})) == NONE_BEYOND


def test_an_unknown_value_changes_nothing() -> None:
    """What is not known neither raises an alarm nor clears one."""
    for state in (NONE_BEYOND, frozenset({"UpperCritical"})):
        assert beyond(LIMITS, None, state) == state


def test_crossings_tell_begin_and_end_with_the_limit() -> None:
    """Each change between two states is told once, with its value."""
    before, after = beyond(LIMITS, 58), beyond(LIMITS, 4)
    assert crossings(LIMITS, before, after) == (
        Crossing("UpperCaution", 55, False),
        Crossing("LowerCaution", 10, True),
        Crossing("LowerCritical", 5, True),
    )
    assert crossings(LIMITS, after, after) == ()


def test_without_limits_nothing_is_beyond() -> None:
    """A sensor without limits is never alarmed."""
    assert beyond(Limits(), 1e12) == NONE_BEYOND
    assert crossings(Limits(), NONE_BEYOND, NONE_BEYOND) == ()

"""Unit conversions against values worked out by hand."""

from __future__ import annotations

import pytest

from drivers.units import conversion, transformer_ratio


@pytest.mark.parametrize(
    ("unit", "device", "canonical", "canonical_unit"),
    [
        ("m3/h", 150.0, 2500.0, "L/min"),
        ("L/s", 1.0, 60.0, "L/min"),
        ("kWh", 2.0, 7_200_000.0, "J"),
        ("GJ/h", 1.0, 277_777.777777778, "W"),
        ("mbar", 1013.25, 1.01325, "bar"),
        ("kPa", 250.0, 2.5, "bar"),
        ("[psi]", 100.0, 6.89475729, "bar"),
        ("K", 273.15, 0.0, "Cel"),
        ("[degF]", 212.0, 100.0, "Cel"),
        ("[degF]", 32.0, 0.0, "Cel"),
        ("MW", 0.25, 250_000.0, "W"),
        ("m/s", 2.5, 2.5, "m/s"),
    ],
)
def test_known_units_become_canonical(
    unit: str, device: float, canonical: float, canonical_unit: str
) -> None:
    """A value in a device's unit becomes the canonical value known from the unit's definition."""
    rule = conversion(unit)
    assert rule.unit == canonical_unit
    assert device * rule.factor + rule.offset == pytest.approx(canonical, abs=1e-9)


def test_an_unknown_unit_is_named() -> None:
    """A unit that nobody knows is refused by name, not passed through."""
    with pytest.raises(ValueError, match="'kwh'"):
        conversion("kwh")


def test_instrument_transformers_scale_what_they_transform() -> None:
    """Voltage scales with pt, current with ct, power and energy with both, the rest not."""
    ratios = {"ct_ratio": 200.0, "pt_ratio": 100.0}
    both = ("W", "var", "VA", "J", "varh", "kvarh")
    scaled = {unit: transformer_ratio(unit, **ratios) for unit in ("V", "A", *both)}
    assert scaled == {"V": 100.0, "A": 200.0} | dict.fromkeys(both, 20_000.0)
    assert transformer_ratio("Hz", **ratios) == transformer_ratio("Cel", **ratios) == 1.0

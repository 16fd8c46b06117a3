"""Device units to the canonical units of a Reading: W, var, VA, V, A, Hz, Cel, L/min, bar, J, %, 1.

Unit codes are UCUM (https://ucum.org), plus `var` and `VA`, which UCUM leaves out.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Conversion:
    """canonical = device * factor + offset, in `unit`."""

    unit: str
    factor: float = 1.0
    offset: float = 0.0


_JOULES_PER_WATT_HOUR = 3600.0
_LITRES_PER_US_GALLON = 3.785411784  # NIST SP 811, appendix B.8
_BAR_PER_PSI = 0.0689475729  # NIST SP 811, appendix B.8

_CONVERSIONS: dict[str, Conversion] = {
    "mW": Conversion("W", 1e-3),
    "kW": Conversion("W", 1e3),
    "MW": Conversion("W", 1e6),
    "GJ/h": Conversion("W", 1e9 / 3600.0),
    "kvar": Conversion("var", 1e3),
    "Mvar": Conversion("var", 1e6),
    "kVA": Conversion("VA", 1e3),
    "MVA": Conversion("VA", 1e6),
    "mV": Conversion("V", 1e-3),
    "kV": Conversion("V", 1e3),
    "uA": Conversion("A", 1e-6),
    "mA": Conversion("A", 1e-3),
    "kA": Conversion("A", 1e3),
    "K": Conversion("Cel", 1.0, -273.15),
    "[degF]": Conversion("Cel", 5.0 / 9.0, -160.0 / 9.0),
    "L/h": Conversion("L/min", 1.0 / 60.0),
    "L/s": Conversion("L/min", 60.0),
    "mL/min": Conversion("L/min", 1e-3),
    "m3/h": Conversion("L/min", 1000.0 / 60.0),
    "m3/min": Conversion("L/min", 1000.0),
    "m3/s": Conversion("L/min", 60_000.0),
    "[gal_us]/min": Conversion("L/min", _LITRES_PER_US_GALLON),
    "mbar": Conversion("bar", 1e-3),
    "Pa": Conversion("bar", 1e-5),
    "hPa": Conversion("bar", 1e-3),
    "kPa": Conversion("bar", 1e-2),
    "MPa": Conversion("bar", 10.0),
    "[psi]": Conversion("bar", _BAR_PER_PSI),
    "kJ": Conversion("J", 1e3),
    "MJ": Conversion("J", 1e6),
    "GJ": Conversion("J", 1e9),
    "Wh": Conversion("J", _JOULES_PER_WATT_HOUR),
    "kWh": Conversion("J", 1e3 * _JOULES_PER_WATT_HOUR),
    "MWh": Conversion("J", 1e6 * _JOULES_PER_WATT_HOUR),
}

_CANONICAL = ("W", "var", "VA", "V", "A", "Hz", "Cel", "L/min", "bar", "J", "%", "1")

# Quantities that no canonical unit fits are published as the device gives them.
_AS_GIVEN = (
    *("m/s", "m3", "L", "s", "min", "h", "d", "deg", "dB", "/min", "kg/m3", "varh", "kvarh"),
    *("m", "mm", "A.h", "Ohm"),
)

_CONVERSIONS.update({unit: Conversion(unit) for unit in (*_CANONICAL, *_AS_GIVEN)})

KNOWN_UNITS = frozenset(_CONVERSIONS)


def conversion(device_unit: str) -> Conversion:
    """How values in `device_unit` become canonical; ValueError names an unknown unit."""
    try:
        return _CONVERSIONS[device_unit]
    except KeyError:
        raise ValueError(f"unknown unit {device_unit!r}") from None


def transformer_ratio(canonical_unit: str, *, ct_ratio: float, pt_ratio: float) -> float:
    """The factor from a meter's terminals to the line behind its instrument transformers.

    V scales with the voltage transformer, A with the current transformer, power and energy, also
    reactive, with both; every other quantity is untouched.
    """
    if canonical_unit == "V":
        return pt_ratio
    if canonical_unit == "A":
        return ct_ratio
    if canonical_unit in ("W", "var", "VA", "J", "varh", "kvarh"):
        return ct_ratio * pt_ratio
    return 1.0

"""Heat carried by a single-phase coolant, its uncertainty, and whether it is still liquid."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

_M3_PER_S_PER_LPM = 1.0 / 60_000.0


@dataclass(frozen=True, slots=True)
class Fluid:
    """A liquid coolant between `min_c` and `max_c` in Cel.

    `density` and `specific_heat` are polynomials of the temperature in Cel, lowest power first,
    in kg/m³ and J/(kg·K).
    """

    name: str
    density: tuple[float, ...]
    specific_heat: tuple[float, ...]
    min_c: float
    max_c: float

    def density_kg_per_m3(self, temperature_c: float) -> float:
        """Density in kg/m³; ValueError outside the fluid's range."""
        self.check(temperature_c)
        return _polynomial(self.density, temperature_c)

    def specific_heat_j_per_kg_k(self, temperature_c: float) -> float:
        """Specific heat at constant pressure in J/(kg·K); ValueError outside the fluid's range."""
        self.check(temperature_c)
        return _polynomial(self.specific_heat, temperature_c)

    def check(self, temperature_c: float) -> None:
        """ValueError when the temperature in Cel is outside the fluid's range."""
        if not self.min_c <= temperature_c <= self.max_c:
            raise ValueError(
                f"{temperature_c} Cel is outside the range of {self.name}, "
                f"{self.min_c} to {self.max_c} Cel"
            )


FLUIDS = {
    fluid.name: fluid
    for fluid in (
        # Least squares on IAPWS-95 at 6 bar, 0-100 Cel (CoolProp 8.0): density within 0.005 %,
        # specific heat within 0.04 %.
        Fluid(
            "water",
            (1000.15, 0.0473667, -0.00740958, 4.03722e-05, -1.26064e-07),
            (4215.36, -2.75406, 0.0682454, -0.000680436, 2.73474e-06),
            0.0,
            100.0,
        ),
        # Melinder, Properties of Secondary Working Fluids for Indirect Systems (IIR 2010), by mass:
        # 25 % propylene glycol, 30 % ethylene glycol, as cubics of the temperature (CoolProp 8.0,
        # incompressible fluids MPG and MEG).
        Fluid(
            "pg25",
            (1025.81, -0.244492, -0.00440142, 1.43457e-05),
            (3872.15, 2.40277, 0.00106612, -2.05841e-05),
            -9.0,
            100.0,
        ),
        Fluid(
            "meg30",
            (1044.97, -0.284568, -0.00318166, 4.71427e-06),
            (3658.09, 3.07332, -0.00297848, -1.40974e-05),
            -14.0,
            100.0,
        ),
    )
}
"""Known coolants by the name that a loop's configuration uses."""


def fluid(name: str) -> Fluid:
    """The coolant of that name; ValueError naming the known ones."""
    try:
        return FLUIDS[name]
    except KeyError:
        known = ", ".join(sorted(FLUIDS))
        raise ValueError(f"unknown fluid {name!r}; known are {known}") from None


def volumetric_heat_j_per_m3_k(coolant: Fluid, supply_c: float, return_c: float) -> float:
    """Heat coefficient k in J/(m³·K) for a volume measured at the supply temperature.

    k = ρ(supply)·cp(mean temperature): the form of EN 1434-1 with the flow sensor in the cold pipe.
    ValueError outside the fluid's range.
    """
    coolant.check(return_c)
    mean_c = (supply_c + return_c) / 2
    return coolant.density_kg_per_m3(supply_c) * coolant.specific_heat_j_per_kg_k(mean_c)


@dataclass(frozen=True, slots=True)
class Heat:
    """Heat in W taken up between supply and return, and its half width in W or None."""

    heat_w: float
    uncertainty_w: float | None


def heat_flow(
    coolant: Fluid,
    *,
    flow_lpm: float,
    supply_c: float,
    return_c: float,
    flow_uncertainty_lpm: float | None = None,
    supply_uncertainty_c: float | None = None,
    return_uncertainty_c: float | None = None,
) -> Heat:
    """Heat Q = V·k·(return - supply) of a loop; negative where the return is the colder side.

    The uncertainty is the root sum square of the three sensors' half widths taken as independent
    (JCGM 100:2008, 5.1.2): u² = k²·[(u_V·ΔT)² + V²·(u_s² + u_r²)]; unknown if one of them is.
    ValueError when a temperature is outside the fluid's range.
    """
    k = volumetric_heat_j_per_m3_k(coolant, supply_c, return_c)
    flow_m3_per_s = flow_lpm * _M3_PER_S_PER_LPM
    delta_k = return_c - supply_c
    uncertainty_w = None
    if (
        flow_uncertainty_lpm is not None
        and supply_uncertainty_c is not None
        and return_uncertainty_c is not None
    ):
        uncertainty_w = k * math.hypot(
            flow_uncertainty_lpm * _M3_PER_S_PER_LPM * delta_k,
            flow_m3_per_s * supply_uncertainty_c,
            flow_m3_per_s * return_uncertainty_c,
        )
    return Heat(k * flow_m3_per_s * delta_k, uncertainty_w)


# IAPWS R7-97(2012), Table 34: coefficients of the saturation equation.
_N = (
    0.116_705_214_527_67e4,
    -0.724_213_167_032_06e6,
    -0.170_738_469_400_92e2,
    0.120_208_247_024_70e5,
    -0.323_255_503_223_33e7,
    0.149_151_086_135_30e2,
    -0.482_326_573_615_91e4,
    0.405_113_405_420_57e6,
    -0.238_555_575_678_49,
    0.650_175_348_447_98e3,
)
_MIN_BAR, _MAX_BAR = 0.00611213, 220.64  # validity of equation 31


def saturation_temperature_c(pressure_bar: float) -> float:
    """Boiling temperature of water in Cel at an absolute pressure in bar (IAPWS R7-97, eq. 31).

    ValueError outside 0.00611 to 220.64 bar.
    """
    if not _MIN_BAR <= pressure_bar <= _MAX_BAR:
        raise ValueError(f"{pressure_bar} bar is outside {_MIN_BAR} to {_MAX_BAR} bar")
    beta = math.sqrt(math.sqrt(pressure_bar / 10))
    e = beta**2 + _N[2] * beta + _N[5]
    f = _N[0] * beta**2 + _N[3] * beta + _N[6]
    g = _N[1] * beta**2 + _N[4] * beta + _N[7]
    d = 2 * g / (-f - math.sqrt(f * f - 4 * e * g))
    total = _N[9] + d
    kelvin = (total - math.sqrt(total * total - 4 * (_N[8] + _N[9] * d))) / 2
    return kelvin - 273.15


def is_liquid(temperature_c: float, pressure_bar: float) -> bool:
    """Whether water is below its boiling point, at an absolute pressure in bar.

    On the safe side for the glycol mixtures, which boil above water. False outside the equation's
    range, where nothing can be claimed.
    """
    try:
        return temperature_c < saturation_temperature_c(pressure_bar)
    except ValueError:
        return False


def _polynomial(coefficients: Sequence[float], x: float) -> float:
    """Horner's scheme, lowest power first."""
    value = 0.0
    for coefficient in reversed(coefficients):
        value = value * x + coefficient
    return value

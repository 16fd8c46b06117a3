"""Heat carried by a single-phase coolant, its uncertainty, and whether it is still liquid."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

FlowSensor = Literal["supply", "return"]
"""The pipe that the flow sensor sits in: the supply is the cold side of a cooling loop."""

_M3_PER_S_PER_LPM = 1.0 / 60_000.0


@dataclass(frozen=True, slots=True)
class Fluid:
    """A liquid coolant between `min_c` and `max_c` in Cel.

    `density` and `specific_heat` are polynomials of the temperature in Cel, lowest power first,
    in kg/m³ and J/(kg·K). `relative_uncertainty` is the half width of their product as a ratio.
    """

    name: str
    density: tuple[float, ...]
    specific_heat: tuple[float, ...]
    min_c: float
    max_c: float
    relative_uncertainty: float

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
        # Least squares on IAPWS-95 at 6 bar, 0-100 Cel (CoolProp 8.0): density within 0.002 %,
        # specific heat within 0.013 %. IAPWS R6-95(2018) gives the specific heat 0.1 %; another
        # 0.05 % is for pressures of 1 to 16 bar.
        Fluid(
            "water",
            (1000.1107, 0.059168613, -0.008259833, 6.3321575e-05, -3.8569296e-07, 1.0409895e-09),
            (4216.4446, -3.1174659, 0.094475166, -0.0013890694, 1.0756182e-05, -3.2175112e-08),
            0.0,
            100.0,
            0.0015,
        ),
        # Melinder, Properties of Secondary Working Fluids for Indirect Systems (IIR 2010), by mass
        # (25 is 25 %): propylene (pg) and ethylene (meg) glycol as cubics of the temperature
        # (CoolProp 8.0, incompressible fluids MPG and MEG), from above the freezing point on. Their
        # uncertainty is what one percentage point of glycol changes at most, without inhibitors.
        Fluid(
            "pg20",
            (1020.08, -0.175404, -0.00479703, 1.52942e-05),
            (3935.93, 1.98071, 0.00370673, -3.2189e-05),
            -6.0,
            100.0,
            0.0022,
        ),
        Fluid(
            "pg25",
            (1025.81, -0.244492, -0.00440142, 1.43457e-05),
            (3872.15, 2.40277, 0.00106612, -2.05841e-05),
            -9.0,
            100.0,
            0.0025,
        ),
        Fluid(
            "pg30",
            (1031.56, -0.313441, -0.00403633, 1.35661e-05),
            (3802.64, 2.73271, -0.000499701, -1.14142e-05),
            -11.0,
            100.0,
            0.0029,
        ),
        Fluid(
            "pg40",
            (1042.35, -0.440503, -0.00341921, 1.25132e-05),
            (3641.56, 3.28392, -0.00129195, -3.79374e-07),
            -19.0,
            100.0,
            0.0042,
        ),
        Fluid(
            "pg50",
            (1050.94, -0.53909, -0.00298873, 1.21355e-05),
            (3453.11, 3.86266, -0.000440005, 9.15446e-07),
            -31.0,
            100.0,
            0.0058,
        ),
        Fluid(
            "meg20",
            (1029.06, -0.175418, -0.00373353, 5.12778e-06),
            (3860.84, 1.71889, 0.00294564, -2.42904e-05),
            -6.0,
            100.0,
            0.0037,
        ),
        Fluid(
            "meg25",
            (1037.02, -0.231692, -0.00344081, 4.79647e-06),
            (3762.85, 2.40732, -0.000386038, -1.74094e-05),
            -9.0,
            100.0,
            0.0043,
        ),
        Fluid(
            "meg30",
            (1044.97, -0.284568, -0.00318166, 4.71427e-06),
            (3658.09, 3.07332, -0.00297848, -1.40974e-05),
            -14.0,
            100.0,
            0.005,
        ),
        Fluid(
            "meg40",
            (1060.39, -0.372427, -0.00279868, 5.29715e-06),
            (3434.21, 4.37651, -0.00643853, -1.81804e-05),
            -22.0,
            100.0,
            0.0064,
        ),
        Fluid(
            "meg50",
            (1074.62, -0.434423, -0.00265377, 6.87644e-06),
            (3202.88, 5.64129, -0.00842031, -3.65393e-05),
            -34.0,
            100.0,
            0.0079,
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


def volumetric_heat_j_per_m3_k(
    coolant: Fluid, supply_c: float, return_c: float, flow_sensor: FlowSensor = "supply"
) -> float:
    """Heat coefficient k in J/(m³·K) for a volume measured in that pipe.

    k = ρ(at the flow sensor)·cp(mean temperature), which is EN 1434-1's (1/v)·Δh/ΔΘ: the enthalpy
    is nearly a square of the temperature. ValueError outside the fluid's range.
    """
    coolant.check(supply_c)
    coolant.check(return_c)
    mean_c = (supply_c + return_c) / 2
    density = coolant.density_kg_per_m3(return_c if flow_sensor == "return" else supply_c)
    return density * coolant.specific_heat_j_per_kg_k(mean_c)


@dataclass(frozen=True, slots=True)
class Heat:
    """Heat in W taken up between supply and return, and its half width in W or None.

    `terms_w` are its parts in W, each with the sign in which an input that reads too much moves the
    heat: `flow`, `coefficient`, and `supply` and `return` or the `pair` of them. It is empty where
    the uncertainty is unknown.
    """

    heat_w: float
    uncertainty_w: float | None
    terms_w: Mapping[str, float] = field(default_factory=dict)


def heat_flow(
    coolant: Fluid,
    *,
    flow_lpm: float,
    supply_c: float,
    return_c: float,
    flow_sensor: FlowSensor = "supply",
    flow_uncertainty_lpm: float | None = None,
    supply_uncertainty_c: float | None = None,
    return_uncertainty_c: float | None = None,
    pair_uncertainty_k: float | None = None,
) -> Heat:
    """Heat Q = V·k·(return - supply) of a loop; negative where the return is the colder side.

    The uncertainty is the root sum square of independent half widths (JCGM 100:2008, 5.1.2):
    u² = k²·[(u_V·ΔT)² + V²·(u_s² + u_r²)] + (Q·u_k/k)²; unknown if one of them is. Of a matched
    pair `pair_uncertainty_k`, the half width of the difference in K, stands for u_s and u_r.
    ValueError when a temperature is outside the fluid's range or the flow is no flow.
    """
    if not 0.0 <= flow_lpm < math.inf:
        raise ValueError(f"{flow_lpm} L/min is no flow from supply to return")
    k = volumetric_heat_j_per_m3_k(coolant, supply_c, return_c, flow_sensor)
    flow_m3_per_s = flow_lpm * _M3_PER_S_PER_LPM
    delta_k = return_c - supply_c
    heat_w = k * flow_m3_per_s * delta_k
    per_kelvin_w = k * flow_m3_per_s
    parts = {
        "flow": (k * delta_k * _M3_PER_S_PER_LPM, flow_uncertainty_lpm),
        "coefficient": (heat_w, coolant.relative_uncertainty),
    }
    if pair_uncertainty_k is not None:
        parts["pair"] = (per_kelvin_w, pair_uncertainty_k)
    else:
        parts["supply"] = (-per_kelvin_w, supply_uncertainty_c)
        parts["return"] = (per_kelvin_w, return_uncertainty_c)
    terms_w = {name: by * u for name, (by, u) in parts.items() if u is not None}
    if len(terms_w) < len(parts):
        return Heat(heat_w, None)
    return Heat(heat_w, math.hypot(*terms_w.values()), terms_w)


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

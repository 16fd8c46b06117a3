"""Whether a heat is known well enough, what would make it so, and sums over loops."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping

from bmc_ext.domain.heat import Heat
from drivers.reading import Condition

HEAT_LIMIT = 0.02
"""Heat is asked for to ±2 % (DCPI 6.3.2 d)."""


def needed_delta_k(
    *,
    flow_relative: float,
    delta_uncertainty_k: float,
    delta_relative: float = 0.0,
    coefficient_relative: float = 0.0,
    limit: float = HEAT_LIMIT,
) -> float | None:
    """Least |return - supply| in K at which the heat is known to `limit` (a ratio).

    The half width of the difference is u = `delta_uncertainty_k` + `delta_relative`·ΔT. The root
    sum square solved for ΔT: u / ΔT = √(limit² - (u_V/V)² - (u_k/k)²). None where what does not
    fall with ΔT uses the limit up. At Table 2's ±1 % and two independent ±0.1 Cel it is
    √2·0.1 / √(0.02² - 0.01²) = 8.2 K.
    """
    left = limit * limit - flow_relative * flow_relative - coefficient_relative**2
    left = math.sqrt(max(0.0, left)) - delta_relative
    return delta_uncertainty_k / left if left > 0.0 else None


def accuracy_condition(
    loop_id: str, heat: Heat, needed_k: float | None, *, limit: float = HEAT_LIMIT
) -> Condition | None:
    """What to say of a heat whose half width exceeds the limit; `needed_k` is `needed_delta_k`'s.

    None where it does not, or where the uncertainty is unknown, which is said by itself. The text
    holds no reading but the ΔT, rounded up to 0.1 K, at this flow: a flow sensor's error may
    depend on it.
    """
    if heat.uncertainty_w is None or heat.uncertainty_w <= limit * abs(heat.heat_w):
        return None
    text = f"{loop_id}: heat is not known to ±{limit * 100:g} %"
    if needed_k is None:
        text += ": at this flow no temperature difference is enough"
    else:
        text += f": this needs a temperature difference of {math.ceil(needed_k * 10) / 10:.1f} K"
    return Condition("heat-uncertain", loop_id, text)


def combined_uncertainty_w(terms: Iterable[Mapping[str, float]]) -> float | None:
    """Half width in W of a sum of heats from the signed terms in W of each, by sensor.

    A sensor that several share moves them together: its terms add with their signs, and those of
    different sensors as root sum square (JCGM 100:2008, 5.1.2 with f the sum). None without any,
    or as soon as one has no terms: its uncertainty is unknown.
    """
    by_sensor: defaultdict[str, float] = defaultdict(float)
    for of_loop in terms:
        if not of_loop:
            return None
        for sensor, term_w in of_loop.items():
            by_sensor[sensor] += term_w
    return math.hypot(*by_sensor.values()) if by_sensor else None

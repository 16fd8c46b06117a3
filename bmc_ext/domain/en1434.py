"""Error limits of thermal energy meters of class 2: EN 1434-1, Directive 2014/32/EU, annex VI.

Half widths in percent of the true value; q and qp are flows in one unit, ΔΘ differences in K.
Beyond a meter's rated range no limit holds: ValueError.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

_MOST_FLOW_PERCENT = 5.0  # annex VI, 7.1
_PAIR_PERCENT, _PAIR_SHARE_PERCENT = 0.5, 3.0  # annex VI, 7.2


@dataclass(frozen=True, slots=True)
class HeatMeter:
    """Nameplate: permanent, least and largest flow in L/min, least temperature difference in K.

    ValueError unless qs is at least qp, qp/qi is at least 10 and ΔΘmin is 3, 5 or 10 K (annex VI,
    1.1 and 1.3; EN 1434-1 allows 1 and 2 K beside them).
    """

    qp_lpm: float
    qi_lpm: float
    qs_lpm: float
    delta_min_k: float

    def __post_init__(self) -> None:
        if not 0.0 < self.qi_lpm * 10.0 <= self.qp_lpm < math.inf:
            raise ValueError(f"qp {self.qp_lpm} L/min is not 10 times qi {self.qi_lpm} L/min")
        if not self.qp_lpm <= self.qs_lpm < math.inf:
            raise ValueError(f"qs {self.qs_lpm} L/min is less than qp {self.qp_lpm} L/min")
        if self.delta_min_k not in (1.0, 2.0, 3.0, 5.0, 10.0):
            raise ValueError(f"ΔΘmin {self.delta_min_k} K is none of 1, 2, 3, 5 and 10 K")

    def flow_percent(self, flow_lpm: float) -> float:
        """Of the flow sensor: ±(2 + 0.02·qp/q) %, at most 5 %, from qi to qs."""
        if not self.qi_lpm <= flow_lpm <= self.qs_lpm:
            raise ValueError(
                f"{flow_lpm} L/min is outside the flow sensor's {self.qi_lpm} to "
                f"{self.qs_lpm} L/min"
            )
        return min(_MOST_FLOW_PERCENT, 2.0 + 0.02 * self.qp_lpm / flow_lpm)

    def pair_percent(self, delta_k: float) -> float:
        """Of the pair of temperature sensors: ±(0.5 + 3·ΔΘmin/ΔΘ) %."""
        return _PAIR_PERCENT + _PAIR_SHARE_PERCENT * self._share(delta_k)

    @property
    def pair_parts(self) -> tuple[float, float]:
        """The same limit as a ratio of ΔΘ, and a part in K that does not change with it."""
        return _PAIR_PERCENT / 100.0, _PAIR_SHARE_PERCENT / 100.0 * self.delta_min_k

    def calculator_percent(self, delta_k: float) -> float:
        """Of the calculator: ±(0.5 + ΔΘmin/ΔΘ) %."""
        return 0.5 + self._share(delta_k)

    def heat_percent(self, flow_lpm: float, delta_k: float) -> float:
        """Of the complete meter: the sum of its parts' limits (annex VI, 3)."""
        return (
            self.flow_percent(flow_lpm)
            + self.pair_percent(delta_k)
            + self.calculator_percent(delta_k)
        )

    def _share(self, delta_k: float) -> float:
        """ΔΘmin/ΔΘ, of the magnitude: a meter may count heat and cold."""
        if not self.delta_min_k <= abs(delta_k) < math.inf:
            raise ValueError(f"{abs(delta_k)} K is below the meter's ΔΘmin {self.delta_min_k} K")
        return self.delta_min_k / abs(delta_k)

"""What the DCPI standard asks of a sensor, with the clause of every number.

Temperatures in °C (Cel), flow in L/min, pressure in bar, power and heat in W.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from drivers.codec import PointCodec
from drivers.profile_types import Point, Profile


def unit_text(unit: str) -> str:
    """A canonical unit as people write it."""
    return "°C" if unit == "Cel" else unit


def amount_text(value: float, unit: str) -> str:
    """A value with its unit, powers in kW and MW."""
    if unit == "W":
        for factor, prefix in ((1e6, "M"), (1e3, "k")):
            if abs(value) >= factor:
                return f"{value / factor:.4g} {prefix}W"
    return f"{value:.5g} {unit_text(unit)}"


@dataclass(frozen=True, slots=True)
class Limit:
    """The limits of one quantity; accuracy = pct_reading of the value + pct_full_scale + absolute.

    `operating` is the range over which the accuracy is asked, and its width the full scale.
    `interval_s` is the longest sampling interval, `response_s` the longest response to a step.
    """

    quantity: str
    title: str
    unit: str
    clause: str
    operating: tuple[float, float]
    pct_reading: float = 0.0
    pct_full_scale: float = 0.0
    absolute: float = 0.0
    interval_s: float | None = None
    interval_clause: str = ""
    response_s: float | None = None
    response_clause: str = ""
    compensated: bool = False

    def at(self, value: float) -> float:
        """The largest error allowed at a value, in `unit`."""
        span = self.operating[1] - self.operating[0]
        return (
            abs(value) * self.pct_reading / 100.0
            + span * self.pct_full_scale / 100.0
            + self.absolute
        )

    @property
    def text(self) -> str:
        """The accuracy as people write it."""
        if self.pct_reading:
            return f"±{self.pct_reading:g} % of reading"
        if self.pct_full_scale:
            return f"±{self.pct_full_scale:g} % of {amount_text(self.operating[1], self.unit)}"
        return f"±{self.absolute:g} {unit_text(self.unit)}"

    @property
    def operating_text(self) -> str:
        """The operating range as people write it."""
        low, high = self.operating
        return f"{amount_text(low, self.unit)} to {amount_text(high, self.unit)}"


_TABLE_2 = "5.2.3, Table 2"
_TABLE_4 = "7.2.1, Table 4"

LIMITS = {
    limit.quantity: limit
    for limit in (
        Limit("power", "Power", "W", _TABLE_2, (1e3, 1e9), pct_reading=0.5),
        Limit(
            "inlet",
            "Inlet coolant temperature",
            "Cel",
            f"{_TABLE_4}; {_TABLE_2}",
            (5.0, 25.0),
            absolute=0.1,
            interval_s=1.0,
            interval_clause=_TABLE_4,
        ),
        Limit(
            "outlet",
            "Outlet coolant temperature",
            "Cel",
            f"{_TABLE_4}; {_TABLE_2}",
            (15.0, 95.0),
            absolute=0.1,
            interval_s=1.0,
            interval_clause=_TABLE_4,
        ),
        # A coolant sensor that may stand at either side: both rows of the table.
        Limit(
            "coolant",
            "Coolant temperature",
            "Cel",
            f"{_TABLE_4}; {_TABLE_2}",
            (5.0, 95.0),
            absolute=0.1,
            interval_s=1.0,
            interval_clause=_TABLE_4,
        ),
        Limit(
            "silicon",
            "Silicon junction temperature",
            "Cel",
            _TABLE_4,
            (0.0, 125.0),
            absolute=0.5,
            interval_s=0.1,
            interval_clause=_TABLE_4,
        ),
        Limit(
            "flow",
            "Flow",
            "L/min",
            f"7.2.2; {_TABLE_2}",
            (0.0, 5000.0),
            pct_reading=1.0,
            response_s=1.0,
            response_clause="7.2.2",
        ),
        Limit(
            "pressure",
            "Pressure",
            "bar",
            f"7.2.3; {_TABLE_2}",
            (0.0, 10.0),
            pct_full_scale=0.25,
            compensated=True,
        ),
        Limit("heat", "Heat", "W", "9.2.1 c; 6.3.2 d", (1e3, 1e9), pct_reading=2.0),
    )
}

# 5.2.3: the ambient temperatures, 18 °C to 27 °C, over which a reading is compensated.
AMBIENT_SPAN_K = 9.0
# 5.2.4: a communication failure is overcome within so many seconds of its detection.
RECOVERY_S = 5.0
RECOVERY_CLAUSE = "5.2.4"
# A test says something when its uncertainty is at most a quarter of the limit (ratio 4:1).
REFERENCE_SHARE = 0.25

_SILICON = re.compile(r"silicon|junction|core|cpu|gpu|die|chip", re.IGNORECASE)
_INLET = re.compile(r"inlet|supply", re.IGNORECASE)
_OUTLET = re.compile(r"outlet|return", re.IGNORECASE)
_HEAT = re.compile(r"thermal|heat", re.IGNORECASE)


def quantity_of(profile: Profile, point: Point) -> str | None:
    """Which quantity of the standard a point is; None when the standard asks nothing of it.

    The unit decides, and the name among temperatures: one of a device that is no thermometer and
    named after neither coolant side nor silicon is the device's own.
    """
    if point.write is not None:
        return None
    unit = PointCodec(point).unit
    if unit == "W":
        return "heat" if _HEAT.search(point.name) else "power"
    if unit == "L/min":
        return "flow"
    if unit == "bar":
        return None if point.name.startswith("range.") else "pressure"
    return _temperature(profile, point.name) if unit == "Cel" else None


def _temperature(profile: Profile, name: str) -> str | None:
    for pattern, quantity in ((_SILICON, "silicon"), (_INLET, "inlet"), (_OUTLET, "outlet")):
        if pattern.search(name):
            return quantity
    return "coolant" if profile.kind.startswith("Temperature") else None


def own_range(codec: PointCodec) -> tuple[float, float] | None:
    """What the profile says that the point can be, canonical."""
    if codec.point.range is None:
        return None
    ends = sorted(codec.to_canonical(end) for end in codec.point.range)
    return ends[0], ends[1]

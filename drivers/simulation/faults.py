"""Faults of a simulated device, by name: what a bench must find.

A fault is written `[POINT:]NAME[=VALUE]`. Faults of what is measured hit the named point or,
without one, every point that a master cannot write; a number with % is relative to the value,
otherwise it is in the point's canonical unit. Faults of the device as such take no point.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from drivers.profile import Profile
from drivers.register_types import ORDERS
from drivers.simulation.device import SimulatedDevice

if TYPE_CHECKING:
    from drivers.simulation.point_values import PointValues

# Of what is measured, in the order in which they act: the sensor first, its registers last.
SIGNAL_FAULTS = {
    "lag": "answers a change with this time constant in s",
    "factor": "reads so many times the truth",
    "bias": "reads so much too high",
    "drift": "reads so much too high after each further second",
    "noise": "has a standard deviation of so much",
    "backwards": "falls back once by so much of its value after 1 s",
    "stuck": "stops changing after so many seconds",
    "refresh": "measures anew only every so many seconds",
}
# Of the device as such.
DEVICE_FAULTS = {
    "word-order": "all values in this byte order (CDAB when not given)",
    "off-by-one": "all registers stand so many addresses higher (1 when not given)",
    "drop-outs": "leaves this share of the requests unanswered, 0 to 1 or %",
    "exceptions": "answers this share of the requests with an exception, 0 to 1 or %",
    "slow": "answers so many seconds late",
}
FAULTS = SIGNAL_FAULTS | DEVICE_FAULTS
# Those that only a device of Modbus registers can have.
REGISTER_FAULTS = frozenset({"word-order", "off-by-one", "exceptions"})

_DEFAULTS = {"word-order": "CDAB", "off-by-one": "1", "backwards": "10%", "stuck": "0"}
_FALLS_AFTER_S = 1.0


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault; `amount` is a share of the value when `relative`, `text` an order for words."""

    name: str
    amount: float = 0.0
    relative: bool = False
    point: str | None = None
    text: str = ""

    def of(self, value: float) -> float:
        """The amount at a value, in the value's unit."""
        return self.amount * abs(value) if self.relative else self.amount


def parse_fault(text: str, profile: Profile) -> Fault:
    """The fault that `text` names; ValueError says what is wrong with it."""
    front, _, written = text.partition("=")
    point, _, name = front.rpartition(":")
    if name not in FAULTS:
        raise ValueError(f"{text}: no fault {name!r} (there are: {', '.join(FAULTS)})")
    if point and name in DEVICE_FAULTS:
        raise ValueError(f"{text}: {name} is a fault of the whole device, not of a point")
    if point and point not in profile.points:
        raise ValueError(f"{text}: {profile.id} has no point {point!r}")
    written = written or _DEFAULTS.get(name, "")
    if name == "word-order":
        if written not in ORDERS:
            raise ValueError(f"{text}: {written!r} is none of {', '.join(ORDERS)}")
        return Fault(name, text=written)
    return Fault(name, *_amount(text, name, written), point or None)


def _amount(text: str, name: str, written: str) -> tuple[float, bool]:
    relative = written.endswith("%")
    try:
        amount = float(written.removesuffix("%")) / (100.0 if relative else 1.0)
    except ValueError:
        raise ValueError(f"{text}: {written!r} is not a number, or a number and %") from None
    if not math.isfinite(amount):
        raise ValueError(f"{text}: {written!r} is not finite")
    if name not in ("bias", "drift", "factor", "off-by-one") and amount < 0.0:
        raise ValueError(f"{text}: less than nothing")
    if name in ("drop-outs", "exceptions") and amount > 1.0:
        raise ValueError(f"{text}: a share is at most 1, or 100%")
    if name == "off-by-one" and (relative or not amount.is_integer()):
        raise ValueError(f"{text}: {written!r} is not a whole number of addresses")
    return amount, relative


def apply_to_device(
    device: SimulatedDevice | PointValues, faults: Iterable[Fault], seed: int
) -> None:
    """Give a device the faults that it has as such; those of what is measured are left out.

    REGISTER_FAULTS are left out, too, where there are no registers.
    """
    device.random.seed(seed)
    for fault in faults:
        if fault.name == "drop-outs":
            device.drop_outs = fault.amount
        elif fault.name == "slow":
            device.delay_s = fault.amount
        elif isinstance(device, SimulatedDevice):
            _apply_to_registers(device, fault)


def _apply_to_registers(device: SimulatedDevice, fault: Fault) -> None:
    if fault.name == "word-order":
        device.misorder(fault.text)
    elif fault.name == "off-by-one":
        device.shift = int(fault.amount)
    elif fault.name == "exceptions":
        device.exceptions = fault.amount


class Disturbance:
    """From what is true to what the device shows: faults, and its own measuring interval.

    Points are taken over into the registers when the `source_ms` of their group has passed, as the
    real device does, or at the interval of a `refresh` fault.
    """

    def __init__(self, profile: Profile, faults: Iterable[Fault] = (), seed: int = 0) -> None:
        signal = [fault for fault in faults if fault.name in SIGNAL_FAULTS]
        self._random = random.Random(seed)
        self._channels = {
            name: _Channel(
                sorted(
                    (f for f in signal if f.point == name or (f.point is None and not point.write)),
                    key=lambda fault: list(SIGNAL_FAULTS).index(fault.name),
                ),
                profile.groups[point.group].source_s,
            )
            for name, point in profile.points.items()
        }

    def shown(self, truth: Mapping[str, float], time_s: float) -> dict[str, float]:
        """What the device shows at `time_s` (seconds since it began) of canonical true values."""
        return {
            name: self._channels[name].shown(value, time_s, self._random)
            for name, value in truth.items()
        }


class _Channel:
    """One point: the state of its faults, and what it shows until it measures anew."""

    def __init__(self, faults: list[Fault], source_s: float) -> None:
        self._faults = faults
        self._every_s = next((f.amount for f in faults if f.name == "refresh"), source_s)
        self._stuck_s = next((f.amount for f in faults if f.name == "stuck"), math.inf)
        self._lagging: float | None = None
        self._last_s = 0.0
        self._held: tuple[float, float] | None = None

    def shown(self, truth: float, time_s: float, source: random.Random) -> float:
        elapsed_s, self._last_s = time_s - self._last_s, time_s
        value = truth
        for fault in self._faults:
            value = self._changed(fault, value, time_s, elapsed_s, source)
        if self._held is not None:
            began_s, held = self._held
            # Half a microsecond: sums of steps must not miss the interval by rounding.
            if time_s > self._stuck_s or time_s - began_s < self._every_s - 5e-7:
                return held
        self._held = (time_s, value)
        return value

    def _changed(
        self, fault: Fault, value: float, time_s: float, elapsed_s: float, source: random.Random
    ) -> float:
        match fault.name:
            case "lag":
                start = value if self._lagging is None else self._lagging
                share = 1.0 - math.exp(-elapsed_s / fault.amount) if fault.amount else 1.0
                self._lagging = start + share * (value - start)
                return self._lagging
            case "factor":
                return value * fault.amount
            case "bias":
                return value + fault.of(value)
            case "drift":
                return value + fault.of(value) * time_s
            case "noise":
                return value + source.gauss(0.0, fault.of(value))
            case "backwards" if time_s >= _FALLS_AFTER_S:
                return value - fault.of(value)
        return value

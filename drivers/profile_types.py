"""What a device profile says, as values: the types that `drivers.profile` loads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from drivers.expression import Expression, name_in_expressions
from drivers.register_types import register_count


@dataclass(frozen=True, slots=True)
class Source:
    """Where the facts come from, and how well they are known."""

    ref: str
    verified: str
    licence: str | None = None


@dataclass(frozen=True, slots=True)
class Transport:
    """How the device is reached and what its Modbus side can take; times in seconds."""

    modes: tuple[str, ...] = ()
    baud: tuple[int, ...] = (9600,)
    framing: str = "8N1"
    port: int = 502
    unit: int = 1
    max_regs: int = 125
    max_gap: int = 0
    gap_readable: bool = False
    turnaround_s: float = 0.02
    timeout_s: float = 0.3
    tcp_clients: int | None = None


@dataclass(frozen=True, slots=True)
class Group:
    """Points that are polled together; all in seconds.

    `source_s` is the device's own measuring interval, `stale_after_s` how long a reading lives.
    """

    name: str
    every_s: float
    serial_every_s: float
    source_s: float
    stale_after_s: float


@dataclass(frozen=True, slots=True)
class Accuracy:
    """The device's accuracy class: percent of reading, percent of range, and absolute."""

    pct_reading: float = 0.0
    pct_range: float = 0.0
    absolute: float = 0.0


@dataclass(frozen=True, slots=True)
class WriteRule:
    """What may be written, in the point's unit, and by which function (6 or 16)."""

    low: float
    high: float
    fc: int


@dataclass(frozen=True, slots=True)
class Point:
    """One quantity. Value = raw * scale + offset, in `unit` (UCUM); `range` in that unit.

    `absent` are raw numbers that mean: no value. `address` (of the PDU), `fc`, `type` and `order`
    place it in a Modbus device; in one of another protocol `at` does, and they mean nothing.
    """

    name: str
    address: int
    fc: int
    type: str
    order: str
    unit: str
    group: str
    scale: float = 1.0
    offset: float = 0.0
    mask: int | None = None
    scale_by: str | None = None
    factor_by: str | None = None
    fraction: str | None = None
    range: tuple[float, float] | None = None
    absent: tuple[float, ...] = ()
    accuracy: Accuracy | None = None
    reference: str | None = None
    monotonic: bool = False
    write: WriteRule | None = None
    redfish: str | None = None
    note: str | None = None
    at: Mapping[str, Any] = field(default_factory=dict, hash=False)

    @property
    def links(self) -> tuple[str, ...]:
        """The points that the value is made of beside its own."""
        return tuple(
            name for name in (self.fraction, self.scale_by, self.factor_by) if name is not None
        )

    @property
    def registers(self) -> int:
        """How many registers the value takes."""
        return register_count(self.type)


@dataclass(frozen=True, slots=True)
class Condition:
    """A point that lies in a closed interval, in its own unit, when a search finds this model."""

    point: str
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Golden:
    """Registers and what they mean (in the points' own units; None is absent), from outside."""

    fc: int
    address: int
    registers: tuple[int, ...]
    expect: Mapping[str, float | None]
    origin: str | None


@dataclass(frozen=True, slots=True)
class Check:
    """A relation that a rightly read device always keeps: |deviation| <= limit.

    Both sides are over values of `points` in their own units.
    """

    deviation: Expression
    limit: Expression
    points: tuple[str, ...]
    text: str
    why: str | None = None

    def holds(self, values: Mapping[str, float]) -> bool | None:
        """Whether it holds, by point name; None when a value that it needs is missing."""
        named = {name_in_expressions(point): value for point, value in values.items()}
        if not (self.deviation.names | self.limit.names) <= named.keys():
            return None
        deviation, limit = self.deviation.value(named), self.limit.value(named)
        if deviation is None or limit is None:
            return None
        return abs(deviation) <= limit


@dataclass(frozen=True, slots=True)
class Profile:
    """One device model. `simulation` holds, by point name, the waves of a simulated device."""

    id: str
    vendor: str
    model: str
    kind: str
    path: Path
    sources: tuple[Source, ...]
    transport: Transport
    groups: Mapping[str, Group]
    points: Mapping[str, Point]
    description: str = ""
    protocol: str = "modbus"
    identify: tuple[Condition, ...] = ()
    checks: tuple[Check, ...] = ()
    golden: tuple[Golden, ...] = ()
    simulation: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def point(self, name: str) -> Point:
        """The point of that name; KeyError names profile and point."""
        try:
            return self.points[name]
        except KeyError:
            raise KeyError(f"{self.id} has no point {name!r}") from None

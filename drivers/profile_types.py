"""What a device profile says, as values: the types that `drivers.profile` loads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from drivers.expression import Expression, name_in_expressions
from drivers.register_types import register_count

# From the best to the least.
EVIDENCE_LEVELS = ("standard", "manual", "project-tested", "restated")


@dataclass(frozen=True, slots=True)
class Source:
    """Where the facts come from, and how well they are known."""

    ref: str
    verified: str
    licence: str | None = None


@dataclass(frozen=True, slots=True)
class Transport:
    """How the device is reached and what its Modbus side can take; times in seconds.

    `max_regs` is what one read may fetch, `max_regs_of` what it may by function where that differs.
    """

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
    min_interval_s: float = 0.0
    tcp_clients: int | None = None
    max_regs_of: Mapping[int, int] = field(default_factory=dict, hash=False)

    def limit(self, fc: int) -> int:
        """How many registers (coils by functions 1 and 2) one read by that function may fetch."""
        return self.max_regs_of.get(fc, self.max_regs)


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
    """What may be written, in the point's unit, by which function (6, 16, 22 or 23), how often.

    `min_interval_s` is the least time in s from one write to the next.
    """

    low: float
    high: float
    fc: int
    min_interval_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Point:
    """One quantity, in `unit` (UCUM); `range` in that unit.

    Value = (raw + fraction) * scale * 10^scale_by * factor_by + offset, where the three name points
    that are read with it and may be left out. `max_rate` is the fastest change that is possible, in
    the unit per second, and `stuck_after_s` how long an unchanged value is believed, both None for
    no judgement. `redfish` is the property and `dcpi` the endpoint and member that the point shows
    in. `absent` are raw numbers that mean: no value, in `absent_bits` (None: all). `address` (of
    the PDU), `fc`, `type` and `order` place it in a Modbus device; in one of another protocol `at`
    does, and they mean nothing.
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
    absent_bits: int | None = None
    accuracy: Accuracy | None = None
    reference: str | None = None
    monotonic: bool = False
    max_rate: float | None = None
    stuck_after_s: float | None = None
    write: WriteRule | None = None
    redfish: str | None = None
    dcpi: str | None = None
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
class TextCondition:
    """A text (model, maker) that stands from a register on when a search finds this model."""

    text: str
    address: int
    fc: int
    order: str = "ABCD"

    @property
    def registers(self) -> tuple[int, ...]:
        """The registers that hold the text, two characters each, padded with a zero byte."""
        data = self.text.encode("ascii") + b"\0" * (len(self.text) % 2)
        endian: Literal["big", "little"] = "little" if self.order == "BADC" else "big"
        return tuple(int.from_bytes(data[k : k + 2], endian) for k in range(0, len(data), 2))

    def holds(self, registers: Sequence[int]) -> bool:
        """Whether the registers that were read there begin with the text."""
        endian: Literal["big", "little"] = "little" if self.order == "BADC" else "big"
        data = b"".join(register.to_bytes(2, endian) for register in registers)
        return data.startswith(self.text.encode("ascii"))


@dataclass(frozen=True, slots=True)
class Golden:
    """Registers and what they mean (in the points' own units; None is absent), from outside.

    `made_by` says who made the vector: manual, standard, capture or hand. `read` is the file's own
    entry, in which a protocol other than Modbus finds its bytes.
    """

    fc: int
    address: int
    registers: tuple[int, ...]
    expect: Mapping[str, float | None]
    origin: str | None
    made_by: str | None = None
    read: Mapping[str, Any] = field(default_factory=dict, hash=False)


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
    identify_texts: tuple[TextCondition, ...] = ()
    checks: tuple[Check, ...] = ()
    golden: tuple[Golden, ...] = ()
    simulation: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def evidence(self) -> str:
        """How well the facts are known: what the best source gives."""
        levels = {source.verified for source in self.sources}
        return next(level for level in EVIDENCE_LEVELS if level in levels)

    def point(self, name: str) -> Point:
        """The point of that name; KeyError names profile and point."""
        try:
            return self.points[name]
        except KeyError:
            raise KeyError(f"{self.id} has no point {name!r}") from None

"""SunSpec devices: Modbus devices whose registers are a chain of standard models.

Facts are the SunSpec Device Information Model Specification 1.1 (marker, base addresses, chain) and
the Alliance's model definitions. A profile says model and offset; where the model stands is found
on each device. A value and its scale factor come in one answer, since the factor may change.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drivers.codec import PointCodec
from drivers.errors import ProfileError, TransportError, WriteRefusedError
from drivers.modbus_protocol import MODBUS
from drivers.profile_types import Profile
from drivers.profile_types import Transport as TransportSettings
from drivers.protocol import Transport
from drivers.protocols.number_plan import NumberPlan, refuse_writes
from drivers.read_plan import ReadBlock
from drivers.target import Target

MARKER = b"SunS"
BASES = (40000, 0, 50000)
_END = 0xFFFF
_MOST_MODELS = 100
_READ_HOLDING = 3
_LAST_REGISTER = 0xFFFF

# Type -> how it is packed, and the number that says that there is none.
TYPES: dict[str, tuple[str, float | None]] = {
    "int16": (">h", -0x8000),
    "uint16": (">H", 0xFFFF),
    "enum16": (">H", 0xFFFF),
    "bitfield16": (">H", 0xFFFF),
    "acc16": (">H", 0),
    "int32": (">i", -0x80000000),
    "uint32": (">I", 0xFFFFFFFF),
    "enum32": (">I", 0xFFFFFFFF),
    "bitfield32": (">I", 0xFFFFFFFF),
    "acc32": (">I", 0),
    "int64": (">q", -(2**63)),
    "uint64": (">Q", 2**64 - 1),
    "acc64": (">Q", 0),
    "float32": (">f", None),
    "float64": (">d", None),
}
_LARGEST_SCALE_FACTOR = 10


@dataclass(frozen=True, slots=True)
class ModelBlock:
    """Registers of a model: `count` from `offset`, counted from the register of its ID.

    `instance` is which of the models of that number in the chain, from 1 on.
    """

    model: int
    instance: int
    offset: int
    count: int


@dataclass(frozen=True, slots=True)
class _Model:
    address: int
    length: int  # registers after ID and length


@dataclass(frozen=True, slots=True)
class _Field:
    """A point in its model."""

    model: int
    offset: int
    type: str
    instance: int = 1
    scale_factor: int | None = None

    @property
    def span(self) -> tuple[int, int]:
        """The first register that it needs, and the one after the last."""
        offsets = [self.offset, self.offset + struct.calcsize(TYPES[self.type][0]) // 2]
        if self.scale_factor is not None:
            offsets += [self.scale_factor, self.scale_factor + 1]
        return min(offsets), max(offsets)

    def number(self, data: bytes, start: int) -> float:
        """Its value in the registers from `start` on; NaN when it has none or they end before."""
        layout, none = TYPES[self.type]
        raw = _unpack(layout, data, self.offset - start)
        if raw is None or raw == none:
            return math.nan
        if self.scale_factor is None:
            return raw
        power = _unpack(">h", data, self.scale_factor - start)
        # Without its factor the number means nothing: never guess a scale.
        if power is None or abs(power) > _LARGEST_SCALE_FACTOR:
            return math.nan
        return raw * math.pow(10.0, power)


def _unpack(layout: str, data: bytes, register: int) -> float | None:
    if 2 * register + struct.calcsize(layout) > len(data):
        return None
    return float(struct.unpack_from(layout, data, 2 * register)[0])


class SunSpecTransport:
    """See Transport; a request is a ModelBlock, the answer its registers as bytes.

    The answer ends where the device's model does.
    """

    def __init__(self, modbus: Transport, name: str) -> None:
        self._modbus = modbus
        self._name = name
        self._chains: dict[int, dict[tuple[int, int], _Model]] = {}

    def open(self) -> None:
        """See Transport."""
        self._modbus.open()

    def read(self, unit: int, request: ModelBlock, timeout_s: float) -> bytes:
        """See Transport; the models are looked for first, unless they are known."""
        try:
            if unit not in self._chains:
                self._chains[unit] = self._walk(unit, timeout_s)
            model = self._model(unit, request)
            count = min(request.count, model.length + 2 - request.offset)
            if count <= 0:
                return b""
            return self._registers(unit, model.address + request.offset, count, timeout_s)
        except TransportError:
            # After a loss another device, or another firmware, may answer.
            self._chains.pop(unit, None)
            raise

    def write(self, unit: int, request: object, timeout_s: float) -> None:  # noqa: ARG002
        """See `SunSpecProtocol.write_request`."""
        raise TransportError(f"{self._name} unit {unit}: SunSpec points are only read")

    def close(self) -> None:
        """See Transport."""
        self._chains.clear()
        self._modbus.close()

    def models(self, unit: int, timeout_s: float) -> list[int]:
        """The numbers of the unit's models, in the chain's order."""
        return [number for number, _ in self._walk(unit, timeout_s)]

    def _model(self, unit: int, request: ModelBlock) -> _Model:
        chain = self._chains[unit]
        try:
            return chain[request.model, request.instance]
        except KeyError:
            there = ", ".join(str(number) for number, _ in chain) or "none"
            raise TransportError(
                f"{self._name} unit {unit}: no SunSpec model {request.model}"
                f" (instance {request.instance}); there are: {there}",
                refused=True,
            ) from None

    def _walk(self, unit: int, timeout_s: float) -> dict[tuple[int, int], _Model]:
        """All models of a unit by number and instance."""
        address = self._base(unit, timeout_s) + 2
        chain: dict[tuple[int, int], _Model] = {}
        for _ in range(_MOST_MODELS):
            number, length = struct.unpack(">HH", self._registers(unit, address, 2, timeout_s))
            if number == _END:
                return chain
            if address + 2 + length > _LAST_REGISTER:
                break
            instance = 1 + sum(known == number for known, _ in chain)
            chain[number, instance] = _Model(address, length)
            address += 2 + length
        raise TransportError(
            f"{self._name} unit {unit}: the chain of SunSpec models has no end", refused=True
        )

    def _base(self, unit: int, timeout_s: float) -> int:
        for base in BASES:
            try:
                if self._registers(unit, base, 2, timeout_s) == MARKER:
                    return base
            except TransportError as error:
                if not error.refused:
                    raise
        bases = ", ".join(map(str, BASES))
        raise TransportError(
            f"{self._name} unit {unit}: no SunSpec marker at {bases}", refused=True
        )

    def _registers(self, unit: int, address: int, count: int, timeout_s: float) -> bytes:
        data: bytes = self._modbus.read(unit, ReadBlock(_READ_HOLDING, address, count), timeout_s)
        return data


@dataclass
class _Window:
    """Registers of one model that are read at once, and the points that they hold."""

    first: _Field
    start: int
    end: int
    rows: list[int] = field(default_factory=list)


class SunSpecPlan:
    """See GroupPlan; requests are ModelBlocks that hold each value with its scale factor."""

    def __init__(self, profile: Profile, codecs: Sequence[PointCodec]) -> None:
        self._fields = [_field(codec) for codec in codecs]
        self._windows = _windows(self._fields, profile, codecs)
        self.requests: tuple[ModelBlock, ...] = tuple(
            ModelBlock(w.first.model, w.first.instance, w.start, w.end - w.start)
            for w in self._windows
        )
        self._numbers = NumberPlan(
            codecs, [(r, w.rows) for r, w in zip(self.requests, self._windows, strict=True)]
        )

    def decode(self, answers: Sequence[bytes]) -> tuple[NDArray[np.float64], NDArray[np.uint8]]:
        """See GroupPlan."""
        return self._numbers.decode(self._unpacked(answers))

    def decode_many(
        self, answers: Sequence[Sequence[bytes]]
    ) -> tuple[NDArray[np.float64], NDArray[np.uint8]]:
        """As `decode`, for many devices at once: both arrays are (devices, points)."""
        return self._numbers.decode_many([self._unpacked(device) for device in answers])

    def _unpacked(self, answers: Sequence[bytes]) -> list[list[float]]:
        return [
            [self._fields[row].number(data, window.start) for row in window.rows]
            for window, data in zip(self._windows, answers, strict=True)
        ]


def _windows(
    fields: Sequence[_Field], profile: Profile, codecs: Sequence[PointCodec]
) -> list[_Window]:
    """Few reads of at most `max_regs` registers; no point is split from its scale factor."""
    longest = profile.transport.max_regs
    windows: list[_Window] = []
    order = sorted(range(len(fields)), key=lambda row: (fields[row].model, fields[row].span))
    for row in order:
        wanted = fields[row]
        start, end = wanted.span
        if end - start > longest:
            raise ProfileError(
                f"{profile.path}: points/{codecs[row].point.name}/at: the value and its scale "
                f"factor are {end - start} registers apart, transport/max_regs is {longest}"
            )
        for window in windows:
            same = (window.first.model, window.first.instance) == (wanted.model, wanted.instance)
            if same and max(window.end, end) - min(window.start, start) <= longest:
                window.start, window.end = min(window.start, start), max(window.end, end)
                window.rows.append(row)
                break
        else:
            windows.append(_Window(wanted, start, end, [row]))
    return windows


class SunSpecProtocol:
    """See DeviceProtocol; targets are those of Modbus."""

    name = "sunspec"
    schemes = MODBUS.schemes
    point_schema: Mapping[str, Any] = MappingProxyType(
        {
            "type": "object",
            "additionalProperties": False,
            "required": ["model", "offset", "type"],
            "properties": {
                "model": {"type": "integer", "minimum": 1, "maximum": 0xFFFE},
                "offset": {"type": "integer", "minimum": 0, "maximum": 0xFFFF},
                "type": {"enum": list(TYPES)},
                "instance": {"type": "integer", "minimum": 1, "maximum": _MOST_MODELS},
                "scale_factor": {"type": "integer", "minimum": 2, "maximum": 0xFFFF},
            },
        }
    )

    def parse_target(self, text: str) -> Target:
        """See DeviceProtocol."""
        return MODBUS.parse_target(text)

    def transport(self, target: Target, settings: TransportSettings) -> SunSpecTransport:
        """See DeviceProtocol."""
        return SunSpecTransport(MODBUS.transport(target, settings), target.bus)

    def plan(self, profile: Profile, codecs: Sequence[PointCodec]) -> SunSpecPlan:
        """See DeviceProtocol; ProfileError when a scale factor is too far from its value."""
        refuse_writes(profile, codecs, "SunSpec")
        return SunSpecPlan(profile, codecs)

    def heartbeat(self, profile: Profile) -> ModelBlock:
        """See DeviceProtocol: the number and length of the first point's model."""
        at = next(iter(profile.points.values())).at
        return ModelBlock(at["model"], at.get("instance", 1), 0, 2)

    def write_request(self, codec: PointCodec, value: float) -> object:
        """Never: `plan` refuses profiles with writable points."""
        raise WriteRefusedError(f"{codec.point.name}: SunSpec is only read (asked for {value:g})")


def _field(codec: PointCodec) -> _Field:
    return _Field(**codec.point.at)


SUNSPEC = SunSpecProtocol()

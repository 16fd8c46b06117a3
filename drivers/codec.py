"""Modbus registers to values and back: scale, offset, sentinels, ranges, and linked registers.

Sentinels are compared before scaling: a sentinel times a scale is a plausible number. What a value
is made of beside its own register (`scale_by`, `factor_by`, `fraction`) is decoded from the same
request: a scale of yesterday makes a plausible number, too.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from drivers.reading import Quality
from drivers.register_types import (
    REGISTER_TYPES,
    RegisterType,
    byte_positions,
    encode_number,
    encode_pattern,
    is_float,
    mask_shift,
)
from drivers.units import conversion, transformer_ratio

if TYPE_CHECKING:
    from drivers.profile_types import Point

# The order of these is the code in a quality array.
QUALITIES = (Quality.OK, Quality.ABSENT, Quality.OUT_OF_RANGE)
OK, ABSENT, OUT_OF_RANGE = range(3)


def registers_to_bytes(registers: Sequence[int]) -> bytes:
    """Registers as they travel: two bytes each, high byte first."""
    return np.asarray(registers, ">u2").tobytes()


# Read coils and read discrete inputs (Modbus Application Protocol V1.1b3, 6.1 and 6.2).
BIT_FUNCTIONS = (1, 2)


def bits_to_bytes(data: bytes, count: int) -> bytes:
    """Packed coils, the first in the lowest bit, as a register each of 0 or 1."""
    return registers_to_bytes([data[k // 8] >> (k % 8) & 1 for k in range(count)])


def bits_of(registers: Sequence[int]) -> bytes:
    """The inverse of `bits_to_bytes`, of registers."""
    packed = bytearray(-(-len(registers) // 8))
    for k, register in enumerate(registers):
        packed[k // 8] |= bool(register) << (k % 8)
    return bytes(packed)


def bytes_to_registers(data: bytes) -> list[int]:
    """The inverse of `registers_to_bytes`."""
    return [int(register) for register in np.frombuffer(data, ">u2")]


@dataclass(frozen=True, slots=True)
class PointCodec:
    """One point of one device: registers <-> canonical value.

    `ct_ratio` and `pt_ratio` are the instrument transformers in front of the device.
    """

    point: Point
    ct_ratio: float = 1.0
    pt_ratio: float = 1.0

    @property
    def unit(self) -> str:
        """The canonical unit that `to_canonical` gives."""
        return conversion(self.point.unit).unit

    @property
    def _ratio(self) -> float:
        return transformer_ratio(self.unit, ct_ratio=self.ct_ratio, pt_ratio=self.pt_ratio)

    def to_canonical(self, device_value: float) -> float:
        """A value in the profile's own unit, as the line's value in the canonical unit."""
        rule = conversion(self.point.unit)
        return (device_value * rule.factor + rule.offset) * self._ratio

    def to_device(self, canonical: float) -> float:
        """The inverse of `to_canonical`."""
        rule = conversion(self.point.unit)
        return (canonical / self._ratio - rule.offset) / rule.factor

    def resolution(self) -> float:
        """The largest canonical difference that one register step makes; 0 for floats."""
        if self.point.type and is_float(self.point.type):
            return 0.0
        return abs(self.point.scale * conversion(self.point.unit).factor * self._ratio)

    def encode(self, canonical: float, others: Mapping[str, float] | None = None) -> bytes:
        """The registers of a canonical value; integers saturate, as the devices themselves do.

        `others` are the own values of the points that this one is linked to, by name; ValueError
        when one is missing or makes the value impossible.
        """
        raw = self._raw(canonical, others or {})
        return encode_number(self._masked(raw), self.point.type, self.point.order)

    def split(self, canonical: float, others: Mapping[str, float]) -> tuple[float, float]:
        """What the point's own register and its `fraction` hold together: integer and rest."""
        own = others if self.point.fraction is None else {**others, self.point.fraction: 0.0}
        fraction, integer = math.modf(self._raw(canonical, own))
        return integer, fraction

    def _raw(self, canonical: float, others: Mapping[str, float]) -> float:
        missing = [name for name in self.point.links if name not in others]
        if missing:
            raise ValueError(f"{self.point.name}: needs the value of {', '.join(missing)}")
        step = self.point.scale
        if self.point.scale_by is not None:
            step *= 10.0 ** min(max(others[self.point.scale_by], -300.0), 300.0)
        if self.point.factor_by is not None:
            step *= others[self.point.factor_by]
        if not step:
            raise ValueError(f"{self.point.name}: the point that it is multiplied by is 0")
        raw = (self.to_device(canonical) - self.point.offset) / step
        return raw if self.point.fraction is None else raw - others[self.point.fraction]

    def _masked(self, raw: float) -> float:
        mask = self.point.mask
        if mask is None:
            return raw
        shift = mask_shift(mask)
        return float(min(max(round(raw), 0), mask >> shift) << shift)

    def encode_absent(self) -> bytes:
        """The registers by which the device says that it has no value; ValueError if it cannot."""
        point = self.point
        if is_float(point.type):
            sign = point.absent[0] if point.absent else math.nan
            return encode_number(sign, point.type, point.order)
        if point.absent:
            return encode_pattern(int(point.absent[0]), point.type, point.order)
        raise ValueError(f"{point.name}: the profile declares no value that means absent")

    def decode(self, data: bytes) -> tuple[float | None, Quality]:
        """The canonical value and its quality; the value is None unless the quality is OK.

        ValueError for a linked point, which `register_image.decode_image` reads.
        """
        codec = BlockCodec([self], {self.point.name: 0})
        values, qualities = codec.decode(data)
        quality = QUALITIES[int(qualities[0])]
        return (float(values[0]) if quality is Quality.OK else None), quality


# No quantity of this field reaches it in any unit; a float beyond is a damaged or misread value.
_ABSURD = 1e18


class Scaling:
    """Raw numbers of many points to canonical values, whatever protocol they came by.

    A point's value in its own unit is (raw + fraction) * scale * 10^scale_by * factor_by + offset;
    the three are own values of other points among `codecs`. ValueError names one that is not there.
    """

    def __init__(self, codecs: Sequence[PointCodec]) -> None:
        points = [codec.point for codec in codecs]
        # 2296 / 10 is 229.6, 2296 * 0.1 is the double beside it.
        self._divisor = np.array([_divisor(point.scale) for point in points])
        scales = np.array([point.scale for point in points])
        self._scale = np.where(self._divisor == 1.0, scales, 1.0)
        self._offset = np.array([point.offset for point in points])
        ranges = [point.range or (-_ABSURD, _ABSURD) for point in points]
        self._low = np.array([low for low, _ in ranges])
        self._high = np.array([high for _, high in ranges])
        self._bias = np.array([codec.to_canonical(0.0) for codec in codecs])
        self._gain = np.array([codec.to_canonical(1.0) for codec in codecs]) - self._bias
        linked = any(point.links for point in points)
        self._links = [_Links.of(points, kind) for kind in _LINKS] if linked else []

    def apply(
        self, raw: NDArray[np.float64], absent: NDArray[np.bool_]
    ) -> tuple[NDArray[np.float64], NDArray[np.uint8]]:
        """Canonical values and quality codes, points in the last axis; overwrites both.

        An axis before it is one of devices of the same profile.
        """
        raw[absent] = np.nan
        values = raw * self._scale / self._divisor + self._offset
        if self._links:
            self._link(raw, values, absent)
        beyond = ~((values >= self._low) & (values <= self._high) | absent)
        values = values * self._gain + self._bias
        values[beyond] = np.nan
        return values, absent * np.uint8(ABSENT) + beyond * np.uint8(OUT_OF_RANGE)

    def _link(
        self, raw: NDArray[np.float64], values: NDArray[np.float64], absent: NDArray[np.bool_]
    ) -> None:
        """Make the linked points' values of what they are linked to; an impossible one is NaN."""
        own = np.where((values >= self._low) & (values <= self._high), values, np.nan)
        fraction, exponent, factor = self._links
        with np.errstate(over="ignore", invalid="ignore"):
            raw[..., fraction.rows] += own[..., fraction.sources]
            power = own[..., exponent.sources]
            raw[..., exponent.rows] *= 10.0 ** np.maximum(power, 0.0)
            raw[..., exponent.rows] /= 10.0 ** np.maximum(-power, 0.0)
            raw[..., factor.rows] *= own[..., factor.sources]
        for links in self._links:
            rows = links.rows
            # A value without its scale is as unknown as one that the device does not have.
            absent[..., rows] |= absent[..., links.sources]
            scaled = raw[..., rows] * self._scale[rows] / self._divisor[rows]
            values[..., rows] = scaled + self._offset[rows]
        values[absent] = np.nan


_LINKS = ("fraction", "scale_by", "factor_by")


def _divisor(scale: float) -> float:
    """The whole number whose reciprocal a scale below 1 is; 1 where there is none."""
    if not 1e-15 < abs(scale) < 1.0:
        return 1.0
    whole = float(round(1.0 / scale))
    return whole if 1.0 / whole == scale else 1.0


@dataclass(frozen=True, slots=True)
class _Links:
    """The points (`rows`) that are linked in one way, and what each is linked to (`sources`)."""

    rows: NDArray[np.intp]
    sources: NDArray[np.intp]

    @classmethod
    def of(cls, points: Sequence[Point], kind: str) -> _Links:
        """The links of a kind among `points`."""
        at = {point.name: row for row, point in enumerate(points)}
        pairs = [(row, getattr(point, kind)) for row, point in enumerate(points)]
        linked = [(row, name) for row, name in pairs if name is not None]
        for row, name in linked:
            if name not in at:
                raise ValueError(f"{points[row].name}: {kind} {name} is not read with it")
        return cls(
            np.array([row for row, _ in linked], np.intp),
            np.array([at[name] for _, name in linked], np.intp),
        )


@dataclass(frozen=True, slots=True)
class _Lane:
    """The points of one type: `positions` (points, width) gathers their bytes, `rows` places them.

    Each of `sentinels` is a raw number and which of the points it stands for absence in; only the
    bits of `compared` (None: all) are looked at.
    """

    kind: RegisterType
    positions: NDArray[np.intp]
    rows: NDArray[np.intp]
    sentinels: tuple[tuple[np.generic, NDArray[np.bool_]], ...]
    compared: NDArray[np.unsignedinteger] | None
    masks: NDArray[np.unsignedinteger] | None
    shifts: NDArray[np.unsignedinteger] | None

    def gather(self, image: NDArray[np.uint8]) -> NDArray[Any]:
        """The bit patterns of the lane's points."""
        wire = image.take(self.positions, axis=-1)
        if self.kind.padding:
            before = np.zeros((*wire.shape[:-1], self.kind.padding), np.uint8)
            wire = np.concatenate((before, wire), axis=-1)
        patterns: NDArray[Any] = wire.view(self.kind.dtype)[..., 0]
        return patterns

    def absent(self, raw: NDArray[Any]) -> NDArray[np.bool_] | None:
        """Which bit patterns mean absent; None when none can."""
        found: NDArray[np.bool_] | None = None
        if self.kind.dtype.kind == "f":
            found = ~np.isfinite(raw)
        seen = raw if self.compared is None else raw.astype(self.compared.dtype) & self.compared
        for number, members in self.sentinels:
            equal = (seen == number) & members
            found = equal if found is None else found | equal
        return found

    def numbers(self, raw: NDArray[Any]) -> NDArray[Any]:
        """What the bit patterns say, without the bits that the points' masks leave out."""
        if self.kind.of_pattern is not None:
            return self.kind.of_pattern(raw)
        if self.masks is None or self.shifts is None:
            return raw
        fields: NDArray[Any] = (raw.astype(self.masks.dtype) & self.masks) >> self.shifts
        return fields


class BlockCodec:
    """Decodes many points of one device at once.

    `positions` gives, by point name, the register at which the point starts in the data that
    `decode` receives. Arrays are in the order of `codecs`.
    """

    def __init__(self, codecs: Sequence[PointCodec], positions: Mapping[str, int]) -> None:
        points = [codec.point for codec in codecs]
        self._lanes = [
            _lane(points, register_type, positions)
            for register_type in dict.fromkeys(point.type for point in points)
        ]
        self._count = len(points)
        self._scaling = Scaling(codecs)

    def decode(self, data: bytes) -> tuple[NDArray[np.float64], NDArray[np.uint8]]:
        """Canonical values and quality codes; a value whose code is not OK is NaN."""
        return self.decode_image(np.frombuffer(data, np.uint8))

    def decode_image(
        self, image: NDArray[np.uint8]
    ) -> tuple[NDArray[np.float64], NDArray[np.uint8]]:
        """The same for bytes in the last axis; with an axis before it, for many devices at once."""
        raw = np.empty((*image.shape[:-1], self._count))
        absent = np.zeros(raw.shape, np.bool_)
        # A signalling NaN raises a floating-point flag whenever it is touched.
        with np.errstate(invalid="ignore"):
            for lane in self._lanes:
                patterns = lane.gather(image)
                lane_absent = lane.absent(patterns)
                raw[..., lane.rows] = lane.numbers(patterns)
                if lane_absent is not None:
                    absent[..., lane.rows] = lane_absent
        return self._scaling.apply(raw, absent)


def _lane(points: Sequence[Point], register_type: str, positions: Mapping[str, int]) -> _Lane:
    rows = [row for row, point in enumerate(points) if point.type == register_type]
    members = [points[row] for row in rows]
    gathered = [
        [2 * positions[point.name] + place for place in byte_positions(point.type, point.order)]
        for point in members
    ]
    kind = REGISTER_TYPES[register_type]
    numbers = sorted({number for point in members for number in point.absent})
    every_bit = (1 << 16 * min(kind.registers, 2)) - 1
    masks = [every_bit if point.mask is None else point.mask for point in members]
    masked = any(point.mask is not None for point in members)
    unsigned = kind.dtype.newbyteorder("=")
    bits = [every_bit if point.absent_bits is None else point.absent_bits for point in members]
    in_fields = any(point.absent_bits is not None for point in members)
    return _Lane(
        kind=kind,
        positions=np.array(gathered, np.intp),
        rows=np.array(rows, np.intp),
        sentinels=tuple(
            (kind.dtype.type(number), np.array([number in point.absent for point in members]))
            for number in numbers
        ),
        compared=np.array(bits, unsigned) if in_fields else None,
        masks=np.array(masks, unsigned) if masked else None,
        shifts=np.array([mask_shift(mask) for mask in masks], unsigned) if masked else None,
    )

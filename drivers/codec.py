"""Modbus registers to numbers and back: types, byte orders, scale, sentinels and ranges.

Registers travel as bytes, two per register, high byte first (Modbus Application Protocol V1.1b3,
4.2). An order names the bytes of a 32-bit value as they come over the wire, A the most significant:
ABCD, CDAB (low word first), BADC (bytes swapped in each word), DCBA (both). Wider values swap
likewise. Sentinels are compared before scaling: a sentinel times a scale is a plausible number.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from drivers.reading import Quality
from drivers.units import conversion, transformer_ratio

if TYPE_CHECKING:
    from drivers.profile_types import Point

# NumPy's name of each register type, big-endian, and so its width.
_DTYPES: dict[str, np.dtype[Any]] = {
    "u16": np.dtype(">u2"),
    "i16": np.dtype(">i2"),
    "bits": np.dtype(">u2"),
    "u32": np.dtype(">u4"),
    "i32": np.dtype(">i4"),
    "f32": np.dtype(">f4"),
    "u64": np.dtype(">u8"),
    "i64": np.dtype(">i8"),
}
TYPES = tuple(_DTYPES)
ORDERS = ("ABCD", "CDAB", "BADC", "DCBA")

# The order of these is the code in a quality array.
QUALITIES = (Quality.OK, Quality.ABSENT, Quality.OUT_OF_RANGE)
OK, ABSENT, OUT_OF_RANGE = range(3)


def register_count(register_type: str) -> int:
    """How many 16-bit registers a value of that type takes."""
    return _DTYPES[register_type].itemsize // 2


def is_float(register_type: str) -> bool:
    """Whether the type is an IEEE 754 number, whose NaN and infinities mean absent."""
    return _DTYPES[register_type].kind == "f"


def byte_positions(register_type: str, order: str) -> list[int]:
    """Where, among a value's bytes on the wire, its bytes stand from most to least significant."""
    positions = list(range(_DTYPES[register_type].itemsize))
    words = [positions[start : start + 2] for start in range(0, len(positions), 2)]
    if order in ("CDAB", "DCBA"):
        words.reverse()
    if order in ("BADC", "DCBA"):
        words = [word[::-1] for word in words]
    return [position for word in words for position in word]


def decode_number(data: bytes, register_type: str, order: str = "ABCD") -> float:
    """The number in `data` (the registers of one value, as they came), before any scaling."""
    raw = bytes(data[position] for position in byte_positions(register_type, order))
    return float(np.frombuffer(raw, _DTYPES[register_type])[0])


def encode_number(value: float, register_type: str, order: str = "ABCD") -> bytes:
    """The registers that hold `value`; an integer is rounded and saturates at its type's ends."""
    dtype = _DTYPES[register_type]
    if dtype.kind == "f":
        with np.errstate(over="ignore"):
            raw = np.array(value, dtype).tobytes()
    else:
        limits = np.iinfo(dtype)
        raw = np.array(min(max(round(value), int(limits.min)), int(limits.max)), dtype).tobytes()
    wire = bytearray(len(raw))
    for significance, position in enumerate(byte_positions(register_type, order)):
        wire[position] = raw[significance]
    return bytes(wire)


def registers_to_bytes(registers: Sequence[int]) -> bytes:
    """Registers as they travel: two bytes each, high byte first."""
    return np.asarray(registers, ">u2").tobytes()


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

    def encode(self, canonical: float) -> bytes:
        """The registers of a canonical value; integers saturate, as the devices themselves do."""
        raw = (self.to_device(canonical) - self.point.offset) / self.point.scale
        return encode_number(self._masked(raw), self.point.type, self.point.order)

    def _masked(self, raw: float) -> float:
        mask = self.point.mask
        if mask is None:
            return raw
        shift = mask_shift(mask)
        return float(min(max(round(raw), 0), mask >> shift) << shift)

    def encode_absent(self) -> bytes:
        """The registers by which the device says that it has no value; ValueError if it cannot."""
        if self.point.absent:
            return encode_number(self.point.absent[0], self.point.type, self.point.order)
        if is_float(self.point.type):
            return encode_number(math.nan, self.point.type, self.point.order)
        raise ValueError(f"{self.point.name}: the profile declares no value that means absent")

    def decode(self, data: bytes) -> tuple[float | None, Quality]:
        """The canonical value and its quality; the value is None unless the quality is OK."""
        codec = BlockCodec([self], {self.point.name: 0})
        values, qualities = codec.decode(data)
        quality = QUALITIES[int(qualities[0])]
        return (float(values[0]) if quality is Quality.OK else None), quality


def mask_shift(mask: int) -> int:
    """How far a masked field stands above bit 0."""
    return (mask & -mask).bit_length() - 1


# No quantity of this field reaches it in any unit; a float beyond is a damaged or misread value.
_ABSURD = 1e18


class Scaling:
    """Raw numbers of many points to canonical values, whatever protocol they came by."""

    def __init__(self, codecs: Sequence[PointCodec]) -> None:
        points = [codec.point for codec in codecs]
        self._scale = np.array([point.scale for point in points])
        self._offset = np.array([point.offset for point in points])
        ranges = [point.range or (-_ABSURD, _ABSURD) for point in points]
        self._low = np.array([low for low, _ in ranges])
        self._high = np.array([high for _, high in ranges])
        self._bias = np.array([codec.to_canonical(0.0) for codec in codecs])
        self._gain = np.array([codec.to_canonical(1.0) for codec in codecs]) - self._bias

    def apply(
        self, raw: NDArray[np.float64], absent: NDArray[np.bool_]
    ) -> tuple[NDArray[np.float64], NDArray[np.uint8]]:
        """Canonical values and quality codes, in the order of the points; overwrites `raw`."""
        raw[absent] = np.nan
        values = raw * self._scale + self._offset
        beyond = (values < self._low) | (values > self._high)
        values = values * self._gain + self._bias
        values[beyond] = np.nan
        return values, absent * np.uint8(ABSENT) + beyond * np.uint8(OUT_OF_RANGE)


@dataclass(frozen=True, slots=True)
class _Lane:
    """The points of one type: `positions` (points, width) gathers their bytes, `rows` places them.

    Each of `sentinels` is a raw number and which of the points it stands for absence in.
    """

    dtype: np.dtype[Any]
    positions: NDArray[np.intp]
    rows: NDArray[np.intp]
    sentinels: tuple[tuple[np.generic, NDArray[np.bool_]], ...]
    masks: NDArray[np.uint16] | None
    shifts: NDArray[np.uint16] | None

    def gather(self, image: NDArray[np.uint8]) -> NDArray[Any]:
        """The raw numbers of the lane's points."""
        return image[self.positions].view(self.dtype)[:, 0]

    def absent(self, raw: NDArray[Any]) -> NDArray[np.bool_] | None:
        """Which raw numbers mean absent; None when none can."""
        found: NDArray[np.bool_] | None = None
        if self.dtype.kind == "f":
            found = ~np.isfinite(raw)
        for number, members in self.sentinels:
            equal = (raw == number) & members
            found = equal if found is None else found | equal
        return found

    def field(self, raw: NDArray[Any]) -> NDArray[Any]:
        """The raw numbers without the bits that their masks leave out."""
        if self.masks is None or self.shifts is None:
            return raw
        return (raw.astype(np.uint16) & self.masks) >> self.shifts


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
        image = np.frombuffer(data, np.uint8)
        raw = np.empty(self._count)
        absent = np.zeros(self._count, np.bool_)
        # A signalling NaN raises a floating-point flag whenever it is touched.
        with np.errstate(invalid="ignore"):
            for lane in self._lanes:
                numbers = lane.gather(image)
                lane_absent = lane.absent(numbers)
                raw[lane.rows] = lane.field(numbers)
                if lane_absent is not None:
                    absent[lane.rows] = lane_absent
        return self._scaling.apply(raw, absent)


def _lane(points: Sequence[Point], register_type: str, positions: Mapping[str, int]) -> _Lane:
    rows = [row for row, point in enumerate(points) if point.type == register_type]
    members = [points[row] for row in rows]
    gathered = [
        [2 * positions[point.name] + place for place in byte_positions(point.type, point.order)]
        for point in members
    ]
    dtype = _DTYPES[register_type]
    numbers = sorted({number for point in members for number in point.absent})
    masks = [0xFFFF if point.mask is None else point.mask for point in members]
    masked = any(point.mask is not None for point in members)
    return _Lane(
        dtype=dtype,
        positions=np.array(gathered, np.intp),
        rows=np.array(rows, np.intp),
        sentinels=tuple(
            (dtype.type(number), np.array([number in point.absent for point in members]))
            for number in numbers
        ),
        masks=np.array(masks, np.uint16) if masked else None,
        shifts=np.array([mask_shift(mask) for mask in masks], np.uint16) if masked else None,
    )

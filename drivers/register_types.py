"""Numbers in Modbus registers: their types, widths, byte orders, and the codes that devices invent.

Registers travel as bytes, two per register, high byte first (Modbus Application Protocol V1.1b3,
4.2). An order names the bytes of a 32-bit value as they come over the wire, A the most significant:
ABCD, CDAB (low word first), BADC (bytes swapped in each word), DCBA (both). Other widths swap
likewise.

Beside integers, IEEE 754 floats and bit fields there are three codes: `bcd` has four decimal digits
in the nibbles of each register, `dec` a number of -9999 to 9999 in each register (value to the base
10 000), and `sm` a sign bit before a magnitude. A pattern that is no number of its code is NaN.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

_Numbers = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class RegisterType:
    """A type: how many registers, what NumPy reads its bit pattern as, and its range.

    A coded type has `of_pattern` (patterns to numbers) and `to_pattern` (a number within `low` to
    `high` to its pattern); of the others the pattern is the number.
    """

    registers: int
    dtype: np.dtype[Any]
    low: float
    high: float
    of_pattern: Callable[[NDArray[Any]], _Numbers] | None = None
    to_pattern: Callable[[int], int] | None = None

    @property
    def padding(self) -> int:
        """How many zero bytes stand before the registers' bytes to fill the pattern."""
        return self.dtype.itemsize - 2 * self.registers


def _digits_at_base(patterns: NDArray[Any], registers: int) -> _Numbers:
    """`dec`: each register is a signed digit to the base 10 000."""
    value = np.zeros(patterns.shape)
    for place in reversed(range(registers)):
        digit = ((patterns >> np.uint64(16 * place)) & np.uint64(0xFFFF)).astype(np.uint16)
        signed = digit.view(np.int16).astype(np.float64)
        value = value * 10_000.0 + np.where(np.abs(signed) <= 9999.0, signed, np.nan)
    return value


def _pattern_at_base(number: int, registers: int) -> int:
    rest, pattern = abs(number), 0
    for place in range(registers):
        rest, digit = divmod(rest, 10_000)
        pattern |= ((digit if number >= 0 else -digit) & 0xFFFF) << (16 * place)
    return pattern


def _decimal_nibbles(patterns: NDArray[Any], registers: int) -> _Numbers:
    """`bcd`: a nibble above 9 is no digit."""
    value = np.zeros(patterns.shape)
    for place in reversed(range(4 * registers)):
        digit = ((patterns >> np.uint64(4 * place)) & np.uint64(0xF)).astype(np.float64)
        value = value * 10.0 + np.where(digit <= 9.0, digit, np.nan)
    return value


def _sign_and_magnitude(patterns: NDArray[Any], registers: int) -> _Numbers:
    """`sm`: the top bit says that the rest is negative."""
    top = np.uint64(1 << (16 * registers - 1))
    magnitude = (patterns & (top - np.uint64(1))).astype(np.float64)
    return np.where(patterns & top, -magnitude, magnitude)


def _low_byte(patterns: NDArray[Any], registers: int) -> _Numbers:  # noqa: ARG001  (always one)
    """`i8`: the low byte of a register, signed; the high byte is something else's."""
    return patterns.astype(np.uint8).view(np.int8).astype(np.float64)


def _plain(name: str, registers: int = 0) -> RegisterType:
    dtype = np.dtype(name)
    if dtype.kind == "f":
        return RegisterType(dtype.itemsize // 2, dtype, -np.inf, np.inf)
    registers = registers or dtype.itemsize // 2
    bounds = np.iinfo(dtype)
    high = min(int(bounds.max), (1 << (16 * registers)) - 1)
    return RegisterType(registers, dtype, int(bounds.min), high)


def _coded(
    registers: int,
    low: int,
    high: int,
    of_pattern: Callable[[NDArray[Any], int], _Numbers],
    to_pattern: Callable[[int], int],
) -> RegisterType:
    # Patterns are unsigned integers of the next width that NumPy has.
    dtype = np.dtype({1: ">u2", 2: ">u4"}.get(registers, ">u8"))
    return RegisterType(
        registers,
        dtype,
        low,
        high,
        lambda patterns: of_pattern(patterns.astype(np.uint64), registers),
        to_pattern,
    )


def _dec(registers: int) -> RegisterType:
    most = 10 ** (4 * registers) - 1
    return _coded(
        registers, -most, most, _digits_at_base, lambda number: _pattern_at_base(number, registers)
    )


def _bcd(registers: int) -> RegisterType:
    most = 10 ** (4 * registers) - 1
    return _coded(registers, 0, most, _decimal_nibbles, lambda number: int(str(number), 16))


def _sm(registers: int) -> RegisterType:
    top = 1 << (16 * registers - 1)
    return _coded(
        registers,
        1 - top,
        top - 1,
        _sign_and_magnitude,
        lambda number: -number | top if number < 0 else number,
    )


REGISTER_TYPES: dict[str, RegisterType] = {
    "u16": _plain(">u2"),
    "i16": _plain(">i2"),
    "bits": _plain(">u2"),
    # One coil or discrete input; a transport gives each a register of its own, 0 or 1.
    "bool": RegisterType(1, np.dtype(">u2"), 0, 1),
    "u32": _plain(">u4"),
    "i32": _plain(">i4"),
    "bits32": _plain(">u4"),
    "f32": _plain(">f4"),
    "u48": _plain(">u8", registers=3),
    "u64": _plain(">u8"),
    "i64": _plain(">i8"),
    "f64": _plain(">f8"),
    "dec32": _dec(2),
    "dec48": _dec(3),
    "dec64": _dec(4),
    "bcd16": _bcd(1),
    "bcd32": _bcd(2),
    "bcd64": _bcd(4),
    "i8": _coded(1, -128, 127, _low_byte, lambda number: number & 0xFF),
    "sm16": _sm(1),
    "sm32": _sm(2),
}
ORDERS = ("ABCD", "CDAB", "BADC", "DCBA")
# What a mask may pick a field of.
MASKABLE = ("u16", "bits", "u32", "bits32")


def register_count(register_type: str) -> int:
    """How many 16-bit registers a value of that type takes."""
    return REGISTER_TYPES[register_type].registers


def is_float(register_type: str) -> bool:
    """Whether the type is an IEEE 754 number, whose NaN and infinities mean absent."""
    return REGISTER_TYPES[register_type].dtype.kind == "f"


def is_signed(register_type: str) -> bool:
    """Whether a bit pattern of the type with the top bit set is a negative number."""
    return REGISTER_TYPES[register_type].dtype.kind == "i"


def mask_shift(mask: int) -> int:
    """How far a masked field stands above bit 0."""
    return (mask & -mask).bit_length() - 1


def byte_positions(register_type: str, order: str) -> list[int]:
    """Where, among a value's bytes on the wire, its bytes stand from most to least significant."""
    positions = list(range(2 * register_count(register_type)))
    words = [positions[start : start + 2] for start in range(0, len(positions), 2)]
    if order in ("CDAB", "DCBA"):
        words.reverse()
    if order in ("BADC", "DCBA"):
        words = [word[::-1] for word in words]
    return [position for word in words for position in word]


def decode_number(data: bytes, register_type: str, order: str = "ABCD") -> float:
    """The number in `data` (the registers of one value, as they came), before any scaling."""
    kind = REGISTER_TYPES[register_type]
    raw = bytes(kind.padding)
    raw += bytes(data[position] for position in byte_positions(register_type, order))
    pattern = np.frombuffer(raw, kind.dtype)
    return float((pattern if kind.of_pattern is None else kind.of_pattern(pattern))[0])


def encode_number(value: float, register_type: str, order: str = "ABCD") -> bytes:
    """The registers that hold `value`; an integer is rounded and saturates at its type's ends."""
    kind = REGISTER_TYPES[register_type]
    if kind.dtype.kind == "f":
        with np.errstate(over="ignore"):
            return on_the_wire(np.array(value, kind.dtype).tobytes(), register_type, order)
    number = round(min(max(value, int(kind.low)), int(kind.high)))
    return encode_pattern(
        number if kind.to_pattern is None else kind.to_pattern(number), register_type, order
    )


def encode_pattern(pattern: int, register_type: str, order: str = "ABCD") -> bytes:
    """The registers of an integer bit pattern, signed as the type is."""
    kind = REGISTER_TYPES[register_type]
    raw = np.array(pattern, kind.dtype).tobytes()[kind.padding :]
    return on_the_wire(raw, register_type, order)


def on_the_wire(raw: bytes, register_type: str, order: str) -> bytes:
    """Bytes from most to least significant, as `order` sends them."""
    wire = bytearray(len(raw))
    for significance, position in enumerate(byte_positions(register_type, order)):
        wire[position] = raw[significance]
    return bytes(wire)

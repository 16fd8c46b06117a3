"""The register codec against Python's struct, which is the independent peer here."""

from __future__ import annotations

import math
import struct
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.codec import (
    ABSENT,
    OK,
    OUT_OF_RANGE,
    BlockCodec,
    PointCodec,
)
from drivers.profile_types import Point
from drivers.reading import Quality
from drivers.register_image import encode_image
from drivers.register_types import decode_number, encode_number

_STRUCT = {
    "u16": "H", "i16": "h", "bits": "H", "u32": "I", "i32": "i", "bits32": "I", "f32": "f",
    "u64": "Q", "i64": "q", "f64": "d",
}  # fmt: skip

# What the order's letters mean, written out: where byte A, B, ... of the number is on the wire.
_WIRE_2 = {"ABCD": "AB", "CDAB": "AB", "BADC": "BA", "DCBA": "BA"}
_WIRE_4 = {order: order for order in ("ABCD", "CDAB", "BADC", "DCBA")}
_WIRE_8 = {"ABCD": "ABCDEFGH", "CDAB": "GHEFCDAB", "BADC": "BADCFEHG", "DCBA": "HGFEDCBA"}


def wire(value: float, register_type: str, order: str) -> bytes:
    """The bytes of a number on the wire, by struct and the tables above."""
    big_endian = struct.pack(">" + _STRUCT[register_type], value)
    letters = {2: _WIRE_2, 4: _WIRE_4, 8: _WIRE_8}[len(big_endian)][order]
    return bytes(big_endian["ABCDEFGH".index(letter)] for letter in letters)


def point(register_type: str = "f32", **settings: object) -> Point:
    """A point in volts at register 0."""
    base: dict[str, object] = {
        "name": "p", "address": 0, "fc": 3, "type": register_type, "order": "ABCD", "unit": "V",
        "group": "fast",
    }  # fmt: skip
    return Point(**(base | settings))  # type: ignore[arg-type]  # the test names the fields


def numbers(register_type: str) -> st.SearchStrategy[float]:
    """Every number that the type can hold."""
    if register_type in ("f32", "f64"):
        width = 32 if register_type == "f32" else 64
        return st.floats(width=width, allow_nan=False, allow_infinity=False)
    bits = 8 * struct.calcsize(_STRUCT[register_type])
    if register_type.startswith("i"):
        return st.integers(-(1 << (bits - 1)), (1 << (bits - 1)) - 1)
    return st.integers(0, (1 << bits) - 1)


@settings(deadline=None)
@given(
    st.sampled_from(sorted(_STRUCT)).flatmap(
        lambda kind: st.tuples(st.just(kind), numbers(kind), st.sampled_from(sorted(_WIRE_4)))
    )
)
def test_numbers_cross_the_wire_as_struct_says(case: tuple[str, float, str]) -> None:
    """Every type and order decodes what struct packed and encodes what struct would pack."""
    register_type, number, order = case
    on_the_wire = wire(number, register_type, order)
    assert decode_number(on_the_wire, register_type, order) == float(number)
    # 64-bit numbers pass through a double: only those that it holds come back exactly.
    if abs(number) <= 2**53 or register_type == "f64":
        assert encode_number(number, register_type, order) == on_the_wire


@pytest.mark.parametrize(
    ("register_type", "registers", "number"),
    [
        ("u48", [0x0001, 0x0002, 0x0003], 0x0001_0002_0003),
        ("bcd16", [0x1234], 1234),
        ("bcd32", [0x0012, 0x3456], 123456),
        ("bcd64", [0x1234, 0x5678, 0x9012, 0x3456], 1234567890123456),
        ("dec32", [12, 3456], 123456),
        ("dec32", [0, 0xFFFF], -1),
        ("dec48", [1, 2, 3], 100020003),
        ("dec64", [9, 9999, 9999, 9999], 9999999999999),
        ("dec64", [0xFFFF, 0xFFFE, 0, 0], -1000200000000),
        ("i8", [0x00FF], -1),
        ("i8", [0x007F], 127),
        ("sm16", [0x8005], -5),
        ("sm16", [0x7FFF], 32767),
        ("sm32", [0x8001, 0x0000], -65536),
    ],
)
def test_codes_that_devices_invent_are_read_digit_by_digit(
    register_type: str, registers: list[int], number: int
) -> None:
    """Three-register integers, BCD, base 10 000 and sign-magnitude, worked out by hand."""
    data = b"".join(struct.pack(">H", register) for register in registers)
    assert decode_number(data, register_type) == number
    assert encode_number(number, register_type) == data
    low_word_first = b"".join(struct.pack(">H", register) for register in reversed(registers))
    assert decode_number(low_word_first, register_type, "CDAB") == number
    swapped = b"".join(struct.pack("<H", register) for register in registers)
    assert decode_number(swapped, register_type, "BADC") == number
    assert PointCodec(point(register_type, range=(-1e16, 1e16))).decode(data) == (
        number,
        Quality.OK,
    )


@pytest.mark.parametrize(
    ("register_type", "registers"),
    [("bcd16", [0x12A4]), ("bcd32", [0xF000, 0]), ("dec32", [0, 10000]), ("dec48", [0x8000, 0, 0])],
)
def test_a_pattern_that_is_no_number_of_its_code_is_out_of_range(
    register_type: str, registers: list[int]
) -> None:
    """A nibble above 9, or a digit to the base 10 000 above 9999, never becomes a number."""
    data = b"".join(struct.pack(">H", register) for register in registers)
    assert PointCodec(point(register_type)).decode(data) == (None, Quality.OUT_OF_RANGE)


def test_the_sentinel_of_a_coded_number_is_its_bit_pattern() -> None:
    """A device that fills coded registers with a mark has no value, not a wrong one."""
    for register_type, mark in (("bcd32", 0xFFFF_FFFF), ("dec64", 0x8000_8000_8000_8000)):
        codec = PointCodec(point(register_type, absent=(mark,)))
        absent = mark.to_bytes(codec.point.registers * 2, "big")
        assert codec.decode(absent) == (None, Quality.ABSENT)
        assert codec.encode_absent() == absent


def test_a_mask_picks_bits_of_two_registers() -> None:
    """A field of a 32-bit register is shifted down to a number of its own."""
    codec = PointCodec(point("bits32", mask=0x00FF_0000, unit="1"))
    assert codec.decode(struct.pack(">I", 0xAB12_3456)) == (0x12, Quality.OK)
    assert codec.encode(0x34) == struct.pack(">I", 0x0034_0000)


def linked(*points: Point) -> tuple[BlockCodec, dict[str, PointCodec]]:
    """The points one after another in one block."""
    starts = [sum(entry.registers for entry in points[:k]) for k in range(len(points))]
    codecs = {entry.name: PointCodec(entry) for entry in points}
    positions = {entry.name: start for entry, start in zip(points, starts, strict=True)}
    return BlockCodec(list(codecs.values()), positions), codecs


@pytest.mark.parametrize(
    ("raw", "exponent", "value", "quality"),
    [
        (2301, -1, 230.1, OK),
        (23, 1, 230.0, OK),
        (-5, 0, -5.0, OK),
        (2301, -0x8000, None, ABSENT),
        (-0x8000, -1, None, ABSENT),
        (2301, 11, None, OUT_OF_RANGE),
        (0, 11, None, OUT_OF_RANGE),
        (2301, 3, None, OUT_OF_RANGE),
    ],
)
def test_a_value_is_scaled_by_another_register(
    raw: int, exponent: int, value: float | None, quality: int
) -> None:
    """SunSpec's scale factor: 10 to the power of a register, unknown when that is unknown."""
    block, _ = linked(
        point("i16", absent=(-0x8000,), range=(-1e4, 1e4), scale_by="sf"),
        point("i16", name="sf", unit="1", absent=(-0x8000,), range=(-10, 10)),
    )
    values, qualities = block.decode(struct.pack(">hh", raw, exponent))
    assert qualities[0] == quality
    assert (None if math.isnan(values[0]) else values[0]) == pytest.approx(value)


@pytest.mark.parametrize("scale", ["0.1", "0.01", "0.001", "0.05", "-0.1", "0.025"])
def test_a_decimal_scale_gives_the_decimal_number(scale: str) -> None:
    """What the register and its scale or exponent mean in decimal digits is what is shown."""
    scaled = PointCodec(point("u16", scale=float(scale)))
    numbers = [2296, 1, 3, 7, 2303, 9999, 65534]
    found = [scaled.decode(struct.pack(">H", number))[0] for number in numbers]
    assert found == [float(Decimal(number) * Decimal(scale)) for number in numbers]


@pytest.mark.parametrize("exponent", [-4, -2, -1, 0, 2])
def test_a_decimal_exponent_gives_the_decimal_number(exponent: int) -> None:
    """SunSpec's scale factors: 2296 at 10^-1 is 229.6."""
    codecs = [PointCodec(point("i16", scale_by="sf")), PointCodec(point("i16", name="sf"))]
    block = BlockCodec(codecs, {"p": 0, "sf": 1})
    for number in (2296, 3, 7, -9999, 32767):
        values, _ = block.decode(struct.pack(">hh", number, exponent))
        assert values[0] == float(Decimal(number).scaleb(exponent))


def test_a_total_of_integer_and_fraction_takes_factor_and_exponent() -> None:
    """(integer + fraction) * scale * 10^n * factor, as flow meters and transformers have it."""
    points = (
        point("i32", unit="m3", fraction="rest", scale_by="n", factor_by="k", scale=0.001),
        point("f32", name="rest", unit="1"),
        point("u16", name="n", unit="1"),
        point("u16", name="k", unit="1"),
    )
    block, codecs = linked(*points)
    data = struct.pack(">ifHH", 1234, 0.5, 2, 40)
    values, qualities = block.decode(data)
    assert not qualities.any()
    assert values[0] == pytest.approx(1234.5 * 0.001 * 100 * 40)
    # The other way round: what a simulated device holds for that total.
    image = encode_image(codecs, {"p": 4938.0}, {"n": 2.0, "k": 40.0}.get)
    assert image == {"p": data[:4], "rest": data[4:8]}
    with pytest.raises(ValueError, match="is 0"):
        encode_image(codecs, {"p": 1.0}, {"n": 2.0, "k": 0.0}.get)
    with pytest.raises(ValueError, match="needs the value of n, k"):
        codecs["p"].encode(1.0, {"rest": 0.0})


def test_many_devices_are_decoded_as_each_alone() -> None:
    """Links, masks, codes and sentinels over an axis of devices give what one device gives."""
    block, _ = linked(
        point("i16", absent=(-0x8000,), range=(-1e4, 1e4), scale_by="sf"),
        point("i8", name="sf", unit="1", range=(-2, 2)),
        point("u48", name="count", unit="1"),
        point("bcd16", name="digits", unit="1"),
        point("bits", name="flag", unit="1", mask=0x0100),
    )
    images = np.random.default_rng(7).integers(0, 256, (200, 14), np.uint8)
    images[::3, :2] = [0x80, 0x00]
    images[::2, 3] = 1
    together = block.decode_image(images)
    for row, image in enumerate(images):
        alone = block.decode(image.tobytes())
        np.testing.assert_array_equal(together[0][row], alone[0])
        np.testing.assert_array_equal(together[1][row], alone[1])
    assert {OK, ABSENT, OUT_OF_RANGE} == set(np.unique(together[1]))


def test_a_linked_point_is_never_decoded_alone() -> None:
    """Without what it is scaled by, a register is no value."""
    with pytest.raises(ValueError, match="scale_by sf is not read with it"):
        PointCodec(point("i16", scale_by="sf")).decode(b"\0\0")


_PLACED = st.tuples(
    st.sampled_from(["u16", "i32", "f32", "u64"]),
    st.sampled_from(sorted(_WIRE_4)),
    st.integers(0, 60_000),
)


@settings(deadline=None)
@given(st.lists(_PLACED, min_size=1, max_size=12))
def test_a_block_decodes_like_its_points(placed: list[tuple[str, str, int]]) -> None:
    """Points of mixed types and orders in one block come out as each does alone."""
    codecs, data, positions, expected = [], b"", {}, []
    for k, (register_type, order, number) in enumerate(placed):
        codecs.append(PointCodec(point(register_type, name=f"p{k}", order=order)))
        positions[f"p{k}"] = len(data) // 2
        data += wire(number, register_type, order)
        expected.append(number)
    values, qualities = BlockCodec(codecs, positions).decode(data)
    assert values.tolist() == expected
    assert qualities.tolist() == [OK] * len(placed)


@pytest.mark.parametrize(
    ("register_type", "value", "saturated"),
    [("u16", 70_000, 65_535), ("u16", -3, 0), ("i16", -40_000, -32_768), ("i32", 3e9, 2**31 - 1)],
)
def test_integers_saturate(register_type: str, value: float, saturated: int) -> None:
    """A number beyond an integer's ends is held at the end instead of wrapping to the other."""
    assert decode_number(encode_number(value, register_type), register_type) == saturated


@pytest.mark.parametrize("pattern", [0x7FC00000, 0xFFC00000, 0x7F800000, 0xFF800000, 0x7F800001])
def test_no_float_that_is_no_number_is_a_value(pattern: int) -> None:
    """NaNs, quiet and signalling, and infinities are absent whatever the profile says."""
    assert PointCodec(point()).decode(struct.pack(">I", pattern)) == (None, Quality.ABSENT)


def test_sentinels_are_seen_before_scaling() -> None:
    """0x7FFFFFFF centi-millibar is absent, though 21475 bar would also be a number."""
    codec = PointCodec(point("i32", scale=0.01, unit="mbar", absent=(2147483647, -2147483648)))
    assert codec.decode(struct.pack(">i", 2147483647)) == (None, Quality.ABSENT)
    assert codec.decode(struct.pack(">i", -2147483648)) == (None, Quality.ABSENT)
    value, quality = codec.decode(struct.pack(">i", 250_000))
    assert quality is Quality.OK
    assert value == pytest.approx(2.5)


def test_a_sentinel_belongs_to_its_own_point() -> None:
    """What means absent in one register is a value in its neighbour."""
    codecs = [
        PointCodec(point("u16", name="a", absent=(65535,))),
        PointCodec(point("u16", name="b")),
    ]
    values, qualities = BlockCodec(codecs, {"a": 0, "b": 1}).decode(b"\xff\xff\xff\xff")
    assert qualities.tolist() == [ABSENT, OK]
    assert math.isnan(values[0])
    assert values[1] == 65535


@pytest.mark.parametrize(
    ("volts", "quality"),
    [
        (0.0, OK),
        (300.0, OK),
        (300.1, OUT_OF_RANGE),
        (-0.1, OUT_OF_RANGE),
        (9.5e18, OUT_OF_RANGE),
    ],
)
def test_the_range_is_checked_on_the_device_side(volts: float, quality: int) -> None:
    """A value outside the range is withheld; the range holds before the transformer ratio."""
    codec = PointCodec(point(range=(0.0, 300.0)), pt_ratio=100.0)
    values, qualities = BlockCodec([codec], {"p": 0}).decode(struct.pack(">f", volts))
    assert qualities.tolist() == [quality]
    if quality == OK:
        assert values[0] == pytest.approx(volts * 100.0)
    else:
        assert math.isnan(values[0])


def test_without_a_range_an_absurd_value_is_still_withheld() -> None:
    """9.5e18 V is no voltage even when the profile states no range."""
    assert PointCodec(point()).decode(struct.pack(">f", 9.5e18)) == (None, Quality.OUT_OF_RANGE)


def test_a_mask_takes_its_bits_only() -> None:
    """0x1257 with the mask 0x0F00 is 2, and writing 5 touches no other bit."""
    codec = PointCodec(point("u16", mask=0x0F00, unit="1"))
    assert codec.decode(b"\x12\x57") == (2.0, Quality.OK)
    assert codec.encode(5.0) == b"\x05\x00"
    assert codec.encode(99.0) == b"\x0f\x00"


@settings(deadline=None)
@given(st.floats(-1e6, 1e6), st.floats(0.5, 500.0), st.floats(0.5, 500.0))
def test_canonical_and_device_values_invert(value: float, ct: float, pt: float) -> None:
    """to_device undoes to_canonical, with offsets and transformer ratios."""
    for unit in ("kW", "[degF]", "m3/h", "kWh"):
        codec = PointCodec(point(unit=unit), ct, pt)
        assert codec.to_device(codec.to_canonical(value)) == pytest.approx(
            value, rel=1e-9, abs=1e-6
        )


def test_a_point_without_a_sign_for_absent_says_so() -> None:
    """An integer register without a sentinel cannot be made absent."""
    with pytest.raises(ValueError, match="p: the profile declares no value that means absent"):
        PointCodec(point("u16")).encode_absent()

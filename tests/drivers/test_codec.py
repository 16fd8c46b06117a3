"""The register codec against Python's struct, which is the independent peer here."""

from __future__ import annotations

import math
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.codec import (
    ABSENT,
    OK,
    OUT_OF_RANGE,
    BlockCodec,
    PointCodec,
    decode_number,
    encode_number,
)
from drivers.profile_types import Point
from drivers.reading import Quality

_STRUCT = {
    "u16": "H", "i16": "h", "bits": "H", "u32": "I", "i32": "i", "f32": "f", "u64": "Q", "i64": "q"
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
    if register_type == "f32":
        return st.floats(width=32, allow_nan=False, allow_infinity=False)
    bits = 8 * struct.calcsize(_STRUCT[register_type])
    if register_type.startswith("i"):
        return st.integers(-(1 << (bits - 1)), (1 << (bits - 1)) - 1)
    return st.integers(0, (1 << bits) - 1)


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
    if abs(number) <= 2**53:
        assert encode_number(number, register_type, order) == on_the_wire


_PLACED = st.tuples(
    st.sampled_from(["u16", "i32", "f32", "u64"]),
    st.sampled_from(sorted(_WIRE_4)),
    st.integers(0, 60_000),
)


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

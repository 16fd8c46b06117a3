"""Packed samples: every format against Python's own integers, and the kernel's frame layout."""

from __future__ import annotations

import itertools
import random

import numpy as np
import pytest

from drivers.errors import LayoutError
from drivers.waveforms.packed_frames import packed_layout, parse_format, scan_layout
from tests.drivers.waveforms.iio_tree import Element, pack


def decoded(text: str, words: bytes) -> list[float]:
    """These words in this format."""
    layout = packed_layout(["x"], parse_format(text))
    return layout.values(layout.rows(words), "x").tolist()


@pytest.mark.parametrize("order", ["be", "le"])
@pytest.mark.parametrize("kind", ["s", "u"])
@pytest.mark.parametrize("storage", [8, 16, 32, 64])
def test_every_format_gives_the_numbers_that_were_packed(
    order: str, kind: str, storage: int
) -> None:
    """Each width, shift, sign and byte order, with other data in the bits beside the sample."""
    rng = random.Random(storage)
    for bits in {1, 2, 7, storage // 2 + 1, storage - 4, storage}:
        for shift in {0, 1, 4, storage - bits} & set(range(storage - bits + 1)):
            low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if kind == "s" else (0, 2**bits - 1)
            values = [low, high, 0, *(rng.randint(low, high) for _ in range(20))]
            text = f"{order}:{kind}{bits}/{storage}>>{shift}"
            element = Element("x", 0, text)
            words = b"".join(pack([element], {"x": value}) for value in values)
            assert decoded(text, words) == [float(value) for value in values], text


def test_an_ade9000_word_is_24_bits_shifted_left_by_4() -> None:
    """UG-1098, Table 22: 24 bits, shifted left by 4 and sign extended to 32, high byte first."""
    for value in (0, 1, -1, 0x7F_FFFF, -0x80_0000, 4_194_304, -3_141_592):
        word = ((value << 4) & 0xFFFF_FFFF).to_bytes(4, "big")
        assert decoded("be:s24/32>>4", word) == [value]
        assert decoded("be:s32/32", word) == [16 * value]


def test_floats_are_read() -> None:
    """IEEE 754 numbers of 16, 32 and 64 bits in both orders."""
    for size, (name, sign) in itertools.product((2, 4, 8), (("le", "<"), ("be", ">"))):
        words = np.array([1.5, -0.25, 1000.0], f"{sign}f{size}").tobytes()
        assert decoded(f"{name}:f{8 * size}/{8 * size}", words) == [1.5, -0.25, 1000.0]


@pytest.mark.parametrize(
    "text",
    [
        "", "s16/16", "xe:s16/16", "le:q16/16", "le:s16", "le:s0/16", "le:s17/16", "le:s16/16>>1",
        "le:s24/24", "le:s12/16>>5", "le:f24/32", "le:f32/64", "le:s16/16X", "le:s16/16>>-1",
        "le:s16/16 le:s16/16", "le:s99999/16", "le:s16/0", "LE:S16/16",
    ],
)  # fmt: skip
def test_a_wrong_format_is_named(text: str) -> None:
    """What is no format, or asks for bits that are not there, is refused with its text."""
    with pytest.raises(LayoutError, match="sample format"):
        parse_format(text)


@pytest.mark.parametrize(
    ("types", "offsets", "size"),
    [
        # The case that the kernel's own rule was corrected for: a frame fills up to its largest.
        (["le:u32/32", "le:u16/16"], [0, 4], 8),
        (["le:u16/16", "le:u16/16", "le:u32/32", "le:u16/16"], [0, 2, 4, 8], 12),
        (["le:s16/16", "le:s64/64"], [0, 8], 16),
        (["le:u8/8", "le:u16/16", "be:s24/32>>8", "le:s64/64"], [0, 2, 4, 8], 16),
        (["le:s16/16X2", "le:s16/16", "le:s32/32"], [0, 4, 8], 12),
    ],
)
def test_frames_are_laid_out_as_the_kernel_does(
    types: list[str], offsets: list[int], size: int
) -> None:
    """Each element at a multiple of its size, the frame a multiple of the largest."""
    layout = scan_layout([(f"c{k}", parse_format(text)) for k, text in enumerate(types)])
    assert [layout.dtype.fields[f"c{k}"][1] for k in range(len(types))] == offsets
    assert layout.dtype.itemsize == size
    elements = [Element(f"c{k}", k, text) for k, text in enumerate(types)]
    values = [{f"c{k}": 7 * k + frame for k in range(len(types))} for frame in range(3)]
    content = b"".join(pack(elements, each) for each in values)
    assert len(content) == 3 * size
    rows = layout.rows(content + b"rest")
    assert len(rows) == 3
    for k, element in enumerate(elements):
        if "X" not in element.type:
            assert layout.values(rows, f"c{k}").tolist() == [each[f"c{k}"] for each in values]


def test_layouts_that_cannot_be_are_refused() -> None:
    """No element, one that fits no boundary, a name twice, a frame without end."""
    for elements in ([], [("a", parse_format("le:s16/16X3"))]):
        with pytest.raises(LayoutError):
            scan_layout(elements)
    with pytest.raises(LayoutError, match="named twice"):
        packed_layout(["VA", "VA"], parse_format("le:s16/16"))
    with pytest.raises(LayoutError, match="a frame of"):
        packed_layout(["VA"], parse_format("le:s64/64X9999"))

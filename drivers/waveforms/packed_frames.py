"""Frames of packed samples: one frame is what all channels read at one instant.

A sample's format is written as Linux IIO writes it (Documentation/ABI/testing/sysfs-bus-iio, scan
element `_type`): `[be|le]:[s|u|f]bits/storagebits[Xrepeat][>>shift]`.

The waveform buffer of an ADE9000 (UG-1098 rev. 0, Table 22), read over SPI, is `be:s24/32>>4` for
the fixed rates of 32 kS/s (sinc4) and 8 kS/s (sinc4 and low pass), all channels in the order
IA VA IB VB IC VC IN and one unused; the kernel's ade9000 driver hands the same words on as
`be:s32/32`. Its resampled data, 16 bits and 128 points a line cycle, have no rate in samples a
second: they are no source of waveforms here.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drivers.errors import LayoutError

_FORMAT = re.compile(
    r"(?P<order>be|le):(?P<kind>[suf])(?P<bits>\d{1,3})/(?P<storage>\d{1,3})"
    r"(?:X(?P<repeat>\d{1,4}))?(?:>>(?P<shift>\d{1,3}))?"
)
_STORAGE_BITS = (8, 16, 32, 64)
_FLOAT_BITS = (16, 32, 64)
_MAX_FRAME_BYTES = 65_536
"""Longest frame: a page of a kernel's FIFO holds 4096, sixteen are beyond any converter."""


@dataclass(frozen=True, slots=True)
class SampleFormat:
    """How one sample lies in its storage: `bits` of it, `shift` from the least significant."""

    big_endian: bool
    kind: str
    bits: int
    storage_bits: int
    shift: int = 0
    repeat: int = 1

    @property
    def size(self) -> int:
        """Bytes in a frame."""
        return self.storage_bits // 8 * self.repeat

    @property
    def dtype(self) -> np.dtype[Any]:
        """The storage as NumPy sees it: unsigned words, or numbers of IEEE 754."""
        kind = "f" if self.kind == "f" else "u"
        return np.dtype(f"{'>' if self.big_endian else '<'}{kind}{self.storage_bits // 8}")

    def values(self, stored: NDArray[Any]) -> NDArray[np.float64]:
        """The numbers in these words (of `dtype`): shifted, masked, and extended by their sign."""
        if self.kind == "f":
            with np.errstate(invalid="ignore"):  # a signalling NaN is no number either
                return stored.astype(np.float64)
        width = self.storage_bits // 8
        words = stored.astype(f"u{width}")
        # The bits above the sample are pushed out, then it comes back with its sign.
        words <<= self.storage_bits - self.bits - self.shift
        signed = words.view(f"{'i' if self.kind == 's' else 'u'}{width}")
        return np.asarray(signed >> (self.storage_bits - self.bits)).astype(np.float64)


def parse_format(text: str) -> SampleFormat:
    """The format that a text states; raises LayoutError with the text and the reason."""
    match = _FORMAT.fullmatch(text.strip())
    if match is None:
        raise LayoutError(
            f"sample format {text.strip()[:80]!r} is not "
            "[be|le]:[s|u|f]bits/storagebits[Xrepeat][>>shift]"
        )
    bits, storage = int(match["bits"]), int(match["storage"])
    shift, repeat = int(match["shift"] or 0), int(match["repeat"] or 1)
    if storage not in _STORAGE_BITS:
        raise LayoutError(f"sample format {text.strip()!r}: storage is not 8, 16, 32 or 64 bits")
    if not 1 <= bits <= storage - shift:
        raise LayoutError(
            f"sample format {text.strip()!r}: {bits} bits from bit {shift} on are not within "
            f"{storage}"
        )
    if match["kind"] == "f" and not (bits == storage and bits in _FLOAT_BITS):
        raise LayoutError(f"sample format {text.strip()!r}: a float fills 16, 32 or 64 bits")
    # X0 and X1 alike are one sample (iio_show_fixed_type prints none below 2).
    return SampleFormat(match["order"] == "be", match["kind"], bits, storage, shift, max(1, repeat))


@dataclass(frozen=True, slots=True)
class FrameLayout:
    """Where each channel's sample lies in a frame; `dtype` has the channels as its fields."""

    dtype: np.dtype[Any]
    formats: dict[str, SampleFormat]

    def rows(self, content: bytes | bytearray | memoryview) -> NDArray[Any]:
        """The whole frames in these bytes; what is left of a frame is left out."""
        return np.frombuffer(content, self.dtype, count=len(content) // self.dtype.itemsize)

    def values(self, rows: NDArray[Any], channel: str) -> NDArray[np.float64]:
        """One channel's numbers, shape (frames,)."""
        return self.formats[channel].values(rows[channel])


def packed_layout(order: Sequence[str], form: SampleFormat) -> FrameLayout:
    """Samples of one format, one after the other in this order; `-` is one that is not read."""
    named = {name: k * form.size for k, name in enumerate(order) if name != "-"}
    if len(named) != sum(name != "-" for name in order):
        raise LayoutError(f"a channel is named twice in {' '.join(order)}")
    return _layout({name: (form, at) for name, at in named.items()}, len(order) * form.size)


def scan_layout(elements: Sequence[tuple[str, SampleFormat]]) -> FrameLayout:
    """A frame as the kernel lays it out (drivers/iio/industrialio-buffer.c, scan bytes).

    Each element, in the order of their indices and the time stamp last, begins at a multiple of
    its own size; the frame is filled up to a multiple of the largest.
    """
    placed: dict[str, tuple[SampleFormat, int]] = {}
    end = largest = 0
    for name, form in elements:
        if form.size & (form.size - 1):
            raise LayoutError(f"scan element {name}: {form.size} bytes are no power of 2")
        begin = -(-end // form.size) * form.size
        placed[name] = (form, begin)
        end, largest = begin + form.size, max(largest, form.size)
    if not placed:
        raise LayoutError("no scan element is enabled")
    return _layout(placed, -(-end // largest) * largest)


def _layout(placed: dict[str, tuple[SampleFormat, int]], size: int) -> FrameLayout:
    if not 0 < size <= _MAX_FRAME_BYTES:
        raise LayoutError(f"a frame of {size} bytes; 1 to {_MAX_FRAME_BYTES} are read")
    fields: list[Any] = [
        (form.dtype, (form.repeat,)) if form.repeat > 1 else form.dtype
        for form, _ in placed.values()
    ]
    dtype = np.dtype(
        {
            "names": list(placed),
            "formats": fields,
            "offsets": [offset for _, offset in placed.values()],
            "itemsize": size,
        }
    )
    return FrameLayout(dtype, {name: form for name, (form, _) in placed.items()})

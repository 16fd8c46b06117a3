"""A tree of files that looks like an IIO device, and frames as the kernel's ABI describes them.

Written from Documentation/ABI/testing/sysfs-bus-iio alone, with Python's integers and struct:
nothing of the source under test is used.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Element:
    """A scan element: its name, index, type text and whether it is on; scale and offset."""

    name: str
    index: int
    type: str
    on: bool = True
    scale: float | None = 1.0
    offset: float | None = None


def make_tree(
    folder: Path, elements: Sequence[Element], *, new: bool = True, rate: str | None = "8000"
) -> Path:
    """The device's folder: `buffer0/` of Linux 5.11, or `buffer/` and `scan_elements/`."""
    device = folder / "iio:device0"
    scan = device / ("buffer0" if new else "scan_elements")
    scan.mkdir(parents=True)
    switches = scan if new else device / "buffer"
    switches.mkdir(exist_ok=True)
    for name, text in (("enable", "0"), ("length", "128"), ("watermark", "64")):
        (switches / name).write_text(text + "\n")
    for element in elements:
        (scan / f"in_{element.name}_en").write_text(f"{int(element.on)}\n")
        (scan / f"in_{element.name}_index").write_text(f"{element.index}\n")
        (scan / f"in_{element.name}_type").write_text(f"{element.type}\n")
        for what in ("scale", "offset"):
            value = getattr(element, what)
            if value is not None and element.name != "timestamp":
                (device / f"in_{element.name}_{what}").write_text(f"{value!r}\n")
    if rate is not None:
        (device / "sampling_frequency").write_text(rate + "\n")
    os.mkfifo(folder / "data")
    return device


def pack(elements: Sequence[Element], values: Mapping[str, int]) -> bytes:
    """One frame: each element at a multiple of its size, the whole a multiple of the largest."""
    frame = b""
    largest = 1
    for element in sorted(elements, key=lambda each: each.index):
        order, _, rest = element.type.partition(":")
        kind, rest = rest[0], rest[1:]
        rest, _, shift = rest.partition(">>")
        rest, _, repeat = rest.partition("X")
        bits, storage = (int(text) for text in rest.split("/"))
        count = int(repeat or 1)
        size = storage // 8 * count
        largest = max(largest, size)
        frame += bytes(-len(frame) % size)
        value = values[element.name]
        assert (-(1 << bits - 1) if kind == "s" else 0) <= value < 1 << bits
        # What lies beside the sample's bits is not told: other data, here ones.
        word = (1 << storage) - 1
        mask = ((1 << bits) - 1) << int(shift or 0)
        word = word & ~mask | (value << int(shift or 0)) & mask
        frame += word.to_bytes(storage // 8, "big" if order == "be" else "little") * count
    return frame + bytes(-len(frame) % largest)

"""Ethernet frames as they were captured, many at a time."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from mmap import mmap
from typing import Protocol

SPAN = struct.Struct("=qIIii")
"""One frame of a batch: UTC time of arrival in ns (0: unknown), offset and size in the memory, id
of a VLAN tag that the network card took off (−1: none), unused."""
NO_VLAN = -1


@dataclass(frozen=True, slots=True)
class Frames:
    """Frames in one piece of memory, valid until their source's next read.

    `spans` holds `count` packed `SPAN`s, one a frame, in the order of arrival.
    """

    memory: bytes | mmap
    spans: bytes | bytearray
    count: int


class CapturedFrameSource(Protocol):
    """Frames that come by themselves; one thread opens, reads and closes."""

    name: str
    dropped: int
    """Frames that were received but not handed over, since `open`."""

    def open(self) -> None:
        """Start; raises TransportError when frames cannot be received."""

    def read(self, timeout_s: float) -> Frames | None:
        """The next frames, or None when none came in time; raises TransportError on loss."""

    def fileno(self) -> int:
        """Readable when there are frames, and until they are given back by the next read."""

    def close(self) -> None:
        """Release what `open` took; harmless when nothing is open."""

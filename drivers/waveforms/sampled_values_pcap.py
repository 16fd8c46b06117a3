"""Frames from a capture file: pcap in either byte order, in µs or ns, and pcapng.

pcap: IETF draft-ietf-opsawg-pcap; pcapng: IETF draft-ietf-opsawg-pcapng. Both as tcpdump, dumpcap
and Wireshark write them.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import NamedTuple

from drivers.errors import RecordingError
from drivers.waveforms.captured_frames import NO_VLAN, SPAN, Frames

SUFFIXES = (".pcap", ".pcapng", ".cap")

_PCAP = {
    b"\xa1\xb2\xc3\xd4": (">", 1000),
    b"\xd4\xc3\xb2\xa1": ("<", 1000),
    b"\xa1\xb2\x3c\x4d": (">", 1),
    b"\x4d\x3c\xb2\xa1": ("<", 1),
}
"""First bytes: byte order and ns in a unit of the time stamps' fraction."""
_SECTION = b"\x0a\x0d\x0d\x0a"
_BYTE_ORDERS = {b"\x1a\x2b\x3c\x4d": ">", b"\x4d\x3c\x2b\x1a": "<"}
_INTERFACE, _SIMPLE_PACKET, _ENHANCED_PACKET = 1, 3, 6
_RESOLUTION_OPTION, _OFFSET_OPTION = 9, 14
_ETHERNET = 1
_MAX_FRAME_BYTES = 262_144
"""What tcpdump and Wireshark take for the largest possible frame."""
_BATCH = 4096
_MAX_NS = 2**62
_MAX_BYTES = 2**32 - 1
"""Offsets in a batch have 32 bits."""


class _Interface(NamedTuple):
    is_ethernet: bool
    units_per_s: int
    offset_s: int


class _Record(NamedTuple):
    received_ns: int
    offset: int
    size: int


class SampledValuesCapture:
    """The frames of a capture file, in batches; `position` of `size` bytes are read."""

    def __init__(self, path: str | Path) -> None:
        """Open the file; raises RecordingError naming it and the reason."""
        self.path = Path(path)
        self.position = 0
        self.notes: list[str] = []
        try:
            with self.path.open("rb") as file:
                self.size = file.seek(0, 2)
                if not self.size:
                    raise RecordingError(f"{self.path}: the file is empty")
                if self.size > _MAX_BYTES:
                    raise RecordingError(f"{self.path}: more than 4 GB; split it, as editcap does")
                self._memory = mmap(file.fileno(), 0, access=ACCESS_READ)
        except OSError as error:
            raise RecordingError(f"{self.path}: {error.strerror or error}") from error

    def batches(self) -> Iterator[Frames]:
        """All frames from the file's start; raises RecordingError where the file breaks."""
        self.notes.clear()
        try:
            yield from self._batches()
        except (RecordingError, struct.error) as error:
            raise RecordingError(f"{self.path}: {error}") from error

    def _batches(self) -> Iterator[Frames]:
        spans, count = bytearray(_BATCH * SPAN.size), 0
        for record in self._records():
            SPAN.pack_into(spans, count * SPAN.size, *record, NO_VLAN, 0)
            count += 1
            if count == _BATCH:
                self.position = record.offset
                yield Frames(self._memory, spans, count)
                count = 0
        self.position = self.size
        if count:
            yield Frames(self._memory, spans, count)

    def _records(self) -> Iterator[_Record]:
        magic = self._memory[:4]
        if magic in _PCAP:
            return self._pcap(*_PCAP[magic])
        if magic == _SECTION:
            return self._pcapng()
        raise RecordingError("neither a pcap nor a pcapng file")

    def _pcap(self, order: str, unit_ns: int) -> Iterator[_Record]:
        if self.size < 24:
            raise RecordingError("the file ends within its header")
        link_type = struct.unpack_from(order + "I", self._memory, 20)[0] & 0xFFFF
        if link_type != _ETHERNET:
            raise RecordingError(f"its frames are of link type {link_type}, not Ethernet (1)")
        header, at = struct.Struct(order + "IIII"), 24
        while at < self.size:
            if at + header.size > self.size:
                self._note_cut()
                return
            seconds, fraction, size, _ = header.unpack_from(self._memory, at)
            _check_size(size, at)
            at += header.size
            if at + size > self.size:
                self._note_cut()
                return
            received_ns = seconds * 1_000_000_000 + fraction * unit_ns
            yield _Record(received_ns, at, size)
            at += size

    def _pcapng(self) -> Iterator[_Record]:
        order, at = ">", 0
        interfaces: list[_Interface] = []
        while at < self.size:
            if at + 12 > self.size:
                self._note_cut()
                return
            if self._memory[at : at + 4] == _SECTION:
                order, interfaces = self._byte_order(at), []
            kind, length = struct.unpack_from(order + "II", self._memory, at)
            if length < 12 or length % 4:
                raise RecordingError(f"the block at byte {at} says that it has {length} bytes")
            if at + length > self.size:
                self._note_cut()
                return
            body, end = at + 8, at + length - 4
            if kind == _INTERFACE:
                interfaces.append(self._interface(order, body, end))
            elif kind == _ENHANCED_PACKET:
                yield from self._packet(order, body, end, interfaces)
            elif kind == _SIMPLE_PACKET and interfaces and interfaces[0].is_ethernet:
                (size,) = struct.unpack_from(order + "I", self._memory, body)
                yield _Record(0, body + 4, min(size, end - body - 4))
            at += length

    def _byte_order(self, at: int) -> str:
        order = _BYTE_ORDERS.get(self._memory[at + 8 : at + 12])
        if order is None:
            raise RecordingError(f"the section at byte {at} has no byte order")
        return order

    def _interface(self, order: str, at: int, end: int) -> _Interface:
        if end - at < 8:
            raise RecordingError(f"the interface description at byte {at} is cut")
        (link_type,) = struct.unpack_from(order + "H", self._memory, at)
        units_per_s, offset_s = 1_000_000, 0
        at += 8
        while at + 4 <= end:
            code, length = struct.unpack_from(order + "HH", self._memory, at)
            if code == _RESOLUTION_OPTION and length == 1 and at + 4 < end:
                exponent = self._memory[at + 4]
                units_per_s = 2 ** (exponent & 0x7F) if exponent & 0x80 else 10**exponent
            elif code == _OFFSET_OPTION and length == 8 and at + 12 <= end:
                (offset_s,) = struct.unpack_from(order + "q", self._memory, at + 4)
            at += 4 + (length + 3) // 4 * 4
        if link_type != _ETHERNET:
            self.notes.append(f"frames of link type {link_type} are left out")
        return _Interface(link_type == _ETHERNET, units_per_s, offset_s)

    def _packet(
        self, order: str, at: int, end: int, interfaces: list[_Interface]
    ) -> Iterator[_Record]:
        if end - at < 20:
            raise RecordingError(f"the packet block at byte {at} is cut")
        number, high, low, size, _ = struct.unpack_from(order + "IIIII", self._memory, at)
        _check_size(size, at)
        if number >= len(interfaces) or size > end - at - 20:
            raise RecordingError(f"the packet block at byte {at} contradicts itself")
        is_ethernet, units_per_s, offset_s = interfaces[number]
        if is_ethernet:
            received_ns = (high << 32 | low) * 1_000_000_000 // units_per_s
            received_ns += offset_s * 1_000_000_000
            yield _Record(received_ns if 0 <= received_ns < _MAX_NS else 0, at + 20, size)

    def _note_cut(self) -> None:
        self.notes.append("the capture ends within a frame")


def _check_size(size: int, at: int) -> None:
    if size > _MAX_FRAME_BYTES:
        raise RecordingError(f"the frame at byte {at} says that it has {size} bytes")

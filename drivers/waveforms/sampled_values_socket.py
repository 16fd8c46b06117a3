"""Frames of sampled values from a network interface: Linux packet socket with a memory ring.

The kernel writes frames into a ring of blocks that it shares with the process (packet(7),
TPACKET_V3: Documentation/networking/packet_mmap.rst), so a read costs one poll for many frames,
and each frame has the kernel's time of arrival and the VLAN tag that was taken off it.
"""

from __future__ import annotations

import ctypes
import errno
import os
import select
import socket
import struct
from collections.abc import Sequence
from mmap import mmap

from drivers.errors import TransportError
from drivers.waveforms.captured_frames import NO_VLAN, SPAN, Frames

ETHERTYPE = 0x88BA
"""IEC 61850-9-2 sampled values."""

# linux/if_packet.h, linux/if_ether.h, asm-generic/socket.h; Python's socket does not name them all.
_SOL_PACKET = 263
_PACKET_ADD_MEMBERSHIP, _PACKET_RX_RING, _PACKET_STATISTICS, _PACKET_VERSION = 1, 5, 6, 10
_PACKET_IGNORE_OUTGOING = 23
_PACKET_MR_ALLMULTI = 2
_TPACKET_V3 = 2
_TP_STATUS_KERNEL, _TP_STATUS_USER, _TP_STATUS_LOSING, _TP_STATUS_VLAN_VALID = 0, 1, 4, 0x10
_ETH_P_ALL = 3
_SO_ATTACH_FILTER = 26

_BLOCK_BYTES = 8192
_BLOCKS = 256
"""2 MB: a second of blocks that are closed every 4 ms, or of 1.4 MB/s (12.8 kS/s, 8 channels)."""
_CLOSE_MS = 4
_FRAME_BYTES = 2048
_BATCH_BLOCKS = 64
_MIN_FRAME_BYTES = 96
"""Header of a frame in the ring (48) and its data at least, aligned to 16."""

_BLOCK = struct.Struct("=8xIII")  # status, number of frames, offset of the first
_FRAME = struct.Struct("=4I4xIH6xI")
"""Distance of the next, s, ns, captured size, status, offset of the data, VLAN tag."""


class SampledValuesSocket:
    """The frames of sampled values that arrive at one interface, as a CapturedFrameSource.

    With `appid` the kernel drops the frames of other applications. `dropped` counts the frames that
    found no room in the ring.
    """

    def __init__(self, interface: str, *, appid: int | None = None) -> None:
        self.name = interface
        self.dropped = 0
        self._appid = appid
        self._socket: socket.socket | None = None
        self._ring: mmap | None = None
        self._poll = select.poll()
        self._block = 0
        self._lent = 0
        self._spans = bytearray(_BATCH_BLOCKS * (_BLOCK_BYTES // _MIN_FRAME_BYTES) * SPAN.size)

    def open(self) -> None:
        """Bind to the interface; needs CAP_NET_RAW. Raises TransportError naming the reason."""
        self.close()
        try:
            opened = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        except PermissionError as error:
            raise TransportError(
                f"{self.name}: receiving sampled values needs CAP_NET_RAW: run as root or grant it,"
                " for example with AmbientCapabilities=CAP_NET_RAW in a systemd unit"
            ) from error
        try:
            self._ring = self._set_up(opened)
        except OSError as error:
            opened.close()
            raise TransportError(f"{self.name}: {error.strerror or error}") from error
        self._socket = opened
        self._poll = select.poll()
        self._poll.register(opened, select.POLLIN | select.POLLERR)
        self._block = self._lent = self.dropped = 0

    def read(self, timeout_s: float) -> Frames | None:
        """The frames of the blocks that are closed, or None; TransportError when it went down."""
        if self._socket is None or self._ring is None:
            raise TransportError(f"{self.name}: not open")
        self._give_back(self._ring)
        status = self._status(self._ring)
        if not status & _TP_STATUS_USER:
            status = self._wait(timeout_s)
        if not status & _TP_STATUS_USER or status & _TP_STATUS_LOSING:
            self._count_drops(self._socket)
        count = 0
        while self._lent < _BATCH_BLOCKS and self._status(self._ring) & _TP_STATUS_USER:
            count = self._list(self._ring, self._block, count)
            self._block = (self._block + 1) % _BLOCKS
            self._lent += 1
        return Frames(self._ring, self._spans, count) if count else None

    def fileno(self) -> int:
        """Of the socket: readable until the frames that were read last are given back."""
        if self._socket is None:
            raise TransportError(f"{self.name}: not open")
        return self._socket.fileno()

    def close(self) -> None:
        """Close the socket; the ring goes when nobody looks at it any more."""
        if self._socket is not None:
            self._socket.close()
        self._socket = self._ring = None

    def _set_up(self, opened: socket.socket) -> mmap:
        opened.setsockopt(_SOL_PACKET, _PACKET_VERSION, _TPACKET_V3)
        # struct tpacket_req3: blocks, frames, ms until a block is closed, private bytes, flags.
        frames = _BLOCK_BYTES // _FRAME_BYTES * _BLOCKS
        ring = struct.pack("=7I", _BLOCK_BYTES, _BLOCKS, _FRAME_BYTES, frames, _CLOSE_MS, 0, 0)
        opened.setsockopt(_SOL_PACKET, _PACKET_RX_RING, ring)
        memory = mmap(opened.fileno(), _BLOCK_BYTES * _BLOCKS)
        opened.setsockopt(_SOL_PACKET, _PACKET_IGNORE_OUTGOING, 1)
        _attach_filter(opened, self._appid)
        # A socket of one EtherType never sees the VLAN of its frames; one of all, filtered, does.
        opened.bind((self.name, _ETH_P_ALL))
        # struct packet_mreq: sampled values are sent to multicast addresses.
        index = socket.if_nametoindex(self.name)
        membership = struct.pack("@iHH8s", index, _PACKET_MR_ALLMULTI, 0, b"")
        opened.setsockopt(_SOL_PACKET, _PACKET_ADD_MEMBERSHIP, membership)
        return memory

    def _wait(self, timeout_s: float) -> int:
        assert self._socket is not None
        assert self._ring is not None
        events = self._poll.poll(max(0.0, timeout_s) * 1000.0)
        if any(event & select.POLLERR for _, event in events):
            code = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            raise TransportError(f"{self.name}: {os.strerror(code or errno.EIO)}")
        return self._status(self._ring)

    def _status(self, ring: mmap) -> int:
        """Of the block that is next: the kernel's, or ours to read."""
        status: int = _BLOCK.unpack_from(ring, self._block * _BLOCK_BYTES)[0]
        return status

    def _give_back(self, ring: mmap) -> None:
        for back in range(self._lent, 0, -1):
            start = (self._block - back) % _BLOCKS * _BLOCK_BYTES
            struct.pack_into("=I", ring, start + 8, _TP_STATUS_KERNEL)
        self._lent = 0

    def _list(self, ring: mmap, block: int, count: int) -> int:
        """Note where each frame of the block lies; the new number of frames."""
        start = block * _BLOCK_BYTES
        _, frames, offset = _BLOCK.unpack_from(ring, start)
        at = start + offset
        for _ in range(frames):
            step, s, ns, size, status, mac, tag = _FRAME.unpack_from(ring, at)
            vlan = tag & 0xFFF if status & _TP_STATUS_VLAN_VALID else NO_VLAN
            where = count * SPAN.size
            SPAN.pack_into(self._spans, where, s * 1_000_000_000 + ns, at + mac, size, vlan, 0)
            count += 1
            at += step
        return count

    def _count_drops(self, opened: socket.socket) -> None:
        """Add to `dropped`; the kernel's counter starts anew with each look at it."""
        statistics = opened.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, 12)
        self.dropped += struct.unpack("=III", statistics)[1]


def _attach_filter(opened: socket.socket, appid: int | None) -> None:
    """Let the kernel pass sampled values only, of one APPID if it is given (classic BPF).

    What has a second VLAN tag or that of an HSR ring passes; the decoder looks behind it.
    """
    load_half, jump_equal, done = 0x28, 0x15, 0x06
    passed, refused = (done, 0, 0, 0xFFFF), (done, 0, 0, 0)
    choice = [] if appid is None else [(load_half, 0, 0, 14), (jump_equal, 0, 1, appid)]
    program = [
        (load_half, 0, 0, 12),
        (jump_equal, len(choice) + 3, 0, 0x8100),
        (jump_equal, len(choice) + 2, 0, 0x88A8),
        (jump_equal, len(choice) + 1, 0, 0x892F),
        (jump_equal, 0, len(choice) + 1, ETHERTYPE),
        *choice,
        passed,
        refused,
    ]
    _attach(opened, program)


def _attach(opened: socket.socket, program: Sequence[tuple[int, int, int, int]]) -> None:
    code = b"".join(struct.pack("=HBBI", *instruction) for instruction in program)
    memory = ctypes.create_string_buffer(code, len(code))
    # struct sock_fprog: number of instructions and their address.
    header = struct.pack("@HP", len(program), ctypes.addressof(memory))
    opened.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, header)

"""Waveforms over TCP: the protocol dcpi-waveform/1.

The server speaks, the client listens. On connect one JSON line of at most 4096 bytes:

    {"protocol": "dcpi-waveform/1", "phases": 3, "sample_rate_hz": 12800,
     "epoch_ns": <UTC ns of sample 0>, "dtype": "<f4", "clock": "utc"}

then frames at true time, at least one in 100 ms: a header of 16 bytes, little-endian (`DCPW`,
u32 number of samples n, u64 index of the first), and 2 × phases × n little-endian float32, one
channel after the other: v1 v2 v3 i1 i2 i3, in V and A.

`clock` says who keeps the time: "utc", which is also meant where it is missing, is a server whose
sample i lies at epoch + i/rate UTC, and which is believed until it is found to be 100 ppm off;
"free" is one whose converter runs at a rate of its own, near sample_rate_hz: its epoch is a guess,
and the listener measures both by when the frames arrive.
"""

from __future__ import annotations

import json
import socket
import struct
import time
from collections.abc import Callable, Sequence

import numpy as np

from drivers.errors import TransportError
from drivers.waveforms.block import Block, Samples

PROTOCOL = "dcpi-waveform/1"
SILENCE_S = 1.0
"""A server that sends nothing for this long is lost: ten of its blocks are missing."""

_FRAME = struct.Struct("<4sIQ")
_MAGIC = b"DCPW"
_MAX_GREETING_BYTES = 4096
_MAX_PHASES = 3
_FRAMES_HELD = 4  # received and joined in one turn where they have waited
_MAX_RATE_HZ = 1_000_000.0
_MAX_BLOCK_S = 1.0
_CONNECT_TIMEOUT_S = 1.0
_WIRE_DTYPE = np.dtype("<f4")


class StreamSource:
    """One dcpi-waveform/1 server as a WaveformSource; `wall_ns` gives UTC in ns since 1970."""

    def __init__(self, host: str, port: int, *, wall_ns: Callable[[], int] = time.time_ns) -> None:
        self.phases = 0
        self.sample_rate_hz = 0.0
        self.epoch_ns = 0
        self.skew_s: Sequence[float] = ()
        self._host = host
        self._port = port
        self._wall_ns = wall_ns
        self._connection: socket.socket | None = None
        self._data = bytearray(_FRAME.size)  # room for several frames once one is known
        self._start = 0  # of the frame that is under way
        self._end = 0  # of what has been received
        self._frame_bytes = 0  # of the frame that is under way; 0 until its header is here
        self._is_empty = False  # the connection, when it was last read
        self._next_index = 0
        self._heard_at = 0.0
        self._timeout_s = -1.0
        self._is_free = False

    def open(self) -> None:
        """Connect and read the greeting; raises TransportError naming the server and the reason."""
        self.close()
        try:
            connection = socket.create_connection((self._host, self._port), _CONNECT_TIMEOUT_S)
        except OSError as error:
            raise TransportError(f"{self._peer}: {error.strerror or error}") from error
        try:
            self._greet(_read_greeting(connection, self._peer))
        except OSError as error:
            connection.close()
            raise TransportError(f"{self._peer}: no greeting: {error}") from error
        except TransportError:
            connection.close()
            raise
        # A blocking socket with a kernel time-out: one system call for a whole frame (MSG_WAITALL).
        connection.settimeout(None)
        self._connection = connection
        self._timeout_s = -1.0
        self._start = self._end = self._frame_bytes = 0
        self._is_empty = False
        self._next_index = 0
        self._heard_at = time.monotonic()

    def read(self, timeout_s: float) -> Block | None:
        """The next block, or None; raises TransportError on loss, silence or a broken frame.

        With a time-out of 0 it never waits, and frames that have waited are one block: a reader
        that is behind catches up with fewer of them.
        """
        if self._connection is None:
            raise TransportError(f"{self._peer}: not open")
        if timeout_s != self._timeout_s:
            self._set_timeout(self._connection, timeout_s)
        if not self._frame_bytes:
            if not self._receive(self._connection, _FRAME.size):
                return None
            self._begin_frame()
        if not self._receive(self._connection, self._frame_bytes):
            return None
        received_ns = self._wall_ns()
        first = self._next_index
        parts = [self._samples()]
        while not self._timeout_s and self._follows():
            parts.append(self._samples())
        return Block(
            first,
            parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1),
            received_ns=received_ns,
            claims_utc=not self._is_free,
        )

    def fileno(self) -> int:
        """Of the connection, for a poll; raises TransportError when there is none."""
        if self._connection is None:
            raise TransportError(f"{self._peer}: not open")
        return self._connection.fileno()

    def close(self) -> None:
        """Close the connection, if any."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    @property
    def _peer(self) -> str:
        return f"waveform stream {self._host}:{self._port}"

    def _set_timeout(self, connection: socket.socket, timeout_s: float) -> None:
        # timeval of zero would mean to wait for ever (socket(7), SO_RCVTIMEO).
        microseconds = max(1, round(timeout_s * 1e6))
        timeval = struct.pack("@ll", *divmod(microseconds, 1_000_000))
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, timeval)
        self._timeout_s = timeout_s

    def _receive(self, connection: socket.socket, size: int) -> bool:
        """Whether so many bytes of the frame under way are here, after one call at most.

        Without a time-out it takes what there is: each system call lets other threads go first.
        """
        missing = size - (self._end - self._start)
        if missing <= 0:
            return True
        if self._timeout_s:
            flags = socket.MSG_WAITALL
        elif self._is_empty:
            self._is_empty = False
            return False
        else:
            flags = socket.MSG_DONTWAIT
        self._make_room(size)
        room = missing if self._timeout_s else len(self._data) - self._end
        try:
            count = connection.recv_into(memoryview(self._data)[self._end :], room, flags)
        except BlockingIOError:
            if time.monotonic() - self._heard_at > SILENCE_S:
                raise TransportError(f"{self._peer}: silent for {SILENCE_S:g} s") from None
            return False
        except OSError as error:
            raise TransportError(f"{self._peer}: {error.strerror or error}") from error
        if count == 0:
            raise TransportError(f"{self._peer}: the server closed the connection")
        self._heard_at = time.monotonic()
        self._end += count
        # A frame that is not whole is asked for again at once.
        self._is_empty = missing <= count < room
        return count >= missing

    def _samples(self) -> Samples:
        """Those of the frame under way, which is whole; they are where they were received."""
        begin, self._start = self._start, self._start + self._frame_bytes
        self._frame_bytes = 0
        payload = memoryview(self._data)[begin + _FRAME.size : self._start]
        samples = np.frombuffer(payload, _WIRE_DTYPE).reshape(2 * self.phases, -1)
        self._next_index += samples.shape[1]
        return samples.astype(np.float32, copy=False)

    def _follows(self) -> bool:
        """Whether the next frame is here whole and goes on where the last one ended."""
        here = self._end - self._start
        if here < _FRAME.size:
            return False
        magic, count, first_index = _FRAME.unpack_from(self._data, self._start)
        size = _FRAME.size + 2 * self.phases * count * _WIRE_DTYPE.itemsize
        if magic != _MAGIC or first_index != self._next_index or not _FRAME.size < size <= here:
            return False
        self._frame_bytes = size
        return True

    def _make_room(self, size: int) -> None:
        """For the rest of the frame under way, moved to the start where it must be."""
        if self._start + size <= len(self._data):
            return
        begun = self._data[self._start : self._end]
        if len(self._data) < size:
            self._data = bytearray(_FRAMES_HELD * size)
        self._data[: len(begun)] = begun
        self._start, self._end = 0, len(begun)

    def _begin_frame(self) -> None:
        magic, count, first_index = _FRAME.unpack_from(self._data, self._start)
        if magic != _MAGIC:
            raise TransportError(f"{self._peer}: a frame begins with {magic!r}, not {_MAGIC!r}")
        if not 0 < count <= self.sample_rate_hz * _MAX_BLOCK_S:
            raise TransportError(
                f"{self._peer}: a frame of {count} samples; 1 to {_MAX_BLOCK_S:g} s are allowed"
            )
        if first_index < self._next_index:
            raise TransportError(
                f"{self._peer}: the sample index went back from {self._next_index} to {first_index}"
            )
        self._next_index = first_index
        payload_bytes = 2 * self.phases * count * _WIRE_DTYPE.itemsize
        self._frame_bytes = _FRAME.size + payload_bytes

    def _greet(self, line: bytes) -> None:
        try:
            greeting = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise TransportError(f"{self._peer}: the greeting is not JSON: {error}") from error
        if not isinstance(greeting, dict) or greeting.get("protocol") != PROTOCOL:
            raise TransportError(f"{self._peer}: the greeting does not name {PROTOCOL}")
        if greeting.get("dtype") != "<f4":
            raise TransportError(f"{self._peer}: dtype {greeting.get('dtype')!r} is not '<f4'")
        phases = greeting.get("phases")
        if type(phases) is not int or not 1 <= phases <= _MAX_PHASES:
            raise TransportError(f"{self._peer}: phases {phases!r} is not 1 to {_MAX_PHASES}")
        rate = greeting.get("sample_rate_hz")
        if not isinstance(rate, int | float) or not 1.0 <= rate <= _MAX_RATE_HZ:
            raise TransportError(
                f"{self._peer}: sample_rate_hz {rate!r} is not 1 to {_MAX_RATE_HZ:g}"
            )
        epoch = greeting.get("epoch_ns")
        if type(epoch) is not int or not 0 <= epoch < 2**63:
            raise TransportError(f"{self._peer}: epoch_ns {epoch!r} is not a UTC time in ns")
        clock = greeting.get("clock", "utc")
        if clock not in ("utc", "free"):
            raise TransportError(f"{self._peer}: clock {clock!r} is neither 'utc' nor 'free'")
        self._is_free = clock == "free"
        self.phases, self.sample_rate_hz, self.epoch_ns = phases, float(rate), epoch
        self.skew_s = (0.0,) * phases  # all channels are sampled at once


def _read_greeting(connection: socket.socket, peer: str) -> bytes:
    """The first line, byte for byte: what follows it belongs to the first frame."""
    line = bytearray()
    deadline = time.monotonic() + _CONNECT_TIMEOUT_S
    while not line.endswith(b"\n"):
        if len(line) >= _MAX_GREETING_BYTES:
            raise TransportError(f"{peer}: the greeting exceeds {_MAX_GREETING_BYTES} bytes")
        connection.settimeout(max(1e-3, deadline - time.monotonic()))
        byte = connection.recv(1)
        if not byte:
            raise TransportError(f"{peer}: the server closed the connection")
        line += byte
    return bytes(line)

"""Serves one feed's samples over TCP, protocol dcpi-waveform/1.

A client gets one JSON line (phases, sample_rate_hz, epoch_ns of sample 0, dtype) and then frames:
"DCPW", number of samples, index of the first one, and the samples channel by channel as
little-endian float32. Nothing here blocks: a client that falls behind is dropped, the others notice
nothing.
"""

from __future__ import annotations

import json
import socket
import struct

import numpy as np
from numpy.typing import NDArray

from emulator.plant.feeds import PHASES
from emulator.plant.waveform import CHANNELS

_FRAME = struct.Struct("<4sIQ")
_MAGIC = b"DCPW"
_BACKLOG_S = 2.0  # what a client may fall behind before it is dropped


class WaveformServer:
    """One feed's stream; `port` 0 takes a free port at the first start and keeps it."""

    def __init__(self, sample_rate_hz: float, epoch_ns: int, host: str = "127.0.0.1") -> None:
        self.host = host
        self.port = 0
        self._greeting = _greeting(sample_rate_hz, epoch_ns)
        self._backlog_bytes = int(_BACKLOG_S * sample_rate_hz) * CHANNELS * 4
        self._listener: socket.socket | None = None
        self._clients: dict[socket.socket, bytearray] = {}

    @property
    def clients(self) -> int:
        """How many clients are served."""
        return len(self._clients)

    def start(self) -> None:
        """Listen; OSError when the port cannot be bound. Does nothing when it listens already."""
        if self._listener is None:
            self._listener = socket.create_server((self.host, self.port), backlog=16)
            self._listener.setblocking(False)
            self.port = self._listener.getsockname()[1]

    def stop(self) -> None:
        """Close the listener and drop all clients."""
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        for client in list(self._clients):
            self._drop(client)

    def publish(self, first_index: int, samples: NDArray[np.float32]) -> None:
        """Send a block (CHANNELS, n) to everyone, those included that have just connected."""
        self._accept()
        if not self._clients:
            return
        frame = _FRAME.pack(_MAGIC, samples.shape[1], first_index) + samples.astype("<f4").tobytes()
        for client, pending in list(self._clients.items()):
            pending += frame
            self._send(client, pending)

    def _accept(self) -> None:
        while self._listener is not None:
            try:
                client, _ = self._listener.accept()
            except OSError:  # nobody is waiting, or has gone again
                return
            client.setblocking(False)
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._clients[client] = bytearray(self._greeting)

    def _send(self, client: socket.socket, pending: bytearray) -> None:
        try:
            del pending[: client.send(pending)]
        except BlockingIOError:
            pass
        except OSError:
            self._drop(client)
            return
        if len(pending) > self._backlog_bytes:
            self._drop(client)

    def _drop(self, client: socket.socket) -> None:
        del self._clients[client]
        client.close()


def _greeting(sample_rate_hz: float, epoch_ns: int) -> bytes:
    greeting = {
        "protocol": "dcpi-waveform/1",
        "phases": PHASES,
        "sample_rate_hz": sample_rate_hz,
        "epoch_ns": epoch_ns,
        "dtype": "<f4",
    }
    return json.dumps(greeting).encode() + b"\n"

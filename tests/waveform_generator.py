"""A dcpi-waveform/1 server at true time, and what collects the windows that come of it."""

from __future__ import annotations

import json
import math
import socket
import struct
import threading
import time
from collections.abc import Callable

import numpy as np

from bmc_ext.sampling.sampler import Window

V_PEAK, I_PEAK, ANGLE = 325.0, 100.0, 0.5
MEAN_POWER_W = V_PEAK * I_PEAK / 2 * math.cos(ANGLE)


def three_phases(rate_hz: float, first: int, count: int) -> np.ndarray:
    """50 Hz, 325 V and 100 A peak, the current 0.5 rad late; shape (6, count)."""
    angle = 2 * math.pi * 50 * np.arange(first, first + count) / rate_hz
    shifts = np.arange(3)[:, None] * 2 * math.pi / 3
    voltage = V_PEAK * np.cos(angle - shifts)
    return np.concatenate((voltage, I_PEAK * np.cos(angle - shifts - ANGLE)))


class Generator:
    """A dcpi-waveform/1 server at true time, for one client; loses samples or hangs up."""

    def __init__(self, rate_hz: float = 12_800.0, block: int = 640, start_index: int = 0) -> None:
        self.rate_hz = rate_hz
        self.block = block
        self.start_index = start_index
        self.lose: range = range(0)
        self.hang_up = threading.Event()
        self.connections = 0
        self._closing = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> Generator:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(timeout=5)

    def _serve(self) -> None:
        while not self._closing.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self.hang_up.clear()
            with connection:
                try:
                    self._send(connection)
                except OSError:
                    continue

    def _send(self, connection: socket.socket) -> None:
        begun_ns = time.time_ns()
        epoch_ns = begun_ns - round(self.start_index * 1e9 / self.rate_hz)
        greeting = {
            "protocol": "dcpi-waveform/1", "phases": 3, "sample_rate_hz": self.rate_hz,
            "epoch_ns": epoch_ns, "dtype": "<f4",
        }  # fmt: skip
        connection.sendall(json.dumps(greeting).encode() + b"\n")
        index = self.start_index
        while not self._closing.is_set() and not self.hang_up.is_set():
            due_ns = epoch_ns + (index + self.block) * 1e9 / self.rate_hz
            time.sleep(max(0.0, (due_ns - time.time_ns()) * 1e-9))
            kept = [i for i in range(index, index + self.block) if i not in self.lose]
            if kept:
                samples = three_phases(self.rate_hz, kept[0], len(kept)).astype("<f4")
                header = struct.pack("<4sIQ", b"DCPW", len(kept), kept[0])
                connection.sendall(header + samples.tobytes())
            index += self.block


class Windows:
    """Collects what a sampler emits."""

    def __init__(self) -> None:
        self.seen: list[tuple[int, Window]] = []
        self._arrived = threading.Condition()

    def __call__(self, window: Window) -> None:
        """Take one."""
        with self._arrived:
            self.seen.append((time.time_ns(), window))
            self._arrived.notify_all()

    def wait(self, count: int, deadline_s: float = 20.0) -> list[Window]:
        """The first `count` windows, within a deadline."""
        with self._arrived:
            assert self._arrived.wait_for(lambda: len(self.seen) >= count, deadline_s), self.seen
            return [window for _, window in self.seen[:count]]


def eventually(condition: Callable[[], bool], deadline_s: float = 20.0) -> bool:
    """Whether the condition comes true in time."""
    end = time.monotonic() + deadline_s
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.005)
    return True

"""A dcpi-waveform/1 source as its own process: `python waveform_source.py LEAD_RAD GAIN [STEP]`.

Three phases at 50.1 Hz of 230 V and 100 A at power factor 0.85, with a fifth harmonic of 3 % of
the voltage and 20 % of the current. The current comes through a transformer that leads by LEAD_RAD
at every order and shows GAIN of the truth. With a STEP the true current is so many times larger in
every other two seconds. It prints its port.
"""

from __future__ import annotations

import contextlib
import json
import math
import socket
import struct
import sys
import threading
import time

import numpy as np
from numpy.typing import NDArray

RATE_HZ, BLOCK, FREQUENCY_HZ = 12_800, 640, 50.1
V_RMS, I_RMS, LAG_RAD = 230.0, 100.0, math.acos(0.85)
V_FIFTH, I_FIFTH, LAG_FIFTH_RAD = 0.03, 0.2, 0.3
TRUE_W = 3 * V_RMS * I_RMS * (0.85 + V_FIFTH * I_FIFTH * math.cos(LAG_FIFTH_RAD))


def samples(first: int, lead_rad: float, gain: float, step: float) -> NDArray[np.float32]:
    """One block, shape (6, BLOCK)."""
    turns = FREQUENCY_HZ * np.arange(first, first + BLOCK) / RATE_HZ - np.arange(3)[:, None] / 3
    angle = 2 * np.pi * turns
    voltage = V_RMS * (np.cos(angle) + V_FIFTH * np.cos(5 * angle))
    fundamental = np.cos(angle - LAG_RAD + lead_rad)
    fifth = I_FIFTH * np.cos(5 * angle - LAG_FIFTH_RAD + lead_rad)
    is_larger = first // (2 * RATE_HZ) % 2 == 1
    current = (step if is_larger else 1.0) * gain * I_RMS * (fundamental + fifth)
    return (math.sqrt(2) * np.concatenate((voltage, current))).astype("<f4")


def send(connection: socket.socket, lead_rad: float, gain: float, step: float) -> None:
    """Blocks at true time until the client is gone."""
    epoch_ns = time.time_ns()
    greeting = {
        "protocol": "dcpi-waveform/1", "phases": 3, "sample_rate_hz": RATE_HZ,
        "epoch_ns": epoch_ns, "dtype": "<f4",
    }  # fmt: skip
    connection.sendall(json.dumps(greeting).encode() + b"\n")
    index = 0
    while True:
        due_ns = epoch_ns + (index + BLOCK) * 1_000_000_000 // RATE_HZ
        time.sleep(max(0.0, (due_ns - time.time_ns()) * 1e-9))
        header = struct.pack("<4sIQ", b"DCPW", BLOCK, index)
        connection.sendall(header + samples(index, lead_rad, gain, step).tobytes())
        index += BLOCK


def serve(client: socket.socket) -> None:
    """One client, which may come again."""
    with client, contextlib.suppress(OSError):
        send(client, *map(float, (*sys.argv[1:], "1.0")[:3]))


if __name__ == "__main__":
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        print(listener.getsockname()[1], flush=True)
        while True:
            threading.Thread(target=serve, args=listener.accept()[:1], daemon=True).start()

"""A dcpi-waveform/1 server whose crystal is off, for one client, in a process of its own.

    python free_stream_server.py PPM

Prints its port. Samples 50 Hz, 325 V and 100 A in phase, at 12 800 S/s as its own fast or slow
clock sees it, in blocks of 50 ms; its greeting says that the clock is free and guesses an epoch.
"""

from __future__ import annotations

import json
import socket
import struct
import sys
import time

import numpy as np

RATE_HZ = 12_800.0
BLOCK = 640


def main() -> None:
    """Serve one client until it goes."""
    true_rate_hz = RATE_HZ * (1.0 + float(sys.argv[1]) * 1e-6)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        print(listener.getsockname()[1], flush=True)
        connection, _ = listener.accept()
    begun_s = time.time()
    greeting = {
        "protocol": "dcpi-waveform/1", "phases": 1, "sample_rate_hz": RATE_HZ,
        "epoch_ns": 0, "dtype": "<f4", "clock": "free",
    }  # fmt: skip
    with connection:
        connection.sendall(json.dumps(greeting).encode() + b"\n")
        index = 0
        while True:
            time.sleep(max(0.0, begun_s + (index + BLOCK) / true_rate_hz - time.time()))
            angle = 2 * np.pi * 50.0 * np.arange(index, index + BLOCK) / true_rate_hz
            samples = np.stack((325.0 * np.cos(angle), 100.0 * np.cos(angle))).astype("<f4")
            connection.sendall(struct.pack("<4sIQ", b"DCPW", BLOCK, index) + samples.tobytes())
            index += BLOCK


if __name__ == "__main__":
    main()
